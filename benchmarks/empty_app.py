"""A Textual app with nothing in it, and what is measured of any app. It imports nothing of ours."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from rich.console import RenderableType
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen

SIZE: Final = (120, 36)
_JUMPS: Final = ("pagedown", "end", "pageup", "home")
_PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long an app is looked at: nearly all the time of its benchmark is this."""

    settles: float = 2.0
    """Seconds of rest after the first frame, and again after the keys."""
    keys: int = 100
    idle: float = 5.0
    """Seconds in which nobody does anything."""
    working: float = 6.0
    """Seconds of a job that reports 1,000 results in each."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one process measured."""

    first_frame: float
    """Seconds from the start of the process to the first frame."""
    rows: float
    """Seconds until the first users are on it; with nothing in it, the same."""
    key: float
    """Seconds of CPU for going down one line."""
    idle: float
    """CPU while nobody does anything, of one core."""
    memory: float
    """MiB."""
    opening: float
    """Seconds of CPU to the first frame."""
    pressed: float
    """Seconds from one key to the next, as Pilot presses them, line by line."""
    jumped: float
    """The same, by pages and from end to end."""
    working: float = 0.0
    """CPU while a job reports 1,000 results a second, of one core; 0 where there are no jobs."""


async def watch(
    app: App[Any],
    begun: float,
    pace: Pace,
    *,
    shown: Callable[[], bool] = lambda: True,
    work: Callable[[], Coroutine[Any, Any, float]] | None = None,
) -> Seen:
    """Open an app, press keys, leave it alone. `shown` says when all is there that belongs on the first screen.

    `work` is what else is measured.
    """
    frames = _frames_of(app)
    async with app.run_test(size=SIZE) as pilot:
        first_frame, opening = frames[0]
        while not shown():  # noqa: ASYNC110 - there is nothing to wait for in an app that does not know of it
            await asyncio.sleep(0.001)
        rows = time.time()
        await asyncio.sleep(pace.settles)
        before = time.process_time()
        pressed = await _seconds_each(pilot, ["down"] * pace.keys)
        key = (time.process_time() - before) / pace.keys
        jumped = await _seconds_each(pilot, list(islice(cycle(_JUMPS), pace.keys)))
        await asyncio.sleep(pace.settles)
        idle, memory = await share_of_a_core(asyncio.sleep(pace.idle)), _memory()
        working = await work() if work is not None else 0.0
        return Seen(first_frame - begun, rows - begun, key, idle, memory, opening, pressed, jumped, working)


async def _seconds_each(pilot: Pilot[Any], keys: list[str]) -> float:
    moment = time.time()
    await pilot.press(*keys)
    return (time.time() - moment) / len(keys)


def _frames_of(app: App[Any]) -> list[tuple[float, float]]:
    """When something was drawn, and the CPU that had cost by then; they come while the app runs."""
    drawn: list[tuple[float, float]] = []
    display = app._display  # noqa: SLF001 - there is no public way to hear of a frame

    def seen(screen: Screen[Any], renderable: RenderableType | None) -> None:
        display(screen, renderable)
        drawn.append((time.time(), time.process_time()))

    app._display = seen  # type: ignore[method-assign]  # noqa: SLF001
    return drawn


async def share_of_a_core(doing: Awaitable[object]) -> float:
    """CPU while something is waited for, of one core."""
    moment, before = time.time(), time.process_time()
    await doing
    return (time.process_time() - before) / (time.time() - moment)


def _memory() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * _PAGE_SIZE / 2**20


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(watch(App(), float(sys.argv[1]), Pace(**json.loads(sys.argv[2])))))))
