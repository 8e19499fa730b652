"""What the columns of an application's table can hold."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sqlalchemy import Connection as SqlConnection
from sqlalchemy import inspect
from sqlalchemy.types import Boolean, Integer, Numeric, String, TypeEngine, Uuid

# SQLite takes any word for a type; these say that a column is not meant for text.
_NOT_TEXT: Final = re.compile(r"BLOB|BINARY|REAL|FLOA|DOUB|BOOL|DATE|TIME|JSON", re.IGNORECASE)
_INTEGER: Final = re.compile(r"INT|SERIAL", re.IGNORECASE)


class Kind(Enum):
    INTEGER = "integer"
    UUID = "uuid"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Column:
    kind: Kind
    declared: str
    """Its type as the database spells it."""
    width: int | None = None
    """Characters it holds; None means no limit. SQLite has none, whatever is declared."""


def read_columns(connection: SqlConnection, table: str, *, schema: str | None) -> dict[str, Column]:
    """The columns of a table or view by name; nothing when there is no such table."""
    if connection.dialect.name == "sqlite":
        return _of_sqlite(connection, table)
    inspector = inspect(connection)
    if not (inspector.has_table(table, schema=schema)):
        return {}
    return {column["name"]: _of_type(column["type"]) for column in inspector.get_columns(table, schema=schema)}


def _of_sqlite(connection: SqlConnection, table: str) -> dict[str, Column]:
    rows = connection.exec_driver_sql("SELECT name, type FROM pragma_table_xinfo(?)", (table,))
    return {name: Column(_declared_kind(declared), declared or "untyped") for name, declared in rows}


def _declared_kind(declared: str) -> Kind:
    if _INTEGER.search(declared):
        return Kind.INTEGER
    # SQLite keeps a UUID as the text it is given.
    return Kind.OTHER if _NOT_TEXT.search(declared) else Kind.TEXT


def _of_type(kind: TypeEngine[Any]) -> Column:
    declared = str(kind)
    if isinstance(kind, Uuid):
        return Column(Kind.UUID, declared)
    if isinstance(kind, String):
        return Column(Kind.TEXT, declared, kind.length)
    whole = isinstance(kind, Integer) or (isinstance(kind, Numeric) and not kind.scale)
    return Column(Kind.INTEGER if whole and not isinstance(kind, Boolean) else Kind.OTHER, declared)
