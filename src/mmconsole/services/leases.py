"""One run at a time: a lease in the database, renewed while its holder lives, with a fencing number."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from mmconsole.database import Database, LeaseHeld, Transaction
from mmconsole.errors import Busy, DatabaseError

T = TypeVar("T")

LIFETIME: Final = timedelta(seconds=30)
_RENEW_EVERY: Final = 10.0
_ASK_EVERY: Final = 1.0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change things under a name. Every write goes through it, so a holder that lost it stops."""

    name: str
    fence: int
    database: Database

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Apply a change in one transaction. Raises LeaseLost when another process took the lease over."""

        def fenced(tx: Transaction) -> T:
            tx.leases.demand(self.name, self.fence)
            return change(tx)

        return await self.database.write(fenced)


@asynccontextmanager
async def hold(database: Database, name: str, *, holder: str, wait: bool) -> AsyncIterator[Lease]:
    """Hold a lease; wait for it or raise Busy when somebody else has it."""
    fence = await _acquire(database, name, holder=holder, wait=wait)
    renewing = asyncio.create_task(_renew(database, name, fence))
    try:
        yield Lease(name, fence, database)
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(DatabaseError):
            await database.write(lambda tx: tx.leases.release(name, fence))


async def _acquire(database: Database, name: str, *, holder: str, wait: bool) -> int:
    while True:
        found = await database.write(
            lambda tx: tx.leases.acquire(name, holder=holder, now=datetime.now(UTC), ttl=LIFETIME)
        )
        if not isinstance(found, LeaseHeld):
            return found.fence
        if not wait:
            raise Busy(holder=found.holder, since=f"{found.since:%H:%M:%S} UTC")
        await asyncio.sleep(_ASK_EVERY)


async def _renew(database: Database, name: str, fence: int) -> None:
    """Keep the lease alive. A database that is away for a moment is tried again; the fence guards the writes."""
    while True:
        await asyncio.sleep(_RENEW_EVERY)
        with suppress(DatabaseError):
            await database.write(lambda tx: tx.leases.renew(name, fence, now=datetime.now(UTC), ttl=LIFETIME))
