"""Leases: who may do something now, with a number that only grows.

A process that slept through its lease wakes up with an old number, and every fenced write refuses it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mmconsole.database.connection import Connection, Row
from mmconsole.database.times import moment_of, stored
from mmconsole.errors import LeaseLost

_BESIDE: Final = "\n"
"""Between who holds it, as people read it, and the process."""
_BELIEVED_FOR: Final = timedelta(days=1)
"""No lease is granted for so long: one that ends later was written by a clock that was put back since."""
_NONE: Final = -1
"""No lease has this number."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was granted."""

    name: str
    holder: str
    fence: int
    acquired_at: datetime
    expires_at: datetime
    process: str = field(default="", compare=False)
    """Of its holder, for who can find out whether it lives."""


@dataclass(frozen=True, slots=True)
class LeaseHeld:
    """Somebody else has it."""

    holder: str
    since: datetime
    process: str = field(default="", compare=False)
    fence: int = field(default=0, compare=False)


class LeaseRepository:
    __slots__ = ("_connection", "_demanded", "_held", "_make")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        columns = ("name", "holder", "fence", "acquired_at", "expires_at")
        self._demanded: set[tuple[str, int]] = set()
        self._held = connection.dialect.held
        self._make = connection.dialect.upsert("mmconsole_leases", columns, ())

    def acquire(  # noqa: PLR0913 - who, when, and for how long
        self, name: str, *, holder: str, now: datetime, ttl: timedelta, process: str = "", ended: int = _NONE
    ) -> Lease | LeaseHeld:
        """Take a lease that is free or has run out, or has the number of a process that has `ended`.

        Nobody's is extended by asking again.
        """
        self.begin_anew()
        self._connection.run(self._make, (name, None, 0, 0, 0))
        until = stored(now + ttl)
        taken = self._connection.run(
            "UPDATE mmconsole_leases SET holder = ?, fence = fence + 1, acquired_at = ?, expires_at = ?"
            " WHERE name = ? AND (holder IS NULL OR expires_at <= ? OR expires_at > ? OR fence = ?)",
            (f"{holder}{_BESIDE}{process}", stored(now), until, name, *_held_at(now), ended),
        )
        state = self._state(name)
        if taken:
            return state
        return LeaseHeld(state.holder, state.acquired_at, state.process, state.fence)

    def renew(self, name: str, fence: int, *, now: datetime, ttl: timedelta) -> bool:
        """Extend our lease. False when somebody took it over, which ends our right to go on."""
        return bool(
            self._connection.run(
                "UPDATE mmconsole_leases SET expires_at = ? WHERE name = ? AND fence = ? AND holder IS NOT NULL",
                (stored(now + ttl), name, fence),
            )
        )

    def release(self, name: str, fence: int) -> None:
        """Give it back; without effect when it is no longer ours. The number stays, so that it goes on growing."""
        self.begin_anew()
        self._connection.run(
            "UPDATE mmconsole_leases SET holder = NULL, expires_at = 0 WHERE name = ? AND fence = ?", (name, fence)
        )

    def find(self, name: str, *, now: datetime) -> Lease | None:
        """The lease as it is held now; None when it is free or has run out."""
        row = self._connection.row(
            "SELECT 1 FROM mmconsole_leases"
            " WHERE name = ? AND holder IS NOT NULL AND expires_at > ? AND expires_at <= ?",
            (name, *_held_at(now)),
        )
        return self._state(name) if row else None

    def held(self, prefix: str, *, now: datetime) -> list[Lease]:
        """The leases whose names begin so, as they are held now."""
        rows = self._connection.rows(
            "SELECT name, holder, fence, acquired_at, expires_at FROM mmconsole_leases"
            " WHERE name LIKE ? AND holder IS NOT NULL AND expires_at > ? AND expires_at <= ? ORDER BY name",
            (f"{prefix}%", *_held_at(now)),
        )
        return [_lease_of(row) for row in rows]

    def forget(self, prefix: str) -> None:
        """Remove leases that nobody will ever ask for again."""
        self.begin_anew()
        self._connection.run("DELETE FROM mmconsole_leases WHERE name LIKE ?", (f"{prefix}%",))

    def demand(self, name: str, fence: int) -> None:
        """Raises LeaseLost unless the lease still has this number: the first line of a fenced write.

        Asked once in a transaction: until its end nobody else can change the lease.
        """
        if (name, fence) in self._demanded:
            return
        found = self._connection.row(
            f"SELECT 1 FROM mmconsole_leases WHERE name = ? AND fence = ? AND holder IS NOT NULL{self._held}",  # noqa: S608
            (name, fence),
        )
        if not found:
            raise LeaseLost(lease=name)
        self._demanded.add((name, fence))

    def begin_anew(self) -> None:
        """Forget what was true in an earlier transaction, or before a change within this one."""
        self._demanded.clear()

    def _state(self, name: str) -> Lease:
        row = self._connection.row(
            "SELECT name, holder, fence, acquired_at, expires_at FROM mmconsole_leases WHERE name = ?", (name,)
        )
        if row is None:
            raise LeaseLost(lease=name)
        return _lease_of(row)


def _held_at(now: datetime) -> tuple[int, int]:
    """Between which moments a lease ends that is held now."""
    return stored(now), stored(now + _BELIEVED_FOR)


def _lease_of(row: Row) -> Lease:
    holder, _, process = (row[1] or "").partition(_BESIDE)
    return Lease(row[0], holder, row[2], moment_of(row[3]), moment_of(row[4]), process)
