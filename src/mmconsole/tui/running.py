"""What this console has begun on the server, and still owes it: it outlives screens and widgets, not the process.

Textual cancels a worker together with the node that made it, so what is begun here is a task of its own.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from textual.screen import Screen

from mmconsole.domain.text import visible
from mmconsole.errors import MmconsoleError
from mmconsole.services.hearing import heard_by
from mmconsole.tui.wording import on_screen
from mmconsole.tui.work import Trouble, Work

if TYPE_CHECKING:
    from mmconsole.core import Core
    from mmconsole.domain.accounts import ServerFacts
    from mmconsole.mattermost import Pace

T = TypeVar("T")

TOKENS: Final = "tokens"
"""The turn of whatever runs under the lease of a sync: one after the other, so that nobody here finds it taken."""
CHANNELS: Final = "channels"
_KEPT_TROUBLES: Final = 10_000


class Room(Protocol):
    """Where the operator sits: told what happened, asked what shall."""

    def say(self, word: str) -> None: ...

    def open(self, screen: Screen[T], answered: Callable[[T | None], None]) -> None:
        """Show a screen; its answer comes later."""

    def work_ended(self, work: Work) -> None: ...

    def broke(self, fault: BaseException) -> None:
        """Something happened that must not."""


@dataclass(frozen=True, slots=True)
class Undo:
    """A revocation that can be taken back."""

    job_id: int
    until: datetime
    """By our own clock."""


class Running:
    def __init__(self, core: "Core", room: Room, *, now: Callable[[], datetime]) -> None:
        self._core = core
        self._room = room
        self._now = now
        self.works: list[Work] = []
        """Under way or waiting for their turn, the oldest first."""
        self.troubles: dict[str, Trouble] = {}
        self.pace: Pace | None = None
        self.facts: ServerFacts | None = None
        """What the server says of itself; None until it was first asked."""
        self._undos: list[Undo] = []
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._performing: dict[Work, asyncio.Task[Any] | None] = {}
        self._asked: set[asyncio.Future[Any]] = set()
        self._closing = asyncio.Event()

    # ── flows ────────────────────────────────────────────────────────────────────────────────────

    def start(self, flow: Coroutine[Any, Any, None]) -> None:
        """Begin something that asks, waits or works. What goes wrong is said."""
        task = asyncio.create_task(self._guarded(flow))
        self._tasks.add(task)
        task.add_done_callback(self._over)

    async def _guarded(self, flow: Coroutine[Any, Any, None]) -> None:
        try:
            await flow
        except MmconsoleError as fault:
            self._room.say(on_screen(fault))

    def _over(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        fault = None if task.cancelled() else task.exception()
        if fault is not None:
            self._room.broke(fault)

    async def ask(self, screen: Screen[T]) -> T | None:
        """Show a screen and wait for its answer; None when there is none."""
        if self._closing.is_set():
            return None
        answer: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._asked.add(answer)
        try:
            self._room.open(screen, lambda given: None if answer.done() else answer.set_result(given))
            return await answer
        finally:
            self._asked.discard(answer)

    async def perform(self, work: Work, do: Callable[[Work], Awaitable[T]], *, turn: str | None = None) -> T:
        """Do something as soon as it is its turn. Raises what it raises."""
        self.works.append(work)
        self._performing[work] = asyncio.current_task()
        for user_id in work.users:
            self.troubles.pop(user_id, None)
        try:
            if turn is None:
                return await self._heard(work, do)
            async with self._turns[turn]:
                return await self._heard(work, do)
        finally:
            self.works.remove(work)
            del self._performing[work]
            self._remember(work)
            self._room.work_ended(work)

    async def _heard(self, work: Work, do: Callable[[Work], Awaitable[T]]) -> T:
        work.stage("starting", None)
        self.start(self._learn_pace(work))
        with heard_by(work):
            return await do(work)

    async def _learn_pace(self, work: Work) -> None:
        with suppress(MmconsoleError):
            # Whoever works meets the same fault, and says it.
            self.pace = (await self._core.server.client()).pace
            self.facts = await self._core.server.facts()
            work.retries_before = self.pace.retries

    def _remember(self, work: Work) -> None:
        if len(self.troubles) > _KEPT_TROUBLES:
            self.troubles.clear()
        self.troubles |= work.troubles

    def stop(self, work: Work) -> None:
        """End it after what is under way; what only reads ends at once."""
        work.stop.set()
        task = self._performing.get(work)
        if (work.planning or work.total is None) and task is not None:
            task.cancel()

    # ── what is drawn ────────────────────────────────────────────────────────────────────────────

    def word_of(self, user_id: str) -> str | None:
        """What is being done for a user; None when nothing is."""
        return next((word for work in self.works if (word := work.word_of(user_id)) is not None), None)

    def of_user(self, user_id: str) -> Work | None:
        return next((work for work in self.works if work.word_of(user_id) is not None), None)

    def of_job(self, job_id: int) -> Work | None:
        return next((work for work in self.works if work.job_id == job_id), None)

    @property
    def current(self) -> Work | None:
        """The one that is under way longest."""
        return self.works[0] if self.works else None

    def touched(self) -> set[str]:
        """Users who look different now than when this was last asked."""
        found: set[str] = set()
        for work in self.works:
            found |= work.touched
            work.touched.clear()
        return found

    # ── undo ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def undo(self) -> Undo | None:
        """The last revocation that can still be taken back."""
        now = self._now()
        self._undos = [undo for undo in self._undos if undo.until > now]
        return self._undos[-1] if self._undos else None

    async def can_undo(self, job_id: int, until: datetime) -> None:
        """Remember a revocation, and revoke for good when its time is over. `until` is by the server's clock."""
        left = until - await self._core.server.now()
        self._undos.append(Undo(job_id, self._now() + left))
        self.start(self._revoke_later(until, left.total_seconds()))

    def undone(self, job_id: int) -> None:
        self._undos = [undo for undo in self._undos if undo.job_id != job_id]

    async def _revoke_later(self, until: datetime, seconds: float) -> None:
        with suppress(TimeoutError):
            # The server's clock is known to a second.
            await asyncio.wait_for(self._closing.wait(), max(seconds, 0) + 1)
        if not self._closing.is_set():
            async with self._turns[TOKENS]:
                await self._core.tokens.end_revocations(until, stop=self._closing)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    async def aclose(self) -> list[str]:
        """Let users under way come to their end. Returns what is left, in words."""
        self._closing.set()
        left = [_left_words(work.job_id, work.title) for work in self.works if work.job_id is not None]
        works = set(self._performing.values())
        for work in list(self.works):
            self.stop(work)
        for answer in self._asked:
            if not answer.done():
                answer.set_result(None)
        for task in self._tasks - works:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return left


def _left_words(job_id: int, title: str) -> str:
    resume = f"`mmconsole jobs resume {job_id}`"
    return f"Job {job_id} ({visible(title)}) is paused. {resume} goes on with it."
