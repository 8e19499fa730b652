"""How far a long operation is: a bar on a terminal, a line for each tenth elsewhere. All of it is talk, on stderr."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

from mmconsole.cli import output

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn, TaskID

    from mmconsole.mattermost import Pace
    from mmconsole.services.look import Planned

_TENTHS: Final = 10
_WORTH_TELLING: Final = 0.1
"""Seconds of a wait that are worth a word."""


class Watch(Protocol):
    """What the services tell, and what signals and questions need of it."""

    def stage(self, name: str, total: int | None) -> None: ...

    def advance(self, done: int = 1) -> None: ...

    def planned(self, planned: "Planned") -> None: ...

    def say(self, line: str) -> None:
        """A line of talk that does not tear the bar."""

    def rest(self) -> None:
        """Take the bar away, for a question or for good. A next stage brings it back."""


class Lines:
    """A line for each tenth of a stage."""

    def __init__(self, of: str = "user") -> None:
        """`of` is what is counted."""
        self._of = of
        self._name = ""
        self._total = self._done = self._tenths = 0

    def stage(self, name: str, total: int | None) -> None:
        self._name, self._total = name, total or 0
        self._done = self._tenths = 0

    def advance(self, done: int = 1) -> None:
        self._done += done
        tenths = min(self._done * _TENTHS // self._total, _TENTHS) if self._total else 0
        if tenths > self._tenths:
            self._tenths = tenths
            self.say(f"{self._name}: {tenths * 10} % ({self._done:,} of {output.amount(self._total, self._of)})")

    def planned(self, planned: "Planned") -> None:
        pass

    def say(self, line: str) -> None:
        output.note(line)

    def rest(self) -> None:
        pass


class Bar:
    """A bar with the rate and the time that is left, or with what everything waits for."""

    def __init__(self, pace: Callable[[], Awaitable["Pace"]] | None = None) -> None:
        self._ask_pace = pace
        self._asking: asyncio.Task[None] | None = None
        self._pace: Pace | None = None
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def stage(self, name: str, total: int | None) -> None:
        self.rest()
        if self._pace is None and self._ask_pace is not None:
            self._asking = asyncio.get_running_loop().create_task(self._learn_pace(self._ask_pace))
        self._bar = _new_bar(self._left)
        self._task = self._bar.add_task(name, total=total)
        self._bar.start()

    def advance(self, done: int = 1) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, done)

    def planned(self, planned: "Planned") -> None:
        pass

    def say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line)
        else:
            output.note(line)

    def rest(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    async def _learn_pace(self, ask: Callable[[], Awaitable["Pace"]]) -> None:
        self._pace = await ask()

    def _left(self, seconds: float | None) -> str:
        """The last words of the bar."""
        wait = self._pace.wait_left if self._pace else 0.0
        if wait > _WORTH_TELLING:
            return f"the server asked us to wait {wait:.1f} s"
        return "" if seconds is None else f"{output.duration(seconds)} left"


def watch(pace: Callable[[], Awaitable["Pace"]] | None = None, *, of: str = "user") -> Watch:
    """A bar if somebody sees it, else lines. `pace` tells what the server asks for, once it is known."""
    return Bar(pace) if output.is_terminal(sys.stderr) else Lines(of)


def _new_bar(left: Callable[[float | None], str]) -> "RichProgress":
    from rich.console import Console  # noqa: PLC0415 - only who draws a bar pays for rich
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    columns: list[ProgressColumn] = [
        TextColumn("{task.description:<9}", markup=False),
        BarColumn(bar_width=14),
        MofNCompleteColumn(),
        _rate_and_rest(left),
    ]
    return Progress(*columns, console=console, refresh_per_second=5, transient=True)


def _rate_and_rest(left: Callable[[float | None], str]) -> "ProgressColumn":
    from rich.progress import ProgressColumn, Task  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class RateAndRest(ProgressColumn):
        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            rate = f"{task.speed:,.0f}/s  " if task.speed else ""
            return Text(rate + left(task.time_remaining), no_wrap=True)

    return RateAndRest()
