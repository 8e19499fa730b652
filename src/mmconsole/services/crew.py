"""Large jobs, shared with workers on several machines: each takes a chunk of items, and nobody two at a time.

Whoever planned the job holds its lease and sees to its end; it works on chunks too. A chunk has a lease of its own, so
when a worker dies another one takes its chunk over, and whoever wakes up late changes nothing any more.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Chunk, ChunkQueue, Database, ItemState, JobItem, JobState, Snapshot, open_chunk_queue
from mmconsole.domain.plans import Finding, Outcome, Result
from mmconsole.errors import ChunksLeft, JobError, LeaseLost, MmconsoleError
from mmconsole.services.applying import Applying, Watching
from mmconsole.services.jobs import Journal, Runner
from mmconsole.services.leases import Lease, Twofold, hold
from mmconsole.services.resumption import Resumption, Way
from mmconsole.services.summary import Silent, Summary, always
from mmconsole.services.sync import LEASE

CHUNK: Final = 100
_LOOK_EVERY: Final = 0.5
_PAGE: Final = 1_000
_OPEN: Final = (ItemState.PLANNED, ItemState.RUNNING)


class _ChunkJournal(Journal):
    """The journal of a job whose beginning and end are somebody else's to write."""

    async def start(self) -> None:
        if (asked := await self.asked()) is not None:
            raise asked

    async def end(self, *, complete: bool) -> None:  # noqa: ARG002 - what is left is seen by whoever ends the job
        await self.write_finished()


def prefix_of(job_id: int) -> str:
    """How the names of the leases of a job's chunks begin."""
    return f"job {job_id} chunk "


