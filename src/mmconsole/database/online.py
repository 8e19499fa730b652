"""Columns added to and taken from a table that an application reads and writes meanwhile.

PostgreSQL and MySQL change the table's description alone, but for that they need it for themselves for a moment.
Waiting for this moment keeps all others waiting too, behind us: so we wait briefly (`wait_briefly`), give up, and the
caller comes again. MySQL would copy a large table where it cannot do it otherwise; it is told not to.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mmconsole.errors import TableNotOnline

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOCK_WAIT: Final = 2
"""Seconds during which others wait behind us, at most."""
_WAIT: Final = {
    "postgresql": f"SET LOCAL lock_timeout = '{LOCK_WAIT}s'",
    "mysql": f"SET SESSION lock_wait_timeout = {LOCK_WAIT}",
}
_ONLINE: Final = ("ALGORITHM=INSTANT", "ALGORITHM=INPLACE, LOCK=NONE")
_CANNOT: Final = frozenset({1845, 1846, 1221})
"""MySQL's numbers for an algorithm that this table, or this version, does not have."""


def wait_briefly(connection: "Connection") -> None:
    """Wait no longer for a table than an application can. A file has its own time-out."""
    if statement := _WAIT.get(connection.dialect.name):
        connection.exec_driver_sql(statement)


def add_columns(connection: "Connection", table: str, names: Sequence[str]) -> None:
    """Add columns for text, empty in every row. Raises TableNotOnline."""
    _alter(connection, table, [f"ADD COLUMN {_quoted(connection, name)} TEXT" for name in names])


def drop_columns(connection: "Connection", table: str, names: Sequence[str]) -> None:
    """Take columns away. SQLite does it in place, too: copying the table would lose the application's triggers."""
    _alter(connection, table, [f"DROP COLUMN {_quoted(connection, name)}" for name in names])


def _alter(connection: "Connection", table: str, changes: Sequence[str]) -> None:
    name = ".".join(_quoted(connection, part) for part in table.split("."))
    if not changes:
        return
    if connection.dialect.name == "mysql":
        _alter_online(connection, table, f"ALTER TABLE {name} {', '.join(changes)}")
        return
    for change in changes:
        connection.exec_driver_sql(f"ALTER TABLE {name} {change}")


def _alter_online(connection: "Connection", table: str, statement: str) -> None:
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - only a migration needs it

    for algorithm in _ONLINE:
        try:
            connection.exec_driver_sql(f"{statement}, {algorithm}")
        except DBAPIError as fault:
            if fault.orig is None or fault.orig.args[0] not in _CANNOT:
                raise
        else:
            return
    raise TableNotOnline(table=table, statement=statement)


def _quoted(connection: "Connection", name: str) -> str:
    return connection.dialect.identifier_preparer.quote(name)
