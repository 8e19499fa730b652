"""Who may call the HTTP service: our own API keys, and the application's Sanctum tokens, which are only read."""

# ruff: noqa: S608 - names come from the settings and are quoted; values are always parameters

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mmconsole.database.connection import Connection, Row
from mmconsole.database.times import moment_of, moment_or_none, stored, stored_or_none
from mmconsole.domain.callers import ApiKey, Scope

_SELECT: Final = (
    "SELECT id, name, scopes, created_at, expires_at, last_used_at, revoked_at, digest FROM mmconsole_api_keys"
)


@dataclass(frozen=True, slots=True)
class SanctumToken:
    """A row of the application's `personal_access_tokens`. Moments are as the application's column has them."""

    digest: str = field(repr=False)
    model: str
    user_id: str
    abilities: str
    created_at: object
    expires_at: object


class CallerRepository:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # ── our keys ─────────────────────────────────────────────────────────────────────────────────

    def add(self, key: ApiKey, digest: str) -> None:
        scopes = " ".join(sorted(scope.value for scope in key.scopes))
        self._connection.run(
            "INSERT INTO mmconsole_api_keys (id, name, scopes, created_at, expires_at, digest)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key.id, key.name, scopes, stored(key.created_at), stored_or_none(key.expires_at), digest),
        )

    def find(self, key_id: str) -> tuple[ApiKey, str] | None:
        """A key with the digest of its text."""
        row = self._connection.row(f"{_SELECT} WHERE id = ?", (key_id,))
        return (_key_of(row), row[7]) if row else None

    def named(self, name: str) -> list[ApiKey]:
        """The keys with this name or id, in the order of their making."""
        rows = self._connection.rows(f"{_SELECT} WHERE id = ? OR name = ? ORDER BY created_at", (name, name))
        return [_key_of(row) for row in rows]

    def all(self) -> list[ApiKey]:
        return [_key_of(row) for row in self._connection.rows(f"{_SELECT} ORDER BY created_at, id")]

    def revoke(self, key_id: str, at: datetime) -> bool:
        """End a key. False when it had ended before."""
        statement = "UPDATE mmconsole_api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"
        return bool(self._connection.run(statement, (stored(at), key_id)))

    def set_used(self, key_id: str, at: datetime) -> None:
        self._connection.run("UPDATE mmconsole_api_keys SET last_used_at = ? WHERE id = ?", (stored(at), key_id))

    # ── the application's ────────────────────────────────────────────────────────────────────────

    def sanctum(self, token_id: int, *, table: str) -> SanctumToken | None:
        """The row of a Sanctum token in the application's own table."""
        dialect = self._connection.dialect
        user_id = dialect.as_text("tokenable_id")
        columns = f"token, tokenable_type, {user_id}, abilities, created_at, expires_at"
        row = self._connection.row(f"SELECT {columns} FROM {dialect.quote(table)} WHERE id = ?", (token_id,))
        return SanctumToken(row[0], row[1], str(row[2]), row[3] or "", row[4], row[5]) if row else None


def _key_of(row: Row) -> ApiKey:
    key_id, name, scopes, created, expires, used, revoked = row[:7]
    known = {scope.value for scope in Scope}
    granted = frozenset(Scope(one) for one in scopes.split() if one in known)
    moments = moment_of(created), moment_or_none(expires), moment_or_none(used), moment_or_none(revoked)
    return ApiKey(key_id, name, granted, *moments)
