"""Who a filter means, in which order, and how many users show which status: what lists and the console ask.

A list asks for the ids once (`ids`), and for the rows of what is on the screen by these (`Roster.rows`): a window
then costs the same at the end of 100,000 rows as at the beginning, and stays the same while users change.
"""

# ruff: noqa: S608 - names come from the settings and are quoted; values are always parameters

from collections.abc import Collection
from datetime import timedelta
from typing import Final

from mmconsole.database.connection import Connection
from mmconsole.database.filters import Joined
from mmconsole.database.roster import Roster
from mmconsole.database.times import stored
from mmconsole.domain.filters import NO_TEAMS, Filter, Order, Teams
from mmconsole.domain.health import AsOf
from mmconsole.domain.tokens import Health
from mmconsole.domain.users import UserId

_BY_ID: Final = Order()
_DAY: Final = timedelta(days=1)
_DAY_STORED: Final = _DAY // timedelta(microseconds=1)


class Listing:
    """Every question takes a filter and the moment it is about; a filter with `team:` also who is in these teams.

    Raises BadFilter when such a team is not given.
    """

    __slots__ = ("_connection", "_joined")

    def __init__(self, connection: Connection, roster: Roster) -> None:
        self._connection = connection
        self._joined = Joined(connection.dialect, roster.layout)

    def ids(self, wanted: Filter, as_of: AsOf, *, order: Order = _BY_ID, teams: Teams = NO_TEAMS) -> list[UserId]:
        """Everybody whom the filter means, in order."""
        where, by = self._joined.where(wanted, as_of, teams), self._joined.order(order, as_of)
        statement = f"SELECT {self._joined.id} FROM {self._joined.source} WHERE {where.text} ORDER BY {by.text}"
        return [UserId(str(key)) for (key,) in self._connection.rows(statement, (*where.values, *by.values))]

    def count(self, wanted: Filter, as_of: AsOf, *, teams: Teams = NO_TEAMS) -> int:
        where = self._joined.where(wanted, as_of, teams)
        statement = f"SELECT COUNT(*) FROM {self._joined.source} WHERE {where.text}"
        return self._connection.number(statement, where.values)

    def counts_by_status(self, as_of: AsOf) -> dict[Health, int]:
        """How many users show each status; 0 for those that nobody shows."""
        status = self._joined.status(as_of)
        statement = f"SELECT {status.text} AS status, COUNT(*) FROM {self._joined.source} GROUP BY 1"
        counts: dict[str, int] = dict(self._connection.rows(statement, status.values))
        return {health: int(counts.get(health.value, 0)) for health in Health}

    def causes(self, statuses: Collection[Health], as_of: AsOf, *, limit: int) -> list[tuple[str, int]]:
        """The most frequent causes among users who show one of these statuses, each with its number of users."""
        status = self._joined.status(as_of)
        words = ", ".join(f"'{one}'" for one in statuses)
        statement = (
            f"SELECT t.cause AS why, COUNT(*) AS users FROM {self._joined.source}"
            f" WHERE {status.text} IN ({words}) AND t.cause <> '' GROUP BY 1 ORDER BY users DESC, why LIMIT ?"
        )
        return [(str(cause), int(users)) for cause, users in self._connection.rows(statement, (*status.values, limit))]

    def expiring_by_day(self, as_of: AsOf, *, days: int = 14) -> list[int]:
        """How many working tokens end within the next 24 hours, in the 24 hours after these, and so on."""
        start, end = stored(as_of.now), stored(as_of.now + days * _DAY)
        status = self._joined.status(as_of)
        # Whole days without a division, which is not the same in every database.
        since = f"(t.expires_at - {start})"
        statement = (
            f"SELECT {since} - {since} % {_DAY_STORED} AS day, COUNT(*) FROM {self._joined.source}"
            f" WHERE t.expires_at > ? AND t.expires_at < ?"
            f" AND {status.text} IN ('{Health.OK}', '{Health.EXPIRING}') GROUP BY 1"
        )
        counts = {
            int(day) // _DAY_STORED: int(count)
            for day, count in self._connection.rows(statement, (start, end, *status.values))
        }
        return [counts.get(day, 0) for day in range(days)]
