"""A plan as rows of a table: users by what is done for them, and those for whom nothing can be done."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from mmconsole.domain.plans import Finding, Kind, Outcome, Result
from mmconsole.services.summary import Summary
from mmconsole.tui.cells import counted
from mmconsole.tui.moments import roughly
from mmconsole.tui.privacy import mask
from mmconsole.tui.virtual_table import Cell, Column, Row
from mmconsole.tui.wording import on_screen
from mmconsole.tui.work import PlannedUser

COLUMNS: Final = (
    Column("tick", "", 3, sortable=False),
    Column("what", "WHAT", 24, weight=3, sortable=False),
    Column("users", "USERS", 8, sortable=False),
    Column("why", "WHY", 12, weight=2, sortable=False),
)
_FIRST: Final = 3
"""Users of each group that are shown while it is closed."""
_FOUND: Final = {Outcome.CONFLICT: "! conflict", Outcome.FAILED: "x failed", Finding.LEFT: "- left alone"}


@dataclass(slots=True)
class Group:
    """Users for whom the same is done."""

    name: str
    users: list[tuple[str, str, str]] = field(default_factory=list)
    """Id, address and reason of each."""
    tickable: bool = True
    open: bool = False


def groups_of(
    planned: Iterable[PlannedUser], listed: Sequence[Result], names: Mapping[str, str] = MappingProxyType({})
) -> list[Group]:
    """First what removes nothing, in the order of steps; at the end those for whom nothing is done.

    `names` are what people call those, where that is known.
    """
    by_steps: dict[tuple[Kind, ...], list[tuple[str, str, str]]] = defaultdict(list)
    for one in planned:
        by_steps[one.plan.steps].append((one.plan.user_id, one.address, one.plan.asks or one.plan.why))
    order = list(Kind)
    steps = sorted(by_steps, key=lambda kinds: [order.index(kind) for kind in kinds])
    found: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for result in listed:
        if result.outcome in _FOUND:
            found[_FOUND[result.outcome]].append(
                (result.user_id, names.get(result.user_id) or f"user {result.user_id}", result.note)
            )
    groups = [Group(", ".join(kinds), by_steps[kinds]) for kinds in steps]
    return groups + [Group(name, users, tickable=False) for name, users in found.items()]


class PlanRows:
    """A source of rows: groups, and below each its first users, or all of them. Knows who was left out."""

    def __init__(self, groups: Sequence[Group], *, masked: bool = False) -> None:
        self._groups = tuple(groups)
        self._masked = masked
        self.left_out: set[str] = set()
        self._rows: list[tuple[int, int]] = []
        """Group, and the place of its user: -1 for the group itself, -2 for the line that says how many more."""
        self.arrange()

    def arrange(self) -> None:
        self._rows = []
        for place, group in enumerate(self._groups):
            shown = len(group.users) if group.open else min(_FIRST, len(group.users))
            self._rows += [(place, n) for n in range(-1, shown)]
            if shown < len(group.users):
                self._rows.append((place, -2))

    def toggle_open(self, key: str) -> None:
        group = self._groups[self._place(key)[0]]
        group.open = not group.open
        self.arrange()

    def toggle(self, key: str) -> bool:
        """Leave a user out, or a whole group, or take them in again. Returns whether that can be done."""
        place, n = self._place(key)
        group = self._groups[place]
        if not group.tickable or n < -1:
            return False
        ids = {group.users[n][0]} if n >= 0 else {user_id for user_id, _, _ in group.users}
        if ids <= self.left_out:
            self.left_out -= ids
        else:
            self.left_out |= ids
        return True

    # ── a row source ─────────────────────────────────────────────────────────────────────────────

    def __len__(self) -> int:
        return len(self._rows)

    def key_at(self, index: int) -> str:
        place, n = self._rows[index]
        return f"{place}:{n}"

    def index_of(self, key: str) -> int | None:
        try:
            return self._rows.index(self._place(key))
        except ValueError:
            return None

    def row_of(self, key: str) -> Row | None:
        place, n = self._place(key)
        group = self._groups[place]
        if n == -1:
            return self._row_of_group(group)
        if n < -1:
            return Row((Cell(""), Cell(f"   and {len(group.users) - _FIRST:,} more: enter opens", "quiet")))
        user_id, address, why = group.users[n]
        out = user_id in self.left_out
        tick = ("[ ]" if out else "[x]") if group.tickable else ""
        shown = mask(address, hidden=self._masked)
        return Row((Cell(tick), Cell(f"   {shown}"), Cell(""), Cell(why, "quiet")), dimmed=out)

    async def load(self, keys: Sequence[str]) -> None:
        """Nothing is missing."""

    def _row_of_group(self, group: Group) -> Row:
        out = sum(user_id in self.left_out for user_id, _, _ in group.users) if self.left_out else 0
        tick = "[x]" if not out else "[ ]" if out == len(group.users) else "[-]"
        tone = "busy" if group.tickable else "care"
        left = f"{out:,} left out" if out and group.tickable else ""
        cells = (Cell(tick if group.tickable else ""), Cell(group.name, tone), Cell(f"{len(group.users):,}"))
        return Row((*cells, Cell(left, "soon")))

    @staticmethod
    def _place(key: str) -> tuple[int, int]:
        place, _, n = key.partition(":")
        return int(place), int(n)


def forecast_lines(summary: Summary, *, left_out: int = 0) -> list[str]:
    """What a plan comes to, in words."""
    forecast = summary.forecast
    out = f", {left_out:,} left out" if left_out else ""
    lines = [f"{summary.planned:,} of {summary.users:,} users to change{out}"]
    steps = [f"{kind} {count:,}" for kind, count in forecast.steps.items()]
    lines += [", ".join(steps)] if steps else []
    if forecast.calls:
        lines.append(f"{counted(forecast.calls, 'call')}, {roughly(forecast.seconds)} on a server with two cores")
    lines += [f"{counted(forecast.mails, 'e-mail')} will be sent to users"] if forecast.mails else []
    lines += [f"! the server has no room for {forecast.no_room:,} of the accounts"] if forecast.no_room else []
    lines += [f"{counted(summary.removals, 'user')} would lose a token or an account"] if summary.removals else []
    lines += [f"{users:,}: {why}" for why, users in summary.asks.items()]
    lines += [f"! {on_screen(fault)}" for fault in summary.would_stop]
    return lines
