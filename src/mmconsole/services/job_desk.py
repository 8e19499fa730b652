"""Jobs as an operator sees them: which there are, what became of each item, and how to pause or stop one."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Final

from mmconsole.database import Database, ItemState, Job, JobItem, JobState, Snapshot, Transaction
from mmconsole.domain.activity import Activity
from mmconsole.errors import JobUnknown
from mmconsole.services import following
from mmconsole.services.channels import adding, archive, runs
from mmconsole.services.crew import Hand, hands_of
from mmconsole.services.sync import LEASE
from mmconsole.services.undoing import Undoing, Undoings

_PAGE: Final = 500
_LEASES: Final[Mapping[str, str]] = {module.KIND: module.LEASE for module in (adding, archive, runs, following)}
"""Under which lease a kind of job is done: everything that writes tokens shares one, so no two of those collide."""


class Told(Enum):
    """What became of a wish to pause or to stop a job."""

    ASKED = "asked"
    """Its process was told, and ends after the users under way."""
    DONE = "done"
    """Nobody works on it, so it was done at once."""
    ENDED = "ended"
    """There was nothing left to do."""


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job, and whether a process works on it."""

    job: Job
    alive: bool
    hands: tuple[Hand, ...] = ()
    """The workers that have a chunk of it just now."""
    undoing: Undoing = Undoing()  # noqa: RUF009 - it is frozen
    """What of it can be undone, once it has ended."""

    @property
    def interrupted(self) -> bool:
        """Whether its process died before the end."""
        return not self.alive and self.job.state not in {JobState.PAUSED, *_ENDED}


_ENDED: Final = frozenset(state for state in JobState if state.ended)


class JobDesk:
    def __init__(
        self, database: Database, *, actor: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._actor = actor
        self._now = now

    async def latest(self, *, limit: int) -> list[KnownJob]:
        """The newest jobs first."""
        now = self._now()
        return await self._database.read(partial(_latest, limit=limit, now=now))

    async def show(self, job_id: int) -> KnownJob:
        """Raises JobUnknown."""
        now = self._now()
        return await self._database.read(lambda db: _known(db, _found(db, job_id), now, Undoings(db, now=now)))

    async def items(self, job_id: int, *, state: ItemState | None = None) -> AsyncIterator[JobItem]:
        """The items of a job in their order, all or those of one state; read in pages."""
        after: int | None = None
        while page := await self._database.read(partial(_page, job_id=job_id, state=state, after=after)):
            for item in page:
                yield item
            after = page[-1].position

    async def outcomes(self, job_id: int) -> dict[str, int]:
        """How many ended items there are of each outcome."""
        return await self._database.read(lambda db: db.jobs.items.outcomes(job_id))

    async def stop(self, job_id: int) -> Told:
        """End a job for good: at once when nobody works on it, else after the users under way. Raises JobUnknown."""
        return await self._database.write(partial(self._end, job_id=job_id, to=JobState.STOPPING))

    async def pause(self, job_id: int) -> Told:
        """Leave the rest of a job for `resume`. Raises JobUnknown."""
        return await self._database.write(partial(self._end, job_id=job_id, to=JobState.PAUSING))

    def _end(self, tx: Transaction, *, job_id: int, to: JobState) -> Told:
        known = _known(tx, _found(tx, job_id), self._now())
        if known.job.state.ended or (to is JobState.PAUSING and known.job.state is JobState.PAUSED):
            return Told.ENDED
        word = "stopped" if to is JobState.STOPPING else "paused"
        if known.alive:
            tx.jobs.ask(job_id, to)
        elif to is JobState.STOPPING:
            tx.jobs.stop(job_id, at=self._now())
        else:
            # Whoever worked on it is dead: what was begun waits again.
            tx.jobs.items.wait_again(job_id, fence=known.job.fence)
            tx.jobs.ask(job_id, to)
            tx.jobs.pause(job_id, fence=known.job.fence)
        tx.activity.add(Activity(self._now(), self._actor, f"job {word}", detail=known.job.title, job_id=job_id))
        return Told.ASKED if known.alive else Told.DONE


def _found(db: Snapshot, job_id: int) -> Job:
    job = db.jobs.find(job_id)
    if job is None:
        raise JobUnknown(job_id=job_id)
    return job


def _latest(db: Snapshot, *, limit: int, now: datetime) -> list[KnownJob]:
    undoings = Undoings(db, now=now)
    return [_known(db, job, now, undoings) for job in db.jobs.page(limit=limit)]


def _known(db: Snapshot, job: Job, now: datetime, undoings: Undoings | None = None) -> KnownJob:
    """A process works on a job as long as it holds the lease under whose number the job was planned or begun."""
    if job.state.ended:
        return KnownJob(job, alive=False, undoing=undoings.of(job) if undoings is not None else Undoing())
    if job.state is JobState.PAUSED:
        return KnownJob(job, alive=False)
    lease = db.leases.find(_LEASES.get(job.kind, LEASE), now=now)
    alive = lease is not None and lease.fence == job.fence
    return KnownJob(job, alive, tuple(hands_of(db, job.id, now=now)))


def _page(db: Snapshot, *, job_id: int, state: ItemState | None, after: int | None) -> list[JobItem]:
    return db.jobs.items.page(job_id, limit=_PAGE, state=state, after_position=after)
