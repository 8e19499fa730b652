"""A plain connection: statements go to the driver as they are, rows come back to be read by index.

Statements are written with `?`; other drivers get their own placeholder. Hot paths run thousands of them a second,
so there is nothing between a repository and the driver but this class.
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from mmconsole.database.dialect import Dialect

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

T = TypeVar("T")

Row = tuple[Any, ...]
_QUOTED_OR_MARK: Final = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|\?|%""")
IN_LIST: Final = 500
"""Values per IN list: well below every driver's limit, and long enough that the round trips do not count."""


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


class Connection:
    """One connection and its dialect. Belongs to one thread."""

    __slots__ = ("_driver", "dialect")

    def __init__(self, driver: "DBAPIConnection | sqlite3.Connection", dialect: Dialect) -> None:
        self._driver: Any = driver
        self.dialect = dialect

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        try:
            return self._fetched(statement, values)
        except sqlite3.OperationalError as fault:
            if not str(fault).startswith("Could not decode to UTF-8"):
                raise
        # One row with broken text must not keep all others away, and SQLite's own message would quote the text.
        self._driver.text_factory = _lenient
        return self._fetched(statement, values)

    def row(self, statement: str, values: Sequence[object] = ()) -> Row | None:
        rows = self.rows(statement, values)
        return rows[0] if rows else None

    def _fetched(self, statement: str, values: Sequence[object]) -> list[Row]:
        with closing(self._driver.cursor()) as cursor:
            cursor.execute(self._spelled(statement), values)
            rows = cursor.fetchall()
            return cast("list[Row]", rows if isinstance(rows, list) else list(rows))

    def number(self, statement: str, values: Sequence[object] = ()) -> int:
        """The one number a statement answers; 0 for NULL."""
        row = self.row(statement, values)
        return int(row[0] or 0) if row else 0

    def run(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run a change. Returns how many rows it met."""
        with closing(self._driver.cursor()) as cursor:
            cursor.execute(self._spelled(statement), values)
            return int(cursor.rowcount)

    def run_many(self, statement: str, many: Iterable[Sequence[object]]) -> int:
        """Run a change for each set of values. Returns how many rows were met."""
        with closing(self._driver.cursor()) as cursor:
            cursor.executemany(self._spelled(statement), list(many))
            return max(int(cursor.rowcount), 0)

    def insert(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run an INSERT into a table that numbers its rows (`id`). Returns the number."""
        if self.dialect.postgresql:
            return self.number(f"{statement} RETURNING id", values)
        with closing(self._driver.cursor()) as cursor:
            cursor.execute(self._spelled(statement), values)
            return int(cursor.lastrowid)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is still open: SQLite ends it by itself when, say, its disk is full."""
        return bool(getattr(self._driver, "in_transaction", True))

    def close(self) -> None:
        # One that broke has nothing left to close.
        with suppress(Exception):
            self._driver.close()

    def _spelled(self, statement: str) -> str:
        return statement if self.dialect.sqlite else _spelled(statement)


@lru_cache(maxsize=1024)
def _spelled(statement: str) -> str:
    """With the placeholders of a server's driver: a `?` within quotes is a part of a name or text."""
    return _QUOTED_OR_MARK.sub(lambda found: "%s" if found[0] == "?" else found[0].replace("%", "%%"), statement)


def marks(count: int) -> str:
    """`?, ?, ?`"""
    return ", ".join("?" * count)


def chunks(many: Sequence[T], size: int = IN_LIST) -> Iterable[Sequence[T]]:
    return (many[start : start + size] for start in range(0, len(many), size))
