"""The statements of the roster, written once for the names the settings give."""

# ruff: noqa: S608 - names come from the settings and are quoted; values are always parameters

from dataclasses import dataclass
from typing import Final

from mmconsole.config import UsersTable
from mmconsole.database.dialect import Dialect
from mmconsole.database.tokens import COLUMNS
from mmconsole.domain.tokens import Health

RECORD_AT: Final = 12
"""Where our record begins in a joined row."""
_PUSHED: Final = (
    "email",
    "email_verified_at",
    "username",
    "name",
    "first_name",
    "last_name",
    "locale",
    "active",
    "deleted_at",
)
"""The fields of the mapping that a sync pushes or decides by."""


@dataclass(frozen=True, slots=True)
class Paged:
    """A statement for the first page and for those after a key."""

    first: str
    next: str


@dataclass(frozen=True, slots=True)
class HeldTwice:
    """Whether more than one row has a value, and which rows have such a one."""

    any: str
    whose: str


@dataclass(frozen=True, slots=True)
class Statements:
    """`{marks}` and `{changes}` are filled in when it is known how many there are."""

    page: Paged
    glances: Paged
    """Yields one text: a JSON list of lists of key, account, token, whether our record asks for nothing (1), the digest
    of what was last pushed, and the facts."""
    missing: Paged
    by_ids: str
    find: str
    count: str
    count_missing: str
    count_unlinked: str
    emails_held_twice: HeldTwice
    usernames_held_twice: HeldTwice | None
    linked_records: str
    existing: str
    envelopes: str
    held: Paged
    store: str
    ours: dict[str, str]


def statements_for(dialect: Dialect, names: UsersTable) -> Statements:
    return _Writer(dialect, names).write()


class _Writer:
    def __init__(self, dialect: Dialect, names: UsersTable) -> None:
        self.dialect = dialect
        self.names = names
        self.table = _escaped(dialect.quote(names.table))
        self.written = _escaped(dialect.quote(names.written))
        self.id = self.column("id")
        self.token = self.column("token")

    def column(self, field: str) -> str:
        """The mapped column of the users table `u`; NULL where there is none."""
        name = getattr(self.names, field)
        return f"u.{_escaped(self.dialect.quote(name))}" if name else "NULL"

    def write(self) -> Statements:
        has_token = f"({self.token} IS NOT NULL AND {self.token} <> '')"
        key = self.dialect.as_text(self.id)
        source = f"{self.table} u LEFT JOIN mmconsole_tokens t ON t.user_id = {key}"
        select = f"SELECT {self._selected(has_token)} FROM {source}"
        held = f"SELECT {self.id}, {self.token} FROM {self.table} u"
        missing = f"(NOT {has_token} OR t.token_id IS NULL) AND {self._active()}"
        return Statements(
            page=self._paged(select),
            glances=self._glances(source, key, has_token),
            missing=self._paged(select, missing),
            by_ids=f"{select} WHERE {self.id} IN ({{marks}})",
            find=_filled(self._find()),
            count=_filled(f"SELECT COUNT(*) FROM {self.table} u"),
            count_missing=_filled(f"SELECT COUNT(*) FROM {source} WHERE {missing}"),
            count_unlinked=_filled(f"SELECT COUNT(*) FROM {source} WHERE t.account_id IS NULL AND {self._active()}"),
            emails_held_twice=self._held_twice("email"),
            usernames_held_twice=self._held_twice("username") if self.names.username else None,
            linked_records=f"SELECT {COLUMNS} FROM mmconsole_tokens"
            " WHERE account_id IS NOT NULL AND user_id > ? ORDER BY user_id LIMIT ?",
            existing=f"SELECT {self.id} FROM {self.table} u WHERE {self.id} IN ({{marks}})",
            envelopes=f"{held} WHERE {has_token} AND {self.id} IN ({{marks}})",
            held=self._paged(held, has_token),
            store=f"UPDATE {self.written} SET {{changes}} WHERE {self.id.removeprefix('u.')} = ?",
            ours={field: self.dialect.quote(getattr(self.names, field)) for field in ("account_id", "token")},
        )

    def _selected(self, has_token: str) -> str:
        first = "name" if self.names.first_name is None and self.names.last_name is None else "first_name"
        selected = (
            self.column("id"),
            self._text("email"),
            self.dialect.moment(self.column("email_verified_at")),
            self._text("username"),
            self._text(first),
            self._text("last_name"),
            self._text("locale"),
            self.column("active"),
            self._deleted(),
            self._text("account_id"),
            has_token,
            self.dialect.as_text(self._facts()),
        )
        return ", ".join((*selected, *(f"t.{column.strip()}" for column in COLUMNS.split(","))))

    def _facts(self) -> str:
        return self.dialect.array([self.dialect.as_text(self.column(field)) for field in _PUSHED])

    def _glances(self, source: str, key: str, has_token: str) -> Paged:
        # The same as `looks_settled`: only of an active user is anything pushed, and the facts say who is active.
        settled = f"t.token_id IS NOT NULL AND t.health = '{Health.OK.value}' AND NOT t.withheld AND {has_token}"
        seen = (
            key,
            "t.account_id",
            "t.token_id",
            f"CASE WHEN {settled} THEN 1 ELSE 0 END",
            "t.pushed_digest",
            self._facts(),
        )
        one_by_one = self._paged(f"SELECT {self.dialect.array(seen)} AS line FROM {source}")
        return Paged(self.dialect.gathered(one_by_one.first), self.dialect.gathered(one_by_one.next))

    def _text(self, field: str) -> str:
        """The mapped column; SQLite holds numbers in text columns if told to, so there it is asked for text."""
        return self.dialect.as_text(self.column(field)) if self.dialect.sqlite else self.column(field)

    def _paged(self, select: str, condition: str = "1 = 1") -> Paged:
        order = f"ORDER BY {self.id} LIMIT ?"
        return Paged(
            _filled(f"{select} WHERE {condition} {order}"),
            _filled(f"{select} WHERE {self.id} > ? AND {condition} {order}"),
        )

    def _active(self) -> str:
        """Not deleted, and not said to be inactive: the same as `User.active`."""
        conditions = [f"{self._deleted()} IS NULL"]
        if self.names.active:
            active = self.column("active")
            conditions.append(f"({active} IS NULL OR {self.dialect.says_yes(active)})")
        return " AND ".join(conditions)

    def _deleted(self) -> str:
        return self.dialect.moment(self.column("deleted_at"))

    def _find(self) -> str:
        conditions = [f"{self.dialect.folded(self.column('email'))} = ?"]
        if self.names.username:
            conditions.append(f"{self.dialect.folded(self.column('username'))} = ?")
        return f"SELECT {self.id} FROM {self.table} u WHERE {' OR '.join(conditions)} ORDER BY {self.id}"

    def _held_twice(self, field: str) -> HeldTwice:
        folded = self.dialect.folded(self.column(field))
        there = f"{self._deleted()} IS NULL AND {self.column(field)} IS NOT NULL"
        shared = f"SELECT {folded} AS held FROM {self.table} u WHERE {there} GROUP BY 1 HAVING COUNT(*) > 1"
        whose = (
            f"SELECT {self.id} FROM {self.table} u JOIN ({shared}) s ON s.held = {folded}"
            f" WHERE {there} AND s.held <> ''"
        )
        return HeldTwice(_filled(f"{shared} LIMIT 1"), _filled(whose))


def _escaped(name: str) -> str:
    """Braces of a name must survive `format`."""
    return name.replace("{", "{{").replace("}", "}}")


def _filled(statement: str) -> str:
    return statement.format()
