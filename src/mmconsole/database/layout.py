"""The application's users table as it really is: checked once, when the database is opened.

The settings name its table and columns. A wrong name must show here, with the setting to change, and not in the
middle of a sync.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection as SqlConnection
from sqlalchemy import inspect

from mmconsole.config import UsersTable
from mmconsole.database.columns import Column, Kind, read_columns
from mmconsole.database.faults import nearest
from mmconsole.domain.users import UserId
from mmconsole.errors import ColumnMissing, ColumnUnfit, TableMissing

OUR_FIELDS: Final = ("account_id", "token")
_TEXTS: Final = ("email", "name", "first_name", "last_name", "username", "locale", "account_id", "token")
_IDS: Final = frozenset({Kind.INTEGER, Kind.UUID, Kind.TEXT})
_ACCOUNT_ID_LENGTH: Final = 26
_INTEGERS: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Layout:
    """The mapped table, known to exist."""

    names: UsersTable
    id_kind: Kind
    """Comparing in the key's own type lets the database use its index."""
    embedded: bool
    token_width: int | None
    """Characters the token column holds; None means no limit."""

    def native(self, user_id: UserId) -> object | None:
        """The id as the application's column has it; None when no row of that table can have it."""
        if self.id_kind is Kind.INTEGER:
            return _as_integer(user_id)
        return _as_uuid(user_id) if self.id_kind is Kind.UUID else user_id


def read_layout(connection: SqlConnection, names: UsersTable, *, embedded: bool, migrated: bool = True) -> Layout:
    """Look at the table. Before the migration our two columns need not be there.

    Raises TableMissing, ColumnMissing or ColumnUnfit.
    """
    columns = _columns_of(connection, names)
    for field, name in names.model_dump(exclude={"table"}).items():
        if name and name not in columns and (migrated or field not in OUR_FIELDS):
            raise _missing(names, field, list(columns))
    for field in _TEXTS:
        _demand(names, columns, field, frozenset({Kind.TEXT}), "text")
    _demand(names, columns, "id", _IDS, "an integer, a UUID or text")
    _demand_width(names, columns.get(names.account_id))
    token = columns.get(names.token)
    return Layout(names, columns[names.id].kind, embedded, token.width if token else None)


def _columns_of(connection: SqlConnection, names: UsersTable) -> dict[str, Column]:
    schema, _, table = names.table.rpartition(".")
    columns = read_columns(connection, table, schema=schema or None)
    if columns:
        return columns
    inspector = inspect(connection)
    known = [*inspector.get_table_names(schema=schema or None), *inspector.get_view_names(schema=schema or None)]
    raise TableMissing(
        table=names.table,
        database=connection.engine.url.database,
        key="database.users.table",
        nearest=nearest(table, [name for name in known if not name.startswith("mmconsole_")]),
    )


def _missing(names: UsersTable, field: str, known: list[str]) -> ColumnMissing:
    name = getattr(names, field)
    optional = UsersTable.model_fields[field].annotation is not str
    near = nearest(name, known) or (" If there is none, set it to null." if optional else "")
    return ColumnMissing(table=names.table, column=name, key=f"database.users.{field}", nearest=near)


def _demand(names: UsersTable, columns: Mapping[str, Column], field: str, kinds: frozenset[Kind], needed: str) -> None:
    column = columns.get(getattr(names, field) or "")
    if column and column.kind not in kinds:
        raise ColumnUnfit(table=names.table, column=getattr(names, field), found=column.declared, needed=needed)


def _demand_width(names: UsersTable, column: Column | None) -> None:
    if column and column.width is not None and column.width < _ACCOUNT_ID_LENGTH:
        needed = f"text of {_ACCOUNT_ID_LENGTH} characters"
        raise ColumnUnfit(table=names.table, column=names.account_id, found=column.declared, needed=needed)


def _as_integer(user_id: UserId) -> int | None:
    """Only the usual spelling: `007`, ` 7` and Arabic digits are not the key of row 7."""
    digits = user_id.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(2**63)):
        return None
    number = int(user_id)
    return number if str(number) == user_id and number in _INTEGERS else None


def _as_uuid(user_id: UserId) -> str | None:
    try:
        return user_id if str(UUID(user_id)) == user_id else None
    except ValueError:
        return None
