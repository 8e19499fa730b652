"""A plan before it is done: what it comes to, by what is done for whom, with everybody in it who is not unticked."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from textual.binding import Binding

from mmconsole.domain.plans import UserPlan
from mmconsole.services.summary import Summary
from mmconsole.tui.dialogs import DEAF_FOR
from mmconsole.tui.frame import Rule
from mmconsole.tui.list_screen import ListScreen
from mmconsole.tui.plan_rows import COLUMNS, PlanRows, forecast_lines, groups_of
from mmconsole.tui.virtual_table import VirtualTable
from mmconsole.tui.work import PlannedUser

_KEYS = "y start   space leave out   enter open   e save   esc back"


class PlanScreen(ListScreen[list[UserPlan]]):
    """Answered with the plans that shall be done."""

    BINDINGS: ClassVar = [
        Binding("enter", "open", show=False),
        Binding("space", "tick", show=False),
        Binding("e", "save", show=False),
        Binding("y", "go", show=False),
    ]
    DEFAULT_CSS = "PlanScreen > Vertical { border: solid $warning; }"

    def __init__(  # noqa: PLR0913 - all that it shows
        self,
        title: str,
        summary: Summary,
        planned: Sequence[PlannedUser],
        *,
        save: Callable[[], None],
        names: Mapping[str, str] = MappingProxyType({}),
        masked: bool = False,
    ) -> None:
        """`save` writes the whole plan to a file; `names` are of users for whom nothing is done."""
        self._rows = PlanRows(groups_of(planned, summary.listed, names), masked=masked)
        super().__init__(VirtualTable(COLUMNS, self._rows, empty="everything is in step", markable=False))
        self._title_text = title
        self._summary = summary
        self._planned = tuple(planned)
        self._save = save
        self.awake = False

    def on_mount(self) -> None:
        self.query_one(Rule).tell(f"Plan: {self._title_text}", "nothing is done yet")
        self._tell()
        self.set_timer(DEAF_FOR, self._wake)

    def _wake(self) -> None:
        self.awake = True
        self._tell()

    def _tell(self, word: str = "") -> None:
        lines = forecast_lines(self._summary, left_out=len(self._rows.left_out))
        self.tell(lines, word or (_KEYS if self.awake else ""))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return super().check_action(action, parameters) if self.awake or action == "move" else False

    def action_open(self) -> None:
        self._change(self._rows.toggle_open)

    def action_tick(self) -> None:
        self._change(self._rows.toggle)

    def _change(self, change: Callable[[str], object]) -> None:
        if self.table.cursor is not None:
            change(self.table.cursor)
            self.table.show(self._rows)
            self._tell()

    def action_save(self) -> None:
        if self._rows.left_out:
            self._tell("A file has the whole plan: take everybody in again first.")
        else:
            self._save()

    def action_go(self) -> None:
        chosen = [one.plan for one in self._planned if one.plan.user_id not in self._rows.left_out]
        if chosen:
            self.dismiss(chosen)
        else:
            self._tell("There is nothing to do. esc goes back.")
