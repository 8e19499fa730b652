"""Where the database is, and how a connection to it is opened."""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from mmconsole.config import Settings
from mmconsole.errors import DatabaseUnreachable

BUSY_TIMEOUT: Final = 10.0
"""Seconds a SQLite connection waits for another program's lock before DatabaseBusy."""
_DRIVERS: Final = {
    "sqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "pgsql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_EXTRAS: Final = {"postgresql": "postgresql", "mysql": "mysql"}


@dataclass(frozen=True, slots=True)
class Address:
    """The database of a profile."""

    url: URL
    embedded: bool
    """Whether the file is our own: then it is private, in WAL, and every commit reaches the disk."""

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(self.url.database) if self.sqlite and self.url.database else None

    @property
    def sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def name(self) -> str:
        """How messages call it: the file, or `name on host`; never with a password."""
        return str(self.file) if self.sqlite else f"{self.url.database} on {self.url.host or 'localhost'}"


def address_of(settings: Settings) -> Address:
    """The address the settings name. Raises DatabaseUnreachable when it cannot be meant."""
    try:
        url = make_url(settings.database_url)
    except ArgumentError as fault:
        raise DatabaseUnreachable(database="in `database.url`", why="this is not a database URL") from fault
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    address = Address(url, settings.values.database.embedded)
    if address.sqlite and url.database in {None, "", ":memory:"}:
        raise DatabaseUnreachable(database="in memory", why="each connection would see one of its own")
    return address


def make_engine(address: Address, *, plain: bool, read_only: bool = False) -> Engine:
    """An engine without a pool: whoever asks for a connection keeps it.

    A plain one leaves BEGIN and COMMIT to its user; the other begins for SQLAlchemy, at once with the write lock.
    """
    try:
        # Parameters can be secrets, and SQLAlchemy's errors would quote them.
        engine = create_engine(address.url, poolclass=NullPool, hide_parameters=True, **_options(address, plain=plain))
    except (ModuleNotFoundError, NoSuchModuleError) as fault:
        raise DatabaseUnreachable(database=address.name, why=_missing_driver(address)) from fault
    if address.sqlite:
        event.listen(engine, "connect", _set_up_sqlite(embedded=address.embedded, read_only=read_only))
    if address.sqlite and not plain:
        # A deferred BEGIN that reads and then writes fails at once when another program writes in between.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def make_file(address: Address) -> None:
    """Make the embedded file, for our eyes only. SQLite gives its journal files the same rights."""
    if address.file is None or not address.embedded:
        return
    try:
        address.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(address.file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as fault:
        raise DatabaseUnreachable(database=address.name, why=fault.strerror or "it cannot be made") from fault


def fold(text: object) -> str | None:
    """An address or name as it is compared: trimmed, lower case in every script. The same as `User.address`."""
    return None if text is None else str(text).strip().lower()


def _options(address: Address, *, plain: bool) -> dict[str, Any]:
    if address.sqlite:
        # Without isolation_level=None the driver begins and commits by its own rules, and savepoints mean nothing.
        return {"connect_args": {"timeout": BUSY_TIMEOUT, "isolation_level": None, "check_same_thread": False}}
    options: dict[str, Any] = {"connect_args": {"connect_timeout": 10}}
    return options | {"isolation_level": "AUTOCOMMIT"} if plain else options


def _set_up_sqlite(*, embedded: bool, read_only: bool) -> Callable[[sqlite3.Connection, object], None]:
    def set_up(connection: sqlite3.Connection, _record: object) -> None:
        # SQLite's own lower() knows ASCII only: Ümlaut@x and ümlaut@x would count as two addresses.
        connection.create_function("mmconsole_fold", 1, fold, deterministic=True)
        connection.execute("PRAGMA foreign_keys = ON")
        if embedded:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        if read_only:
            connection.execute("PRAGMA query_only = ON")

    return set_up


def _missing_driver(address: Address) -> str:
    extra = _EXTRAS.get(address.url.drivername.partition("+")[0])
    if extra is None:
        return f"`{address.url.drivername}` is not known; use sqlite, postgresql or mysql"
    return f"its driver is not installed (pip install 'mmconsole[{extra}]')"
