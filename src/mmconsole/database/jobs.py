"""Jobs: plans being applied. A job belongs to the database, not to the process that works on it."""

# ruff: noqa: S608 - the variable parts are conditions written in this file

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mmconsole.database.connection import Connection, Row
from mmconsole.database.job_items import ItemRepository
from mmconsole.database.times import moment_of, moment_or_none, stored
from mmconsole.errors import LeaseLost

_SELECT: Final = (
    "SELECT id, kind, title, state, actor, created_at, started_at, finished_at, fence, counts FROM mmconsole_jobs"
)


class JobState(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    PAUSING = "pausing"
    """Somebody asked whoever works on it to leave the rest for later."""
    STOPPING = "stopping"
    """Somebody asked whoever works on it to end it."""
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        return self in _ENDED


_ENDED: Final = frozenset({JobState.DONE, JobState.FAILED, JobState.STOPPED})
_RESUMABLE: Final = "('planned', 'running', 'pausing', 'stopping', 'paused')"
_UNDER_WAY: Final = "('planned', 'running', 'pausing', 'stopping')"


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Items by state."""

    planned: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        return self.planned + self.running + self.done + self.failed + self.skipped


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    kind: str
    title: str
    state: JobState
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    fence: int
    """The number of the lease under which it was last worked on."""
    counts: JobCounts


class JobRepository:
    __slots__ = ("_connection", "items")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.items = ItemRepository(connection)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def find(self, job_id: int) -> Job | None:
        row = self._connection.row(f"{_SELECT} WHERE id = ?", (job_id,))
        return self._job(row) if row else None

    def page(self, *, limit: int, before_id: int | None = None) -> list[Job]:
        """The newest jobs first."""
        if before_id is None:
            rows = self._connection.rows(f"{_SELECT} ORDER BY id DESC LIMIT ?", (limit,))
        else:
            rows = self._connection.rows(f"{_SELECT} WHERE id < ? ORDER BY id DESC LIMIT ?", (before_id, limit))
        return [self._job(row) for row in rows]

    def resumable(self) -> list[Job]:
        """Jobs that have not ended, the oldest first. Whether somebody works on one, its lease tells."""
        rows = self._connection.rows(f"{_SELECT} WHERE state IN {_RESUMABLE} ORDER BY id")
        return [self._job(row) for row in rows]

    def state(self, job_id: int) -> JobState | None:
        """Only that, for those who look often."""
        row = self._connection.row("SELECT state FROM mmconsole_jobs WHERE id = ?", (job_id,))
        return JobState(row[0]) if row else None

    def counts(self, job_id: int) -> JobCounts:
        """How many items there are of each state, as of now."""
        return JobCounts(**{state.value: count for state, count in self.items.states(job_id).items()})

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def create(self, *, kind: str, title: str, actor: str, at: datetime, fence: int = 0) -> int:
        """A new job without items, planned under a lease with this number. Returns its own number."""
        return self._connection.insert(
            "INSERT INTO mmconsole_jobs (kind, title, state, actor, created_at, fence) VALUES (?, ?, ?, ?, ?, ?)",
            (kind, title, JobState.PLANNED.value, actor, stored(at), fence),
        )

    def start(self, job_id: int, *, fence: int, at: datetime) -> None:
        """Work on it from now on, under a lease with this number.

        Items that were running when a process died stay so: whoever resumes looks at them first.
        Raises LeaseLost when it was started under a newer number, or has ended.
        """
        started = self._connection.run(
            "UPDATE mmconsole_jobs SET state = ?, fence = ?, started_at = COALESCE(started_at, ?)"
            f" WHERE id = ? AND fence <= ? AND state IN {_RESUMABLE}",
            (JobState.RUNNING.value, fence, stored(at), job_id, fence),
        )
        if not started:
            raise LeaseLost(lease=f"job {job_id}")

    def pause(self, job_id: int, *, fence: int) -> None:
        """Leave the rest for later. Raises LeaseLost."""
        self._end(job_id, JobState.PAUSED, fence=fence, at=None)

    def finish(self, job_id: int, state: JobState, *, fence: int, at: datetime) -> None:
        """End it for good. Raises LeaseLost."""
        self._end(job_id, state, fence=fence, at=stored(at))

    def ask(self, job_id: int, to: JobState) -> bool:
        """Ask whoever works on it to pause or to stop; an answer is `leave`. Returns whether it is under way."""
        return bool(
            self._connection.run(
                f"UPDATE mmconsole_jobs SET state = ? WHERE id = ? AND state IN {_UNDER_WAY}", (to.value, job_id)
            )
        )

    def leave(self, job_id: int, *, fence: int, at: datetime) -> None:
        """End it for good if somebody asked to stop it, else leave the rest for later. Raises LeaseLost."""
        if self.state(job_id) is JobState.STOPPING:
            self.finish(job_id, JobState.STOPPED, fence=fence, at=at)
        else:
            self.pause(job_id, fence=fence)

    def stop(self, job_id: int, *, at: datetime) -> bool:
        """An operator ends it, whoever works on it. Returns whether it had not ended yet."""
        return bool(
            self._connection.run(
                "UPDATE mmconsole_jobs SET state = ?, finished_at = ?, counts = ?, fence = fence + 1"
                f" WHERE id = ? AND state IN {_RESUMABLE}",
                (JobState.STOPPED.value, stored(at), self._written_counts(job_id), job_id),
            )
        )

    def prune(self, before: datetime) -> int:
        """Remove jobs that ended before, with their items. Returns how many went."""
        old = "state NOT IN " + _RESUMABLE + " AND finished_at < ?"
        self._connection.run(
            f"DELETE FROM mmconsole_job_items WHERE job_id IN (SELECT id FROM mmconsole_jobs WHERE {old})",
            (stored(before),),
        )
        return self._connection.run(f"DELETE FROM mmconsole_jobs WHERE {old}", (stored(before),))

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    def _end(self, job_id: int, state: JobState, *, fence: int, at: int | None) -> None:
        ended = self._connection.run(
            "UPDATE mmconsole_jobs SET state = ?, finished_at = ?, counts = ?"
            f" WHERE id = ? AND fence = ? AND state IN {_RESUMABLE}",
            (state.value, at, self._written_counts(job_id) if state.ended else None, job_id, fence),
        )
        if not ended:
            raise LeaseLost(lease=f"job {job_id}")

    def _written_counts(self, job_id: int) -> str:
        return json.dumps(asdict(self.counts(job_id)))

    def _job(self, row: Row) -> Job:
        """The counts of an ended job are written in its row; those of another one are counted."""
        counts = JobCounts(**json.loads(row[9])) if row[9] else self.counts(row[0])
        created_at, started_at, finished_at = moment_of(row[5]), moment_or_none(row[6]), moment_or_none(row[7])
        return Job(
            row[0], row[1], row[2], JobState(row[3]), row[4], created_at, started_at, finished_at, row[8], counts
        )
