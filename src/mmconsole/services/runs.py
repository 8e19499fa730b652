"""A run: one process that changes things, with its lease, its job and its name."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from mmconsole.database import Transaction
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.users import UserId
from mmconsole.services.leases import Lease, Unleased

T = TypeVar("T")

_caller: Final[ContextVar[str]] = ContextVar("caller", default="")


@contextmanager
def asked_by(caller: str) -> Iterator[None]:
    """What is begun within is done for somebody who asks from outside, and the log names them."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def acting(actor: str) -> str:
    """Who is behind what is begun here: whoever asked for it, else this process.

    It is asked where a run begins, since what is written is written in another thread.
    """
    return _caller.get() or actor


@dataclass(frozen=True, slots=True)
class Run:
    """Whoever changes something is given one: nothing is written past the lease, and every activity has its actor."""

    lease: Lease | Unleased
    actor: str
    now: Callable[[], datetime]
    job_id: int | None = None

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Apply a change in one transaction. Raises LeaseLost."""
        return await self.lease.write(change)

    def activity(
        self, verb: str, user_id: UserId | None, detail: str = "", *, level: Level = Level.INFO, request_id: str = ""
    ) -> Activity:
        """What happened just now, to a user if it did, and the server's id of the call that did it."""
        return Activity(self.now(), self.actor, verb, user_id, detail, level, self.job_id, request_id)
