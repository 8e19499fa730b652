"""Pane 3: the jobs, the newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult

from mmconsole.tui.actions import Pane, State, bindings_of
from mmconsole.tui.frame import Rule, job_state, job_words, progress
from mmconsole.tui.moments import ago
from mmconsole.tui.panes import TablePane
from mmconsole.tui.virtual_table import Cell, Column, Row, RowList, VirtualTable

if TYPE_CHECKING:
    from mmconsole.services.job_desk import KnownJob

_COLUMNS: Final = (
    Column("job", "JOB", 5, sortable=False),
    Column("title", "WHAT", 12, weight=2, sortable=False),
    Column("state", "STATE", 12, sortable=False),
    Column("progress", "PROGRESS", 12, sortable=False),
    Column("counts", "USERS", 18, weight=3, sortable=False),
    Column("begun", "BEGUN", 8, sortable=False),
)
_TONES: Final = {
    "running": "busy",
    "pausing": "busy",
    "stopping": "busy",
    "paused": "soon",
    "done": "good",
    "failed": "bad",
    "stopped": "quiet",
    "planned": "quiet",
}


class JobsPane(TablePane):
    PANE = Pane.JOBS
    BINDINGS: ClassVar = bindings_of(Pane.JOBS)

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id)
        self._table = VirtualTable(_COLUMNS, empty="no job has run yet", markable=False)

    def compose(self) -> ComposeResult:
        yield Rule("3 Jobs")
        yield self._table

    @property
    def state(self) -> State:
        return State(row=self.table().cursor is not None, rows=len(self.table().source) > 0)

    @property
    def cursor(self) -> int | None:
        """The job under the cursor."""
        key = self.table().cursor
        return None if key is None else int(key)

    def tell(self, jobs: Sequence["KnownJob"], *, now: datetime) -> None:
        rows = RowList((str(known.job.id), _row(known, now)) for known in jobs)
        self.table().show(rows)


def _row(known: "KnownJob", now: datetime) -> Row:
    job = known.job
    tone = "bad" if known.interrupted else _TONES[job.state]
    return Row(
        (
            Cell(str(job.id)),
            Cell(job.title),
            Cell(job_state(known), tone),
            Cell(progress(job, 12), tone),
            Cell(job_words(job)),
            Cell(ago(job.started_at or job.created_at, now), "quiet"),
        )
    )
