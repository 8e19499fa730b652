"""How the settings fit the application's database: each mapped column, and what a migration would do."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from mmconsole.config import ProjectsTable, Settings, UsersTable
from mmconsole.database.address import address_of
from mmconsole.database.columns import Column, read_columns
from mmconsole.database.connection import Connection
from mmconsole.database.door import looked_at
from mmconsole.database.layout import OUR_FIELDS, read_layout, read_projects
from mmconsole.database.migrate import status
from mmconsole.errors import ColumnMissing, ColumnNarrow, ColumnUnfit, DatabaseError, OnlyAView, TableMissing

_SERVERS: Final = {
    "sqlite": ("SQLite", "SELECT sqlite_version()"),
    "postgresql": ("PostgreSQL", "SHOW server_version"),
    "mysql": ("MySQL", "SELECT VERSION()"),
}
_BEFORE_MARIADB: Final = "5.5.5-"
"""What replicas of old were told, so that they would not take 10 for older than 5."""


class Fit(StrEnum):
    FITS = "fits"
    ADDED = "added"
    """Not there yet; `mmconsole migrate` adds it."""
    MISSING = "missing"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Fitting:
    """One column that the settings name."""

    key: str
    """The setting, as `database.users.email`."""
    place: str
    """Table and column."""
    fit: Fit
    found: str
    """Its type as the database spells it; empty when it is not there."""


@dataclass(frozen=True, slots=True)
class Fittings:
    """What was found, and what stops a migration, if anything does."""

    database: str
    server: str
    columns: list[Fitting]
    fault: DatabaseError | None
    changes: list[str]
    """The migrations that would run."""


def fittings(settings: Settings, *, form: str, width: int) -> Fittings:
    """Look at the application's database, and change nothing. Raises DatabaseError when it cannot be opened.

    Tokens are stored as `form`, in up to `width` characters.
    """
    address = address_of(settings)
    changes = [one.name for one in status(settings) if not one.ran]
    with looked_at(address) as connection:
        users, projects = settings.users_table, settings.projects_table
        found = [*_fittings(connection, users), *(_fittings(connection, projects) if projects.table else ())]
        fault = _fault(connection, settings, address.name) or _narrow(connection, users, form=form, width=width)
        if isinstance(fault, ColumnUnfit):
            place = "{table}.{column}".format_map(fault.facts)
            found = [replace(one, fit=Fit.UNFIT) if one.place == place else one for one in found]
        return Fittings(address.name, _server(connection), found, fault, changes)


def _fittings(connection: Connection, names: UsersTable | ProjectsTable) -> Iterator[Fitting]:
    section = "users" if isinstance(names, UsersTable) else "projects"
    there = _columns(connection, names.table or "")
    written = _columns(connection, names.written) if isinstance(names, UsersTable) else {}
    for field, name in names.columns.items():
        if name:
            ours = section == "users" and field in OUR_FIELDS
            table = names.written if ours and isinstance(names, UsersTable) else names.table
            column = (written if ours else there).get(name)
            missing = Fit.ADDED if ours else Fit.MISSING
            fit, declared = (Fit.FITS, column.declared) if column else (missing, "")
            yield Fitting(f"database.{section}.{field}", f"{table}.{name}", fit, declared)


def _columns(connection: Connection, qualified: str) -> Mapping[str, Column]:
    return read_columns(connection, qualified)


def _fault(connection: Connection, settings: Settings, database: str) -> DatabaseError | None:
    """The first thing that opening the database would complain about, once it is migrated."""
    try:
        users = read_layout(connection, settings.users_table, database=database, embedded=False, migrated=False)
        if not users.writable:
            return OnlyAView(table=settings.users_table.table)
        read_projects(connection, settings.projects_table, database=database)
    except (TableMissing, ColumnMissing, ColumnUnfit) as fault:
        return fault
    return None


def _narrow(connection: Connection, names: UsersTable, *, form: str, width: int) -> ColumnNarrow | None:
    column = _columns(connection, names.written).get(names.token)
    if column is None or column.width is None or column.width >= width:
        return None
    return ColumnNarrow(table=names.table, column=names.token, found=column.width, needed=width, form=form)


def _server(connection: Connection) -> str:
    """As `PostgreSQL 15.10`."""
    dialect = connection.dialect
    name, asked = _SERVERS[dialect.name]
    said = str((connection.row(asked) or ("",))[0]).removeprefix(_BEFORE_MARIADB)
    number = re.match(r"[\d.]*", said)
    return f"{'MariaDB' if dialect.mariadb else name} {number[0] if number else ''}".rstrip()
