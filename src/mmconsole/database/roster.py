"""The application's users table: read by pages, by keys and by names; of a row only our two columns are written.

Ids are compared in the application's own type, so that its index is used, and leave as text. Each row comes with
what we remember of that user. The secret itself is read by `envelope` and `envelopes` alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import Any, Final

from msgspec import Raw
from msgspec.json import Decoder

from mmconsole.database.connection import Connection, Row, chunks, marks
from mmconsole.database.dialect import NOES
from mmconsole.database.embedded import EmbeddedUsers
from mmconsole.database.layout import Layout
from mmconsole.database.roster_statements import RECORD_AT, HeldTwice, Statements, statements_for
from mmconsole.database.tokens import record_of
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.tokens import Held, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import NotOurs, OnlyAView, RowMissing

UserAndRecord = tuple[User, TokenRecord | None]
PerhapsUser = tuple[User | None, TokenRecord | None]
"""Of a user whose row may be gone."""

PAGE: Final = 1000
_glances: Final = Decoder(list[tuple[UserId, AccountId | None, TokenId | None, int, str | None, Raw]])


@dataclass(frozen=True, slots=True)
class Settled:
    """Users of whom our own side asks nothing: the row is as it was last pushed, and `looks_settled`.

    The same place in each list is the same user: lists are compared whole, many times faster than user by user.
    """

    ids: list[UserId] = field(default_factory=list)
    accounts: list[AccountId] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Glances:
    """Users of a page."""

    settled: Settled
    others: list[UserId]
    last: UserId | None
    """The key after which the next page begins; None when there was nobody."""


class Keep(Enum):
    """Stands for a value that `store` leaves as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


class Roster:
    __slots__ = ("_connection", "_layout", "_split", "_statements")

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self._connection = connection
        self._layout = layout
        self._statements: Statements = statements_for(connection.dialect, layout.names)
        self._split = layout.names.first_name is None and layout.names.last_name is None

    @property
    def layout(self) -> Layout:
        return self._layout

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def page(self, after: UserId | None, limit: int, *, missing_only: bool = False) -> list[UserAndRecord]:
        """The next users in the order of the primary key, each with its record.

        `missing_only`: only active users without a stored token, or whose stored token we do not know.
        """
        statement = self._statements.missing if missing_only else self._statements.page
        if after is None:
            return self._users(self._connection.rows(statement.first, (limit,)))
        return self._users(self._connection.rows(statement.next, (self._native(after), limit)))

    def glances(self, after: UserId | None, limit: int) -> Glances:
        """The next users in the order of the primary key, sorted by whether they must be looked at whole."""
        statement = self._statements.glances
        if after is None:
            row = self._connection.row(statement.first, (limit,))
        else:
            row = self._connection.row(statement.next, (self._native(after), limit))
        return _sorted_out(_glances.decode(row[0]) if row and row[0] else [])

    def rows(self, ids: Sequence[UserId]) -> list[UserAndRecord]:
        """The users of these ids, in the same order; those without a row are left out."""
        found: dict[UserId, UserAndRecord] = {}
        for chunk in chunks(self._natives(ids)):
            statement = self._statements.by_ids.format(marks=marks(len(chunk)))
            found |= {pair[0].id: pair for pair in self._users(self._connection.rows(statement, chunk))}
        return [found[user_id] for user_id in dict.fromkeys(ids) if user_id in found]

    def row(self, user_id: UserId) -> PerhapsUser:
        """The user of this id; nothing where there is no row."""
        return next(iter(self.rows([user_id])), (None, None))

    def find(self, name: str) -> list[UserId]:
        """The user of this id, else those whose e-mail address or username it is. Case and outer space do not count."""
        wanted = name.strip().lower()
        found = [user.id for user, _ in self.rows([UserId(name.strip())])]
        if found:
            # Somebody else's username may be this id; the id must name its user all the same.
            return found
        values = [wanted] * (2 if self._layout.names.username else 1)
        found += [UserId(str(row[0])) for row in self._connection.rows(self._statements.find, values)]
        return list(dict.fromkeys(found))

    def count(self) -> int:
        return self._connection.number(self._statements.count)

    def count_missing(self) -> int:
        """How many users `page(missing_only=True)` would yield."""
        return self._connection.number(self._statements.count_missing)

    def count_unlinked(self) -> int:
        """How many active users have no account linked by us."""
        return self._connection.number(self._statements.count_unlinked)

    def emails_held_twice(self) -> frozenset[UserId]:
        """Users who share their address, in any case, with another row that is not deleted."""
        return self._held_twice(self._statements.emails_held_twice)

    def wanted_usernames_held_twice(self) -> frozenset[UserId]:
        """The same for the mapped username column; nobody, if there is none."""
        statement = self._statements.usernames_held_twice
        return self._held_twice(statement) if statement else frozenset()

    def removed(self, after: UserId | None, limit: int) -> list[TokenRecord]:
        """Records with an account whose user has no row any more, in the order of our own table.

        An id that this table's key cannot have says nothing about a row, so its record is not among them.
        """
        found: list[TokenRecord] = []
        last = str(after) if after is not None else ""
        while len(found) < limit:
            records = [record_of(row) for row in self._connection.rows(self._statements.linked_records, (last, PAGE))]
            gone = self._without_row([record.user_id for record in records])
            found += [record for record in records if record.user_id in gone]
            if len(records) < PAGE:
                break
            last = records[-1].user_id
        return found[:limit]

    def envelope(self, user_id: UserId) -> str | None:
        """What the row's token column holds; None when it is empty or there is no such row."""
        return self.envelopes([user_id]).get(user_id)

    def envelopes(self, ids: Sequence[UserId]) -> dict[UserId, str]:
        found: dict[UserId, str] = {}
        for chunk in chunks(self._natives(ids)):
            statement = self._statements.envelopes.format(marks=marks(len(chunk)))
            found |= {UserId(str(key)): str(held) for key, held in self._connection.rows(statement, chunk)}
        return found

    def forms(self, classify: Callable[[str], str], *, sample: int | None = None) -> dict[str, int]:
        """How many stored values there are of each form, by the caller's classifier, over all rows or the first."""
        counts: dict[str, int] = {}
        for seen, held in enumerate(self._held()):
            if sample is not None and seen >= sample:
                break
            form = classify(held)
            counts[form] = counts.get(form, 0) + 1
        return counts

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def store(
        self, user_id: UserId, *, account_id: str | Keep | None = KEEP, envelope: str | Keep | None = KEEP
    ) -> None:
        """Write the user's account id, token, or both: the only statement that changes the application's table.

        Raises RowMissing, OnlyAView.
        """
        if not self._layout.writable:
            raise OnlyAView(table=self._layout.names.table)
        given = {"account_id": account_id, "token": envelope}
        changes = {self._statements.ours[field]: value for field, value in given.items() if value is not KEEP}
        if not changes:
            return
        native = self._layout.native(user_id)
        statement = self._statements.store.format(changes=", ".join(f"{column} = ?" for column in changes))
        if native is None or not self._connection.run(statement, (*changes.values(), native)):
            raise RowMissing(user_id=user_id)

    @property
    def embedded(self) -> EmbeddedUsers:
        """The users of the embedded database, to change at will. Raises NotOurs for an application's."""
        if not self._layout.embedded:
            raise NotOurs(why=f"they are in {self._layout.names.table}, which belongs to the application")
        return EmbeddedUsers(self._connection)

    # ── rows into values ─────────────────────────────────────────────────────────────────────────

    def _users(self, rows: list[Row]) -> list[UserAndRecord]:
        split = self._split
        return [
            (_user(row, split=split), None if row[RECORD_AT] is None else record_of(row[RECORD_AT:])) for row in rows
        ]

    def _held_twice(self, statement: HeldTwice) -> frozenset[UserId]:
        # Mostly there is none, and finding out whose they are costs as much again.
        if self._connection.row(statement.any) is None:
            return frozenset()
        return frozenset(UserId(str(row[0])) for row in self._connection.rows(statement.whose))

    def _native(self, user_id: UserId) -> object:
        native = self._layout.native(user_id)
        if native is None:
            raise RowMissing(user_id=user_id)
        return native

    def _natives(self, ids: Sequence[UserId]) -> list[object]:
        natives = (self._layout.native(user_id) for user_id in dict.fromkeys(ids))
        return [native for native in natives if native is not None]

    def _without_row(self, ids: Sequence[UserId]) -> set[UserId]:
        there: set[str] = set()
        natives = self._natives(ids)
        for chunk in chunks(natives):
            statement = self._statements.existing.format(marks=marks(len(chunk)))
            there |= {str(row[0]) for row in self._connection.rows(statement, chunk)}
        return {UserId(text) for text in map(str, natives) if text not in there}

    def _held(self) -> Iterator[str]:
        rows = self._connection.rows(self._statements.held.first, (PAGE,))
        while rows:
            yield from (str(held) for _, held in rows)
            rows = self._connection.rows(self._statements.held.next, (rows[-1][0], PAGE))


