"""Writing the whole token column anew: a job whose items are some hundred users each.

Nothing outside the database is involved, so an item is one transaction: the values, their fingerprints, the end of
the item and its activity are stored together or not at all. Whatever kills it, the next run does the rest. A value
that somebody else changes meanwhile is never overwritten.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from mmconsole.database import Database, ItemState, JobItem, JobState, NewItem, Snapshot, Stored, Transaction
from mmconsole.domain.activity import Activity
from mmconsole.domain.users import UserId
from mmconsole.errors import SecretError
from mmconsole.secrets.ciphers import Vault
from mmconsole.secrets.forms import form_of, seal_key_of
from mmconsole.services.jobs import end_left
from mmconsole.services.leases import Lease
from mmconsole.services.summary import Progress, Silent

AT_ONCE: Final = 500
"""Users per item: their transaction takes some milliseconds, so other writers hardly wait."""
KEPT_REFUSALS: Final = 1_000
"""Of how many values that cannot be opened the reason is kept."""
UNKNOWN: Final = "unknown"


class Kept(NamedTuple):
    """How a value is kept. The key is empty where there is none, or it is not known which."""

    form: str
    key: str


Stock = dict[Kept, int]


class Refusal(NamedTuple):
    """A value that stays as it is, and why."""

    user_id: UserId
    why: str


@dataclass(slots=True)
class Rewritten:
    """What a rewriting did, or, before it, what it would do."""

    due: int = 0
    """Values that do not stand there as they should."""
    moved: int = 0
    overtaken: int = 0
    """Changed by somebody else meanwhile; what they wrote stays."""
    refused: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    """The first KEPT_REFUSALS of them."""
    job_id: int | None = None

    def refuse(self, refusals: Sequence[Refusal]) -> None:
        self.refused += len(refusals)
        self.refusals += refusals[: KEPT_REFUSALS - len(self.refusals)]


class _Exchange(NamedTuple):
    user_id: UserId
    old: str
    new: str
    fingerprint: str

    def __repr__(self) -> str:
        # Both texts may be the plain secret.
        return f"_Exchange({self.user_id})"


async def stock_of(database: Database, vault: Vault | None = None) -> Stock:
    """How many values there are by form and key. Which of Laravel's keys wrote one, only a vault can tell."""

    def kept(text: str) -> Kept:
        return Kept(form_of(text) or UNKNOWN, seal_key_of(text) or (vault.key_of(text) if vault else ""))

    def count(db: Snapshot) -> Stock:
        return dict(Counter(kept(stored.text) for page in _pages(db) for stored in page))

    return await database.read(count)


