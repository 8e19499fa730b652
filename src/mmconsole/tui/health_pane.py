"""Pane 2: how many users show which status, why tokens are broken, how many end soon, and the saved views."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget

from mmconsole.domain.health import GRAVEST_FIRST, STATUSES
from mmconsole.domain.tokens import Health
from mmconsole.tui.actions import Pane, bindings_of
from mmconsole.tui.cells import fitted
from mmconsole.tui.frame import Rule
from mmconsole.tui.kept import Kept
from mmconsole.tui.panes import PaneWidget
from mmconsole.tui.privacy import mask_within
from mmconsole.tui.user_rows import TONES
from mmconsole.tui.virtual_table import CURSOR

if TYPE_CHECKING:
    from mmconsole.services.overview import Glance

_NAMES: Final = 17
_NUMBERS: Final = 8
_LONGEST: Final = 60
_TWO_FROM: Final = 72
"""Cells from which there is room for two columns."""
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_BARS: Final = " ▁▂▃▄▅▆▇█"

ViewCount = tuple[str, int | None, bool]
"""A saved view, its number of users if that is known, and whether it is the one that is shown."""


class HealthChart(Kept, Widget, can_focus=True):
    """Bars by status; widths by the number of users."""

    COMPONENT_CLASSES = {f"health-chart--{tone}" for tone in TONES.values()}  # noqa: RUF012 - as Textual's
    DEFAULT_CSS = """
    HealthChart { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    HealthChart .health-chart--good { color: $text-success; }
    HealthChart .health-chart--soon { color: $text-warning; }
    HealthChart .health-chart--bad { color: $text-error; }
    HealthChart .health-chart--care { color: $text-accent; }
    HealthChart .health-chart--quiet { color: $text-muted; }
    HealthChart .health-chart--busy { color: $text-primary; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._health: Glance | None = None
        self._masked = False
        self._views: Sequence[ViewCount] = ()

    def tell(self, health: "Glance", views: Sequence[ViewCount], *, masked: bool) -> None:
        if (health, views, masked) != (self._health, self._views, self._masked):
            self._health, self._views, self._masked = health, views, masked
            self.refresh()

    def render(self) -> Text:
        if self._health is None:
            return Text()
        health = self._health
        if not self._two_columns:
            return _below(self._statuses(health), self._causes(health), self._ends(health), self._saved_views())
        # Below each other they are more lines than a small screen has.
        left = _below(self._statuses(health), self._ends(health))
        return _beside(left, _below(self._causes(health), self._saved_views()), self._column)

    @property
    def _two_columns(self) -> bool:
        return self.size.width >= _TWO_FROM

    @property
    def _column(self) -> int:
        """Cells of one column."""
        return self.size.width // 2 if self._two_columns else self.size.width

    def _statuses(self, health: "Glance") -> Text:
        most = max(health.by_status.values(), default=0)
        shown = [one for one in (Health.OK, *GRAVEST_FIRST[:-1]) if health.by_status.get(one)]
        return Text("\n").join(self._status(one, health.by_status[one], most) for one in shown)

    def _status(self, health: Health, users: int, most: int) -> Text:
        tone = self._style(TONES[STATUSES[health][0]])
        line = Text(f" {fitted(STATUSES[health], _NAMES)}{users:>{_NUMBERS},}  ")
        return line.append(bar(users, most, max(0, self._column - _NAMES - _NUMBERS - 4)), style=tone)

    def _causes(self, health: "Glance") -> Text:
        if not health.causes:
            return Text()
        told = [(mask_within(cause, hidden=self._masked), users) for cause, users in health.causes]
        lines = [Text(f" {fitted(cause, self._room)}{users:>{_NUMBERS},}") for cause, users in told]
        return self._titled("Broken by reason", lines)

    @property
    def _room(self) -> int:
        """Cells of a reason: a sentence, where there is room for one."""
        return max(_NAMES, min(_LONGEST, self._column - _NUMBERS - 2))

    def _ends(self, health: "Glance") -> Text:
        if not any(health.expiring):
            return Text()
        highest = max(health.expiring)
        bars = "".join(_BARS[-(-users * (len(_BARS) - 1) // highest)] for users in health.expiring)
        first = next(day for day, users in enumerate(health.expiring) if users)
        lines = [Text(f"  {bars}  {sum(health.expiring):,}, from +{first}d")]
        return self._titled(f"Ends within {len(health.expiring)} days", lines)

    def _saved_views(self) -> Text:
        lines = [
            Text(f" {CURSOR if here else ' '} {fitted(name, _NAMES - 2)}{_count(users):>{_NUMBERS}}")
            for name, users, here in self._views
        ]
        return self._titled("Saved views", lines) if lines else Text()

    def _titled(self, title: str, lines: Sequence[Text]) -> Text:
        return Text("\n").join([Text(f" {title}", style=self._style("quiet")), *lines])

    def _style(self, tone: str) -> Style:
        return self.get_component_rich_style(f"health-chart--{tone}", partial=True)


def _below(*parts: Text) -> Text:
    """Those that say something, one below the other."""
    return Text("\n\n", no_wrap=True, overflow="crop").join(part for part in parts if part)


def _beside(left: Text, right: Text, width: int) -> Text:
    """Two columns, the first of so many cells."""
    pairs = zip_longest(left.split("\n"), right.split("\n"), fillvalue=Text())
    lines = []
    for one, other in pairs:
        one.truncate(width, pad=True)
        lines.append(one.append_text(other))
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def bar(users: int, most: int, width: int) -> str:
    """A bar as long as its part of the longest, to an eighth of a cell; whoever is there is seen."""
    eighths = max(1, users * width * 8 // most) if users and most and width else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _count(users: int | None) -> str:
    return "-" if users is None else f"{users:,}"


class HealthPane(PaneWidget):
    PANE = Pane.HEALTH
    BINDINGS: ClassVar = bindings_of(Pane.HEALTH)

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id)
        self._chart = HealthChart()

    def compose(self) -> ComposeResult:
        yield Rule("2 Health")
        yield self._chart

    def target(self) -> Widget:
        return self._chart

    def tell(self, health: "Glance", views: Sequence[ViewCount], *, masked: bool) -> None:
        self._chart.tell(health, views, masked=masked)
