"""Runs what is asynchronous, and hears Ctrl-C, SIGTERM and SIGHUP.

The first of them lets the users under way come to their end, where there are any; the next one cancels, and one more
ends the process whatever it does.
"""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mmconsole.cli import output
from mmconsole.errors import Interrupted, MmconsoleError

if TYPE_CHECKING:
    from mmconsole.config import Settings
    from mmconsole.core import Core

T = TypeVar("T")

_PATIENCE: Final = 2
"""Signals after which the next one waits for nothing, not even for the database to be closed."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FOR_A_RUN: Final = (50_000, 20, 50)
_FOR_WEEKS: Final = (10_000, 3, 3)
"""Faults and closed dialogs leave cycles. 50,000 objects of them are 8 MB (seen in `serve`), and those that are older
than one look would wait for a million new ones, and then for fifty times as many. A look at all that a console holds
takes 10 ms.
"""


class Interrupts:
    """What the operator's signals do right now."""

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self.stop = asyncio.Event()
        """Set when what is under way may end, and nothing new may begin."""
        self.under_way: Callable[[], int] | None = None
        """How many users are under way; None while nothing is, so that a signal need not wait."""
        self.of = "user"
        """What is counted there."""
        self.say: Callable[[str], None] = output.note
        self.count = 0
        self._task = task

    def hear(self) -> None:
        self.count += 1
        self.stop.set()
        if self.count == 1 and self.under_way is not None:
            count = self.under_way()
            rest = f" after the {output.amount(count, self.of)} under way; again to stop at once" if count else ""
            self.say(f"stopping{rest}")
        elif self.count <= _PATIENCE:
            self._task.cancel()
        else:
            os._exit(Interrupted.exit_code)


def run(work: Callable[[Interrupts], Coroutine[Any, Any, T]], *, stays: bool = False) -> T:
    """Run to the end, weeks from now if it `stays`. Raises Interrupted when a signal cancelled it."""
    spare_the_collector(stays=stays)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_until_told(work))


def spare_the_collector(*, stays: bool = False) -> None:
    """Collect garbage less often: what was imported stays, and calls leave few cycles (a sync: 10 % less CPU).

    What imports leave behind stays too: 1 MB at most, and to look for it takes 13 ms before the first picture.
    """
    gc.freeze()
    gc.set_threshold(*(_FOR_WEEKS if stays else _FOR_A_RUN))


def run_core(
    settings: "Settings",
    work: "Callable[[Core, Interrupts], Coroutine[Any, Any, T]]",
    *,
    face: str = "cli",
    stays: bool = False,
) -> T:
    """The same with the core of a profile. Raises DatabaseError."""
    from mmconsole.core import open_core  # noqa: PLC0415 - the console has its first picture before

    async def with_core(interrupts: Interrupts) -> T:
        async with open_core(settings, face=face, warn=output.note) as core:
            return await work(core, interrupts)

    return run(with_core, stays=stays)


async def _until_told(work: Callable[[Interrupts], Coroutine[Any, Any, T]]) -> T:
    async with _heard() as interrupts:
        try:
            return await work(interrupts)
        except asyncio.CancelledError:
            if interrupts.count:
                raise Interrupted from None
            raise
        except BaseExceptionGroup as group:
            raise _first(group) from group


@asynccontextmanager
async def _heard() -> AsyncIterator[Interrupts]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in one
    interrupts, loop = Interrupts(task), asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, interrupts.hear)
    try:
        yield interrupts
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The fault to tell of those that ended several tasks: one of ours, if there is one."""
    leaves = list(_leaves(group))
    return next((leaf for leaf in leaves if isinstance(leaf, MmconsoleError)), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for one in group.exceptions:
        found += _leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return found


def new_loop() -> asyncio.AbstractEventLoop:
    """The fastest event loop there is here."""
    try:
        import uvloop  # noqa: PLC0415 - not on every system
    except ModuleNotFoundError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
