"""Sync: bring users, accounts and tokens into step. Look, plan, forecast, then apply as a job."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from mmconsole.config import Settings
from mmconsole.database import Database, Transaction, open_scratch
from mmconsole.domain.accounts import TeamId
from mmconsole.domain.plans import Finding, Forecast, Kind, Outcome, Result, Rules, allowed_removals, forecast_of
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.errors import Declined, GuardTripped, MmconsoleError, NotFound, TeamUnknown, TooManyMails
from mmconsole.services.accounts import Accounts
from mmconsole.services.jobs import Journal, Runner
from mmconsole.services.leases import Lease, hold
from mmconsole.services.look import Aim, Batch, Look, Planned
from mmconsole.services.recovery import Recovered, Recovery
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.steps import Steps
from mmconsole.services.storage import Storage
from mmconsole.services.tokens import Tokens
from mmconsole.services.users import Users

LEASE: Final = "sync"
_KIND: Final = "sync"
LEFT_FOR_LATER: Final = "left for later"
"""Users with steps beyond `--limit`."""
KEPT_RESULTS: Final = 1_000
"""How many conflicts and failures a summary carries along; the database has all of them."""
_OVERLAP_MS: Final = 5_000
"""The next look begins a little before this one, since the server's Date has whole seconds and nodes differ."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What the operator asked for."""

    names: tuple[str, ...] = ()
    """Users by id, e-mail or username; empty means all."""
    missing: bool = False
    limit: int | None = None
    full: bool = False
    teams: bool = False
    link_existing: bool = False
    """The operator confirms the links to existing accounts, for the users of this request."""
    allow_removals: int | None = None
    wait: bool = False


@dataclass(slots=True)
class Summary:
    """How a sync ended: every user is in exactly one count."""

    users: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    listed: list[Result] = field(default_factory=list)
    """Conflicts, failures and users left alone, at most KEPT_RESULTS of them."""
    steps: Counter[Kind] = field(default_factory=Counter)
    planned: int = 0
    """Users with steps."""
    removals: int = 0
    forecast: Forecast = field(default_factory=Forecast)
    recovered: Recovered = field(default_factory=Recovered)
    job_id: int | None = None
    fault: MmconsoleError | None = None
    """What ended the run before its end."""

    @property
    def troubled(self) -> int:
        return self.counts[Outcome.CONFLICT] + self.counts[Outcome.FAILED]

    def take(self, planned: Planned, *, limit: int | None) -> bool:
        """Count one user. Returns whether there are steps to apply, which are at most `limit` users'."""
        if planned.plan.steps and limit is not None and self.planned >= limit:
            self.users += 1
            self.counts[LEFT_FOR_LATER] += 1
            return False
        return self._add_plan(planned)

    def _add_plan(self, planned: Planned) -> bool:
        """Count a finding, or take note of steps. Returns whether there are steps to apply."""
        plan = planned.plan
        self.users += planned.user is not None or bool(plan.steps)
        if plan.steps:
            self.planned += 1
            self.removals += plan.removes
            self.steps.update(plan.steps)
            return True
        if plan.finding is Finding.CONFLICT:
            self.add(Result(plan.user_id, Outcome.CONFLICT, plan.why))
        elif plan.finding is Finding.LEFT:
            self._list(Result(plan.user_id, Outcome.SKIPPED, plan.why))
            self.counts[Finding.LEFT] += 1
        elif planned.user is not None:
            self.counts[Finding.UNCHANGED] += 1
        return False

    def add_unchanged(self, users: int) -> None:
        if users:
            self.users += users
            self.counts[Finding.UNCHANGED] += users

    def add(self, result: Result) -> None:
        self.counts[result.outcome] += 1
        if result.outcome in {Outcome.CONFLICT, Outcome.FAILED, Outcome.SKIPPED}:
            self._list(result)

    def _list(self, result: Result) -> None:
        if len(self.listed) < KEPT_RESULTS:
            self.listed.append(result)


class Progress(Protocol):
    """Where a long operation tells how far it is. The command line draws a bar, the console a line."""

    def stage(self, name: str, total: int | None) -> None:
        """A new stretch begins; `total` is in users, None when it is not known."""

    def advance(self, done: int = 1) -> None:
        """So many more users are done."""

    def planned(self, planned: Planned) -> None:
        """A user has steps."""


class Silent:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int | None) -> None:
        pass

    def advance(self, done: int = 1) -> None:
        pass

    def planned(self, planned: Planned) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _Brief:
    """A request, worked out against the settings and the server."""

    request: SyncRequest
    aim: Aim
    rules: Rules
    teams: dict[TeamId, str]


Confirm = Callable[[Forecast], Awaitable[bool]]


async def _always(_forecast: Forecast) -> bool:
    return True


