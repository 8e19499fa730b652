"""A plan on its way to the server: forecast, let pass, and applied as a job."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mmconsole.config import Settings
from mmconsole.database import Database
from mmconsole.domain.forecast import Forecast, arrivals, forecast_of
from mmconsole.domain.plans import Result
from mmconsole.errors import MmconsoleError, Refused
from mmconsole.services.accounts import Accounts
from mmconsole.services.gate import Gate
from mmconsole.services.jobs import Applier, Journal, Runner
from mmconsole.services.leases import Lease
from mmconsole.services.planning import Brief
from mmconsole.services.recovery import Recovered, Recovery
from mmconsole.services.runs import Run, acting
from mmconsole.services.server import Server
from mmconsole.services.steps import Steps
from mmconsole.services.storage import Storage
from mmconsole.services.summary import Confirm, Progress, Summary
from mmconsole.services.tokens.making import Tokens
from mmconsole.services.tokens.revocation import Revocations


@dataclass(frozen=True, slots=True)
class Watching:
    """Who looks on while a plan is applied, is asked about it, and may stop it."""

    confirm: Confirm
    progress: Progress
    stop: asyncio.Event


class Sharing(Protocol):
    """Who shares a job with workers on other machines."""

    async def run(self, journal: Journal, summary: Summary, watching: Watching) -> MmconsoleError | None:
        """See to the end of a job. Returns the fault that ended it, if one did."""


class Applying:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        server: Server,
        storage: Storage,
        *,
        actor: str,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._storage = storage
        self.tokens = Tokens(database, server, storage, lifetime=settings.values.tokens.lifetime)
        self.revocations = Revocations(database, server, storage)
        self.gate = Gate(settings, database, storage, now=now)
        self.recovery = Recovery(database, server, Accounts(server), self.tokens, self.revocations)
        self._actor = actor
        self._now = now
        self.crew: Sharing | None = None
        """Set where jobs are shared."""

    async def begin(self) -> None:
        """What every run does under its lease before anything else. Raises OtherServer."""
        await self._server.bind()
        await self._storage.refresh()

    async def clear_up(self, lease: Lease) -> Recovered:
        """Begin, and bring to an end what interrupted runs left. Raises OtherServer."""
        await self.begin()
        return await self.recovery.recover(self.run(lease))

    async def foretell(self, summary: Summary, brief: Brief | None = None, *, removals: int | None) -> None:
        """Complete a plan that is only shown: what it will cause, and what would stop it."""
        summary.forecast = await self.forecast(summary, brief)
        summary.would_stop = [fault async for fault in self.gate.obstacles(summary, removals=removals)]

    async def forecast(self, summary: Summary, brief: Brief | None = None) -> Forecast:
        """What a plan will cause; without a brief it is one that leaves accounts and teams alone."""
        return forecast_of(
            summary.steps,
            users=summary.planned,
            removals=summary.removals,
            teams=len(brief.teams) if brief else 0,
            notices=summary.notices,
            mails=(await self._server.facts()).mails_tokens,
            room=await self._room() if arrivals(summary.steps) else None,
        )

    async def _room(self) -> int | None:
        """How many more active users the server takes, where it tells."""
        try:
            return (await (await self._server.client()).user_limits()).room
        except Refused:
            return None

    async def apply(self, job: Journal, brief: Brief, lease: Lease, summary: Summary, watching: Watching) -> None:
        """Do what a sync's journal says. What ended it before its end is the summary's fault."""
        await self.apply_with(self.steps(brief, lease, job.id), job, summary, watching)

    async def apply_with(self, steps: Applier, job: Journal, summary: Summary, watching: Watching) -> None:
        """The same with whoever knows how to do the steps."""

        def done(result: Result) -> None:
            summary.add(result)
            watching.progress.advance(1)

        watching.progress.stage("applying", summary.planned)
        if self.crew is not None:
            summary.fault = await self.crew.run(job, summary, watching)
            return
        calls = self._settings.values.mattermost.max_concurrency
        runner = Runner(self._database, job, steps, calls=calls)
        summary.fault = await runner.run(done, watching.stop)

    def run(self, lease: Lease, *, job_id: int | None = None) -> Run:
        return Run(lease, acting(self._actor), self._now, job_id)

    def steps(self, brief: Brief, lease: Lease, job_id: int | None) -> Steps:
        """Who does what stands in the journal of a sync."""
        return Steps(
            self._database,
            self._server,
            Accounts(self._server),
            self.tokens,
            rules=brief.rules,
            teams=brief.teams,
            run=self.run(lease, job_id=job_id),
        )
