"""The rights that the user of `database.url` has, tried without changing anything."""

# ruff: noqa: S608 - names come from the settings and are quoted; there are no values

from collections.abc import Iterable, Iterator
from typing import Final

from mmconsole.config import Settings
from mmconsole.database.address import address_of
from mmconsole.database.columns import read_columns
from mmconsole.database.connection import Connection
from mmconsole.database.door import looked_at
from mmconsole.database.faults import translated
from mmconsole.database.grants import NUMBERED, OUR_TABLES, SANCTUM_COLUMNS
from mmconsole.database.layout import OUR_FIELDS
from mmconsole.database.migrations import VERSION_TABLE
from mmconsole.errors import RightMissing

_CHANGES: Final = {
    "INSERT": "EXPLAIN INSERT INTO {table} SELECT * FROM {table}",
    "UPDATE": "EXPLAIN UPDATE {table} SET {column} = {column}",
    "DELETE": "EXPLAIN DELETE FROM {table}",
}
"""EXPLAIN wants the rights of what it explains, on PostgreSQL and on MariaDB, and does nothing."""


def refused_rights(settings: Settings) -> list[str]:
    """What every command but `migrate` needs and this user may not do, as `UPDATE on users`; nothing for a file.

    Raises DatabaseError.
    """
    address = address_of(settings)
    if address.sqlite:
        return []
    with looked_at(address) as connection:
        tried = [*_application(connection, settings), *_ours(connection)]
        return [right for right, statement in tried if _is_refused(connection, statement, address.name)]


def _is_refused(connection: Connection, statement: str, database: str) -> bool:
    try:
        answer = connection.rows(statement)
    except Exception as fault:
        if isinstance(translated(fault, database), RightMissing):
            return True
        raise
    return answer == [(False,)]


def _application(connection: Connection, settings: Settings) -> Iterator[tuple[str, str]]:
    """Each right and a statement that needs it, on the tables of the application."""
    users, projects = settings.users_table, settings.projects_table
    quote = connection.dialect.quote
    yield f"SELECT on {users.table}", _read(quote(users.table), map(quote, filter(None, users.columns.values())))
    ours = [quote(name) for field, name in users.columns.items() if field in OUR_FIELDS and name]
    same = ", ".join(f"{name} = {name}" for name in ours)
    yield f"UPDATE on {users.written}", f"EXPLAIN UPDATE {quote(users.written)} SET {same}"
    if projects.table:
        columns = map(quote, filter(None, projects.columns.values()))
        yield f"SELECT on {projects.table}", _read(quote(projects.table), columns)
    sanctum = settings.values.web.sanctum
    if sanctum.enabled:
        yield f"SELECT on {sanctum.table}", _read(quote(sanctum.table), map(quote, SANCTUM_COLUMNS))


def _ours(connection: Connection) -> Iterator[tuple[str, str]]:
    yield f"SELECT on {VERSION_TABLE}", _read(VERSION_TABLE, "*")
    for table in (f"mmconsole_{name}" for name in OUR_TABLES):
        yield f"SELECT on {table}", _read(table, "*")
        column = next(iter(read_columns(connection, table)), None)
        if column is None:
            continue
        for right, statement in _CHANGES.items():
            yield f"{right} on {table}", statement.format(table=table, column=column)
    if connection.dialect.postgresql:
        for sequence in (f"mmconsole_{name}_id_seq" for name in NUMBERED):
            yield f"USAGE on {sequence}", f"SELECT has_sequence_privilege('{sequence}', 'USAGE')"


def _read(table: str, columns: Iterable[str]) -> str:
    return f"SELECT {', '.join(columns)} FROM {table} WHERE 1 = 0"
