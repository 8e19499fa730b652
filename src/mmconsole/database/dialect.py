"""What the databases spell differently, each spelled here and nowhere else."""

from collections.abc import Sequence
from typing import Final

# Letter by letter: a class like \s means something else in each regular expression.
_SPACES: Final = "".join(letter for letter in map(chr, range(0x3001)) if letter.isspace())
_PLAIN_SPACES: Final = f"CHAR({', '.join(str(ord(letter)) for letter in _SPACES if letter.isascii())})"
# ICU folds as Python does, whatever the database's own locale is; under `C` it would fold ASCII only.
_PYTHON_LIKE: Final = 'COLLATE "und-x-icu"'
_ZERO_DATE: Final = "0000-00-00%"
NOES: Final = ("", "0", "0.0", "f", "false", "n", "no", "off", "0000-00-00 00:00:00")
"""What says no in a column that may hold a moment, a number, a boolean or a word, trimmed and in lower case."""
# Said within each transaction: a pooler may give the next one another connection of the server.
_LOCALLY: Final = (
    "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL lock_timeout = '{lock}s';"
    " SET LOCAL statement_timeout = '{statement}s'"
)
LOCK_TIMEOUT: Final = 10
"""Seconds a statement waits for a lock of another program before DatabaseBusy."""
STATEMENT_TIMEOUT: Final = 60
"""Seconds a statement may take on a server."""


