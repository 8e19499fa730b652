"""Jobs: a plan being applied, journaled item by item, a bounded number of users at once."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

from mmconsole.database import Database, ItemState, JobItem, JobState, NewItem, Snapshot, Transaction
from mmconsole.domain.plans import Kind, Outcome, Result, UserPlan
from mmconsole.domain.tokens import TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import (
    AdminTokenDead,
    BreakerOpen,
    DatabaseError,
    LeaseLost,
    MmconsoleError,
    NotMattermost,
    SecretError,
    TokensSwitchedOff,
)
from mmconsole.services.leases import Lease

_FINISHED_AT_ONCE: Final = 32
PATIENCE: Final = 300.0
"""Seconds that a server may fail everything, as while it restarts, before a run ends."""
_CHUNK: Final = 64
"""Items read ahead. Their rows are at most this many users old when their steps begin."""

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

_STATES: Final = {Outcome.FAILED: ItemState.FAILED, Outcome.SKIPPED: ItemState.SKIPPED}
Row = tuple[User | None, TokenRecord | None]


@dataclass(frozen=True, slots=True)
class Work:
    """One item with everything needed to apply it."""

    item: JobItem
    plan: UserPlan
    row: Row
    username: str = ""


class Applier(Protocol):
    """Who knows how to do the steps of a plan."""

    async def usernames(self, users: Sequence[User]) -> dict[UserId, str]:
        """Free usernames for users about to get an account."""

    async def apply(self, plan: UserPlan, row: Row, *, username: str) -> Result:
        """Do one user's steps. Raises only what ends the run."""


