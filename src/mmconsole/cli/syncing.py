"""A sync as the command line runs it: watched, asked about, and stopped by signals."""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mmconsole.cli import output
from mmconsole.cli.loop import Interrupts
from mmconsole.cli.progress import Watch, watch
from mmconsole.cli.summary import Ending, forecast_lines, show_plan
from mmconsole.core import Core
from mmconsole.domain.plans import Forecast, Kind
from mmconsole.errors import Busy, Interrupted
from mmconsole.mattermost import Pace
from mmconsole.services.look import Planned
from mmconsole.services.sync import Confirm, Summary, SyncRequest

SHOWN_OF_EACH: Final = 10
"""Users of each kind of step that a dry run names."""


# ── planning ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Notes:
    """What a dry run remembers of the users it passes: a few of each kind, or all of them as ready JSON."""

    shown: Watch
    everything: bool
    examples: dict[Kind, list[tuple[str, str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Id, address and reason by kind of step."""
    documents: list[str] = field(default_factory=list)

    def stage(self, name: str, total: int | None) -> None:
        self.shown.stage(name, total)

    def advance(self, done: int = 1) -> None:
        self.shown.advance(done)

    def planned(self, planned: Planned) -> None:
        plan, address = planned.plan, planned.user.email if planned.user else None
        if self.everything:
            one = {"user_id": plan.user_id, "email": address, "steps": plan.steps, "why": plan.why}
            self.documents.append(output.as_json(one))
            return
        for kind in plan.steps:
            if len(self.examples[kind]) < SHOWN_OF_EACH:
                self.examples[kind].append((plan.user_id, address or "", plan.why))


async def plan(core: Core, request: SyncRequest, *, json: bool) -> bool:
    """Show what a sync would do. Returns whether it would do anything."""
    shown = watch(_pace_of(core))
    notes = Notes(shown, everything=json)
    try:
        summary = await core.sync.plan(request, progress=notes)
    finally:
        shown.rest()
    with output.reader():
        show_plan(summary, notes.examples, notes.documents if json else None)
    return summary.planned > 0


# ── applying ─────────────────────────────────────────────────────────────────────────────────────


class Applying:
    """Passes on how far a sync is, and knows how many users are under way."""

    def __init__(self, shown: Watch, signals: Interrupts, *, workers: int) -> None:
        self._shown = shown
        self._signals = signals
        self._workers = workers
        self._left = 0

    def stage(self, name: str, total: int | None) -> None:
        self._left = total or 0
        # Only while steps are applied is there anything that a signal should wait for.
        self._signals.under_way = self._under_way if name == "applying" else None
        self._shown.stage(name, total)

    def advance(self, done: int = 1) -> None:
        self._left -= done
        self._shown.advance(done)

    def planned(self, planned: Planned) -> None:
        self._shown.planned(planned)

    def _under_way(self) -> int:
        return min(self._workers, self._left)


async def apply(core: Core, request: SyncRequest, signals: Interrupts, *, yes: bool, wait: bool) -> Ending:
    """Run a sync to its end, or to where a signal stopped it. Raises what `Sync.run` raises, and Interrupted."""
    shown = watch(_pace_of(core))
    signals.say = shown.say
    applying = Applying(shown, signals, workers=core.settings.values.mattermost.max_concurrency)
    begun = time.monotonic()

    async def run(wanted: SyncRequest) -> Summary:
        confirm = asking(shown, yes=yes)
        return await core.sync.run(wanted, confirm=confirm, progress=applying, stop=signals.stop)

    try:
        summary = await _patiently(run, request, shown) if wait else await run(request)
    finally:
        shown.rest()
        signals.under_way, signals.say = None, output.note
    return Ending(summary, seconds=time.monotonic() - begun, interrupted=signals.count > 0)


async def _patiently(run: Callable[[SyncRequest], Awaitable[Summary]], request: SyncRequest, shown: Watch) -> Summary:
    """Say whom it waits for, if it has to."""
    try:
        return await run(request)
    except Busy as busy:
        shown.say(f"{output.visible(str(busy).partition('. ')[0])}; waiting for its end.")
    return await run(replace(request, wait=True))


def _pace_of(core: Core) -> Callable[[], Awaitable[Pace]]:
    async def pace() -> Pace:
        return (await core.server.client()).pace

    return pace


# ── asking ───────────────────────────────────────────────────────────────────────────────────────


def asking(shown: Watch, *, yes: bool) -> Confirm:
    """Ask on a terminal, unless the answer is known. Elsewhere the guard and `sync.max_mails` decide."""

    async def confirm(forecast: Forecast) -> bool:
        if yes or not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)):
            return True
        shown.rest()
        for line in forecast_lines(forecast):
            output.note(line)
        return await _asked("Go on? [y/N] ")

    return confirm


async def _asked(question: str) -> bool:
    """Wait for a line of the terminal without holding up the loop, which renews the lease meanwhile."""
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
