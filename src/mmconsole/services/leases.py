"""One run at a time: a lease in the database, renewed while its holder lives, with a fencing number."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from mmconsole.database import Database, LeaseHeld, Transaction
from mmconsole.database import Lease as Granted
from mmconsole.errors import Busy, DatabaseError
from mmconsole.services.processes import has_ended, this_process

T = TypeVar("T")

LIFETIME: Final = timedelta(seconds=30)
OBSERVER: Final = "observer"
"""Its lease, and the last word of its name: it has many short turns, and is waited for by everybody."""
_FOR_OBSERVERS: Final = 15.0
"""Seconds; its turns end sooner when somebody else may come."""
_RENEW_EVERY: Final = 10.0
_ASK_EVERY: Final = 1.0
_ASK_OBSERVER_EVERY: Final = 0.05


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to change things under a name. Every write goes through it, so a holder that lost it stops."""

    name: str
    fence: int
    database: Database

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Apply a change in one transaction. Raises LeaseLost when another process took the lease over."""
        return await self.database.write(partial(self._fenced, change))

    def _fenced(self, change: Callable[[Transaction], T], tx: Transaction) -> T:
        tx.leases.demand(self.name, self.fence)
        return change(tx)


@dataclass(frozen=True, slots=True)
class Twofold(Lease):
    """Two rights at once: what is written needs both. Jobs go by the number of the first."""

    beside: Lease

    async def write(self, change: Callable[[Transaction], T]) -> T:
        return await self.beside.write(partial(self._fenced, change))


@dataclass(frozen=True, slots=True)
class Unleased:
    """For what many may do at once, and may be done twice without harm."""

    database: Database
    fence: int = 0

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Apply a change in one transaction."""
        return await self.database.write(change)


@asynccontextmanager
async def hold(
    database: Database, name: str, *, holder: str, wait: bool, inherit: bool = False
) -> AsyncIterator[Lease]:
    """Hold a lease; wait for it or raise Busy when somebody else has it.

    `inherit`: take it at once from a process of this machine that was killed. Only for a lease under which nothing is
    asked of the server: that may still be at work on the last request, and must not be overtaken by who clears up.
    """
    fence = await _acquire(database, name, holder=holder, wait=wait, inherit=inherit)
    renewing = asyncio.create_task(_renew(database, name, fence))
    try:
        yield Lease(name, fence, database)
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(DatabaseError):
            await database.write(lambda tx: tx.leases.release(name, fence))


async def _acquire(database: Database, name: str, *, holder: str, wait: bool, inherit: bool) -> int:
    loop = asyncio.get_running_loop()
    patient_until, ended = loop.time() + _FOR_OBSERVERS, -1
    while True:
        found = await database.write(partial(_taken, name=name, holder=holder, ended=ended))
        if not isinstance(found, LeaseHeld):
            return found.fence
        if inherit and found.fence != ended and has_ended(found.process):
            ended = found.fence
            continue
        in_turn = found.holder.endswith(OBSERVER) and not holder.endswith(OBSERVER) and loop.time() < patient_until
        if not (wait or in_turn):
            raise Busy(holder=found.holder, since=f"{found.since:%H:%M:%S} UTC")
        await asyncio.sleep(_ASK_OBSERVER_EVERY if in_turn else _ASK_EVERY)


def _taken(tx: Transaction, *, name: str, holder: str, ended: int) -> Granted | LeaseHeld:
    now, process = datetime.now(UTC), this_process()
    return tx.leases.acquire(name, holder=holder, now=now, ttl=LIFETIME, process=process, ended=ended)


async def _renew(database: Database, name: str, fence: int) -> None:
    """Keep the lease alive. A database that is away for a moment is tried again; the fence guards the writes."""
    while True:
        await asyncio.sleep(_RENEW_EVERY)
        with suppress(DatabaseError):
            await database.write(lambda tx: tx.leases.renew(name, fence, now=datetime.now(UTC), ttl=LIFETIME))
