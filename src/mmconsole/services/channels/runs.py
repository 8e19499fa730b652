"""Many channels in one run: planned, then past the guard and the operator, then done one after the other.

Each step is journaled by whoever does it, so a run that was stopped is finished by saying the same again. A run over
the projects table is a job besides, so that others see how far it is, and may stop it.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database
from mmconsole.domain.channels import ChannelChange, ChannelId, Did
from mmconsole.domain.plans import Kind, Outcome, UserPlan
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    ChannelError,
    DatabaseError,
    Declined,
    GuardTripped,
    JobError,
    LeaseLost,
    MmconsoleError,
    ProjectUnknown,
    Refused,
    TeamUnknown,
)
from mmconsole.services.guard import demand_room
from mmconsole.services.jobs import ENDS_THE_RUN, Journal
from mmconsole.services.summary import Progress, Silent, always

KIND: Final = "project channels"
"""Of a job over the projects table."""
LEASE: Final = "channels of projects"
"""Held for such a job; each of its channels is made or archived under the lease of one channel."""
_REFUSALS = (ChannelError, ProjectUnknown, TeamUnknown, Refused)
"""Trying again would not help."""


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """What is to be done about one channel."""

    subject: str
    """What was named: a channel as it was typed, or a project's id."""
    did: Did
    address: str
    """`team/channel`; of one that is not made yet, the name that is tried first."""
    id: ChannelId | None = None
    """None for one that is not made yet."""


@dataclass(frozen=True, slots=True)
class ChannelResult:
    """How it ended for one channel, with the reason and the cure where there is something to say."""

    subject: str
    outcome: Did | Outcome
    address: str = ""
    note: str = ""


@dataclass(slots=True)
class ChannelRun:
    """How a run is going: everything that was named has one result, or was planned and is not done."""

    planned: list[ChannelPlan] = field(default_factory=list)
    results: list[ChannelResult] = field(default_factory=list)
    named: int = 0
    would_stop: MmconsoleError | None = None
    """What would stop a run before its first step; only a plan that is not applied has it."""
    fault: MmconsoleError | None = None
    """What ended the run before its end."""
    job_id: int | None = None

    @property
    def counts(self) -> Counter[str]:
        return Counter(result.outcome for result in self.results)

    @property
    def removals(self) -> int:
        return sum(plan.did is Did.ARCHIVED for plan in self.planned)

    def take(self, found: ChannelPlan | ChannelResult) -> None:
        """Take note of what a look at one channel found."""
        self.named += 1
        if isinstance(found, ChannelPlan):
            self.planned.append(found)
        else:
            self.results.append(found)


Confirm = Callable[[ChannelRun], Awaitable[bool]]
"""Whether to go on with what was planned; asked when it archives."""
Act = Callable[[ChannelPlan], Awaitable[ChannelChange | None]]
"""Do what was planned. None when that is no longer wanted."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Who asks, watches and stops a run."""

    confirm: Confirm = always
    progress: Progress = field(default_factory=Silent)
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class ChannelRuns:
    def __init__(self, settings: Settings, database: Database, *, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._database = database
        self._now = now

    async def foretell(self, run: ChannelRun, *, allow_removals: int | None) -> ChannelRun:
        """The same run with what would stop it."""
        try:
            await self._pass_guard(run, allow_removals)
        except GuardTripped as tripped:
            run.would_stop = tripped
        return run

    async def apply(
        self, run: ChannelRun, act: Act, watched: Watched, *, allow_removals: int | None, job: Journal | None = None
    ) -> ChannelRun:
        """Do what was planned. Raises GuardTripped and Declined, before anything is done."""
        await self._pass_guard(run, allow_removals)
        if run.removals and not await watched.confirm(run):
            raise Declined
        if not run.planned:
            return run
        watched.progress.stage("applying", len(run.planned))
        if job is None:
            for plan in run.planned:
                if watched.stop.is_set() or run.fault is not None:
                    break
                await self._do(plan, act, run)
                watched.progress.advance(1)
        else:
            await self._apply_as_job(run, act, watched, job)
        return run

    async def _apply_as_job(self, run: ChannelRun, act: Act, watched: Watched, job: Journal) -> None:
        """The same, with each channel written down before and after; somebody elsewhere may pause or stop it."""
        steps = (Kind.FOLLOW,)
        await job.add(
            [UserPlan(UserId(one.subject), steps=steps, why=f"{one.did} {one.address}") for one in run.planned]
        )
        run.job_id = job.id
        try:
            await job.start()
            for item, plan in zip(await job.items(), run.planned, strict=True):
                run.fault = run.fault or await job.asked()
                if watched.stop.is_set() or run.fault is not None:
                    break
                await job.start_items([item])
                if (result := await self._do(plan, act, run)) is not None:
                    await job.finish(item, result.outcome, result.note)
                watched.progress.advance(1)
            await job.end(complete=len(run.results) >= run.named)
        except (DatabaseError, JobError, LeaseLost) as fault:
            run.fault = run.fault or fault

    async def _pass_guard(self, run: ChannelRun, allow_removals: int | None) -> None:
        """The guard counts the whole run before its first step: half of it would be no better."""
        counted = partial(
            demand_room,
            settings=self._settings.values.guard,
            removals=run.removals,
            confirmed=allow_removals,
            now=self._now(),
        )
        await self._database.read(counted)

    async def _do(self, plan: ChannelPlan, act: Act, run: ChannelRun) -> ChannelResult | None:
        """One channel. None when its fault would meet the others too."""
        try:
            change = await act(plan)
        except ENDS_THE_RUN as fault:
            run.fault = fault
            return None
        except MmconsoleError as fault:
            result = failed(plan.subject, fault, address=plan.address)
        else:
            result = _done(plan, change)
        run.results.append(result)
        return result


async def look_at(subjects: Sequence[str], look: Callable[[str], Awaitable[ChannelPlan | ChannelResult]]) -> ChannelRun:
    """Plan for each of them. Raises only what all of them would meet."""
    run = ChannelRun()
    for subject in subjects:
        try:
            run.take(await look(subject))
        except ENDS_THE_RUN:
            raise
        except MmconsoleError as fault:
            run.take(failed(subject, fault))
    return run


def failed(subject: str, fault: MmconsoleError, *, address: str = "") -> ChannelResult:
    outcome = Outcome.REFUSED if isinstance(fault, _REFUSALS) else Outcome.FAILED
    return ChannelResult(subject, outcome, address, str(fault))


def _done(plan: ChannelPlan, change: ChannelChange | None) -> ChannelResult:
    if change is None:
        return ChannelResult(plan.subject, Outcome.SKIPPED, plan.address, "it is no longer wanted")
    return ChannelResult(plan.subject, change.did, change.channel.address)
