"""What the tables of an application are, and what their columns can hold."""

# ruff: noqa: S608 - pieces of our own

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mmconsole.database.connection import Connection, Row

# SQLite takes any word for a type; these say that a column is not meant for text.
_NOT_TEXT: Final = re.compile(r"BLOB|BINARY|REAL|FLOA|DOUB|BOOL|DATE|TIME|JSON", re.IGNORECASE)
_INTEGER: Final = re.compile(r"INT|SERIAL", re.IGNORECASE)
# A table without a schema is the one that a statement would mean: PostgreSQL looks along its search path.
_FOUND_WITHOUT: Final = "CASE WHEN CAST(? AS text) IS NULL THEN pg_table_is_visible(c.oid) ELSE n.nspname = ? END"
_COLUMNS: Final = {
    "sqlite": "SELECT name, type FROM pragma_table_xinfo(?)",
    "postgresql": "SELECT a.attname, t.typname, t.typcategory, format_type(a.atttypid, a.atttypmod), a.atttypmod"
    " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
    " JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace"
    f" WHERE {_FOUND_WITHOUT} AND c.relname = ? AND c.relkind IN ('r', 'p', 'f', 'v', 'm')"
    " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    # Those that this user may see.
    "mysql": "SELECT column_name, data_type, column_type, character_maximum_length, numeric_scale"
    " FROM information_schema.columns WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?"
    " ORDER BY ordinal_position",
}
_TABLES: Final = {
    "sqlite": "SELECT name, type = 'view' FROM sqlite_master WHERE type IN ('table', 'view')",
    "postgresql": "SELECT c.relname, c.relkind = 'v' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    f" WHERE {_FOUND_WITHOUT} AND c.relkind IN ('r', 'p', 'f', 'v') AND n.nspname <> 'pg_catalog'",
    "mysql": "SELECT table_name, table_type = 'VIEW' FROM information_schema.tables"
    " WHERE table_schema = COALESCE(?, DATABASE())",
}
_HEADER: Final = 4
"""PostgreSQL counts it into the width of a text."""


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


def read_columns(connection: Connection, qualified: str) -> dict[str, Column]:
    """The columns of a table or view by name; nothing when there is no such table. A schema may stand before it."""
    schema, _, table = qualified.rpartition(".")
    name = connection.dialect.name
    about = {"sqlite": (table,), "postgresql": (schema or None, schema, table), "mysql": (schema or None, table)}
    of = {"sqlite": _of_sqlite, "postgresql": _of_postgresql, "mysql": _of_mysql}
    return {str(row[0]): of[name](row) for row in connection.rows(_COLUMNS[name], about[name])}


def read_tables(connection: Connection, *, beside: str) -> dict[str, bool]:
    """The tables and views where a table is looked for, and of each whether it is a view."""
    schema = beside.rpartition(".")[0]
    name = connection.dialect.name
    about = {"sqlite": (), "postgresql": (schema or None, schema), "mysql": (schema or None,)}
    return {str(table): bool(view) for table, view in connection.rows(_TABLES[name], about[name])}


def is_view(connection: Connection, qualified: str) -> bool:
    return read_tables(connection, beside=qualified).get(qualified.rpartition(".")[2], False)


def _of_sqlite(row: Row) -> Column:
    _, declared = row
    if _INTEGER.search(declared):
        return Column(Kind.INTEGER, declared)
    # SQLite keeps a UUID as the text it is given.
    return Column(Kind.OTHER if _NOT_TEXT.search(declared) else Kind.TEXT, declared or "untyped")


def _of_postgresql(row: Row) -> Column:
    _, name, category, declared, detail = row
    if name in {"int2", "int4", "int8"} or (name == "numeric" and not _scale(detail)):
        return Column(Kind.INTEGER, declared)
    if name == "uuid":
        return Column(Kind.UUID, declared)
    # Enumerations are read and compared as text.
    if category not in {"S", "E"}:
        return Column(Kind.OTHER, declared)
    return Column(Kind.TEXT, declared, detail - _HEADER if detail > 0 and name in {"varchar", "bpchar"} else None)


def _scale(detail: int) -> int:
    """Digits behind the point of PostgreSQL's numeric; 0 where nothing was said."""
    return (detail - _HEADER) & 0xFFFF if detail > 0 else 0


def _of_mysql(row: Row) -> Column:
    _, name, declared, width, scale = row
    if name.endswith("int") or (name == "decimal" and not scale):
        return Column(Kind.INTEGER, declared, width)
    if name == "uuid":
        return Column(Kind.UUID, declared, width)
    is_text = name.endswith(("char", "text")) or name in {"enum", "set"}
    return Column(Kind.TEXT if is_text else Kind.OTHER, declared, width)
