"""Sync: bring users, accounts and tokens into step. Look, plan, forecast, then apply as a job."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database, Transaction
from mmconsole.services.applying import Applying, Watching
from mmconsole.services.changes import forget
from mmconsole.services.jobs import Journal, end_left
from mmconsole.services.leases import Lease, hold
from mmconsole.services.planning import Brief, Planning, noted
from mmconsole.services.recovery import Recovered
from mmconsole.services.runs import acting
from mmconsole.services.server import Server
from mmconsole.services.summary import Confirm, Progress, Silent, Summary, SyncRequest, always

LEASE: Final = "sync"
KIND: Final = "sync"
_OVERLAP_MS: Final = 5_000
"""The next look begins a little before this one, since the server's Date has whole seconds and nodes differ."""


class Sync:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        server: Server,
        planning: Planning,
        applying: Applying,
        *,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._planning = planning
        self._applying = applying
        self._actor = actor
        self._now = now

    async def plan(self, request: SyncRequest, *, progress: Progress | None = None) -> Summary:
        """Decide what a sync would do, and what would stop it, and do nothing: no lease, no write."""
        shown = progress or Silent()
        summary = Summary()
        brief = await self._planning.prepare(request)
        summary.refuse(brief.refused)
        shown.stage("comparing", await self._planning.total(brief.aim))
        async for batch in self._planning.batches(brief, advance=shown.advance, stop=asyncio.Event()):
            summary.add_unchanged(batch.in_step)
            for planned in batch.planned:
                if summary.take(planned, request):
                    shown.planned(planned)
        await self._applying.foretell(summary, brief, removals=request.allow_removals)
        return summary

    async def run(
        self,
        request: SyncRequest,
        *,
        confirm: Confirm = always,
        progress: Progress | None = None,
        stop: asyncio.Event | None = None,
    ) -> Summary:
        """Plan and apply. `confirm` is asked about mails, removals and links; `stop` ends it after what runs now.

        A summary with a `fault` was ended before its end. Raises Busy, GuardTripped, TooManyMails, Declined, and what
        the server or the database can raise before the first step.
        """
        watching = Watching(confirm, progress or Silent(), stop or asyncio.Event())
        async with hold(self._database, LEASE, holder=self._actor, wait=request.wait) as lease:
            summary = Summary(recovered=await self._applying.clear_up(lease))
            brief = await self._planning.prepare(request)
            summary.refuse(brief.refused)
            if _covers_everybody(brief):
                # One that covers everybody plans anew what earlier ones have left.
                await end_left(lease, KIND, at=self._now())
            looked_at = await self._server_time()
            job = Journal(lease, kind=KIND, title=title_of(request), actor=acting(self._actor), now=self._now)
            await self._plan_into(job, brief, summary, watching)
            summary.forecast = await self._applying.forecast(summary, brief)
            if summary.planned:
                await self._applying.gate.let_pass(summary, confirm, job, removals=request.allow_removals)
                await self._applying.apply(job, brief, lease, summary, watching)
            if _covers_everybody(brief) and not watching.stop.is_set():
                await self._remember(lease, looked_at, full=brief.aim.since is None)
        return summary

    async def recover(self) -> Recovered:
        """Clear up what an interrupted run left on the server. Raises Busy while one is at work."""
        async with hold(self._database, LEASE, holder=self._actor, wait=False) as lease:
            return await self._applying.clear_up(lease)

    async def _server_time(self) -> int:
        return (await self._server.client()).server_time_ms()

    async def _plan_into(self, job: Journal, brief: Brief, summary: Summary, watching: Watching) -> None:
        """Write what is to be done into the job, and what was found into the records that say otherwise so far."""
        shown = watching.progress
        shown.stage("comparing", await self._planning.total(brief.aim))
        async with aclosing(self._planning.batches(brief, advance=shown.advance, stop=watching.stop)) as batches:
            async for batch in batches:
                summary.add_unchanged(batch.in_step)
                steps = [one.plan for one in batch.planned if summary.take(one, brief.request)]
                await job.add(steps, noted(batch.planned))
        summary.job_id = job.id

    async def _remember(self, lease: Lease, looked_at: int, *, full: bool) -> None:
        """Only a complete pass moves the time of the last look, so what it missed is looked at again.

        What is older than `activity.keep_days` is forgotten on the way.
        """
        now = self._now()
        oldest = now - timedelta(days=self._settings.values.activity.keep_days)

        def store(tx: Transaction) -> None:
            forget(tx, before=oldest)
            tx.meta.last_look = looked_at - _OVERLAP_MS
            if full:
                tx.meta.last_full_look = now

        await lease.write(store)


def _covers_everybody(brief: Brief) -> bool:
    return brief.aim.everything and brief.request.limit is None


def title_of(request: SyncRequest) -> str:
    """A sync's command, in short."""
    if request.names:
        return f"sync {len(request.names)} users" if len(request.names) > 1 else f"sync {request.names[0]}"
    return "sync --missing" if request.missing else "sync --all"