class Journal:
    """One job as this process writes it: nothing is stored until there is something to do."""

    def __init__(
        self,
        lease: Lease,
        *,
        kind: str,
        title: str,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lease = lease
        self._kind = kind
        self._title = title
        self._actor = actor
        self._now = now
        self._finished: list[tuple[JobItem, Result, int]] = []
        self.id: int | None = None

    async def add(self, plans: Sequence[UserPlan], noted: Sequence[TokenRecord]) -> None:
        """Store what is to be done for some users, and what a look found of others."""
        if not plans and not noted:
            return
        items = [NewItem(plan.user_id, _written(plan), plan.digest) for plan in plans]

        def store(tx: Transaction) -> int | None:
            job_id = self.id
            if items:
                job_id = job_id or tx.jobs.create(kind=self._kind, title=self._title, actor=self._actor, at=self._now())
                tx.jobs.add_items(job_id, items)
            if noted:
                tx.tokens.save_many(noted)
            return job_id

        self.id = await self._lease.write(store)

    async def drop(self) -> None:
        """Nothing of it will be done."""
        if (job_id := self.id) is not None:
            await self._lease.write(lambda tx: tx.jobs.stop(job_id, at=self._now()))

    async def start(self) -> None:
        await self._lease.write(lambda tx: tx.jobs.start(self._known, fence=self._lease.fence, at=self._now()))

    async def start_items(self, items: Sequence[JobItem]) -> None:
        """Write down that these are begun, before they are."""
        fence, now = self._lease.fence, self._now()

        def store(tx: Transaction) -> None:
            for item in items:
                tx.jobs.start_item(item.job_id, item.position, fence=fence, at=now)

        await self._lease.write(store)

    async def finish_item(self, work: Work, result: Result) -> None:
        """Write down how an item ended: a removal at once, since the guard counts it, the others some at a time.

        What an item did is durable long before; an item whose end is not written down is planned anew.
        """
        # One that failed half-way may have removed something: the guard rather counts too much.
        removed = work.plan.removes and result.outcome in {Outcome.REMOVED, Outcome.FAILED}
        self._finished.append((work.item, result, int(removed)))
        if removed or len(self._finished) >= _FINISHED_AT_ONCE:
            await self.write_finished()

    async def write_finished(self) -> None:
        finished, self._finished = self._finished, []
        fence, now = self._lease.fence, self._now()

        def store(tx: Transaction) -> None:
            for item, result, removals in finished:
                tx.jobs.finish_item(
                    item.job_id,
                    item.position,
                    _STATES.get(result.outcome, ItemState.DONE),
                    fence=fence,
                    at=now,
                    outcome=result.outcome,
                    note=result.note,
                    removals=removals,
                )

        if finished:
            await self._lease.write(store)

    async def end(self, *, complete: bool) -> None:
        """Done, or left for later: then the next run plans anew what is missing."""
        await self.write_finished()
        fence, now = self._lease.fence, self._now()

        def store(tx: Transaction) -> None:
            if complete:
                tx.jobs.finish(self._known, JobState.DONE, fence=fence, at=now)
            else:
                tx.jobs.pause(self._known, fence=fence)

        await self._lease.write(store)

    @property
    def _known(self) -> int:
        if self.id is None:
            message = "a job without items is not started"
            raise ValueError(message)
        return self.id


class Runner:
    """Applies a job's items with a few workers, until all are done or somebody says stop."""

    def __init__(self, database: Database, journal: Journal, applier: Applier, *, workers: int) -> None:
        self._database = database
        self._journal = journal
        self._applier = applier
        self._workers = workers
        self._fault: MmconsoleError | None = None
        self._failing_since: float | None = None

    async def run(self, done: Callable[[Result], None], stop: asyncio.Event) -> MmconsoleError | None:
        """Returns the fault that ended it, if one did. Users under way are always brought to their end."""
        await self._journal.start()
        queue: asyncio.Queue[Work | None] = asyncio.Queue(self._workers)
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work(queue, done, stop))
            await self._feed(queue, stop)
            for _ in range(self._workers):
                await queue.put(None)
        if not isinstance(self._fault, DatabaseError | LeaseLost):
            await self._end(stop)
        return self._fault

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
            try:
                result = await self._applied(work, stop)
                await self._journal.finish_item(work, result)
            except MmconsoleError as fault:
                self._give_up(fault, stop)
                continue
            done(result)

    async def _applied(self, work: Work, stop: asyncio.Event) -> Result:
        """One user. While a server fails everything it is left alone, and who was not begun yet is begun later."""
        while True:
            try:
                result = await self._applier.apply(work.plan, work.row, username=work.username)
            except BreakerOpen as fault:
                await self._rest(fault, stop)
                if stop.is_set() or await self._database.read(partial(_row, user_id=work.item.user_id)) != work.row:
                    return Result(work.plan.user_id, Outcome.FAILED, str(fault))
            else:
                self._failing_since = None
                return result

    async def _rest(self, fault: BreakerOpen, stop: asyncio.Event) -> None:
        """Wait as long as the breaker does. Raises the fault when the server has had its time."""
        now = asyncio.get_running_loop().time()
        self._failing_since = self._failing_since or now
        if now - self._failing_since >= PATIENCE:
            raise fault
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), fault.wait)

    async def _items(self, stop: asyncio.Event) -> AsyncGenerator[Work, None]:
        """The planned items with their rows as they are now."""
        after: int | None = None
        job_id = self._journal.id
        while job_id is not None and not stop.is_set():
            items, rows = await self._database.read(partial(_chunk, job_id=job_id, after=after))
            if not items:
                return
            await self._journal.start_items(items)
            for work in await self._ready(items, rows):
                yield work
            after = items[-1].position

    async def _ready(self, items: list[JobItem], rows: dict[UserId, Row]) -> list[Work]:
        work = [Work(item, _read(item), rows.get(item.user_id, (None, None))) for item in items]
        newcomers = [one.row[0] for one in work if Kind.CREATE in one.plan.steps and one.row[0] is not None]
        names = await self._applier.usernames(newcomers) if newcomers else {}
        return [Work(one.item, one.plan, one.row, names.get(one.item.user_id, "")) for one in work]


def _chunk(db: Snapshot, *, job_id: int, after: int | None) -> tuple[list[JobItem], dict[UserId, Row]]:
    items = db.jobs.items.page(job_id, limit=_CHUNK, state=ItemState.PLANNED, after_position=after)
    rows: dict[UserId, Row] = {user.id: (user, record) for user, record in db.roster.rows([i.user_id for i in items])}
    return items, rows


def _row(db: Snapshot, *, user_id: UserId) -> Row:
    return next(iter(db.roster.rows([user_id])), (None, None))


def _written(plan: UserPlan) -> str:
    return json.dumps({"steps": plan.steps, "why": plan.why})


def _read(item: JobItem) -> UserPlan:
    written = json.loads(item.steps)
    return UserPlan(item.user_id, item.digest, tuple(map(Kind, written["steps"])), why=written["why"])
