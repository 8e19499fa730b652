"""The server's rate limiter: a generic cell rate bucket per client address."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmconsole.simulator.options import RateLimit

REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """May the call pass, and what its headers say."""

    passes: bool
    headers: tuple[tuple[bytes, bytes], ...]


class RateLimiter:
    """One bucket per key; `burst + 1` calls fit into a full one."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit.burst + 1
        self._interval = 1.0 / limit.per_second
        self._arrivals: dict[str, float] = {}

    def check(self, key: str, now: float) -> Verdict:
        tolerance = self._interval * self._limit
        if len(self._arrivals) > REMEMBERED:
            self._arrivals.clear()
        arrival = max(self._arrivals.get(key, now), now)
        following = arrival + self._interval
        wait = following - tolerance - now
        # A hair of tolerance: sums of intervals are not exact.
        if wait > 1e-9:
            return Verdict(passes=False, headers=self._headers(0, arrival - now, wait))
        self._arrivals[key] = following
        left = int((tolerance - (following - now)) / self._interval + 1e-6)
        return Verdict(passes=True, headers=self._headers(left, following - now, None))

    def _headers(self, left: int, reset: float, retry: float | None) -> tuple[tuple[bytes, bytes], ...]:
        headers = (
            (b"x-ratelimit-limit", str(self._limit).encode()),
            (b"x-ratelimit-remaining", str(left).encode()),
            (b"x-ratelimit-reset", str(math.ceil(reset)).encode()),
        )
        return headers if retry is None else (*headers, (b"retry-after", str(math.ceil(retry)).encode()))
