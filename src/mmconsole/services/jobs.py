"""Jobs: a plan being applied, journaled item by item, a bounded number of users at once."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

from mmconsole.database import Database, ItemState, JobItem, JobState, NewItem, PerhapsUser, Snapshot, Transaction
from mmconsole.domain.plans import Kind, Outcome, Result, UserPlan
from mmconsole.domain.tokens import TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import (
    AdminTokenDead,
    BreakerOpen,
    DatabaseError,
    JobError,
    JobPaused,
    JobStopped,
    LeaseLost,
    MmconsoleError,
    NotMattermost,
    SecretError,
    TokensSwitchedOff,
)
from mmconsole.services.hearing import listener
from mmconsole.services.leases import Lease
from mmconsole.services.plans.text import document_of, plan_from
from mmconsole.services.waiting import Absence

_FINISHED_AT_ONCE: Final = 32
_CHUNK: Final = 64
"""Items read ahead. Their rows are at most this many users old when their steps begin."""
_HEED_EVERY: Final = 0.5
"""Seconds between two looks whether somebody asked for a pause or an end, from whichever process."""
_ASKED: Final[Mapping[JobState | None, type[JobError]]] = {
    JobState.PAUSING: JobPaused,
    JobState.STOPPING: JobStopped,
    JobState.STOPPED: JobStopped,
}

ENDS_THE_RUN: Final = (
    AdminTokenDead,
    BreakerOpen,
    DatabaseError,
    LeaseLost,
    NotMattermost,
    SecretError,
    TokensSwitchedOff,
)
"""Faults that the next user would meet as well."""

_STATES: Final[Mapping[str, ItemState]] = {
    Outcome.FAILED: ItemState.FAILED,
    Outcome.REFUSED: ItemState.FAILED,
    Outcome.SKIPPED: ItemState.SKIPPED,
}


@dataclass(frozen=True, slots=True)
class Work:
    """One item with everything needed to apply it."""

    item: JobItem
    plan: UserPlan
    row: PerhapsUser
    username: str = ""


@dataclass(frozen=True, slots=True)
class _Ended:
    """How an item ended, until that is written down."""

    item: JobItem
    outcome: str
    note: str = ""
    removals: int = 0


class Applier(Protocol):
    """Who knows how to do the steps of a plan."""

    async def usernames(self, users: Sequence[User]) -> dict[UserId, str]:
        """Free usernames for users about to get an account."""

    async def apply(self, plan: UserPlan, row: PerhapsUser, *, username: str) -> Result:
        """Do one user's steps. Raises only what ends the run."""


