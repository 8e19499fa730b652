"""What every long command shares: shown while it runs, stopped by signals, patient with another run, asked about."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from mmconsole.cli import output
from mmconsole.cli.loop import Interrupts
from mmconsole.cli.progress import Watch, watch
from mmconsole.core import Core
from mmconsole.errors import Busy, Interrupted
from mmconsole.mattermost import Pace
from mmconsole.services.look import Planned

T = TypeVar("T")

_WAITED_FOR: Final = frozenset({"applying", "adding", "checking", "rewriting"})


class UnderWay:
    """Passes on how far something is, and knows how many users are under way."""

    def __init__(self, shown: Watch, signals: Interrupts, *, workers: int) -> None:
        self.shown = shown
        self._signals = signals
        self._workers = workers
        self._left = 0

    def stage(self, name: str, total: int | None) -> None:
        self._left = total or 0
        # While all is only read or compared there is nothing that a signal should wait for.
        self._signals.under_way = self._under_way if name in _WAITED_FOR else None
        self.shown.stage(name, total)

    def advance(self, done: int = 1) -> None:
        self._left -= done
        self.shown.advance(done)

    def planned(self, planned: Planned) -> None:
        self.shown.planned(planned)

    def _under_way(self) -> int:
        return min(self._workers, self._left)


@contextmanager
def under_way(
    signals: Interrupts, *, workers: int, pace: Callable[[], Awaitable[Pace]] | None = None, of: str = "user"
) -> Iterator[UnderWay]:
    """Progress for as long as something runs, and signals that know what they stop."""
    shown = watch(pace, of=of)
    signals.say, signals.of = shown.say, of
    try:
        yield UnderWay(shown, signals, workers=workers)
    finally:
        shown.rest()
        signals.under_way, signals.say = None, output.note


async def patiently(run: Callable[[bool], Awaitable[T]], shown: Watch, *, wait: bool) -> T:
    """Run something that can wait for another run, and say whom it waits for, if it has to."""
    try:
        return await run(False)
    except Busy as busy:
        if not wait:
            raise
        shown.say(f"{output.visible(str(busy).partition('. ')[0])}; waiting for its end.")
    return await run(True)


def pace_of(core: Core) -> Callable[[], Awaitable[Pace]]:
    """How a bar learns what the server asks for."""

    async def pace() -> Pace:
        return (await core.server.client()).pace

    return pace


async def asked(question: str) -> bool:
    """Ask yes or no, and wait for a line without holding up the loop, which renews the lease meanwhile."""
    sys.stderr.write(question)
    sys.stderr.flush()
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()
    loop.add_reader(sys.stdin.fileno(), _take_line, answer)
    try:
        return (await answer).strip().lower() in {"y", "yes"}
    except asyncio.CancelledError:
        # As an error of ours it lets the service drop the job that was about to run.
        output.note("")
        raise Interrupted from None
    finally:
        loop.remove_reader(sys.stdin.fileno())


def _take_line(answer: "asyncio.Future[Any]") -> None:
    line = sys.stdin.readline()
    if not answer.done():
        answer.set_result(line)
