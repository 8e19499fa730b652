"""What an operator can ask for tokens: make, repair, rotate, revoke, and take a revocation back."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database, JobItem, Snapshot
from mmconsole.domain.filters import Filter, parse
from mmconsole.domain.plans import Kind, Outcome
from mmconsole.domain.spans import span_text
from mmconsole.domain.token_plans import Act, TokenRules, plan_token
from mmconsole.domain.users import UserId
from mmconsole.errors import JobUnknown, NothingToUndo, UsageError
from mmconsole.services.applying import Applying, Watching
from mmconsole.services.jobs import Journal
from mmconsole.services.leases import Lease, hold
from mmconsole.services.look import Planned
from mmconsole.services.memberships import teams_of
from mmconsole.services.recovery import Recovered
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage
from mmconsole.services.summary import Confirm, Progress, Silent, Summary, always
from mmconsole.services.sync import LEASE
from mmconsole.services.tokens.revocation import revocations
from mmconsole.services.tokens.steps import TokenSteps, token_of
from mmconsole.services.users import Users

KIND: Final = "tokens"
"""Of its jobs. They run under the lease of a sync, which makes tokens too."""
_BATCH: Final = 1_000
ALL_BROKEN: Final = (
    "active:yes status:missing,revoked,expired,disabled,withheld,inactive,denied,noaccount,conflict,unknown"
)
"""Everybody who has no token that works, also those whom a new one would not help: they are told what would."""
_WORKING: Final = "status:ok,expiring,overdue"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What the operator asked for, and for whom: named users, those of an earlier job, or those of a filter."""

    act: Act
    names: tuple[str, ...] = ()
    """Users by id, e-mail or username."""
    wanted: Filter | None = None
    job_id: int | None = None
    """`undo`: the job whose revocations are taken back."""
    force: bool = False
    """Replace tokens that work, too."""
    at_once: bool = False
    """`revoke`: without time to undo it."""
    older_than: timedelta | None = None
    expiring_within: timedelta | None = None
    allow_removals: int | None = None
    wait: bool = False

    def __post_init__(self) -> None:
        """Nobody named is never everybody. Raises UsageError."""
        aged = self.older_than is not None or self.expiring_within is not None
        if not (self.names or self.wanted is not None or self.job_id is not None or aged):
            raise UsageError(why=f"Nobody was named whose token is meant by {self.act}.")


