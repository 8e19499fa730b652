"""Saved views: a filter and an order under a name. Some are there from the beginning, the operator's are in a file."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from mmconsole.domain.filters import Filter, Order, Shows, Sort, parse
from mmconsole.domain.tokens import Health
from mmconsole.errors import BadFilter, BadViews, FileUnwritable

_FILE_LIMIT: Final = 100_000
NAME_LIMIT: Final = 40


@dataclass(frozen=True, slots=True)
class View:
    name: str
    wanted: Filter
    order: Order = Order(Sort.STATUS)  # noqa: RUF009 - it is frozen
    built_in: bool = False

    def counted(self, by_status: Mapping[Health, int]) -> int | None:
        """How many users it shows, if their statuses alone decide it."""
        if not self.wanted:
            return sum(by_status.values())
        if len(self.wanted.terms) > 1 or not isinstance(self.wanted.terms[0].condition, Shows):
            return None
        term = self.wanted.terms[0]
        named = sum(by_status.get(one, 0) for one in dict.fromkeys(self.wanted.terms[0].condition.statuses))
        return sum(by_status.values()) - named if term.negated else named


def _built_in(name: str, text: str) -> View:
    return View(name, parse(text), built_in=True)


BROKEN: Final = _built_in("broken", "status:expired,revoked,disabled,withheld,denied")
EXPIRING: Final = _built_in("expiring", "status:expiring,overdue")
BUILT_IN: Final = (
    _built_in("everybody", ""),
    BROKEN,
    EXPIRING,
    _built_in("no token", "status:missing"),
    _built_in("to decide", "status:conflict,inactive,noaccount"),
    _built_in("not checked", "status:unknown"),
)


class SavedViews:
    """Those of the beginning, then the operator's in the order of their file; one of a name hides the first of it."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._own: dict[str, View] = {}

    @property
    def all(self) -> tuple[View, ...]:
        return (*(view for view in BUILT_IN if view.name not in self._own), *self._own.values())

    def find(self, name: str) -> View | None:
        return next((view for view in self.all if view.name == name), None)

    def of(self, wanted: Filter) -> View | None:
        """The view with this filter."""
        return next((view for view in self.all if view.wanted == wanted), None)

    def counts(self, by_status: Mapping[Health, int], asked: Mapping[Filter, int]) -> list[tuple[View, int | None]]:
        """Each view with its number of users, as far as it is known: by their statuses, or because it was asked."""
        return [(view, asked.get(view.wanted, view.counted(by_status))) for view in self.all]

    def beside(self, wanted: Filter, step: int) -> View:
        """The next one (1), or the one before (-1), round the end."""
        views = self.all
        here = self.of(wanted)
        if here is None:
            return views[0] if step > 0 else views[-1]
        return views[(views.index(here) + step) % len(views)]

    def read(self) -> None:
        """Read the operator's. Raises BadViews; those that were read before stay then."""
        if self.file is not None:
            self._own = {view.name: view for view in _read(self.file)}

    def save(self, view: View) -> None:
        """Keep one, in the file too. Raises FileUnwritable, and BadViews for a file that was broken meanwhile."""
        self.read()
        self._write(self._own | {view.name: view})

    def forget(self, name: str) -> bool:
        """Returns whether there was one of the operator's. Raises as `save`."""
        self.read()
        if name not in self._own:
            return False
        self._write({one: view for one, view in self._own.items() if one != name})
        return True

    def _write(self, views: Mapping[str, View]) -> None:
        if self.file is not None:
            _replace(self.file, {name: _written(view) for name, view in views.items()})
        self._own = dict(views)


def _written(view: View) -> dict[str, str]:
    order = f"-{view.order.by}" if view.order.descending else str(view.order.by)
    return {"filter": str(view.wanted), "sort": order}


def _read(file: Path) -> Iterable[View]:
    import yaml  # noqa: PLC0415 - the first picture needs none

    try:
        with file.open(encoding="utf-8") as stream:
            found = yaml.safe_load(stream.read(_FILE_LIMIT))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as fault:
        raise BadViews(file=file, why=getattr(fault, "strerror", None) or "it is not YAML") from fault
    if not isinstance(found, dict | None):
        raise BadViews(file=file, why="it must name views, as in `mine: {filter: 'status:missing locale:de'}`")
    return [_view(file, str(name), given) for name, given in (found or {}).items()]


def _view(file: Path, name: str, given: Any) -> View:  # noqa: ANN401 - a YAML value is anything
    parts = {"filter": given} if isinstance(given, str) else given
    if not isinstance(parts, dict) or not all(isinstance(one, str) for one in parts.values()):
        raise BadViews(file=file, why=f"`{name[:NAME_LIMIT]}` must have a `filter`, and may have a `sort`")
    order = parts.get("sort", Sort.STATUS)
    try:
        by = Sort(order.removeprefix("-"))
        wanted = parse(parts.get("filter", ""))
    except BadFilter as bad:
        raise BadViews(file=file, why=f"the filter of `{name[:NAME_LIMIT]}`: {bad.why}") from bad
    except ValueError as fault:
        raise BadViews(file=file, why=f"`{name[:NAME_LIMIT]}` is sorted by one of {', '.join(Sort)}") from fault
    return View(name[:NAME_LIMIT], wanted, Order(by, descending=order.startswith("-")))


def _replace(file: Path, views: Mapping[str, Mapping[str, str]]) -> None:
    """A whole new file in the place of the old one."""
    import yaml  # noqa: PLC0415 - as above

    draft = file.with_name(f".{file.name}.{token_hex(4)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(opened, "w", encoding="utf-8") as stream:  # noqa: PTH123 - it is a descriptor, not a path
            yaml.safe_dump(dict(views), stream, allow_unicode=True, sort_keys=False)
        draft.replace(file)
    except OSError as fault:
        with suppress(OSError):
            draft.unlink()
        raise FileUnwritable(file=file, why=fault.strerror or "it cannot be reached") from fault
