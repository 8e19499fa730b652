"""A sync as the command line runs it: watched, asked about, and stopped by signals."""

import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from mmconsole.cli import output
from mmconsole.cli.loop import Interrupts
from mmconsole.cli.progress import Watch, watch
from mmconsole.cli.summary import (
    SHOWN_ON_A_TERMINAL,
    Ending,
    forecast_lines,
    link_lines,
    show_obstacles,
    show_plan,
)
from mmconsole.cli.under_way import asked, pace_of, patiently, under_way
from mmconsole.core import Core
from mmconsole.domain.plans import Kind
from mmconsole.services.applying import Watching
from mmconsole.services.jobs import users_at_once
from mmconsole.services.look import Planned
from mmconsole.services.resumption import Again
from mmconsole.services.summary import Confirm, Summary, SyncRequest

T = TypeVar("T")

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
    return await show_planned(core, lambda notes: core.sync.plan(request, progress=notes), json=json)


async def show_planned(core: Core, ask: Callable[[Notes], Awaitable[Summary]], *, json: bool) -> bool:
    """Show a plan that is made now, and what would stop it. Returns whether it would do anything."""
    shown = watch(pace_of(core))
    notes = Notes(shown, everything=json)
    try:
        summary = await ask(notes)
    finally:
        shown.rest()
    with output.reader():
        show_plan(summary, notes.examples, notes.documents if json else None)
    show_obstacles(summary)
    return summary.planned > 0


# ── applying ─────────────────────────────────────────────────────────────────────────────────────


async def apply(core: Core, request: SyncRequest, signals: Interrupts, *, yes: bool, wait: bool) -> Ending:
    """Run a sync to its end, or to where a signal stopped it. Raises what `Sync.run` raises, and Interrupted."""

    def run(waiting: bool, watching: Watching) -> Awaitable[Summary]:  # noqa: FBT001 - `patiently` calls it
        wanted = replace(request, wait=waiting)
        return core.sync.run(wanted, confirm=watching.confirm, progress=watching.progress, stop=watching.stop)

    return await watched(core, run, signals, yes=yes, wait=wait)


async def resume(  # noqa: PLR0913 - one parameter per option
    core: Core, job_id: int, signals: Interrupts, *, allow_removals: int | None, yes: bool, wait: bool
) -> Ending:
    """Do the rest of a job. Raises what `Resumption.resume` raises, and Interrupted."""

    def run(waiting: bool, watching: Watching) -> Awaitable[Summary]:  # noqa: FBT001 - `patiently` calls it
        return core.resumption.resume(job_id, Again(allow_removals, waiting), watching)

    return await watched(core, run, signals, yes=yes, wait=wait)


async def watched(
    core: Core, run: Callable[[bool, Watching], Awaitable[Summary]], signals: Interrupts, *, yes: bool, wait: bool
) -> Ending:
    """Run what applies a plan: shown, asked about, and stopped by signals. `run` is told whether to wait for others."""
    begun, workers = time.monotonic(), users_at_once(core.settings.values.mattermost.max_concurrency)
    with under_way(signals, workers=workers, pace=pace_of(core)) as progress:
        watching = Watching(asking(progress.shown, yes=yes), progress, signals.stop)
        summary = await patiently(lambda waiting: run(waiting, watching), progress.shown, wait=wait)
    return Ending(summary, seconds=time.monotonic() - begun, interrupted=signals.count > 0)


# ── asking ───────────────────────────────────────────────────────────────────────────────────────


def asking(shown: Watch, *, yes: bool) -> Confirm:
    """Ask on a terminal, unless the answer is known. Elsewhere the guard and `sync.max_mails` decide."""

    async def confirm(summary: Summary) -> bool:
        if not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)):
            return True
        shown.rest()
        if summary.links:
            for line in link_lines(summary.links, at_most=SHOWN_ON_A_TERMINAL):
                output.note(line)
        if yes:
            return True
        for why, users in summary.asks.items():
            output.note(f"{output.amount(users, 'user')}: {why}")
        for line in forecast_lines(summary.forecast):
            output.note(line)
        return await asked("Go on? [y/N] ")

    return confirm
