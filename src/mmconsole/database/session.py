"""What a change or a question is given: the repositories, on one plain connection."""

import sqlite3
from collections.abc import Callable
from time import monotonic, sleep
from typing import Final, TypeVar

from mmconsole.database import address
from mmconsole.database.activity import ActivityRepository
from mmconsole.database.callers import CallerRepository
from mmconsole.database.connection import Connection
from mmconsole.database.door import Door
from mmconsole.database.envelopes import EnvelopeRepository
from mmconsole.database.events import EventRepository
from mmconsole.database.faults import translated
from mmconsole.database.intents import IntentRepository
from mmconsole.database.jobs import JobRepository
from mmconsole.database.layout import Layout
from mmconsole.database.leases import LeaseRepository
from mmconsole.database.listing import Listing
from mmconsole.database.meta import MetaRepository
from mmconsole.database.names import NameRepository
from mmconsole.database.projects import ProjectRepository
from mmconsole.database.roster import Roster
from mmconsole.database.tickets import TicketRepository
from mmconsole.database.tokens import TokenRepository
from mmconsole.database.triggers import TriggerRepository

T = TypeVar("T")

_LOOK_EVERY: Final = 0.001
_LOOK_LESS_AFTER: Final = 0.5
_LOOK_LESS_EVERY: Final = 0.02
_MAIN_CODE: Final = 0xFF
"""Which bits of SQLite's code say what it is, without its closer circumstances."""


class Snapshot:
    """The repositories, as of one moment. What would write fails here."""

    __slots__ = (
        "activity",
        "callers",
        "envelopes",
        "events",
        "intents",
        "jobs",
        "leases",
        "listing",
        "meta",
        "names",
        "projects",
        "roster",
        "tickets",
        "tokens",
        "triggers",
    )

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self.roster = Roster(connection, layout)
        self.names = NameRepository(connection, layout)
        self.listing = Listing(connection, self.roster)
        self.envelopes = EnvelopeRepository(connection, layout)
        self.tokens = TokenRepository(connection)
        self.intents = IntentRepository(connection)
        self.jobs = JobRepository(connection)
        self.activity = ActivityRepository(connection)
        self.leases = LeaseRepository(connection)
        self.meta = MetaRepository(connection)
        self.projects = ProjectRepository(connection, layout.projects)
        self.tickets = TicketRepository(connection)
        self.callers = CallerRepository(connection)
        self.events = EventRepository(connection)
        self.triggers = TriggerRepository(connection, layout)


class Transaction(Snapshot):
    """The repositories within one change: all of it is stored, or nothing."""

    __slots__ = ()


class Session:
    """A connection of one thread, with its transactions said out loud."""

    __slots__ = ("_connection", "_database", "snapshot", "transaction")

    def __init__(self, door: Door, layout: Layout, *, database: str) -> None:
        self._database = database
        self._connection = door.open()
        self.snapshot = Snapshot(self._connection, layout)
        self.transaction = Transaction(self._connection, layout)

    def begin_writing(self) -> None:
        self.transaction.leases.begin_anew()
        if self._connection.dialect.sqlite:
            self._begin_in_turn()
        else:
            self._connection.run(self._connection.dialect.begin_writing)

    def _begin_in_turn(self) -> None:
        """Wait for the lock of another program, and take it within a millisecond after it is free.

        SQLite's own way sleeps longer and longer, up to 100 ms, while an application that writes all the time takes the
        lock again and again (at 100 commits a second it was a quarter of the time until a token was stored).
        """
        begun = monotonic()
        self._connection.run("PRAGMA busy_timeout = 0")
        try:
            while not self._begins(until=begun + address.BUSY_TIMEOUT):
                sleep(_LOOK_EVERY if monotonic() - begun < _LOOK_LESS_AFTER else _LOOK_LESS_EVERY)
        finally:
            # In the middle of a transaction, and where the file has no WAL, its own way will do.
            self._connection.run(f"PRAGMA busy_timeout = {int(address.BUSY_TIMEOUT * 1000)}")

    def _begins(self, *, until: float) -> bool:
        try:
            self._connection.run(self._connection.dialect.begin_writing)
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode & _MAIN_CODE != sqlite3.SQLITE_BUSY or monotonic() > until:
                raise
            return False
        return True

    def answer(self, query: Callable[[Snapshot], T]) -> T:
        """Ask within one snapshot. Its transaction is left to `roll_back`, whatever happens."""
        self._connection.run(self._connection.dialect.begin_reading)
        return query(self.snapshot)

    def commit(self) -> None:
        self._connection.run("COMMIT")

    def roll_back(self) -> bool:
        """End the transaction, if there is one. Returns whether the connection can still be used."""
        try:
            if self._connection.in_transaction:
                self._connection.run("ROLLBACK")
        except Exception:  # noqa: BLE001 - the driver's errors have no common class; a broken connection is replaced
            return False
        return True

    def set_savepoint(self) -> None:
        self._connection.run("SAVEPOINT caller")

    def back_to_savepoint(self, *, because: Exception) -> None:
        """Undo one caller's change. Raises the reason when the database has given up the whole transaction."""
        if not self._connection.in_transaction:
            raise because
        self._connection.run("ROLLBACK TO SAVEPOINT caller")
        self._connection.run("RELEASE SAVEPOINT caller")

    def release_savepoint(self) -> None:
        self._connection.run("RELEASE SAVEPOINT caller")

    def translated(self, fault: Exception) -> Exception:
        return translated(fault, self._database)

    def close(self) -> None:
        self._connection.close()
