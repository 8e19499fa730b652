"""The activity log: what happened, in the order of its numbers. Rows are added and, after years, pruned."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from mmconsole.database.connection import Connection, Row
from mmconsole.database.times import moment_of, moment_or_none, stored
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.users import UserId

_ADD: Final = (
    "INSERT INTO mmconsole_activity (at, actor, verb, user_id, detail, level, job_id, request_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_SELECT: Final = "SELECT at, actor, verb, user_id, detail, level, job_id, request_id, id FROM mmconsole_activity"
_LEVELS: Final = {level.value: level for level in Level}
_GRAVITY: Final = (Level.INFO, Level.WARNING, Level.ERROR)


class ActivityRepository:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, activity: Activity) -> int:
        """Add one row. Returns its number, which grows with time."""
        return self._connection.insert(_ADD, _values(activity))

    def add_many(self, activities: Iterable[Activity]) -> None:
        self._connection.run_many(_ADD, map(_values, activities))

    def page(  # noqa: PLR0913 - each of them is one condition
        self,
        *,
        limit: int,
        after_id: int | None = None,
        before_id: int | None = None,
        user_id: UserId | None = None,
        job_id: int | None = None,
        level: Level | None = None,
    ) -> list[Activity]:
        """One page: after a number the oldest first (to follow), else the newest first (before a number, if given).

        `level` means this one and graver ones.
        """
        wanted = _GRAVITY[_GRAVITY.index(level) :] if level else ()
        conditions: list[tuple[str, tuple[object, ...]]] = [
            ("id > ?", (after_id,) if after_id is not None else ()),
            ("id < ?", (before_id,) if before_id is not None else ()),
            ("user_id = ?", (user_id,) if user_id is not None else ()),
            ("job_id = ?", (job_id,) if job_id is not None else ()),
            (f"level IN ({', '.join('?' * len(wanted))})", tuple(one.value for one in wanted)),
        ]
        used = [(condition, values) for condition, values in conditions if values]
        where = f" WHERE {' AND '.join(condition for condition, _ in used)}" if used else ""
        order = "ASC" if after_id is not None else "DESC"
        values = [value for _, some in used for value in some]
        rows = self._connection.rows(f"{_SELECT}{where} ORDER BY id {order} LIMIT ?", (*values, limit))
        return [_activity_of(row) for row in rows]

    def last_of(self, user_id: UserId, verb: str) -> datetime | None:
        """When this last happened to a user; None for never."""
        statement = "SELECT MAX(at) FROM mmconsole_activity WHERE user_id = ? AND verb = ?"
        row = self._connection.row(statement, (user_id, verb))
        return moment_or_none(row[0]) if row else None

    def newest(self, user_id: UserId, verb: str) -> Activity | None:
        """The last time this happened to a user; None for never."""
        statement = f"{_SELECT} WHERE user_id = ? AND verb = ? ORDER BY id DESC LIMIT 1"
        row = self._connection.row(statement, (user_id, verb))
        return _activity_of(row) if row else None

    def prune(self, before: datetime, *, limit: int = 10_000) -> int:
        """Remove the oldest rows, at most so many at once. Returns how many went."""
        last = self._connection.row(
            "SELECT MAX(id) FROM (SELECT id, at FROM mmconsole_activity ORDER BY id LIMIT ?) o WHERE at < ?",
            (limit, stored(before)),
        )
        if last is None or last[0] is None:
            return 0
        return self._connection.run(
            "DELETE FROM mmconsole_activity WHERE id <= ? AND at < ?", (last[0], stored(before))
        )


def _values(activity: Activity) -> tuple[object, ...]:
    return (
        stored(activity.at),
        activity.actor,
        activity.verb,
        activity.user_id,
        activity.detail,
        activity.level.value,
        activity.job_id,
        activity.request_id,
    )


def _activity_of(row: Row) -> Activity:
    return Activity(moment_of(row[0]), row[1], row[2], row[3], row[4], _LEVELS[row[5]], row[6], row[7], row[8])
