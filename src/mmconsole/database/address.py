"""Where the database is, and how a connection to it is opened."""

import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mmconsole.config import Settings
from mmconsole.database.dialect import LOCK_TIMEOUT, STATEMENT_TIMEOUT
from mmconsole.database.faults import translated
from mmconsole.domain.filters import searchable
from mmconsole.errors import DatabaseError, DatabaseUnreachable, DriverMissing, NoDatabaseFile, NoPlaceForFile

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

BUSY_TIMEOUT: Final = 10.0
"""Seconds a SQLite connection waits for another program's lock before DatabaseBusy."""
CONNECT_TIMEOUT: Final = 10
"""Seconds until a server that does not answer counts as unreachable."""
_GATHERED: Final = 64 * 1024 * 1024
"""Bytes a page of glances may have: MySQL would cut it after one million."""
_DRIVERS: Final = {
    "sqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "pgsql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_FILE_OPTIONS: Final[dict[str, Any]] = {
    "timeout": BUSY_TIMEOUT,
    # Otherwise the driver begins and commits by its own rules, and savepoints mean nothing.
    "isolation_level": None,
    "check_same_thread": False,
}
_NO_URL: Final = "this is not a database URL"
_PACKAGES: Final = {"postgresql": "psycopg[binary]", "mysql": "PyMySQL"}
"""What the extras install: there, `pip install 'mmconsole[…]'` could bring a stranger's package of our name."""


@dataclass(frozen=True, slots=True)
class Address:
    """The database of a profile."""

    text: str = field(repr=False)
    """As `database.url` has it: it may carry a password."""
    embedded: bool
    """Whether the file is our own: then it is private, in WAL, and every commit reaches the disk."""

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(self.text.partition(":///")[2]) if self.sqlite else None

    @property
    def sqlite(self) -> bool:
        return self.text.startswith(("sqlite:", "sqlite+"))

    @property
    def url(self) -> "URL":
        """As SQLAlchemy has it, which takes 0.3 s to import: a file is found without."""
        from sqlalchemy import URL, make_url  # noqa: PLC0415

        if self.sqlite:
            return URL.create(_DRIVERS["sqlite"], database=str(self.file))
        url = make_url(self.text)
        return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))

    @property
    def name(self) -> str:
        """How messages call it: the file, or `name on host`; never with a password."""
        return str(self.file) if self.sqlite else f"{self.url.database or ''} on {self.url.host or 'localhost'}".strip()


def address_of(settings: Settings) -> Address:
    """The address the settings name. Raises DatabaseUnreachable when it cannot be meant."""
    address = Address(settings.database_url, settings.values.database.embedded)
    if address.sqlite:
        _demand_file(address)
    else:
        _demand_url(address)
    return address


def _demand_file(address: Address) -> None:
    if not re.match(r"sqlite(\+\w+)?://(/|\Z)", address.text):
        raise DatabaseUnreachable(database="in `database.url`", why=_NO_URL)
    if str(address.file) in {".", ":memory:"}:
        raise DatabaseUnreachable(database="in memory", why="each connection would see one of its own")
    if "?" in address.text and not address.embedded:
        raise DatabaseUnreachable(database=address.name.partition("?")[0], why="the address of a file has no options")


def _demand_url(address: Address) -> None:
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - as `url`

    try:
        _ = address.url
    except (ArgumentError, ValueError) as fault:
        raise DatabaseUnreachable(database="in `database.url`", why=_NO_URL) from fault


def make_engine(address: Address, *, plain: bool, read_only: bool = False) -> "Engine":
    """An engine without a pool: whoever asks for a connection keeps it.

    A plain one leaves BEGIN and COMMIT to its user; the other begins for SQLAlchemy, at once with the write lock.
    """
    from sqlalchemy import create_engine, event  # noqa: PLC0415 - as `url`
    from sqlalchemy.exc import NoSuchModuleError  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    try:
        # Parameters can be secrets, and SQLAlchemy's errors would quote them.
        engine = create_engine(address.url, poolclass=NullPool, hide_parameters=True, **_options(address, plain=plain))
    except (ModuleNotFoundError, NoSuchModuleError) as fault:
        raise _missing_driver(address) from fault
    if address.sqlite:
        event.listen(
            engine, "connect", lambda driver, _: _set_up(driver, embedded=address.embedded, read_only=read_only)
        )
    if address.url.get_backend_name() == "mysql":
        event.listen(engine, "connect", _set_up_mysql(read_only=read_only))
    if address.sqlite and not plain:
        # A deferred BEGIN that reads and then writes fails at once when another program writes in between.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def open_file(address: Address, *, read_only: bool) -> sqlite3.Connection:
    """A connection to a file, which leaves BEGIN and COMMIT to its user."""
    driver: sqlite3.Connection = sqlite3.connect(str(address.file), **_FILE_OPTIONS)
    _set_up(driver, embedded=address.embedded, read_only=read_only)
    return driver


