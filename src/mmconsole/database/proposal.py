"""A first look at a database that is to be attached: what its users table is like, before anything is configured."""

# ruff: noqa: S608 - the table's name is asked of the operator and quoted

from collections.abc import Callable, Collection
from dataclasses import dataclass

from mmconsole.config import Settings, UsersTable
from mmconsole.database.address import address_of
from mmconsole.database.columns import read_columns, read_tables
from mmconsole.database.connection import Connection
from mmconsole.database.door import looked_at
from mmconsole.database.faults import nearest
from mmconsole.errors import TableMissing

_SAMPLE = 1_000


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What was found."""

    columns: Collection[str]
    """Those of the users table."""
    users: int
    forms: Collection[str]
    """In which forms the token column holds something, by the caller's classifier; the first thousand values."""


def first_look(settings: Settings, classify: Callable[[str], str]) -> FirstLook:
    """Look at the users table that the settings name. Raises DatabaseUnreachable, TableMissing."""
    address = address_of(settings)
    with looked_at(address) as connection:
        return _looked(connection, settings.users_table, classify, address.name)


def _looked(connection: Connection, names: UsersTable, classify: Callable[[str], str], database: str) -> FirstLook:
    columns = list(read_columns(connection, names.table))
    if not columns:
        near = nearest(names.table.rpartition(".")[2], list(read_tables(connection, beside=names.table)))
        raise TableMissing(table=names.table, database=database, key="database.users.table", nearest=near)
    quote = connection.dialect.quote
    place = quote(names.table)
    users = connection.number(f"SELECT COUNT(*) FROM {place}")
    forms: set[str] = set()
    if names.token in columns:
        column = quote(names.token)
        query = f"SELECT {column} FROM {place} WHERE {column} IS NOT NULL AND {column} <> '' LIMIT {_SAMPLE}"
        forms = {classify(str(row[0])) for row in connection.rows(query)}
    return FirstLook(columns, users, forms)