def _user(row: Row, *, split: bool) -> User:
    """The first columns of a joined row as a value. Runs once per user and sync."""
    key, email, verified, username, first, last, locale, active, deleted, account_id, has_token, facts = row[:RECORD_AT]
    if split and first is not None:
        first, last = split_name(first)
    return User(
        UserId(str(key)),
        email,
        verified is not None and says_yes(verified),
        username or None,
        first,
        last,
        locale or None,
        deleted is None and (active is None or active == 1 or says_yes(active)),
        account_id or None,
        has_token == 1,
        _digest(facts.encode("utf-8", "surrogatepass")),
    )


def _digest(facts: bytes | Raw) -> str:
    return blake2b(facts, digest_size=12).hexdigest()


def _sorted_out(glances: list[tuple[UserId, AccountId | None, TokenId | None, int, str | None, Raw]]) -> Glances:
    settled = Settled()
    others: list[UserId] = []
    for user_id, account_id, token_id, ours, pushed, facts in glances:
        if ours and account_id and token_id and pushed == _digest(facts):
            settled.ids.append(user_id)
            settled.accounts.append(account_id)
            settled.held.append((token_id, account_id))
        else:
            others.append(user_id)
    return Glances(settled, others, glances[-1][0] if glances else None)


def split_name(name: str) -> tuple[str, str]:
    """One name as first and last: the last word is the last name, a single word is a first name."""
    words = name.split()
    return (" ".join(words[:-1]), words[-1]) if len(words) > 1 else (name.strip(), "")


def says_yes(value: Any) -> bool:  # noqa: ANN401 - a driver's value is anything
    """What a column means that may hold a moment, a number, a boolean or a word."""
    if isinstance(value, str):
        return value.strip().lower() not in NOES
    return bool(value)
