"""Foreign errors, translated at the door of this room and nowhere else."""

import re
import sqlite3
from difflib import get_close_matches
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mmconsole.errors import (
    ColumnMissing,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnreachable,
    NotMigrated,
    TableMissing,
)

_NO_TABLE: Final = re.compile(r"no such table: (?:main\.)?(.+)")
_NO_COLUMN: Final = re.compile(r"(?:no such column: (?:\w+\.)?|has no column named )(.+)")
_PRIMARY: Final = 0xFF
"""SQLite's extended codes carry the plain one in their lowest byte."""


def translated(fault: Exception, database: str) -> Exception:
    """The room's error for a driver's; anything else (an error of ours, a programming mistake) as it is."""
    found = _found(fault, database)
    if found is not fault and isinstance(fault, sqlite3.Error | StopIteration):
        # The others quote whole rows in their details, and a row may hold a secret.
        found.__cause__ = fault
    return found


def nearest(name: str, known: list[str]) -> str:
    """` Did you mean ...?` or nothing."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean `{close[0]}`?" if close else ""


def _found(fault: Exception, database: str) -> Exception:
    driver = fault.orig if isinstance(fault, DBAPIError) else fault
    if isinstance(driver, sqlite3.Error):
        return _from_sqlite(driver, database)
    if isinstance(fault, DBAPIError) or type(driver).__module__.split(".")[0] in {"psycopg", "pymysql"}:
        return _from_server(driver, database)
    if isinstance(fault, StopIteration):
        return RuntimeError("a change or query ran out of values")  # a future cannot carry a StopIteration
    if isinstance(fault, SQLAlchemyError):
        return DatabaseError(database=database, why=str(fault))
    return fault


def _from_sqlite(fault: sqlite3.Error, database: str) -> DatabaseError:
    code = getattr(fault, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    match code & _PRIMARY:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return DatabaseBusy(database=database)
        case sqlite3.SQLITE_FULL:
            return DatabaseFull(database=database)
        # A quota that is used up comes as a failed write, not as a full disk.
        case sqlite3.SQLITE_IOERR if code == sqlite3.SQLITE_IOERR_WRITE:
            return DatabaseFull(database=database)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return DatabaseReadOnly(database=database, why=str(fault))
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_NOTADB:
            return DatabaseUnreachable(database=database, why=str(fault))
        case _:
            return _from_message(str(fault), database)


def _from_message(message: str, database: str) -> DatabaseError:
    table = _NO_TABLE.search(message)
    if table and table[1].startswith("mmconsole_"):
        return NotMigrated(database=database, missing=f"it has no table {table[1]}")
    if table:
        return TableMissing(database=database, table=table[1], key="database.users.table", nearest="")
    column = _NO_COLUMN.search(message)
    if column:
        return ColumnMissing(database=database, table="users", column=column[1], key="database.users", nearest="")
    return DatabaseError(database=database, why=message.rstrip("."))


def _from_server(fault: BaseException | None, database: str) -> DatabaseError:
    why = (str(fault).strip().splitlines() or ["no answer"])[0]
    if type(fault).__name__ in {"OperationalError", "InterfaceError"}:
        return DatabaseUnreachable(database=database, why=why)
    return DatabaseError(database=database, why=why)