class Dialect:
    """Pieces of statements for one database."""

    __slots__ = ("_binary", "mariadb", "mysql", "name", "postgresql", "sqlite")

    def __init__(self, name: str, *, mariadb: bool = False) -> None:
        self.name = name
        """`sqlite`, `postgresql`, or `mysql`, which stands for MariaDB too."""
        self.sqlite, self.postgresql, self.mysql = (self.name == one for one in ("sqlite", "postgresql", "mysql"))
        self.mariadb = mariadb
        self._binary = exact_collation(mariadb=mariadb)

    def quote(self, identifier: str) -> str:
        """A table or column name of the application; a schema may stand before the table's name."""
        sign = "`" if self.mysql else '"'
        return ".".join(f"{sign}{part.replace(sign, sign * 2)}{sign}" for part in identifier.split("."))

    def as_text(self, expression: str) -> str:
        """The expression as text that is compared letter by letter, case and all."""
        if self.mysql:
            return f"CAST({expression} AS CHAR CHARACTER SET utf8mb4) COLLATE {self._binary}"
        return f"CAST({expression} AS TEXT)"

    def moment(self, column: str) -> str:
        """A column that says when, or NULL: MySQL has a date that means never."""
        if not self.mysql:
            return column
        return f"CASE WHEN {self.as_text(column)} LIKE '{_ZERO_DATE}' THEN NULL ELSE {column} END"

    def says_yes(self, column: str) -> str:
        """Whether a column that is not NULL says yes. The same as `says_yes` of a row that was read."""
        noes = ", ".join(f"'{no}'" for no in NOES)
        return f"{self.folded(self.as_text(column))} NOT IN ({noes})"

    def folded(self, expression: str) -> str:
        """The expression trimmed and in lower case, for comparing. The same as `User.address`."""
        if not self.sqlite:
            spaces = self._spaces
            return self._lower(self._replaced(self.as_text(expression), f"^{spaces}+|{spaces}+$", ""))
        # What is ASCII throughout, nearly everything, has as many bytes as letters, and SQLite folds it without a call
        # into Python. To ask for that by a pattern takes twice as long as to fold.
        return (
            f"CASE WHEN LENGTH(CAST({expression} AS BLOB)) > LENGTH({expression}) THEN mmconsole_fold({expression})"
            f" ELSE LOWER(TRIM({expression}, {_PLAIN_SPACES})) END"
        )

    def searchable(self, text: str) -> str:
        """The text as it is searched in. The same as `searchable` of the domain."""
        if not self.sqlite:
            return self._lower(f"TRIM({self._replaced(text, f'{self._spaces}+', ' ')})")
        # As bytes, since a text that is no valid UTF-8 cannot be handed to a function. To ask first whether the text is
        # plain ASCII, which SQLite could fold itself, takes three times as long as to call Python for all of them.
        return f"mmconsole_searchable(CAST({text} AS BLOB))"

    def position(self, text: str) -> str:
        """Where a value stands in a text; 0 for nowhere."""
        return f"STRPOS({text}, ?)" if self.postgresql else f"INSTR({text}, ?)"

    def joined(self, separator: str, texts: Sequence[str]) -> str:
        """Texts behind each other. None of them may be NULL."""
        if self.sqlite:
            return f"({f' || {separator} || '.join(texts)})"
        return f"CONCAT_WS({separator}, {', '.join(texts)})"

    def array(self, expressions: Sequence[str]) -> str:
        """Some values as a JSON list, which keeps NULL and an empty text apart."""
        name = "json_build_array" if self.postgresql else "json_array"
        return f"{name}({', '.join(expressions)})"

    def unpacked(self) -> str:
        """A query for the texts of one value, a JSON list: however many there are, it is one value."""
        if self.sqlite:
            return "SELECT value FROM json_each(?)"
        if self.postgresql:
            return "SELECT jsonb_array_elements_text(CAST(? AS jsonb))"
        columns = "COLUMNS (value VARCHAR(191) PATH '$')"
        return f"SELECT {self.as_text('j.value')} FROM JSON_TABLE(?, '$[*]' {columns}) j"  # noqa: S608 - our own words

    def gathered(self, query: str) -> str:
        """A query whose rows, each a JSON list under the name `line`, come as one JSON list of them.

        SQLite's driver lets go of the interpreter between any two rows, and beside a busy event loop each row is then
        a wait for it: 5,000 rows at once cost a quarter of the time.
        """
        gather = {
            "sqlite": "'[' || COALESCE(GROUP_CONCAT(line, ','), '') || ']'",
            "postgresql": "CAST(json_agg(line) AS TEXT)",
            "mysql": "CONCAT('[', COALESCE(GROUP_CONCAT(line SEPARATOR ','), ''), ']')",
        }
        return f"SELECT {gather[self.name]} FROM ({query}) page"  # noqa: S608 - a query of ours

    def ordered(self, key: str, direction: str) -> tuple[str, int]:
        """What stands behind ORDER BY, its NULLs last, and how often the key stands in it."""
        return (f"({key}) IS NULL, {key} {direction}", 2) if self.mysql else (f"{key} {direction} NULLS LAST", 1)

    def upsert(self, table: str, keys: Sequence[str], columns: Sequence[str]) -> str:
        """INSERT, or UPDATE of the columns where the keys exist. Without columns what exists is left as it is."""
        names = (*keys, *columns)
        marks = ", ".join("?" * len(names))
        insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - our own names
        if self.mysql:
            changes = ", ".join(f"{column} = VALUES({column})" for column in columns or keys[:1])
            return f"{insert} ON DUPLICATE KEY UPDATE {changes}"
        if not columns:
            return f"{insert} ON CONFLICT DO NOTHING"
        changes = ", ".join(f"{column} = excluded.{column}" for column in columns)
        return f"{insert} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"

    @property
    def held(self) -> str:
        """Stands behind a query for rows that nobody may change before our transaction ends.

        SQLite has one writer at a time, so there nobody can.
        """
        return {"sqlite": "", "postgresql": " FOR SHARE", "mysql": " LOCK IN SHARE MODE"}[self.name]

    @property
    def begin_writing(self) -> str:
        if self.sqlite:
            return "BEGIN IMMEDIATE"
        if self.mysql:
            return "START TRANSACTION"
        # Each statement sees what others have committed by then, as the fences need it.
        return f"BEGIN ISOLATION LEVEL READ COMMITTED; {_locally()}"

    @property
    def begin_reading(self) -> str:
        if self.sqlite:
            return "BEGIN"
        if self.mysql:
            return "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
        return f"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; {_locally()}"

    @property
    def _spaces(self) -> str:
        """What Python takes for space, as a class of a regular expression."""
        # ICU and Python agree about it, and a database in Latin-1 could not even be told all of them.
        return r"\s" if self.postgresql else f"[{_SPACES}]"

    def _replaced(self, text: str, pattern: str, by: str) -> str:
        if self.postgresql:
            return f"REGEXP_REPLACE({text} {_PYTHON_LIKE}, '{pattern}', '{by}', 'g')"
        return f"REGEXP_REPLACE({text}, '{pattern}', '{by}')"

    def _lower(self, text: str) -> str:
        return f'LOWER({text} {_PYTHON_LIKE}) COLLATE "C"' if self.postgresql else f"LOWER({text})"


def exact_collation(*, mariadb: bool) -> str:
    """MySQL's collation that takes no two texts for one: neither case nor outer spaces are overlooked."""
    return "utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin"


def _locally() -> str:
    return _LOCALLY.format(lock=LOCK_TIMEOUT, statement=STATEMENT_TIMEOUT)
