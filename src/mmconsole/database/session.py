"""What a change or a question is given: the repositories, on one plain connection."""

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from mmconsole.database.activity import ActivityRepository
from mmconsole.database.connection import Connection, Dialect
from mmconsole.database.faults import translated
from mmconsole.database.intents import IntentRepository
from mmconsole.database.jobs import JobRepository
from mmconsole.database.layout import Layout
from mmconsole.database.leases import LeaseRepository
from mmconsole.database.meta import MetaRepository
from mmconsole.database.roster import Roster
from mmconsole.database.tokens import TokenRepository

T = TypeVar("T")

_BEGIN_READING: Final = {
    "sqlite": "BEGIN",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "mysql": "START TRANSACTION READ ONLY",
}


class Snapshot:
    """The repositories, as of one moment. What would write fails here."""

    __slots__ = ("activity", "intents", "jobs", "leases", "meta", "roster", "tokens")

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self.roster = Roster(connection, layout)
        self.tokens = TokenRepository(connection)
        self.intents = IntentRepository(connection)
        self.jobs = JobRepository(connection)
        self.activity = ActivityRepository(connection)
        self.leases = LeaseRepository(connection)
        self.meta = MetaRepository(connection)


class Transaction(Snapshot):
    """The repositories within one change: all of it is stored, or nothing."""

    __slots__ = ()


class Session:
    """A connection of one thread, with its transactions said out loud."""

    __slots__ = ("_connection", "_database", "_pooled", "snapshot", "transaction")

    def __init__(self, engine: Engine, layout: Layout, *, database: str) -> None:
        self._database = database
        try:
            self._pooled = engine.raw_connection()
        except Exception as fault:
            told = translated(fault, database)
            if told is fault:
                raise
            raise told from told.__cause__
        driver = self._pooled.driver_connection
        assert driver is not None  # noqa: S101 - only a detached connection has none
        self._connection = Connection(driver, Dialect(engine))
        self.snapshot = Snapshot(self._connection, layout)
        self.transaction = Transaction(self._connection, layout)

    def begin_writing(self) -> None:
        self.transaction.leases.begin_anew()
        self._connection.run("BEGIN IMMEDIATE" if self._connection.dialect.sqlite else "BEGIN")

    def answer(self, query: Callable[[Snapshot], T]) -> T:
        """Ask within one snapshot. Its transaction is left to `roll_back`, whatever happens."""
        self._connection.run(_BEGIN_READING[self._connection.dialect.name])
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
        try:
            self._pooled.close()
        except SQLAlchemyError:
            self._pooled.invalidate()