class Journal:
    """One job as this process writes it: nothing is stored until there is something to do."""

    def __init__(  # noqa: PLR0913 - what a job's row holds
        self,
        lease: Lease,
        *,
        kind: str,
        title: str,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        job_id: int | None = None,
    ) -> None:
        """`job_id` is a job that is there already, to be gone on with."""
        self._lease = lease
        self._kind = kind
        self._title = title
        self._actor = actor
        self._now = now
        self._finished: list[_Ended] = []
        self.id = job_id
        self._begun_before = job_id is not None

    async def add(self, plans: Sequence[UserPlan], noted: Sequence[TokenRecord] = ()) -> None:
        """Store what is to be done for some users, and what a look found of others."""
        if not plans and not noted:
            return
        items = [NewItem(plan.user_id, _written(plan), plan.digest) for plan in plans]

        def store(tx: Transaction) -> int | None:
            job_id = self.id
            if items:
                job_id = job_id or self._create(tx)
                tx.jobs.items.add(job_id, items)
            if noted:
                tx.tokens.save_many(noted)
            return job_id

        self.id = await self._lease.write(store)

    def _create(self, tx: Transaction) -> int:
        fence, at = self._lease.fence, self._now()
        return tx.jobs.create(kind=self._kind, title=self._title, actor=self._actor, at=at, fence=fence)

    async def drop(self) -> None:
        """Nothing of it will be done. What was begun before waits again, as it did."""
        if self._begun_before:
            await self.end(complete=False)
        elif (job_id := self.id) is not None:
            await self._lease.write(lambda tx: tx.jobs.stop(job_id, at=self._now()))

    async def start(self) -> None:
        """Work on it from now on. Raises JobPaused and JobStopped when somebody asked for that before it began."""

        def store(tx: Transaction) -> JobState | None:
            asked = tx.jobs.state(self.known)
            if asked in _ASKED:
                if asked is not JobState.STOPPED:
                    tx.jobs.leave(self.known, fence=self._lease.fence, at=self._now())
                return asked
            tx.jobs.start(self.known, fence=self._lease.fence, at=self._now())
            return None

        if (asked := await self._lease.write(store)) is not None:
            raise _ASKED[asked](job_id=self.known)

    async def take_over(self) -> None:
        """Go on with a job whose process paused or died. What was begun then waits again."""
        fence, now = self._lease.fence, self._now()

        def store(tx: Transaction) -> None:
            tx.jobs.start(self.known, fence=fence, at=now)
            tx.jobs.items.wait_again(self.known, fence=fence)

        await self._lease.write(store)

    async def revise(
        self,
        plans: Sequence[tuple[JobItem, UserPlan]],
        settled: Sequence[tuple[JobItem, Result]],
        noted: Sequence[TokenRecord],
    ) -> None:
        """Write down what is still to be done of items that wait, and which of them have ended without a step."""
        fence = self._lease.fence
        changed = [(item, plan) for item, plan in plans if (_written(plan), plan.digest) != (item.steps, item.digest)]

        def store(tx: Transaction) -> None:
            for item, plan in changed:
                tx.jobs.items.revise(item.job_id, item.position, steps=_written(plan), digest=plan.digest, fence=fence)
            if noted:
                tx.tokens.save_many(noted)

        self._finished += [_Ended(item, result.outcome, result.note) for item, result in settled]
        await self._lease.write(store)
        await self.write_finished()

    async def asked(self) -> JobError | None:
        """The pause or the end that somebody asked for, if one did."""
        state = await self._lease.database.read(lambda db: db.jobs.state(self.known))
        return _ASKED[state](job_id=self.known) if state in _ASKED else None

    async def items(self) -> list[JobItem]:
        """All of them, of a job that is small enough to be held."""
        everything = 1_000_000
        return await self._lease.database.read(lambda db: db.jobs.items.page(self.known, limit=everything))

    async def start_items(self, items: Sequence[JobItem]) -> None:
        """Write down that these are begun, before they are."""
        fence, now = self._lease.fence, self._now()

        def store(tx: Transaction) -> None:
            for item in items:
                tx.jobs.items.start(item.job_id, item.position, fence=fence, at=now)

        await self._lease.write(store)

    async def finish_item(self, work: Work, result: Result) -> None:
        """Write down how an item ended: a removal at once, since the guard counts it, the others some at a time.

        What an item did is durable long before; an item whose end is not written down is planned anew.
        """
        # One that failed half-way may have removed something: the guard rather counts too much.
        removed = work.plan.removes and result.outcome in {Outcome.REMOVED, Outcome.DISABLED, Outcome.FAILED}
        await self.finish(work.item, result.outcome, result.note, removals=int(removed))

    async def finish(self, item: JobItem, outcome: str, note: str = "", *, removals: int = 0) -> None:
        """The same for an item that is no user's."""
        self._finished.append(_Ended(item, outcome, note, removals))
        if removals or len(self._finished) >= _FINISHED_AT_ONCE:
            await self.write_finished()

    async def write_finished(self) -> None:
        finished, self._finished = self._finished, []
        fence, now = self._lease.fence, self._now()

        def store(tx: Transaction) -> None:
            for ended in finished:
                tx.jobs.items.finish(
                    ended.item.job_id,
                    ended.item.position,
                    _STATES.get(ended.outcome, ItemState.DONE),
                    fence=fence,
                    at=now,
                    outcome=ended.outcome,
                    note=ended.note,
                    removals=ended.removals,
                )

        if finished:
            await self._lease.write(store)

    async def end(self, *, complete: bool) -> None:
        """Done, stopped by whoever asked for it, or left for later: for `jobs resume`, or a run that plans anew."""
        await self.write_finished()
        fence, now = self._lease.fence, self._now()

        def store(tx: Transaction) -> None:
            if complete:
                tx.jobs.finish(self.known, JobState.DONE, fence=fence, at=now)
            else:
                # What was read ahead, or broken off, is waiting again.
                tx.jobs.items.wait_again(self.known, fence=fence)
                tx.jobs.leave(self.known, fence=fence, at=now)

        await self._lease.write(store)

    @property
    def fence(self) -> int:
        """The number of the lease that it is done under."""
        return self._lease.fence

    @property
    def known(self) -> int:
        """Its number, once there is something to do."""
        if self.id is None:
            message = "a job without items is not started"
            raise ValueError(message)
        return self.id


def users_at_once(calls: int) -> int:
    """How many users a run works at that may make so many calls at once.

    While some wait for a commit the calls of others are under way, and more of them share each commit. Who wants one
    call at a time gets one user after the other.
    """
    return 2 * calls - 1


