"""Who needs the right of a run for a moment: in turn within this process, and after other processes for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from mmconsole.errors import Busy

T = TypeVar("T")

_PATIENCE: Final = 5.0
"""Seconds. Whoever calls waits for an answer meanwhile, and may come again later."""
_ASK_EVERY: Final = 0.2


class Turns:
    """Lets one work at a time, so that nobody of this process need ask the database whether it is their turn."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._give_way: asyncio.Event | None = None

    async def take(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work when its lease is free. Raises Busy when another process keeps it, and what the work raises."""
        self._waiting += 1
        if self._give_way is not None:
            self._give_way.set()
        try:
            async with self._lock:
                return await _soon(work)
        finally:
            self._waiting -= 1

    async def take_for_now(self, work: Callable[[asyncio.Event], Awaitable[T]]) -> T:
        """Do work that can end early: its event is set when somebody else waits. Raises Busy at once."""
        async with self._lock:
            self._give_way = asyncio.Event()
            if self._waiting:
                self._give_way.set()
            try:
                return await work(self._give_way)
            finally:
                self._give_way = None


async def _soon(work: Callable[[], Awaitable[T]]) -> T:
    clock = asyncio.get_running_loop().time
    ends_at = clock() + _PATIENCE
    while True:
        try:
            return await work()
        except Busy:
            if clock() >= ends_at:
                raise
        await asyncio.sleep(_ASK_EVERY)
