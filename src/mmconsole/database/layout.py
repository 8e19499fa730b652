"""The application's tables as they really are: checked once, when the database is opened.

The settings name them and their columns. A wrong name must show here, with the setting to change, and not in the
middle of a sync.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mmconsole.config import ProjectsTable, UsersTable
from mmconsole.database.columns import Column, Kind, is_view, read_columns, read_tables
from mmconsole.database.connection import Connection
from mmconsole.database.faults import nearest
from mmconsole.domain.users import UserId
from mmconsole.errors import ColumnMissing, ColumnUnfit, TableMissing

OUR_FIELDS: Final = ("account_id", "token")
_TEXTS: Final = ("email", "name", "first_name", "last_name", "username", "locale", "account_id", "token")
_IDS: Final = frozenset({Kind.INTEGER, Kind.UUID, Kind.TEXT})
_ACCOUNT_ID_LENGTH: Final = 26
_INTEGERS: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class ProjectsLayout:
    """The mapped projects table, known to exist."""

    names: ProjectsTable
    table: str
    id_kind: Kind

    def native(self, project_id: str) -> object | None:
        """The id as the application's column has it; None when no row of that table can have it."""
        return _native(self.id_kind, project_id)


@dataclass(frozen=True, slots=True)
class Layout:
    """The mapped users table, known to exist, and the projects table where there is one."""

    names: UsersTable
    id_kind: Kind
    """Comparing in the key's own type lets the database use its index."""
    embedded: bool
    token_width: int | None
    """Characters the token column holds; None means no limit."""
    writable: bool = True
    """False when the settings name a view, and not the table behind it."""
    projects: ProjectsLayout | None = None

    def native(self, user_id: UserId) -> object | None:
        """The id as the application's column has it; None when no row of that table can have it."""
        return _native(self.id_kind, user_id)


def read_layout(
    connection: Connection, names: UsersTable, *, database: str, embedded: bool, migrated: bool = True
) -> Layout:
    """Look at the table. Before the migration our two columns need not be there.

    Raises TableMissing, ColumnMissing or ColumnUnfit.
    """
    columns = _columns_of(connection, names.table, database=database, key="users")
    for field, name in names.columns.items():
        if name and name not in columns and (migrated or field not in OUR_FIELDS):
            raise _missing(names, field, list(columns))
    for field in _TEXTS:
        _demand(names, columns, field, frozenset({Kind.TEXT}), "text")
    _demand(names, columns, "id", _IDS, "an integer, a UUID or text")
    _demand_width(names, columns.get(names.account_id))
    written = columns if names.base is None else _written(connection, names, database=database, migrated=migrated)
    token = written.get(names.token)
    writable = names.base is not None or not is_view(connection, names.table)
    return Layout(names, columns[names.id].kind, embedded, token.width if token else None, writable)


def _written(connection: Connection, names: UsersTable, *, database: str, migrated: bool) -> dict[str, Column]:
    """The columns of the table behind a view."""
    columns = _columns_of(connection, names.written, database=database, key="users", setting="base")
    for field in ("id", *(OUR_FIELDS if migrated else ())):
        if getattr(names, field) not in columns:
            raise _missing(names.model_copy(update={"table": names.base}), field, list(columns))
    return columns


def read_projects(connection: Connection, names: ProjectsTable, *, database: str) -> ProjectsLayout | None:
    """Look at the projects table; None when the settings name none.

    Raises TableMissing, ColumnMissing or ColumnUnfit.
    """
    if names.table is None:
        return None
    columns = _columns_of(connection, names.table, database=database, key="projects")
    for field, name in names.columns.items():
        if name and name not in columns:
            raise _missing(names, field, list(columns))
    for field in ("name", "team"):
        _demand(names, columns, field, frozenset({Kind.TEXT}), "text")
    _demand(names, columns, "id", _IDS, "an integer, a UUID or text")
    return ProjectsLayout(names, names.table, columns[names.id].kind)


def _columns_of(
    connection: Connection, qualified: str, *, database: str, key: str, setting: str = "table"
) -> dict[str, Column]:
    columns = read_columns(connection, qualified)
    if columns:
        return columns
    known = [name for name in read_tables(connection, beside=qualified) if not name.startswith("mmconsole_")]
    raise TableMissing(
        table=qualified,
        database=database,
        key=f"database.{key}.{setting}",
        nearest=nearest(qualified.rpartition(".")[2], known),
    )


_Names = UsersTable | ProjectsTable


def _missing(names: _Names, field: str, known: list[str]) -> ColumnMissing:
    name = getattr(names, field)
    optional = type(names).model_fields[field].annotation is not str
    near = nearest(name, known) or (" If there is none, set it to null." if optional else "")
    section = "users" if isinstance(names, UsersTable) else "projects"
    return ColumnMissing(table=names.table, column=name, key=f"database.{section}.{field}", nearest=near)


def _demand(names: _Names, columns: Mapping[str, Column], field: str, kinds: frozenset[Kind], needed: str) -> None:
    column = columns.get(getattr(names, field) or "")
    if column and column.kind not in kinds:
        raise ColumnUnfit(table=names.table, column=getattr(names, field), found=column.declared, needed=needed)


def _demand_width(names: UsersTable, column: Column | None) -> None:
    if column and column.width is not None and column.width < _ACCOUNT_ID_LENGTH:
        needed = f"text of {_ACCOUNT_ID_LENGTH} characters"
        raise ColumnUnfit(table=names.table, column=names.account_id, found=column.declared, needed=needed)


def _native(kind: Kind, key: str) -> object | None:
    if kind is Kind.INTEGER:
        return _as_integer(key)
    return _as_uuid(key) if kind is Kind.UUID else key


def _as_integer(key: str) -> int | None:
    """Only the usual spelling: `007`, ` 7` and Arabic digits are not the key of row 7."""
    digits = key.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(2**63)):
        return None
    number = int(key)
    return number if str(number) == key and number in _INTEGERS else None


def _as_uuid(key: str) -> str | None:
    try:
        return key if str(UUID(key)) == key else None
    except ValueError:
        return None
