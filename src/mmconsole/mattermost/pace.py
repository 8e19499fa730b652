"""How many calls are on the way at once, and when nobody may start one.

The server says when it has enough: by 429, by X-Ratelimit-Remaining, or by failing. Each halves the number at once; a
full window of successes raises it by one. A wait holds for every caller, since all share the server's bucket
(RateLimitSettings.VaryByRemoteAddr is its default).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from mmconsole.mattermost.patience import THROTTLED_AT_MOST

_START: Final = 8
"""Seen on 11.6.0: the most tokens per second are made at 8 at once, and 16 are slower."""
_LONGEST_PAUSE: Final = THROTTLED_AT_MOST


class Pace:
    """A limit that learns. `enter` before a call, `leave` after it, whatever its end."""

    def __init__(self, *, at_most: int, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self.at_most = at_most
        self.limit = min(_START, at_most)
        """Calls that may be on the way at once, at this moment."""
        self.in_flight = 0
        self.retries = 0
        """Calls sent again since the client was opened."""
        self.waiting_until = 0.0
        """Until when, by the clock, the server wants to be left alone."""
        self._clock = clock
        self._sleep = sleep
        self._queue: deque[asyncio.Future[None]] = deque()
        self._successes = 0
        self._generation = 0

    @property
    def wait_left(self) -> float:
        """Seconds until calls go on, for the progress line: "the server asked us to wait 1.2 s"."""
        return max(0.0, self.waiting_until - self._clock())

    async def enter(self) -> int:
        """Wait for a turn. Answers with the generation that `slow_down` wants back."""
        if self._queue or self.in_flight >= self.limit:
            await self._turn()
        else:
            self.in_flight += 1
        if self.waiting_until:
            await self._sit_out()
        return self._generation

    async def _turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    async def _sit_out(self) -> None:
        try:
            while (left := self.wait_left) > 0:
                await self._sleep(left)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        self.in_flight -= 1
        # The place is handed over, so that a newcomer cannot overtake who was woken.
        while self._queue and self.in_flight < self.limit:
            turn = self._queue.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

    def speed_up(self) -> None:
        """Count a success. Only calls made at the limit say anything about it."""
        if self.in_flight < self.limit or self.limit >= self.at_most:
            return
        self._successes += 1
        if self._successes >= self.limit:
            self._successes = 0
            self.limit += 1

    def slow_down(self, generation: int) -> None:
        """Halve the number at once. What started before the last halving was already answered by it."""
        if generation != self._generation:
            return
        self._generation += 1
        self._successes = 0
        self.limit = max(1, self.limit // 2)

    def pause(self, seconds: float) -> None:
        """Let nobody start a call for so long. Of several pauses the longest holds."""
        self.waiting_until = max(self.waiting_until, self._clock() + min(seconds, _LONGEST_PAUSE))
