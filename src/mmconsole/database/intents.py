"""Notes written before an external create. An open one is the only proof that a token without an owner is ours."""

from collections.abc import Sequence
from typing import Final

from mmconsole.database.connection import Connection, Row, chunks, marks
from mmconsole.database.times import moment_of, stored
from mmconsole.domain.tokens import Intent, OperationId
from mmconsole.domain.users import UserId

_SELECT: Final = "SELECT operation_id, user_id, kind, account_id, description, opened_at FROM mmconsole_intents"


class IntentRepository:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self, intent: Intent) -> None:
        """Write the note. Raises DatabaseError when this operation has one already."""
        self._connection.run(
            "INSERT INTO mmconsole_intents (operation_id, user_id, kind, account_id, description, opened_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                intent.operation_id,
                intent.user_id,
                intent.kind,
                intent.account_id,
                intent.description,
                stored(intent.opened_at),
            ),
        )

    def close(self, operation_id: OperationId) -> bool:
        """Take the note away. Returns whether it was still open."""
        return bool(self._connection.run("DELETE FROM mmconsole_intents WHERE operation_id = ?", (operation_id,)))

    def find(self, operation_id: OperationId) -> Intent | None:
        row = self._connection.row(f"{_SELECT} WHERE operation_id = ?", (operation_id,))
        return _intent_of(row) if row else None

    def open_for(self, user_id: UserId) -> list[Intent]:
        return self._intents("WHERE user_id = ? ORDER BY opened_at", (user_id,))

    def of(self, ids: Sequence[UserId]) -> list[Intent]:
        """The notes of some users."""
        found: list[Intent] = []
        for chunk in chunks(list(dict.fromkeys(ids))):
            found += self._intents(f"WHERE user_id IN ({marks(len(chunk))}) ORDER BY opened_at, operation_id", chunk)
        return found

    def all_open(self) -> list[Intent]:
        return self._intents("ORDER BY opened_at, operation_id", ())

    def _intents(self, condition: str, values: Sequence[object]) -> list[Intent]:
        return [_intent_of(row) for row in self._connection.rows(f"{_SELECT} {condition}", values)]


def _intent_of(row: Row) -> Intent:
    return Intent(row[0], row[1], row[2], row[3], row[4], moment_of(row[5]))
