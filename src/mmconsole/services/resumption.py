"""Going on with what was planned some time ago: the rest of an interrupted job, or a plan from a file.

Every user is looked at anew right before, and only those steps are applied that were approved and are still needed.
So a plan that is applied twice does nothing twice, and a job may be resumed after other runs.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from mmconsole.database import Database, ItemState, Job, JobItem, Snapshot
from mmconsole.domain.plans import UserPlan
from mmconsole.errors import JobEnded, JobUnknown, MmconsoleError, NotResumable
from mmconsole.services import sync
from mmconsole.services.applying import Applying, Watching
from mmconsole.services.comparing import Comparison, SyncComparison, TokenComparison
from mmconsole.services.jobs import Applier, Journal, plan_of
from mmconsole.services.leases import Lease, hold
from mmconsole.services.planning import Brief, Planning
from mmconsole.services.summary import Summary, SyncRequest
from mmconsole.services.tokens import tokens
from mmconsole.services.tokens.tokens import TokenLife

AT_ONCE: Final = 5_000
"""Users who are compared together: as many as the server is asked about in one call."""
_KINDS: Final = frozenset({sync.KIND, tokens.KIND})
"""Of jobs that any process can go on with. They share a lease."""


@dataclass(frozen=True, slots=True)
class Again:
    """What is asked for when an old plan is gone on with."""

    allow_removals: int | None = None
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Approved:
    """Plans that somebody approved some time ago."""

    kind: str
    """Of the job that does them."""
    title: str
    total: int
    users: Callable[[], AsyncIterator[list[UserPlan]]]
    """Some thousand at a time. What it raises, at its end too, is raised before anything is done."""


@dataclass(frozen=True, slots=True)
class Way:
    """How plans of one kind are compared and applied."""

    comparison: Comparison
    steps: Callable[[Lease, int | None], Applier]
    brief: Brief | None

    async def revise(self, journal: Journal, items: Sequence[JobItem], summary: Summary, watching: Watching) -> None:
        """Compare items that wait, and write down what is left of each."""
        by_user = {item.user_id: item for item in items}
        compared = await self.comparison.compare([plan_of(item) for item in items], summary, watching)
        await journal.revise(
            [(by_user[plan.user_id], plan) for plan in compared.kept],
            [(by_user[result.user_id], result) for result in compared.settled],
            compared.noted,
        )


class Resumption:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        database: Database,
        planning: Planning,
        applying: Applying,
        life: TokenLife,
        *,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._planning = planning
        self._applying = applying
        self._life = life
        self._actor = actor
        self._now = now

    async def resume(self, job_id: int, again: Again, watching: Watching) -> Summary:
        """Take over a job that paused, or whose process died, and do the rest of it.

        Raises JobUnknown, JobEnded, NotResumable, Busy, and what a sync raises before its first step; then the job
        goes on waiting.
        """
        async with hold(self._database, sync.LEASE, holder=self._actor, wait=again.wait) as lease:
            job = await self._database.read(partial(_resumable, job_id=job_id))
            summary = Summary(recovered=await self._applying.clear_up(lease), job_id=job_id)
            way = await self.way(job.kind)
            journal = self._journal(lease, job.kind, job.title, job_id=job_id)
            await journal.take_over()
            try:
                await self._compare_items(journal, job_id, way, summary, watching)
                await self._let_pass(journal, way, summary, again, watching)
            except MmconsoleError:
                with suppress(MmconsoleError):
                    await journal.end(complete=False)
                raise
            if summary.planned:
                await self._apply(journal, way, lease, summary, watching)
            else:
                await journal.end(complete=True)
        return summary

    async def apply(self, approved: Approved, again: Again, watching: Watching) -> Summary:
        """Do as a new job what was approved. Raises what a sync raises before its first step."""
        async with hold(self._database, sync.LEASE, holder=self._actor, wait=again.wait) as lease:
            summary = Summary(recovered=await self._applying.clear_up(lease))
            way = await self.way(approved.kind)
            journal = self._journal(lease, approved.kind, approved.title)
            watching.progress.stage("comparing", approved.total)
            try:
                async for plans in approved.users():
                    compared = await way.comparison.compare(plans, summary, watching)
                    await journal.add(compared.kept, compared.noted)
            except MmconsoleError:
                await journal.drop()
                raise
            summary.job_id = journal.id
            await self._let_pass(journal, way, summary, again, watching)
            if summary.planned:
                await self._apply(journal, way, lease, summary, watching)
        return summary

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    async def way(self, kind: str) -> Way:
        """How plans of this kind are compared and applied."""
        if kind == tokens.KIND:
            return Way(TokenComparison(self._database), self._life.steps, None)
        brief = await self._planning.prepare(SyncRequest(full=True))
        return Way(SyncComparison(self._planning, brief), partial(self._applying.steps, brief), brief)

    def _journal(self, lease: Lease, kind: str, title: str, *, job_id: int | None = None) -> Journal:
        return Journal(lease, kind=kind, title=title, actor=self._actor, now=self._now, job_id=job_id)

    async def _compare_items(
        self, journal: Journal, job_id: int, way: Way, summary: Summary, watching: Watching
    ) -> None:
        """Go through the items that wait, and write down what is left of each."""
        after: int | None = None
        waiting = await self._database.read(lambda db: db.jobs.counts(job_id).planned)
        watching.progress.stage("comparing", waiting)
        while items := await self._database.read(partial(_waiting, job_id=job_id, after=after)):
            await way.revise(journal, items, summary, watching)
            after = items[-1].position

    async def _let_pass(self, journal: Journal, way: Way, summary: Summary, again: Again, watching: Watching) -> None:
        summary.forecast = await self._applying.forecast(summary, way.brief)
        if summary.planned:
            await self._applying.gate.let_pass(summary, watching.confirm, journal, removals=again.allow_removals)

    async def _apply(self, journal: Journal, way: Way, lease: Lease, summary: Summary, watching: Watching) -> None:
        await self._applying.apply_with(way.steps(lease, journal.id), journal, summary, watching)
        await self._life.say_until_when(summary)


def can_resume(job: Job) -> bool:
    """Whether a job of this kind can be gone on with by its number."""
    return job.kind in _KINDS and not job.state.ended


def _resumable(db: Snapshot, *, job_id: int) -> Job:
    job = db.jobs.find(job_id)
    if job is None:
        raise JobUnknown(job_id=job_id)
    if job.state.ended:
        raise JobEnded(job_id=job_id, state=job.state)
    if job.kind not in _KINDS:
        raise NotResumable(job_id=job_id, title=job.title)
    return job


def _waiting(db: Snapshot, *, job_id: int, after: int | None) -> list[JobItem]:
    return db.jobs.items.page(job_id, limit=AT_ONCE, state=ItemState.PLANNED, after_position=after)
