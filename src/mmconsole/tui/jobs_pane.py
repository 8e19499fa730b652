"""Pane 3: the jobs, the newest first."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.events import Resize

from mmconsole.tui.actions import Pane, State, bindings_of
from mmconsole.tui.cells import counted
from mmconsole.tui.frame import Doing, Rule, bar_of, job_state, job_words, progress
from mmconsole.tui.moments import NONE, ago, clock, duration
from mmconsole.tui.panes import TablePane
from mmconsole.tui.virtual_table import Cell, Column, Row, RowList, VirtualTable

if TYPE_CHECKING:
    from mmconsole.services.job_desk import KnownJob

_BAR: Final = 12
_COLUMNS: Final = (
    Column("job", "JOB", 5, sortable=False),
    Column("title", "WHAT", 12, weight=2, sortable=False),
    Column("state", "STATE", 12, sortable=False),
    Column("progress", "PROGRESS", _BAR, sortable=False),
    Column("counts", "USERS", 18, weight=3, sortable=False),
    Column("begun", "BEGUN", 8, sortable=False),
)
_UNDO: Final = Column("undo", "UNDO", 38, weight=1, sortable=False)
_TOOK: Final = Column("took", "TOOK", 7, sortable=False)
_MORE: Final = (*(column for column in _COLUMNS if column.key != "progress"), _UNDO)
"""How far the newest is stands in the job line, too."""
_ALL: Final = (*_COLUMNS, _TOOK, _UNDO)
_ROOM_FOR_UNDO: Final = 114
_ROOM_FOR_ALL: Final = 150
"""Cells."""
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
        self._rule = Rule("3 Jobs")
        self._table = VirtualTable(_COLUMNS, empty="no job has run yet", markable=False)
        self._jobs: Sequence[KnownJob] = ()
        self._doing: Doing | None = None
        self._now: datetime | None = None
        self._rows = RowList()

    def compose(self) -> ComposeResult:
        yield self._rule
        yield self._table

    @property
    def state(self) -> State:
        return State(row=self.table().cursor is not None, rows=len(self.table().source) > 0)

    @property
    def cursor(self) -> int | None:
        """The job under the cursor."""
        key = self.table().cursor
        return None if key is None else int(key)

    def on_resize(self, event: Resize) -> None:
        width = event.size.width
        columns = _ALL if width >= _ROOM_FOR_ALL else _MORE if width >= _ROOM_FOR_UNDO else _COLUMNS
        if columns != self.table().columns:
            self.table().set_columns(columns)
            self._show()

    def tell(self, jobs: Sequence["KnownJob"], *, now: datetime) -> None:
        self._jobs, self._now = jobs, now
        self._show()

    def tell_doing(self, doing: Doing | None, *, keys: str = "") -> None:
        """What goes on here just now: in the row of its job, and in the title while it has none.

        `keys` are those that pause and stop a job, where no line below names them.
        """
        plans = keys and doing is not None and doing.job_id is None
        self._rule.tell(f"3 Jobs   {doing.title}   {doing.words}" if doing and plans else "3 Jobs", keys)
        before, self._doing = self._doing, doing
        about = {one.job_id for one in (before, doing) if one is not None and one.job_id is not None}
        if before != doing and about:
            self._show_again(about)

    def _show(self) -> None:
        if self._now is not None:
            now = self._now
            self._rows = RowList((str(known.job.id), self._row(known, now)) for known in self._jobs)
            self.table().show(self._rows)

    def _show_again(self, ids: Collection[int]) -> None:
        """What changes many times a second is a row or two."""
        if self._now is None or not self.display:
            return
        for known in self._jobs:
            if known.job.id in ids:
                self._rows.replace(str(known.job.id), self._row(known, self._now))
        self.table().update_rows({str(one) for one in ids})

    def _row(self, known: "KnownJob", now: datetime) -> Row:
        job = known.job
        doing = self._doing if self._doing is not None and self._doing.job_id == job.id else None
        tone = "bad" if known.interrupted else _TONES[job.state]
        cells = {
            "job": Cell(str(job.id)),
            "title": Cell(job.title),
            "state": Cell(job_state(known), tone),
            "progress": Cell(bar_of(doing.done, doing.total, _BAR) if doing else progress(job, _BAR), tone),
            "counts": Cell(doing.words if doing else job_words(job)),
            "begun": Cell(ago(job.started_at or job.created_at, now), "quiet"),
            "took": Cell(_took(known), "quiet"),
            "undo": Cell(undo_words(known), "quiet" if known.undoing.why_not else "soon"),
        }
        return Row(tuple(cells[column.key] for column in self.table().columns))


def undo_words(known: "KnownJob") -> str:
    """`u until 14:42, 3 users`, or why not."""
    undoing = known.undoing
    if undoing.until is not None:
        return f"u until {clock(undoing.until)}, {counted(undoing.users, 'user')}"
    return f"not possible, {undoing.why_not}" if undoing.why_not else ""


def _took(known: "KnownJob") -> str:
    job = known.job
    if job.started_at is None or job.finished_at is None:
        return NONE
    return duration((job.finished_at - job.started_at).total_seconds())
