"""What a call costs a real server: Mattermost 11.6 on two cores, as measured, replayed by two workers who sleep.

The benchmarks compare against this table, so no figure in it may be chosen for a benchmark's sake: each follows from
the measurement that stands beside it, as the worker time that gives the measured peak when two work at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections import Counter

WORKERS: Final = 2


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a worker per call and per unit (row, id, member), and seconds of waiting that keep nobody busy.

    `warm` is the worker time when the session of the token exists already.
    """

    each: float
    unit: float = 0.0
    waits: float = 0.0
    warm: float | None = None
    typical_units: float = 0.0

    def seconds(self, units: float, *, warm: bool) -> float:
        return (self.warm if warm and self.warm is not None else self.each) + self.unit * units


READ: Final = Cost(0.0025, waits=0.0009, warm=0.0008)
"""Not measured one by one: a small read costs about what `/users/me` does."""
WRITE: Final = Cost(0.0030, waits=0.0008)
"""Not measured one by one: a small write costs about what creating a token does."""

COSTS: Final[dict[str, Cost]] = {
    # 8.3/s one at a time, 15.8/s at 2 and more: hashing the password, 0.12 s and a little.
    "POST /users": Cost(0.1265),
    "POST /users/login": Cost(0.1265),
    # 36/s, 47/s at 2, 58/s at 8: two workers reach 58/s with 34.5 ms each, and 29/s one at a time.
    "POST /teams/{id}/members": Cost(0.0345),
    # A batch of 60 moves 30 members a second, on one worker.
    "POST /teams/{id}/members/batch": Cost(0.0, unit=1 / 30, typical_units=60),
    # 330/s, 559/s at 2, 704/s at 4, 899/s at 8: 2.22 ms of work, and 0.81 ms of waiting for the disk.
    "POST /users/{id}/tokens": Cost(0.00222, waits=0.00081),
    # First 296/s and 814/s at 8; with its session cached 1,173/s and 2,561/s.
    "GET /users/{id}": Cost(0.00246, waits=0.0001, warm=0.00078),
    # 100,000 accounts in 501 pages: 18 s, or 9 s at 4; the last pages cost 70 ms. The unit is a skipped row.
    "GET /users": Cost(0.002, unit=0.68e-6, typical_units=50_000),
    # 100,000 ids in 20 batches: 0.16 s when nothing changed, 1.2 s at 4 when all are answered. A found account
    # counts 6.5 units more than an id that is only looked at.
    "POST /users/ids": Cost(0.0, unit=3.2e-6, typical_units=37_500),
    "POST /users/usernames": Cost(0.0, unit=3.2e-6, typical_units=37_500),
    # 270 ms for 100 rows.
    "GET /reports/users": Cost(0.0, unit=0.0027, typical_units=100),
    # 504 pages: 2.7 s one at a time, 1.1 s at 8.
    "GET /users/tokens": Cost(0.00437, waits=0.001),
    "GET /system/ping": Cost(0.0003),
}


def cost_of(route: str) -> Cost:
    return COSTS.get(route) or (READ if route.startswith("GET ") else WRITE)


def capacity_seconds(calls: Counter[str]) -> float:
    """How long the real server needs at least for these calls (`METHOD /route/{id}`), all its workers busy.

    Sessions are taken to be cached where that is cheaper; calls whose cost depends on a size count with a typical one.
    """
    busy = 0.0
    for route, count in calls.items():
        cost = cost_of(route)
        busy += count * cost.seconds(cost.typical_units, warm=True)
    return busy / WORKERS


class Workers:
    """A queue before two workers, on a virtual clock: being late for one call does not make the next one late."""

    __slots__ = ("_credit", "_free_at", "busy")

    def __init__(self, count: int = WORKERS) -> None:
        self._free_at = [0.0] * count
        self._credit = [0.0] * count
        self.busy = 0.0
        """Seconds of work so far."""

    def book(self, seconds: float, now: float) -> tuple[int, float]:
        """Queue a call: which worker does it, and when it is done."""
        worker = min(range(len(self._free_at)), key=self._free_at.__getitem__)
        start = max(now - self._credit[worker], self._free_at[worker])
        self._free_at[worker] = start + seconds
        self.busy += seconds
        return worker, start + seconds

    async def serve(self, cost: Cost, units: float, *, warm: bool) -> None:
        """Wait as long as the real server would have worked on it."""
        # Not the loop's clock: uvloop's moves in steps of a millisecond.
        now = perf_counter()
        worker, done_at = self.book(cost.seconds(units, warm=warm), now)
        await asyncio.sleep(max(0.0, done_at + cost.waits - now))
        # Timers round up to a millisecond. What this call overslept is taken off the next one's start.
        self._credit[worker] = min(0.002, max(0.0, perf_counter() - done_at - cost.waits))