class TokenLife:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        server: Server,
        storage: Storage,
        users: Users,
        *,
        applying: Applying,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._storage = storage
        self._users = users
        self._applying = applying
        self._actor = actor
        self._now = now

    async def plan(self, request: TokenRequest, *, progress: Progress | None = None) -> Summary:
        """Decide what would be done, and what would stop it, and do nothing: no lease, no write.

        Raises what `Users.meant` raises, BadFilter, JobUnknown, and what the way to the server can raise.
        """
        shown, summary = progress or Silent(), Summary()
        async with aclosing(self._planned(request, summary, shown)) as batches:
            async for batch in batches:
                for planned in batch:
                    if summary.add_plan(planned):
                        shown.planned(planned)
        await self._applying.foretell(summary, removals=request.allow_removals)
        return summary

    async def run(
        self,
        request: TokenRequest,
        *,
        confirm: Confirm = always,
        progress: Progress | None = None,
        stop: asyncio.Event | None = None,
    ) -> Summary:
        """Plan and apply, as a job. `confirm` is asked about mails, removals, and tokens that work or are withheld.

        What an earlier run left is cleared up first. A summary with a `fault` was ended before its end. Raises what
        `plan` raises, Busy, GuardTripped, TooManyMails, Declined.
        """
        watching = Watching(confirm, progress or Silent(), stop or asyncio.Event())
        async with hold(self._database, LEASE, holder=self._actor, wait=request.wait) as lease:
            recovered = await self._applying.clear_up(lease)
            if request.act is Act.UNDO:
                # What can still be undone is what this is about, not something that is left beside it.
                recovered = replace(recovered, pending=0)
            summary = Summary(recovered=recovered)
            job = Journal(lease, kind=KIND, title=title_of(request), actor=self._actor, now=self._now)
            await self._plan_into(job, request, summary, watching)
            summary.forecast = await self._applying.forecast(summary)
            if summary.planned:
                await self._applying.gate.let_pass(summary, confirm, job, removals=request.allow_removals)
                await self._applying.apply_with(self.steps(lease, job.id), job, summary, watching)
        await self.say_until_when(summary)
        return summary

    async def say_until_when(self, summary: Summary) -> None:
        """Until when what was disabled just now can be enabled again."""
        if Kind.DISABLE in summary.steps:
            summary.undo_until = await self._server.now() + self._settings.values.tokens.grace

    async def end_revocations(self, until: datetime, *, stop: asyncio.Event) -> Recovered:
        """Wait for a moment by the server's clock, and revoke for good what was not undone by then.

        `stop` ends the waiting; a later run revokes then.
        """
        left = (until - await self._server.now()).total_seconds()
        with suppress(TimeoutError):
            # The server's clock is known to a second.
            await asyncio.wait_for(stop.wait(), max(left, 0) + 1)
        if stop.is_set():
            return Recovered()
        async with hold(self._database, LEASE, holder=self._actor, wait=True) as lease:
            return await self._applying.clear_up(lease)

    def steps(self, lease: Lease, job_id: int | None) -> TokenSteps:
        """Who does what stands in the journal of such a job."""
        return TokenSteps(
            self._database,
            self._server,
            self._storage,
            self._applying.tokens,
            self._applying.revocations,
            as_of=lambda: self._settings.as_of(self._now()),
            grace=self._settings.values.tokens.grace,
            run=self._applying.run(lease, job_id=job_id),
        )

    # ── planning ─────────────────────────────────────────────────────────────────────────────────

    async def _plan_into(self, job: Journal, request: TokenRequest, summary: Summary, watching: Watching) -> None:
        async with aclosing(self._planned(request, summary, watching.progress)) as batches:
            async for batch in batches:
                await job.add([planned.plan for planned in batch if summary.add_plan(planned)], [])
        summary.job_id = job.id

    async def _planned(
        self, request: TokenRequest, summary: Summary, shown: Progress
    ) -> AsyncGenerator[list[Planned], None]:
        """Those who are meant; the summary gets the names that mean nobody."""
        rules, ids = self._rules(request), await self._ids(request, summary)
        shown.stage("planning", len(ids))
        for start in range(0, len(ids), _BATCH):
            some = ids[start : start + _BATCH]
            yield await self._database.read(partial(_plan_some, ids=some, rules=rules))
            shown.advance(len(some))

    def _rules(self, request: TokenRequest) -> TokenRules:
        grace = self._settings.values.tokens.grace
        return TokenRules(
            request.act,
            self._settings.as_of(self._now()),
            named=bool(request.names),
            force=request.force,
            at_once=request.at_once or not grace,
            older_than=request.older_than,
            expiring_within=request.expiring_within,
        )

    async def _ids(self, request: TokenRequest, summary: Summary) -> Sequence[UserId]:
        if request.names:
            meant = await self._users.meant(request.names)
            summary.refuse(meant.refused)
            return meant.ids
        if request.job_id is not None:
            return await self._of_job(request.job_id)
        wanted = request.wanted or Filter()
        if request.act is Act.ROTATE:
            # Whoever has no token that works is not meant by an age.
            wanted = replace(wanted, terms=(*wanted.terms, *parse(_WORKING).terms))
        as_of = self._settings.as_of(self._now())
        teams = await teams_of(wanted, self._database, self._server)
        return await self._database.read(lambda db: db.listing.ids(wanted, as_of, teams=teams))

    async def _of_job(self, job_id: int) -> list[UserId]:
        """The users whose tokens a job disabled, and no other job after it. Raises JobUnknown, NothingToUndo."""
        found: list[UserId] = []
        after: int | None = None
        job = await self._database.read(lambda db: db.jobs.find(job_id))
        if job is None:
            raise JobUnknown(job_id=job_id)
        if job.kind != KIND:
            raise NothingToUndo(job_id=job_id, title=job.title)
        while items := await self._database.read(partial(_items, job_id=job_id, after=after)):
            disabled = [item.user_id for item in items if item.outcome == Outcome.DISABLED]
            again = await self._database.read(partial(_disabled_later, job_id=job_id, ids=disabled))
            found += [user_id for user_id in disabled if user_id not in again]
            after = items[-1].position
        return list(dict.fromkeys(found))


def _items(db: Snapshot, *, job_id: int, after: int | None) -> list[JobItem]:
    return db.jobs.items.page(job_id, limit=_BATCH, after_position=after)


def _disabled_later(db: Snapshot, *, job_id: int, ids: Sequence[UserId]) -> set[UserId]:
    return db.jobs.items.met_later(job_id, Outcome.DISABLED, ids)


def _plan_some(db: Snapshot, *, ids: Sequence[UserId], rules: TokenRules) -> list[Planned]:
    open_notes = revocations(db, ids)
    planned = []
    for user, record in db.roster.rows(ids):
        open_note = open_notes.get(user.id)
        about = open_note if open_note is not None and open_note.description == token_of(record) else None
        plan = plan_token(user, record, rules, about)
        planned.append(Planned(replace(plan, digest=token_of(record), asked=rules.named), user, record))
    return planned


def title_of(request: TokenRequest) -> str:
    """The command, in short."""
    if request.job_id is not None:
        return f"tokens {request.act} --job {request.job_id}"
    if request.names:
        who = f"{len(request.names)} users" if len(request.names) > 1 else request.names[0]
        return f"tokens {request.act} {who}"
    if request.wanted == parse(ALL_BROKEN):
        return f"tokens {request.act} --all-broken"
    ages = (("--older-than", request.older_than), ("--expiring-within", request.expiring_within))
    limits = [f"{name} {span_text(span)}" for name, span in ages if span is not None]
    return " ".join(["tokens", request.act, *([str(request.wanted)] if request.wanted else []), *limits])
