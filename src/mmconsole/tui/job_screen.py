"""A job: who began it, how it ended, and whom it failed for, with the reason."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from textual.binding import Binding

from mmconsole.database import JobItem
from mmconsole.services.job_desk import KnownJob
from mmconsole.tui.cells import harmless
from mmconsole.tui.frame import Rule, job_state, job_words
from mmconsole.tui.jobs_pane import undo_words
from mmconsole.tui.list_screen import ListScreen
from mmconsole.tui.moments import day
from mmconsole.tui.privacy import mask
from mmconsole.tui.virtual_table import Cell, Column, Row, RowList, VirtualTable

USERS: Final = "users"
"""The answer that asks for a view of the users it failed for."""
_COLUMNS: Final = (
    Column("user", "USER", 20, weight=1, sortable=False),
    Column("outcome", "HOW", 9, sortable=False),
    Column("note", "WHY", 20, weight=4, sortable=False),
)


class JobScreen(ListScreen[str]):
    """Answered with USERS, or with nothing."""

    BINDINGS: ClassVar = [
        Binding("enter", "leave", show=False),
        Binding("l,right", "columns(1)", show=False),
        Binding("h,left", "columns(-1)", show=False),
        Binding("f", "users", show=False),
    ]

    def __init__(
        self,
        known: KnownJob,
        outcomes: Mapping[str, int],
        failed: Sequence[JobItem],
        *,
        names: Mapping[str, str],
        masked: bool = False,
    ) -> None:
        """`names` are what people call the users, where that is known."""
        super().__init__(VirtualTable(_COLUMNS, empty="it failed for nobody", markable=False))
        self._known = known
        self._outcomes = outcomes
        self._failed = tuple(failed)
        self._names = names
        self._masked = masked

    def on_mount(self) -> None:
        job = self._known.job
        self.query_one(Rule).tell(f"Job {job.id}  {harmless(job.title)}", job_state(self._known))
        self.tell(self._facts(), f"{'f show these users   ' if self._failed else ''}esc back")
        self.table.show(RowList((str(item.position), self._row(item)) for item in self._failed))

    def _facts(self) -> list[str]:
        job = self._known.job
        ended = f"   ended {day(job.finished_at)}" if job.finished_at else ""
        lines = [f"by {job.actor}   begun {day(job.started_at or job.created_at)}{ended}", job_words(job)]
        counts = ", ".join(f"{outcome} {count:,}" for outcome, count in sorted(self._outcomes.items()))
        lines += [counts] if counts else []
        undo = undo_words(self._known)
        lines += [f"undo: {undo}"] if undo else []
        if self._known.interrupted:
            lines.append("Its process died before the end; p goes on with the rest.")
        return lines

    def _row(self, item: JobItem) -> Row:
        name = mask(self._names.get(item.user_id) or f"user {item.user_id}", hidden=self._masked)
        return Row((Cell(name), Cell(item.outcome, "bad"), Cell(item.note)))

    def action_users(self) -> None:
        if self._failed:
            self.dismiss(USERS)

    def action_columns(self, by: int) -> None:
        self.table.scroll_columns(by)