class Runner:
    """Applies a job's items with a few workers, until all are done or somebody says stop."""

    def __init__(
        self, database: Database, journal: Journal, applier: Applier, *, calls: int, span: range | None = None
    ) -> None:
        """`calls` may be on the way to the server at once. `span` limits it to the items at these positions."""
        self._span = span or range(1_000_000_000)
        self._database = database
        self._journal = journal
        self._applier = applier
        self._workers = users_at_once(calls)
        self._fault: MmconsoleError | None = None
        self._absence = Absence()

    async def run(self, done: Callable[[Result], None], stop: asyncio.Event) -> MmconsoleError | None:
        """Returns the fault that ended it, if one did. Users under way are always brought to their end."""
        await self._journal.start()
        if self._journal.id is not None:
            listener().job(self._journal.id)
        queue: asyncio.Queue[Work | None] = asyncio.Queue(self._workers)
        async with self._heeding(stop), asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work(queue, done, stop))
            await self._feed(queue, stop)
            for _ in range(self._workers):
                await queue.put(None)
        if not isinstance(self._fault, DatabaseError | LeaseLost):
            await self._end(stop)
        return self._fault

    @asynccontextmanager
    async def _heeding(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Stop when somebody asks for it in the database, be it from another machine."""

        async def heed() -> None:
            while not stop.is_set():
                await asyncio.sleep(_HEED_EVERY)
                # A database that is away for a moment is noticed by whoever writes.
                with suppress(DatabaseError):
                    if (asked := await self._journal.asked()) is not None:
                        self._give_up(asked, stop)

        heeding = asyncio.create_task(heed())
        try:
            yield
        finally:
            heeding.cancel()
            with suppress(asyncio.CancelledError):
                await heeding

    async def _feed(self, queue: asyncio.Queue[Work | None], stop: asyncio.Event) -> None:
        """Hand out the items. What cannot be read ends the run, and must not tear away the users under way."""
        async with aclosing(self._items(stop)) as items:
            try:
                async for work in items:
                    await queue.put(work)
            except MmconsoleError as fault:
                self._give_up(fault, stop)

    async def _end(self, stop: asyncio.Event) -> None:
        try:
            await self._journal.end(complete=not stop.is_set())
        except MmconsoleError as fault:
            self._give_up(fault, stop)

    def _give_up(self, fault: MmconsoleError, stop: asyncio.Event) -> None:
        self._fault = self._fault or fault
        stop.set()

    async def _work(
        self, queue: asyncio.Queue[Work | None], done: Callable[[Result], None], stop: asyncio.Event
    ) -> None:
        while (work := await queue.get()) is not None:
            if stop.is_set():
                continue
            listener().begun(work.item.user_id)
            try:
                result = await self._applied(work, stop)
                await self._journal.finish_item(work, result)
            except MmconsoleError as fault:
                self._give_up(fault, stop)
                continue
            done(result)
            listener().ended(result)

    async def _applied(self, work: Work, stop: asyncio.Event) -> Result:
        """One user. While a server fails everything it is left alone, and who was not begun yet is begun later."""
        user_id = work.item.user_id
        while True:
            try:
                result = await self._applier.apply(work.plan, work.row, username=work.username)
            except BreakerOpen as fault:
                await self._absence.rest(fault, stop)
                if stop.is_set() or await self._database.read(lambda db: db.roster.row(user_id)) != work.row:
                    return Result(work.plan.user_id, Outcome.FAILED, str(fault))
            else:
                self._absence.over()
                return result

    async def _items(self, stop: asyncio.Event) -> AsyncGenerator[Work, None]:
        """The planned items with their rows as they are now."""
        after = self._span.start - 1
        job_id = self._journal.id
        while job_id is not None and not stop.is_set():
            found, rows = await self._database.read(partial(_chunk, job_id=job_id, after=after))
            items = [item for item in found if item.position in self._span]
            if not items:
                return
            await self._journal.start_items(items)
            for work in await self._ready(items, rows):
                yield work
            after = items[-1].position

    async def _ready(self, items: list[JobItem], rows: dict[UserId, PerhapsUser]) -> list[Work]:
        work = [Work(item, plan_of(item), rows.get(item.user_id, (None, None))) for item in items]
        newcomers = [one.row[0] for one in work if Kind.CREATE in one.plan.steps and one.row[0] is not None]
        names = await self._applier.usernames(newcomers) if newcomers else {}
        return [Work(one.item, one.plan, one.row, names.get(one.item.user_id, "")) for one in work]


def _chunk(db: Snapshot, *, job_id: int, after: int) -> tuple[list[JobItem], dict[UserId, PerhapsUser]]:
    items = db.jobs.items.page(job_id, limit=_CHUNK, state=ItemState.PLANNED, after_position=after)
    return items, {user.id: (user, record) for user, record in db.roster.rows([item.user_id for item in items])}


async def end_left(lease: Lease, kind: str, *, at: datetime) -> None:
    """Close what interrupted jobs of a kind left unfinished that nobody resumes: the next one plans anew."""
    left = await lease.database.read(lambda db: [job.id for job in db.jobs.resumable() if job.kind == kind])

    def close(tx: Transaction) -> None:
        for job_id in left:
            tx.jobs.stop(job_id, at=at)

    if left:
        await lease.write(close)


def _written(plan: UserPlan) -> str:
    return json.dumps(document_of(plan))


def plan_of(item: JobItem) -> UserPlan:
    """What an item says is to be done."""
    return plan_from(json.loads(item.steps), user_id=item.user_id, digest=item.digest)