class Rewrite:
    """Brings every value that is due into the vault's own form, under its current key."""

    def __init__(  # noqa: PLR0913 - each is asked for by both who use it
        self,
        database: Database,
        vault: Vault,
        *,
        due: Callable[[str], bool],
        actor: str,
        now: Callable[[], datetime],
        progress: Progress | None,
    ) -> None:
        self._database = database
        self._vault = vault
        self._due = due
        self._actor = actor
        self._now = now
        self._progress = progress or Silent()
        self.result = Rewritten()

    async def look(self) -> Rewritten:
        """Try every value that is due, and write nothing."""
        self._progress.stage("looking", await self._total())
        async with aclosing(self._found()) as pages:
            async for stored in pages:
                self.result.due += len(stored)
                self.result.refuse((await asyncio.to_thread(self._exchanges, stored))[1])
        return self.result

    async def apply(self, lease: Lease, *, kind: str, title: str, stop: asyncio.Event) -> Rewritten:
        """Plan the items, then do them. A stop ends it after the item under way. Raises LeaseLost, DatabaseError."""
        # What stands in the column tells what an earlier run has left.
        await end_left(lease, kind, at=self._now())
        await self._plan(lease, kind, title)
        if self.result.job_id is not None:
            await self._work(lease, self.result.job_id, stop)
        return self.result

    # ── planning ─────────────────────────────────────────────────────────────────────────────────

    async def _plan(self, lease: Lease, kind: str, title: str) -> None:
        self._progress.stage("looking", await self._total())

        def store(tx: Transaction, items: list[NewItem]) -> int:
            job_id = self.result.job_id or tx.jobs.create(
                kind=kind, title=title, actor=self._actor, at=self._now(), fence=lease.fence
            )
            tx.jobs.items.add(job_id, items)
            return job_id

        async with aclosing(self._found()) as pages:
            async for found in pages:
                parts = [found[start : start + AT_ONCE] for start in range(0, len(found), AT_ONCE)]
                items = [NewItem(part[0].user_id, json.dumps([one.user_id for one in part])) for part in parts]
                self.result.job_id = await lease.write(partial(store, items=items))
                self.result.due += len(found)

    async def _total(self) -> int:
        return await self._database.read(lambda db: db.roster.count())

    async def _found(self) -> AsyncGenerator[list[Stored], None]:
        """Pages of those values that are due, without the empty ones."""
        after: Stored | None = None
        while page := await self._database.read(partial(_page, after=after)):
            found = await asyncio.to_thread(self._due_of, page)
            if found:
                yield found
            self._progress.advance(len(page))
            after = page[-1]

    def _due_of(self, page: Sequence[Stored]) -> list[Stored]:
        return [one for one in page if self._due(one.text)]

    # ── working ──────────────────────────────────────────────────────────────────────────────────

    async def _work(self, lease: Lease, job_id: int, stop: asyncio.Event) -> None:
        await lease.write(lambda tx: tx.jobs.start(job_id, fence=lease.fence, at=self._now()))
        self._progress.stage("rewriting", self.result.due)
        while not stop.is_set() and (item := await self._next(job_id, stop)) is not None:
            await self._do(lease, item)

        def end(tx: Transaction) -> None:
            if stop.is_set():
                tx.jobs.leave(job_id, fence=lease.fence, at=self._now())
            else:
                tx.jobs.finish(job_id, JobState.DONE, fence=lease.fence, at=self._now())

        await lease.write(end)

    async def _next(self, job_id: int, stop: asyncio.Event) -> JobItem | None:
        """The next item. A pause or an end that somebody asked for is a stop."""

        def read(db: Snapshot) -> tuple[JobState | None, list[JobItem]]:
            return db.jobs.state(job_id), db.jobs.items.page(job_id, limit=1, state=ItemState.PLANNED)

        state, items = await self._database.read(read)
        if state is not JobState.RUNNING:
            stop.set()
            return None
        return items[0] if items else None

    async def _do(self, lease: Lease, item: JobItem) -> None:
        ids: list[UserId] = json.loads(item.steps)
        held = await self._database.read(lambda db: db.roster.envelopes(ids))
        due = self._due_of([Stored(user_id, text) for user_id, text in held.items()])
        exchanges, refusals = await asyncio.to_thread(self._exchanges, due)
        at = self._now()

        def store(tx: Transaction) -> int:
            tx.jobs.items.start(item.job_id, item.position, fence=lease.fence, at=at)
            moved = sum(_exchange(tx, exchange) for exchange in exchanges)
            detail = f"{moved} from user {ids[0]} to {ids[-1]} as {self._vault.storage}"
            note = f"{moved} moved, {len(refusals)} cannot be opened, {len(exchanges) - moved} changed meanwhile"
            tx.activity.add(Activity(at, self._actor, "tokens rewritten", detail=detail, job_id=item.job_id))
            state = ItemState.FAILED if refusals else ItemState.DONE
            tx.jobs.items.finish(
                item.job_id, item.position, state, fence=lease.fence, at=at, outcome="rewritten", note=note
            )
            return moved

        moved = await lease.write(store)
        self.result.moved += moved
        self.result.overtaken += len(exchanges) - moved
        self.result.refuse(refusals)
        self._progress.advance(len(ids))

    def _exchanges(self, stored: Sequence[Stored]) -> tuple[list[_Exchange], list[Refusal]]:
        exchanges, refusals = [], []
        for one in stored:
            try:
                exchanges.append(self._exchange(one))
            except SecretError as fault:
                refusals.append(Refusal(one.user_id, str(fault)))
        return exchanges, refusals

    def _exchange(self, stored: Stored) -> _Exchange:
        secret = self._vault.open(stored.text, stored.user_id)
        new = self._vault.seal(secret, stored.user_id)
        # The old value is gone afterwards, so the new one is tried before.
        if self._vault.open(new, stored.user_id) != secret:
            raise SecretError(why="what would be stored does not open to the same")
        return _Exchange(stored.user_id, stored.text, new, self._vault.fingerprint(secret))


def _exchange(tx: Transaction, exchange: _Exchange) -> bool:
    if not tx.envelopes.exchange(exchange.user_id, exchange.old, exchange.new):
        return False
    tx.tokens.set_fingerprint(exchange.user_id, exchange.fingerprint)
    return True


def _page(db: Snapshot, *, after: Stored | None) -> list[Stored]:
    return db.envelopes.page(after)


def _pages(db: Snapshot) -> Iterator[list[Stored]]:
    page = db.envelopes.page(None)
    while page:
        yield page
        page = db.envelopes.page(page[-1])