class Sync:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        server: Server,
        storage: Storage,
        users: Users,
        *,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._storage = storage
        self._tokens = Tokens(database, server, storage)
        self._recovery = Recovery(database, server, Accounts(server), self._tokens)
        self._users = users
        self._actor = actor
        self._now = now

    async def plan(self, request: SyncRequest, *, progress: Progress | None = None) -> Summary:
        """Decide what a sync would do, and do nothing: no lease, no write."""
        shown = progress or Silent()
        summary = Summary()
        brief = await self._prepare(request)
        async for batch in self._batches(brief, shown):
            summary.add_unchanged(batch.in_step)
            for planned in batch.planned:
                if summary.take(planned, limit=request.limit):
                    shown.planned(planned)
        summary.forecast = await self._forecast(summary, brief.teams)
        return summary

    async def run(
        self,
        request: SyncRequest,
        *,
        confirm: Confirm = _always,
        progress: Progress | None = None,
        stop: asyncio.Event | None = None,
    ) -> Summary:
        """Plan and apply. `confirm` is asked when mails or removals are forecast; `stop` ends it after what runs now.

        A summary with a `fault` was ended before its end. Raises Busy, GuardTripped, TooManyMails, Declined, and what
        the server or the database can raise before the first step.
        """
        shown, stopping = progress or Silent(), stop or asyncio.Event()
        async with hold(self._database, LEASE, holder=self._actor, wait=request.wait) as lease:
            await self._server.bind()
            await self._end_earlier(lease)
            summary = Summary(recovered=await self._recovery.recover(self._run(lease)))
            brief = await self._prepare(request)
            looked_at = await self._server_time()
            job = Journal(lease, kind=_KIND, title=_title(request), actor=self._actor, now=self._now)
            await self._plan_into(job, brief, summary, shown)
            summary.forecast = await self._forecast(summary, brief.teams)
            if summary.planned:
                await self._allow(request, summary, confirm, job)
                await self._apply(job, self._steps(brief, job, lease), summary, shown, stopping)
            if brief.aim.everything and request.limit is None and not stopping.is_set():
                await self._remember(lease, looked_at, full=brief.aim.since is None)
        return summary

    async def _end_earlier(self, lease: Lease) -> None:
        """Close what an earlier sync left unfinished: this one plans anew what is missing."""
        left = await self._database.read(lambda db: [job.id for job in db.jobs.resumable() if job.kind == _KIND])

        def close(tx: Transaction) -> None:
            for job_id in left:
                tx.jobs.stop(job_id, at=self._now())

        if left:
            await lease.write(close)

    async def recover(self) -> Recovered:
        """Clear up what an interrupted run left on the server. Raises Busy while one is at work."""
        async with hold(self._database, LEASE, holder=self._actor, wait=False) as lease:
            await self._server.bind()
            return await self._recovery.recover(self._run(lease))

    # ── before ───────────────────────────────────────────────────────────────────────────────────

    async def _prepare(self, request: SyncRequest) -> _Brief:
        ids = await self._users.resolve(request.names) if request.names else None
        aim = Aim(ids, request.missing, await self._since(request))
        return _Brief(request, aim, self._rules(request, ids), await self._teams())

    def _rules(self, request: SyncRequest, ids: tuple[UserId, ...] | None) -> Rules:
        sync = self._settings.values.sync
        return Rules(
            reactivate=sync.reactivate,
            deactivate=sync.deactivate,
            update_username=sync.update_username,
            teams=request.teams,
            confirmed=frozenset(ids or ()) if request.link_existing else frozenset(),
            asked=frozenset(ids or ()),
        )

    async def _teams(self) -> dict[TeamId, str]:
        client = await self._server.client()
        found = {}
        for name in self._settings.values.sync.teams:
            try:
                team = await client.team_by_name(name)
            except NotFound as fault:
                raise TeamUnknown(name=name, server=self._settings.server) from fault
            if team.delete_at:
                raise TeamUnknown(name=name, server=self._settings.server)
            found[team.id] = team.name
        return found

    async def _since(self, request: SyncRequest) -> int | None:
        """The server's time of the last look, or None when everything is to be compared (daily, or --full)."""
        last, full_at = await self._database.read(lambda db: (db.meta.last_look, db.meta.last_full_look))
        every = timedelta(hours=self._settings.values.sync.full_every_hours)
        if request.full or not last or full_at is None or self._now() - full_at > every:
            return None
        return last

    async def _server_time(self) -> int:
        return (await self._server.client()).server_time_ms()

    async def _total(self, aim: Aim) -> int:
        if aim.ids is not None:
            return len(aim.ids)
        missing = aim.missing
        return await self._database.read(lambda db: db.roster.count_missing() if missing else db.roster.count())

    async def _batches(self, brief: _Brief, shown: Progress) -> AsyncGenerator[Batch, None]:
        shown.stage("comparing", await self._total(brief.aim))
        client = await self._server.client()
        with open_scratch() as scratch:
            look = Look(self._database, client, scratch, aim=brief.aim, rules=brief.rules, teams=brief.teams)
            async for batch in look.batches(advance=shown.advance):
                yield batch

    # ── between ──────────────────────────────────────────────────────────────────────────────────

    async def _plan_into(self, job: Journal, brief: _Brief, summary: Summary, shown: Progress) -> None:
        """Write what is to be done into the job, and what was found into the records that say otherwise so far."""
        async with aclosing(self._batches(brief, shown)) as batches:
            async for batch in batches:
                summary.add_unchanged(batch.in_step)
                limit = brief.request.limit
                steps = [one.plan for one in batch.planned if summary.take(one, limit=limit)]
                await job.add(steps, _noted(batch.planned))
        summary.job_id = job.id

    async def _forecast(self, summary: Summary, teams: dict[TeamId, str]) -> Forecast:
        return forecast_of(
            summary.steps,
            users=summary.planned,
            removals=summary.removals,
            teams=len(teams),
            mails_tokens=(await self._server.facts()).mails_tokens,
        )

    async def _allow(self, request: SyncRequest, summary: Summary, confirm: Confirm, job: Journal) -> None:
        """Pass the guard, the limit of mails and the operator, or leave everything as it is."""
        try:
            await self._check_guard(request, summary)
            self._check_mails(summary)
            if {Kind.GENERATE, Kind.ADOPT} & summary.steps.keys():
                # Keys that are missing must show before the first account is made.
                await self._storage.vault()
            if (summary.forecast.mails or summary.removals) and not await confirm(summary.forecast):
                raise Declined
        except MmconsoleError:
            await job.drop()
            raise

    async def _check_guard(self, request: SyncRequest, summary: Summary) -> None:
        if not summary.removals or request.allow_removals == summary.removals:
            return
        since = self._now() - _DAY
        earlier, users = await self._database.read(lambda db: (db.jobs.removals_since(since), db.roster.count()))
        guard = self._settings.values.guard
        allowed = allowed_removals(users, floor=guard.removals, percent=guard.percent)
        if summary.removals + earlier > allowed:
            raise GuardTripped(removals=summary.removals, total=summary.removals + earlier, allowed=allowed)

    def _check_mails(self, summary: Summary) -> None:
        allowed = self._settings.values.sync.max_mails
        if allowed is not None and summary.forecast.mails > allowed:
            raise TooManyMails(mails=summary.forecast.mails, allowed=allowed)

    async def _apply(
        self, job: Journal, steps: Steps, summary: Summary, shown: Progress, stopping: asyncio.Event
    ) -> None:
        def done(result: Result) -> None:
            summary.add(result)
            shown.advance(1)

        shown.stage("applying", summary.planned)
        workers = self._settings.values.mattermost.max_concurrency
        summary.fault = await Runner(self._database, job, steps, workers=workers).run(done, stopping)

    def _steps(self, brief: _Brief, job: Journal, lease: Lease) -> Steps:
        return Steps(
            self._database,
            self._server,
            Accounts(self._server),
            self._tokens,
            rules=brief.rules,
            teams=brief.teams,
            run=self._run(lease, job_id=job.id),
        )

    def _run(self, lease: Lease, *, job_id: int | None = None) -> Run:
        return Run(lease, self._actor, self._now, job_id)

    # ── after ────────────────────────────────────────────────────────────────────────────────────

    async def _remember(self, lease: Lease, looked_at: int, *, full: bool) -> None:
        """Only a complete pass moves the time of the last look, so what it missed is looked at again.

        What is older than `activity.keep_days` is forgotten on the way.
        """
        now = self._now()
        oldest = now - timedelta(days=self._settings.values.activity.keep_days)

        def store(tx: Transaction) -> None:
            tx.activity.prune(oldest)
            tx.jobs.prune(oldest)
            tx.meta.last_look = looked_at - _OVERLAP_MS
            if full:
                tx.meta.last_full_look = now

        await lease.write(store)


def _noted(batch: list[Planned]) -> list[TokenRecord]:
    """The records whose health this look found to be another one."""
    return [record for planned in batch if (record := _noted_one(planned)) is not None]


def _noted_one(planned: Planned) -> TokenRecord | None:
    """What to remember of a user without steps, or None when that is known already."""
    plan, record = planned.plan, planned.record
    if planned.user is None or plan.steps:
        return None
    known = record or TokenRecord(plan.user_id)
    noted = known
    if plan.health is not None:
        # What somebody disabled stays withheld, also when it is deleted on the server later.
        withheld = known.withheld or plan.health is Health.DISABLED
        noted = replace(known, health=plan.health, cause=plan.why, withheld=withheld)
    elif known.token_id is not None and planned.user.active:
        noted = replace(known, health=Health.OK, cause="", withheld=False)
    if plan.finding is Finding.UNCHANGED and planned.digest:
        noted = replace(noted, pushed_digest=planned.digest)
    return None if noted == known else noted


def _title(request: SyncRequest) -> str:
    if request.names:
        return f"sync {len(request.names)} users" if len(request.names) > 1 else f"sync {request.names[0]}"
    return "sync --missing" if request.missing else "sync --all"