@contextmanager
def connected(address: Address, *, changing: bool = False) -> Iterator["Connection"]:
    """A connection of SQLAlchemy's for one look, or for changes in transactions.

    Raises DatabaseUnreachable when there is no such file; what goes wrong inside is told in this room's errors.
    """
    with told(address):
        engine = make_engine(address, plain=not changing, read_only=not changing)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


@contextmanager
def told(address: Address) -> Iterator[None]:
    """Raises DatabaseUnreachable when there is no such file; what goes wrong inside is told in this room's errors."""
    if address.file is not None and not address.file.exists():
        raise NoDatabaseFile(database=address.name)
    try:
        yield
    except Exception as fault:
        ours = translated(fault, address.name)
        if ours is fault:
            raise
        raise ours from ours.__cause__


def make_file(address: Address) -> None:
    """Make the embedded file, for our eyes only. SQLite gives its journal files the same rights."""
    if address.file is None or not address.embedded:
        return
    try:
        address.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(address.file, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as fault:
        raise NoPlaceForFile(database=address.name, why=fault.strerror or "it cannot be made") from fault


def fold(text: object) -> str | None:
    """An address or name as it is compared: trimmed, lower case in every script. The same as `User.address`."""
    return None if text is None else str(text).strip().lower()


def _searchable(text: bytes) -> str:
    return searchable(text.decode("utf-8", "replace"))


def _options(address: Address, *, plain: bool) -> dict[str, Any]:
    if address.sqlite:
        return {"connect_args": _FILE_OPTIONS}
    options = _server_options(address)
    return options | {"isolation_level": "AUTOCOMMIT"} if plain else options


def _server_options(address: Address) -> dict[str, Any]:
    if address.url.get_backend_name() == "mysql":
        silence = STATEMENT_TIMEOUT + 10
        waits = {"connect_timeout": CONNECT_TIMEOUT, "read_timeout": silence, "write_timeout": silence}
        return {"connect_args": waits | {"charset": "utf8mb4"}}
    # A pooler between us gives each transaction another connection of the server, where nothing was prepared.
    connect = {"connect_timeout": CONNECT_TIMEOUT, "prepare_threshold": None, "client_encoding": "utf8"}
    return {"connect_args": connect, "use_native_hstore": False}


def _set_up(connection: sqlite3.Connection, *, embedded: bool, read_only: bool) -> None:
    # SQLite's own lower() knows ASCII only: Ümlaut@x and ümlaut@x would count as two addresses.
    connection.create_function("mmconsole_fold", 1, fold, deterministic=True)
    connection.create_function("mmconsole_searchable", 1, _searchable, deterministic=True)
    connection.execute("PRAGMA foreign_keys = ON")
    if embedded:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    if read_only:
        connection.execute("PRAGMA query_only = ON")


def _set_up_mysql(*, read_only: bool) -> "Callable[[DBAPIConnection, object], None]":
    """What the server's own settings may have otherwise: cut what is too long, quote by other signs, shift hours."""
    # As on PostgreSQL, each statement of a change sees what others have committed, and a reader sees one moment.
    level = "REPEATABLE READ" if read_only else "READ COMMITTED"

    def set_up(connection: "DBAPIConnection", _record: object) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00',"
                f" innodb_lock_wait_timeout = {LOCK_TIMEOUT}, group_concat_max_len = {_GATHERED}"
                f" /*M!100100 , max_statement_time = {STATEMENT_TIMEOUT} */"
            )
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")

    return set_up


def _missing_driver(address: Address) -> DatabaseError:
    package = _PACKAGES.get(address.url.drivername.partition("+")[0])
    if package is None:
        why = f"`{address.url.drivername}` is not known; use sqlite, postgresql or mysql"
        return DatabaseUnreachable(database=address.name, why=why)
    return DriverMissing(database=address.name, package=package)
