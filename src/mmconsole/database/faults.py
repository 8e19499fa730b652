"""Foreign errors, translated at the door of this room and nowhere else."""

import re
import sqlite3
from difflib import get_close_matches
from typing import Final

from mmconsole.errors import (
    ColumnMissing,
    ConnectionLost,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnreachable,
    LoginRefused,
    NoSuchDatabase,
    NotMigrated,
    RightMissing,
    ServerReadOnly,
    TableMissing,
    TlsRefused,
    TriggersNeedSuper,
)

_NO_TABLE: Final = re.compile(r"no such table: (?:main\.)?(.+)")
_NO_COLUMN: Final = re.compile(r"(?:no such column: (?:\w+\.)?|has no column named )(.+)")
# PostgreSQL's SQLSTATEs and MySQL's numbers.
_BY_CODE: Final[dict[str | int | None, type[DatabaseError]]] = {
    "28P01": LoginRefused,
    "28000": LoginRefused,
    1045: LoginRefused,
    1698: LoginRefused,
    "3D000": NoSuchDatabase,
    1049: NoSuchDatabase,
    "42501": RightMissing,
    1044: RightMissing,
    1142: RightMissing,
    1143: RightMissing,
    1227: RightMissing,
    1370: RightMissing,
    1419: TriggersNeedSuper,
    "53100": DatabaseFull,
    1021: DatabaseFull,
    1114: DatabaseFull,
    "55P03": DatabaseBusy,
    "40P01": DatabaseBusy,
    "40001": DatabaseBusy,
    1205: DatabaseBusy,
    1213: DatabaseBusy,
    "25006": ServerReadOnly,
    1290: ServerReadOnly,
    1792: ServerReadOnly,
    1836: ServerReadOnly,
    "57P01": ConnectionLost,
    "57P02": ConnectionLost,
    "57P03": DatabaseUnreachable,
    "08001": DatabaseUnreachable,
    2003: DatabaseUnreachable,
    1053: ConnectionLost,
    1927: ConnectionLost,
    2006: ConnectionLost,
    2013: ConnectionLost,
    2026: TlsRefused,
}
_BY_WORDS: Final[tuple[tuple[re.Pattern[str], type[DatabaseError]], ...]] = (
    (re.compile(r"password authentication failed|no password supplied|role .* does not exist"), LoginRefused),
    (re.compile(r"database .* does not exist"), NoSuchDatabase),
    (re.compile(r"SSL|TLS|certificate", re.IGNORECASE), TlsRefused),
    (re.compile(r"no pg_hba\.conf entry"), LoginRefused),
    (re.compile(r"connection failed|connection timeout|[Cc]onnection refused|starting up"), DatabaseUnreachable),
)
_NOT_THERE: Final = frozenset({"42P01", "42703", 1146, 1054})
_MISSING: Final = (
    re.compile(r'(?:relation|column) "([^"]+)"'),
    re.compile(r"column (\S+) does not exist"),
    re.compile(r"(?:Table|column) '([^']+)'", re.IGNORECASE),
)
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
    # SQLAlchemy wraps the driver's errors. It is known by its name, since to import it takes longer than most commands.
    wrapped = _library(fault) == "sqlalchemy"
    driver = (getattr(fault, "orig", None) or fault) if wrapped else fault
    if isinstance(driver, sqlite3.Error):
        return _from_sqlite(driver, database)
    if driver is not fault or _library(driver) in {"psycopg", "pymysql"}:
        return _from_server(driver, database)
    if isinstance(fault, StopIteration):
        return RuntimeError("a change or query ran out of values")  # a future cannot carry a StopIteration
    if wrapped:
        return DatabaseError(database=database, why=str(fault))
    return fault


def _library(fault: BaseException) -> str:
    return type(fault).__module__.split(".")[0]


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
    """What a server, or the driver in front of it, said: by its code, else by its words."""
    why, code = _first_line(fault), _code_of(fault)
    if code in _NOT_THERE:
        return _not_there(why, database)
    leaf = _BY_CODE.get(code) or next((leaf for words, leaf in _BY_WORDS if code is None and words.search(why)), None)
    if leaf is None:
        # What has no code comes from the driver: its connection is of no more use, or it was used wrongly.
        lost = code is None and type(fault).__name__ in {"OperationalError", "InterfaceError"}
        leaf = ConnectionLost if lost else DatabaseError
    return leaf(database=database, why=why)


def _code_of(fault: BaseException | None) -> str | int | None:
    """The server's SQLSTATE or number; None when the driver itself complains."""
    number = fault.args[0] if fault is not None and fault.args else None
    return number or None if isinstance(number, int) else getattr(fault, "sqlstate", None)


def _first_line(fault: BaseException | None) -> str:
    """What happened, without the details, which quote whole rows, and without MySQL's number."""
    said = fault.args[1] if fault is not None and len(fault.args) > 1 else fault
    return (str(said or "no answer").strip().splitlines() or ["no answer"])[0].rstrip(".")


def _not_there(why: str, database: str) -> DatabaseError:
    """A table or column that was there when the database was opened."""
    name = next((found[1].rpartition(".")[2] for words in _MISSING if (found := words.search(why))), "")
    if name.startswith("mmconsole_"):
        return NotMigrated(database=database, missing=f"it has no table {name}")
    if "column" in why.lower():
        return ColumnMissing(database=database, table="users", column=name, key="database.users", nearest="")
    return TableMissing(database=database, table=name, key="database.users.table", nearest="")
