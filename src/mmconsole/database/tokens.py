"""What we remember of each user: the link, the token and its health. The link that counts is kept here."""

# ruff: noqa: S608 - the variable parts are conditions written in this file

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from mmconsole.database.connection import Connection, Row, chunks, marks
from mmconsole.database.times import moment_of, stored, stored_or_none
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.tokens import Health, TokenId, TokenRecord
from mmconsole.domain.users import UserId

COLUMNS: Final = (
    "user_id, account_id, token_id, description, fingerprint, health, cause, checked_at, created_at, expires_at,"
    " pushed_digest, account_update_at, waiting_email, withheld, deactivated_by_us"
)
"""In the order of TokenRecord's fields."""
_NAMES: Final = tuple(name.strip() for name in COLUMNS.split(","))
_SELECT: Final = f"SELECT {COLUMNS} FROM mmconsole_tokens"
_HEALTHS: Final = {health.value: health for health in Health}


class TokenRepository:
    __slots__ = ("_connection", "_save")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._save = connection.dialect.upsert("mmconsole_tokens", _NAMES[:1], _NAMES[1:])

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def get(self, user_id: UserId) -> TokenRecord:
        """The user's record; an empty one for a user we know nothing of."""
        return self.find(user_id) or TokenRecord(user_id)

    def find(self, user_id: UserId) -> TokenRecord | None:
        row = self._connection.row(f"{_SELECT} WHERE user_id = ?", (user_id,))
        return record_of(row) if row else None

    def of(self, ids: Sequence[UserId]) -> dict[UserId, TokenRecord]:
        """The records of these users, without those that have none."""
        found: dict[UserId, TokenRecord] = {}
        for chunk in chunks(list(dict.fromkeys(ids))):
            rows = self._connection.rows(f"{_SELECT} WHERE user_id IN ({marks(len(chunk))})", chunk)
            found |= {record.user_id: record for record in map(record_of, rows)}
        return found

    def by_account(self, account_id: AccountId) -> list[TokenRecord]:
        """The users linked to an account: one, none, or a conflict."""
        return self._records("WHERE account_id = ? ORDER BY user_id", (account_id,))

    def claims(self, account_id: AccountId) -> int:
        """How many users are linked to an account: more than one is a conflict."""
        return self._connection.number("SELECT COUNT(*) FROM mmconsole_tokens WHERE account_id = ?", (account_id,))

    def by_token(self, token_id: TokenId) -> TokenRecord | None:
        row = self._connection.row(f"{_SELECT} WHERE token_id = ?", (token_id,))
        return record_of(row) if row else None

    def by_fingerprint(self, fingerprint: str) -> list[TokenRecord]:
        return self._records("WHERE fingerprint = ? AND fingerprint <> '' ORDER BY user_id", (fingerprint,))

    def page(self, after: UserId | None, limit: int, *, with_token: bool = False) -> list[TokenRecord]:
        """The next records in the order of their ids as text; `with_token`: only those that name a token."""
        condition = "AND token_id IS NOT NULL " if with_token else ""
        if after is None:
            return self._records(f"WHERE 1 = 1 {condition}ORDER BY user_id LIMIT ?", (limit,))
        return self._records(f"WHERE user_id > ? {condition}ORDER BY user_id LIMIT ?", (after, limit))

    def holders(self, account_ids: Sequence[AccountId]) -> dict[AccountId, UserId]:
        """Which user each of these accounts is linked to: the first, if it is claimed twice."""
        found: dict[AccountId, UserId] = {}
        for chunk in chunks(list(dict.fromkeys(account_ids))):
            held = f"account_id IN ({marks(len(chunk))}) ORDER BY user_id DESC"
            found |= dict(
                self._connection.rows(f"SELECT account_id, user_id FROM mmconsole_tokens WHERE {held}", chunk)
            )
        return found

    def accounts_claimed_twice(self) -> dict[AccountId, tuple[UserId, ...]]:
        """Accounts that more than one user is linked to, with those users: all of them are conflicts."""
        claimed: dict[AccountId, tuple[UserId, ...]] = {}
        for account_id, user_id in self._connection.rows(
            "SELECT account_id, user_id FROM mmconsole_tokens WHERE account_id IN (SELECT account_id"
            " FROM mmconsole_tokens WHERE account_id IS NOT NULL GROUP BY account_id HAVING COUNT(*) > 1)"
            " ORDER BY account_id, user_id"
        ):
            claimed[account_id] = (*claimed.get(account_id, ()), user_id)
        return claimed

    def count_linked(self) -> int:
        """How many users have an account."""
        return self._connection.number("SELECT COUNT(*) FROM mmconsole_tokens WHERE account_id IS NOT NULL")

    def count_live(self) -> int:
        """How many records name a token that may still work on the server."""
        return self._connection.number("SELECT COUNT(*) FROM mmconsole_tokens WHERE token_id IS NOT NULL")

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def save(self, record: TokenRecord) -> None:
        """Store the whole record, new or known."""
        self._connection.run(self._save, _values(record))

    def save_many(self, records: Iterable[TokenRecord]) -> None:
        self._connection.run_many(self._save, map(_values, records))

    def exchange(self, old: TokenRecord, new: TokenRecord) -> bool:
        """Put what a check found in the place of what it began with: token id, fingerprint, health and its time.

        False when link, token, health or what an operator decided are others by now: then those stay.
        """
        changes = "token_id = ?, fingerprint = ?, health = ?, cause = ?, checked_at = ?, withheld = ?"
        same = "COALESCE(account_id, '') = ? AND COALESCE(token_id, '') = ? AND health = ? AND withheld = ?"
        checked = stored_or_none(new.checked_at)
        found = (new.token_id, new.fingerprint, new.health.value, new.cause, checked, new.withheld)
        begun = (old.user_id, old.account_id or "", old.token_id or "", old.health.value, old.withheld)
        statement = f"UPDATE mmconsole_tokens SET {changes} WHERE user_id = ? AND {same}"
        return bool(self._connection.run(statement, (*found, *begun)))

    def set_checked(self, records: Sequence[TokenRecord], at: datetime) -> None:
        """Remember when these were checked, of all that have the same token still."""
        for chunk in chunks([(one.user_id, one.token_id) for one in records if one.token_id]):
            ids, tokens = zip(*chunk, strict=True)
            # A token belongs to one user, so two lists name the same pairs. Without COALESCE, SQLite seeks every user
            # with every token in the index: 250,000 times for 500 (30,000 users: 5 s instead of 0.3 s).
            self._set_checked(f"COALESCE(token_id, '') IN ({marks(len(tokens))})", ids, (stored(at), *ids, *tokens))
        for unnamed in chunks([one.user_id for one in records if not one.token_id]):
            self._set_checked("token_id IS NULL", unnamed, (stored(at), *unnamed))

    def _set_checked(self, condition: str, ids: Sequence[UserId], values: Sequence[object]) -> None:
        where = f"user_id IN ({marks(len(ids))}) AND {condition}"
        self._connection.run(f"UPDATE mmconsole_tokens SET checked_at = ? WHERE {where}", values)

    def set_fingerprint(self, user_id: UserId, fingerprint: str) -> None:
        """Of the same token, under another key. Does nothing for a user we know nothing of."""
        self._connection.run("UPDATE mmconsole_tokens SET fingerprint = ? WHERE user_id = ?", (fingerprint, user_id))

    def remove(self, user_id: UserId) -> None:
        """Forget a user whose row is gone and whose token is revoked."""
        self._connection.run("DELETE FROM mmconsole_tokens WHERE user_id = ?", (user_id,))

    def _records(self, condition: str, values: Sequence[object]) -> list[TokenRecord]:
        return [record_of(row) for row in self._connection.rows(f"{_SELECT} {condition}", values)]


def record_of(row: Row) -> TokenRecord:
    """A row of COLUMNS as a value. Runs once per user and sync, so it names no field twice."""
    user_id, account_id, token_id, description, fingerprint, health, cause, checked, created, expires, *rest = row
    digest, update_at, waiting, withheld, deactivated = rest
    return TokenRecord(
        user_id,
        account_id,
        token_id,
        description,
        fingerprint,
        _HEALTHS[health],
        cause,
        None if checked is None else moment_of(checked),
        None if created is None else moment_of(created),
        None if expires is None else moment_of(expires),
        digest,
        update_at,
        waiting,
        bool(withheld),
        bool(deactivated),
    )


def _values(record: TokenRecord) -> tuple[object, ...]:
    return (
        record.user_id,
        record.account_id,
        record.token_id,
        record.description,
        record.fingerprint,
        record.health.value,
        record.cause,
        stored_or_none(record.checked_at),
        stored_or_none(record.created_at),
        stored_or_none(record.expires_at),
        record.pushed_digest,
        record.account_update_at,
        record.waiting_email,
        record.withheld,
        record.deactivated_by_us,
    )
