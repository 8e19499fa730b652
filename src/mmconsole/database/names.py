"""Users by what people call them: many names are found in one pass over the table, however many there are."""

# ruff: noqa: S608 - names come from the settings and are quoted; values are always parameters

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mmconsole.database.connection import IN_LIST, Connection, Row, chunks, marks
from mmconsole.database.layout import Layout
from mmconsole.domain.users import UserId

_PAGE: Final = 5_000


class NameRepository:
    __slots__ = ("_columns", "_connection", "_id", "_layout", "_table")

    def __init__(self, connection: Connection, layout: Layout) -> None:
        names, dialect = layout.names, connection.dialect
        self._connection = connection
        self._layout = layout
        self._table = f"{dialect.quote(names.table)} u"
        self._id = f"u.{dialect.quote(names.id)}"
        mapped = [name for name in (names.email, names.username) if name]
        self._columns = [dialect.folded(f"u.{dialect.quote(name)}") for name in mapped]

    def find_all(self, names: Iterable[str]) -> dict[str, list[UserId]]:
        """For each name the user of this id, else those whose e-mail address or username it is.

        Case and outer space do not count. A name that fits nobody has an empty list.
        """
        said = {name: name.strip() for name in names}
        there = self._existing({text for text in said.values() if text})
        # Somebody else's username may be this id; the id must name its user all the same.
        called = self._called({text.lower() for text in said.values() if text and text not in there})
        return {name: [UserId(text)] if text in there else called[text.lower()] for name, text in said.items()}

    def _existing(self, texts: set[str]) -> set[str]:
        """Those that are ids of users."""
        natives = [native for text in texts if (native := self._layout.native(UserId(text))) is not None]
        found: set[str] = set()
        for chunk in chunks(natives):
            statement = f"SELECT {self._id} FROM {self._table} WHERE {self._id} IN ({marks(len(chunk))})"
            found |= {str(row[0]) for row in self._connection.rows(statement, chunk)}
        return found & texts

    def _called(self, wanted: set[str]) -> defaultdict[str, list[UserId]]:
        found: defaultdict[str, list[UserId]] = defaultdict(list)
        for key, *held in self._rows(sorted(wanted)):
            for name in wanted.intersection(held):
                found[name].append(UserId(str(key)))
        return found

    def _rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """The rows that may be called so: the database picks out a few, of many names it would need many passes."""
        select = f"SELECT {', '.join((self._id, *self._columns))} FROM {self._table}"
        if len(wanted) <= IN_LIST:
            condition = " OR ".join(f"{column} IN ({marks(len(wanted))})" for column in self._columns)
            values = [*wanted] * len(self._columns)
            yield from (
                self._connection.rows(f"{select} WHERE {condition} ORDER BY {self._id}", values) if wanted else ()
            )
            return
        order = f"ORDER BY {self._id} LIMIT {_PAGE}"
        rows = self._connection.rows(f"{select} {order}")
        while rows:
            yield from rows
            rows = self._connection.rows(f"{select} WHERE {self._id} > ? {order}", (rows[-1][0],))