class Crew:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        applying: Applying,
        resumption: Resumption,
        *,
        actor: str,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._database = database
        self._applying = applying
        self._resumption = resumption
        self._actor = actor
        self._now = now
        self._ways: dict[int, Way] = {}
        self._fault: MmconsoleError | None = None
        """What kept this process from doing its part."""

    # ── whoever planned it ───────────────────────────────────────────────────────────────────────

    async def run(self, journal: Journal, summary: Summary, watching: Watching) -> MmconsoleError | None:
        """See to the end of a job. Returns the fault that ended it, if one did."""
        await journal.start()
        job_id, begun_at, self._fault = journal.known, self._now(), None
        chunks = await self._chunks(job_id, journal.fence)
        async with self._queue(watching.stop) as queue:
            await queue.hand_out(job_id, chunks)
            async with _working(queue, job_id):
                fault = await self._see_to_the_end(queue, journal, watching)
        counts = await self._database.read(lambda db: db.jobs.counts(job_id))
        left = counts.planned + counts.running
        await self._count(job_id, summary, since=begun_at)
        await journal.end(complete=not left)
        await self._database.write(lambda tx: tx.leases.forget(prefix_of(job_id)))
        if left and fault is None and not watching.stop.is_set():
            fault = self._fault or ChunksLeft(job_id=job_id, left=left)
        return fault

    async def _chunks(self, job_id: int, fence: int) -> list[Chunk]:
        items = await self._database.read(partial(_positions, job_id=job_id))
        some = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
        return [Chunk(job_id, fence, one[0], one[-1]) for one in some]

    async def _see_to_the_end(self, queue: ChunkQueue, journal: Journal, watching: Watching) -> MmconsoleError | None:
        job_id, told, fault = journal.known, 0, None
        while await queue.unfinished(job_id):
            with suppress(TimeoutError):
                await asyncio.wait_for(watching.stop.wait(), _LOOK_EVERY)
            counts = await self._database.read(lambda db: db.jobs.counts(job_id))
            ended = counts.done + counts.failed + counts.skipped
            watching.progress.advance(ended - told)
            told = ended
            if not watching.stop.is_set() and (asked := await journal.asked()) is not None:
                fault = asked
                watching.stop.set()
            if watching.stop.is_set():
                await self._end_early(queue, job_id)
                await asyncio.sleep(_LOOK_EVERY)
            else:
                await queue.take_from_the_dead(job_id)
        return fault

    async def _end_early(self, queue: ChunkQueue, job_id: int) -> None:
        """Workers stop after the users under way; what they had begun waits for whoever goes on with the job."""
        await queue.withdraw(job_id)
        await self._database.write(
            lambda tx: tx.jobs.state(job_id) is JobState.RUNNING and tx.jobs.ask(job_id, JobState.PAUSING)
        )

    async def _count(self, job_id: int, summary: Summary, *, since: datetime) -> None:
        """What became of those who ended since then, whoever did it."""
        after: int | None = None
        while items := await self._database.read(partial(_page, job_id=job_id, after=after)):
            for item in items:
                if item.finished_at is not None and item.finished_at >= since:
                    summary.add(Result(item.user_id, _outcome_of(item), item.note))
            after = items[-1].position

    # ── whoever works on it ──────────────────────────────────────────────────────────────────────

    async def work(self, stop: asyncio.Event, say: Callable[[str], None]) -> None:
        """Take chunks of any job until told to stop. Raises NoWorkers."""
        async with self._queue(stop, say) as queue, _working(queue, None) as working:
            say("mmconsole waits for jobs; Ctrl-C ends it.")
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()

    @asynccontextmanager
    async def _queue(
        self, stop: asyncio.Event, say: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[ChunkQueue]:
        async def take(chunk: Chunk) -> None:
            ended = False if stop.is_set() else await self._take(chunk, stop, say)
            if not ended and stop.is_set():
                # Another one goes on with it.
                await queue.hand_out(chunk.job_id, [chunk])

        async with open_chunk_queue(self._settings, take) as queue:
            yield queue

    async def _take(self, chunk: Chunk, stop: asyncio.Event, say: Callable[[str], None]) -> bool:
        """Do a chunk. Returns whether it came to its end; what kept it from that leaves the rest."""
        name = f"{prefix_of(chunk.job_id)}{chunk.first}"
        try:
            async with hold(self._database, name, holder=self._actor, wait=True) as own:
                fault = await self._do(chunk, Twofold(LEASE, chunk.fence, self._database, own), stop)
        except MmconsoleError as raised:
            fault = raised
        if fault is None and not stop.is_set():
            say(f"job {chunk.job_id}: items {chunk.first:,} to {chunk.last:,} are done")
            return True
        if fault is not None and not isinstance(fault, LeaseLost | JobError):
            self._fault = self._fault or fault
            say(f"job {chunk.job_id}: {fault}")
        return False

    async def _do(self, chunk: Chunk, lease: Lease, stop: asyncio.Event) -> MmconsoleError | None:
        span, way = range(chunk.first, chunk.last + 1), await self._way(chunk.job_id)
        journal = _ChunkJournal(lease, kind="", title="", actor=self._actor, now=self._now, job_id=chunk.job_id)
        items = await self._database.read(lambda db: db.jobs.items.span(chunk.job_id, span, _OPEN))
        if any(item.state is ItemState.RUNNING for item in items):
            await self._take_over(items, span, journal, lease, way)
        calls = self._settings.values.mattermost.max_concurrency
        runner = Runner(self._database, journal, way.steps(lease, chunk.job_id), calls=calls, span=span)
        # What ends this chunk early does not end the next one.
        return await runner.run(lambda _: None, stop)

    async def _take_over(self, items: Sequence[JobItem], span: range, journal: Journal, lease: Lease, way: Way) -> None:
        """Its worker died: settle what that began, and compare what is left of it anew."""
        job_id, fence = items[0].job_id, lease.fence
        run = self._applying.run(lease, job_id=job_id)
        await self._applying.recovery.recover(run, only={item.user_id for item in items})
        await lease.write(lambda tx: tx.jobs.items.span_waits_again(job_id, span, fence=fence))
        await way.revise(journal, items, Summary(), Watching(always, Silent(), asyncio.Event()))

    async def _way(self, job_id: int) -> Way:
        """How this job's items are done, worked out once."""
        if job_id not in self._ways:
            await self._applying.begin()
            job = await self._database.read(lambda db: db.jobs.find(job_id))
            if job is None:
                raise LeaseLost(lease=f"job {job_id}")
            self._ways = {job_id: await self._resumption.way(job.kind)}
        return self._ways[job_id]


@dataclass(frozen=True, slots=True)
class Hand:
    """A worker that has a chunk of a job just now."""

    name: str
    first: int
    since: datetime


def hands_of(db: Snapshot, job_id: int, *, now: datetime) -> list[Hand]:
    """Who works on a job's chunks."""
    held = db.leases.held(prefix_of(job_id), now=now)
    return [Hand(one.holder, int(one.name.rpartition(" ")[2]), one.acquired_at) for one in held]


@asynccontextmanager
async def _working(queue: ChunkQueue, job_id: int | None) -> AsyncIterator["asyncio.Task[None]"]:
    """Take chunks meanwhile; at the end the one under way is waited for."""
    working = asyncio.create_task(queue.work(job_id=job_id))
    try:
        yield working
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


def _positions(db: Snapshot, *, job_id: int) -> list[int]:
    found: list[int] = []
    while page := db.jobs.items.page(
        job_id, limit=_PAGE, state=ItemState.PLANNED, after_position=found[-1] if found else None
    ):
        found += [item.position for item in page]
    return found


def _page(db: Snapshot, *, job_id: int, after: int | None) -> list[JobItem]:
    return db.jobs.items.page(job_id, limit=_PAGE, after_position=after)


def _outcome_of(item: JobItem) -> Outcome | Finding:
    return Outcome(item.outcome) if item.outcome in set(Outcome) else Finding(item.outcome)
