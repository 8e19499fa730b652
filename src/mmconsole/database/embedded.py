"""The users of the embedded database, which are our own: there, and only there, rows are added and removed."""

# ruff: noqa: S608 - the variable parts are our own column names

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mmconsole.database.connection import Connection
from mmconsole.domain.users import UserId
from mmconsole.errors import RowMissing

_FIELDS: Final = ("email", "username", "first_name", "last_name", "locale", "email_verified_at", "active", "deleted_at")
_ADD: Final = f"INSERT INTO users ({', '.join(_FIELDS)}, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class EmbeddedUser:
    """A user as `users add` and `users import` give it."""

    email: str | None
    username: str | None = None
    first_name: str = ""
    last_name: str = ""
    locale: str | None = None
    email_verified_at: datetime | None = None
    active: bool = True
    deleted_at: datetime | None = None


class EmbeddedUsers:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, user: EmbeddedUser, *, now: datetime | None = None) -> UserId:
        moment = now or datetime.now(UTC)
        return UserId(str(self._connection.insert(_ADD, (*_values(user), _written(moment), _written(moment)))))

    def add_many(self, users: Sequence[EmbeddedUser]) -> list[UserId]:
        """Add users in one go. Returns their ids in the same order."""
        now = _written(datetime.now(UTC))
        # The file numbers them without gaps, since nobody else writes during a transaction.
        self._connection.run_many(_ADD, ((*_values(user), now, now) for user in users))
        last = self._connection.number("SELECT last_insert_rowid()") if users else 0
        return [UserId(str(number)) for number in range(last - len(users) + 1, last + 1)]

    def edit(self, user_id: UserId, changes: Mapping[str, object], *, now: datetime | None = None) -> None:
        """Change fields, by the names of EmbeddedUser. Raises RowMissing."""
        unknown = set(changes) - set(_FIELDS)
        if unknown:
            message = f"no such field: {', '.join(sorted(unknown))}"
            raise ValueError(message)
        sets = ", ".join(f"{field} = ?" for field in changes)
        values = [_written(value) if isinstance(value, datetime) else value for value in changes.values()]
        moment = _written(now or datetime.now(UTC))
        statement = f"UPDATE users SET {sets}, updated_at = ? WHERE id = ?"
        if changes and not self._connection.run(statement, (*values, moment, user_id)):
            raise RowMissing(user_id=user_id)

    def remove(self, user_id: UserId) -> None:
        """Delete the row. Raises RowMissing. Its token is revoked by the next sync."""
        if not self._connection.run("DELETE FROM users WHERE id = ?", (user_id,)):
            raise RowMissing(user_id=user_id)


def _values(user: EmbeddedUser) -> tuple[object, ...]:
    return tuple(_written(value) if isinstance(value := getattr(user, field), datetime) else value for field in _FIELDS)


def _written(moment: datetime) -> str:
    """As Laravel writes a moment, so that the file reads like an application's."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
