"""Users whose rows have changed: brought into step many at once, by the looks, rules, gate and journal of a sync."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database, JobState, Snapshot, Transaction
from mmconsole.domain.plans import Finding, Kind, Result
from mmconsole.domain.users import UserId
from mmconsole.errors import GuardTripped, JobPaused, JobStopped, MmconsoleError, TooManyMails
from mmconsole.services.applying import Applying, Watching
from mmconsole.services.changes import note
from mmconsole.services.hearing import Making, heard_by
from mmconsole.services.jobs import Journal, end_left
from mmconsole.services.leases import OBSERVER, Lease, Twofold, hold
from mmconsole.services.link_tokens import ONE_REPAIR_IN, REPAIR
from mmconsole.services.look import Aim, Planned
from mmconsole.services.planning import Brief, Planning, noted
from mmconsole.services.runs import Run
from mmconsole.services.summary import LEFT_FOR_LATER, Progress, Silent, Summary, SyncRequest, always
from mmconsole.services.sync import LEASE as TURN

KIND: Final = "follow"
LEASE: Final = OBSERVER
"""Held by the one observer of a database, for as long as it follows."""
HELD_BACK: Final = (GuardTripped, TooManyMails)
"""What stops some users and is an operator's to decide."""
_TITLE: Final = "follow changes"
_ITEMS: Final = 5_000
"""Users in one job before another one is begun, so that each can be counted and shown."""
_AT_MOST: Final = 5.0
"""Seconds of applying after which others who want to change something get their turn."""
_MAILS: Final = "observer.mails"
_DAY: Final = timedelta(hours=24)
_FROM_SCRATCH: Final = frozenset({Kind.CREATE, Kind.LINK})
_REPAIRED: Final = "a token was made by itself within the last 24 hours; `tokens repair` makes another one"
_TOKENS: Final = frozenset({Kind.GENERATE, Kind.ADOPT})


@dataclass(slots=True)
class Round:
    """What became of some users. Who is in neither was not reached, and is as before."""

    ended: dict[UserId, Result] = field(default_factory=dict)
    held_back: dict[UserId, MmconsoleError] = field(default_factory=dict)
    fault: MmconsoleError | None = None
    """What ended it before its end, and the next one would meet too."""


class _OngoingJournal(Journal):
    """The journal of a job that goes on with the next round."""

    added = 0

    async def end(self, *, complete: bool) -> None:
        """What was not begun is left to the next round, which plans it anew."""
        await self.write_finished()
        fence, at = self._lease.fence, self._now()

        def store(tx: Transaction) -> bool:
            if not complete:
                _leave(tx, job_id=self.known, fence=fence, at=at)
            if tx.jobs.state(self.known) is JobState.RUNNING:
                return True
            tx.jobs.leave(self.known, fence=fence, at=at)
            return False

        if not await self._lease.write(store):
            self.id = None

    async def leave_rest(self) -> None:
        """A round was broken off: what it had planned is planned anew."""
        if self.id is not None:
            fence, at = self._lease.fence, self._now()
            leave = partial(_leave, job_id=self.known, fence=fence, at=at)
            await self._lease.write(leave)

    async def heed(self) -> None:
        """If somebody asked to pause or to stop it, that is done; what comes now goes into another job."""
        state = await self._lease.database.read(lambda db: db.jobs.state(self.known)) if self.id is not None else None
        if state is not None and state.ended:
            self.id = None
        elif state is not None and state is not JobState.RUNNING:
            await self.end(complete=True)

    async def close(self) -> None:
        """Nothing more comes to it."""
        if self.id is not None:
            await super().end(complete=True)
            self.id, self.added = None, 0

    def under(self, lease: Lease) -> None:
        """Go on under another turn."""
        self._lease = lease


class Following:
    """One observer's way to bring users into step, for as long as it has its lease."""

    def __init__(  # noqa: PLR0913 - the parts meet in observer.py
        self,
        settings: Settings,
        database: Database,
        planning: Planning,
        applying: Applying,
        *,
        lease: Lease,
        under_way: set[UserId],
        actor: str,
        now: Callable[[], datetime],
    ) -> None:
        """`under_way` holds, at any time, those whose steps have begun and not ended."""
        self._settings = settings
        self._database = database
        self._planning = planning
        self._applying = applying
        self._lease = lease
        self._under_way = under_way
        self._actor = actor
        self._now = now
        self._journal = _OngoingJournal(lease, kind=KIND, title=_TITLE, actor=actor, now=now)
        self._settled = False
        """Whether what interrupted runs left was cleared up, and nothing was interrupted since."""

    async def begin(self) -> None:
        """End the jobs that earlier observers left when they died: what they had not done is still an event."""
        await end_left(self._lease, KIND, at=self._now())

    async def end(self) -> None:
        """Close the job that is open, if one is."""
        # Its turn is over, and nothing but the job's own row is written.
        self._journal.under(self._lease)
        await self._journal.close()

    async def follow(self, ids: Sequence[UserId], stop: asyncio.Event, *, progress: Progress | None = None) -> Round:
        """Bring these users into step, as far as there is time. Raises Busy when it is somebody else's turn,
        and what planning can raise.
        """
        async with hold(self._database, TURN, holder=self._actor, wait=False) as turn:
            lease = Twofold(self._lease.name, self._lease.fence, self._database, turn)
            self._journal.under(lease)
            await self._applying.begin()
            if not self._settled:
                await self._journal.leave_rest()
                await self._applying.recovery.recover(self._applying.run(lease))
            self._settled = False
            found = await self._follow(ids, lease, Watching(always, progress or Silent(), stop))
            self._settled = found.fault is None
        if self._journal.added >= _ITEMS:
            await self.end()
        return found

    async def _follow(self, ids: Sequence[UserId], lease: Lease, watching: Watching) -> Round:
        brief = await self._planning.prepare(SyncRequest())
        # A changed row says nothing about a token that worked the last time.
        brief = replace(brief, aim=Aim(tuple(ids), since=brief.aim.since, trusting=True))
        planned = await self._planned(brief, watching)
        found = Round(ended={user_id: Result(user_id, Finding.UNCHANGED) for user_id in ids})
        found.ended |= {one.plan.user_id: _finding(one) for one in planned}
        with_steps = await self._without_late_repairs([one for one in planned if one.plan.steps], found)
        passing = await self._let_pass(with_steps, brief, found)
        await self._journal.heed()
        await self._journal.add([one.plan for one in passing], noted(planned))
        if passing:
            await self._apply(passing, brief, lease, watching, found)
        return found

    async def _planned(self, brief: Brief, watching: Watching) -> list[Planned]:
        planned: list[Planned] = []
        async with aclosing(self._planning.batches(brief, advance=lambda _: None, stop=watching.stop)) as batches:
            async for batch in batches:
                planned += batch.planned
        return planned

    async def _without_late_repairs(self, planned: list[Planned], found: Round) -> list[Planned]:
        """Leave out a token for whom one was made by itself within a day, and note the others before it is done."""
        repairs = [one.plan.user_id for one in planned if _is_repair(one)]
        if not repairs:
            return planned
        lately = await self._database.read(partial(_repaired_lately, ids=repairs, now=self._now()))
        run = Run(self._lease, self._actor, self._now)
        rows = [run.activity(REPAIR, user_id, "the row has none") for user_id in repairs if user_id not in lately]
        await run.write(note(*rows))
        for user_id in lately:
            found.ended[user_id] = Result(user_id, Finding.LEFT, _REPAIRED)
        thinned = [_without_token(one) if one.plan.user_id in lately else one for one in planned]
        return [one for one in thinned if one.plan.steps]

    async def _let_pass(self, planned: list[Planned], brief: Brief, found: Round) -> list[Planned]:
        """Hold back those whom the guard or the limit of mails stops; nobody else waits for them."""
        passing = []
        for some in ([one for one in planned if not one.plan.removes], [one for one in planned if one.plan.removes]):
            fault = await self._obstacle(some, brief) if some else None
            if fault is None:
                passing += some
                continue
            if not isinstance(fault, HELD_BACK):
                raise fault
            found.held_back |= {one.plan.user_id: fault for one in some}
        for user_id in found.held_back:
            found.ended.pop(user_id, None)
        return passing

    async def _obstacle(self, planned: list[Planned], brief: Brief) -> MmconsoleError | None:
        summary = Summary()
        for one in planned:
            summary.take(one, brief.request)
        summary.forecast = await self._applying.forecast(summary, brief)
        async with aclosing(self._applying.gate.obstacles(summary, removals=None)) as obstacles:
            async for fault in obstacles:
                return fault
        return await self._too_many_mails(summary.forecast.mails)

    async def _too_many_mails(self, mails: int) -> MmconsoleError | None:
        """The limit holds for all that was followed in a day: else it would be none, with one user at a time."""
        allowed = self._settings.values.sync.max_mails
        if allowed is None or not mails:
            return None
        sent = await self._database.read(lambda db: _mails_of(db.meta.get(_MAILS), since=self._now() - _DAY))
        if sum(sent.values()) + mails > allowed:
            return TooManyMails(mails=sum(sent.values()) + mails, allowed=allowed)
        hour = f"{self._now():%Y-%m-%dT%H}"
        sent[hour] = sent.get(hour, 0) + mails
        await self._lease.write(lambda tx: tx.meta.set(_MAILS, json.dumps(sent)))
        return None

    async def _apply(
        self, planned: list[Planned], brief: Brief, lease: Lease, watching: Watching, found: Round
    ) -> None:
        for one in planned:
            found.ended.pop(one.plan.user_id, None)
        summary = Summary(planned=len(planned))
        steps = self._applying.steps(brief, lease, self._journal.id)
        self._journal.added += len(planned)
        timer = asyncio.get_running_loop().call_later(_AT_MOST, watching.stop.set)
        try:
            with heard_by(_Results(found.ended, self._under_way)):
                await self._applying.apply_with(steps, self._journal, summary, watching)
        finally:
            timer.cancel()
            self._under_way.clear()
        found.fault = summary.fault
        if isinstance(summary.fault, JobPaused | JobStopped):
            rest = [one.plan.user_id for one in planned if one.plan.user_id not in found.ended]
            found.held_back |= dict.fromkeys(rest, summary.fault)
            found.fault = None


@dataclass(slots=True)
class _Results:
    """Keeps how each user's steps ended."""

    results: dict[UserId, Result]
    under_way: set[UserId]

    def job(self, job_id: int) -> None:
        pass

    def begun(self, user_id: UserId) -> None:
        self.under_way.add(user_id)

    def making(self, user_id: UserId, step: Making) -> None:
        pass

    def ended(self, result: Result) -> None:
        self.under_way.discard(result.user_id)
        self.results[result.user_id] = result


def _leave(tx: Transaction, *, job_id: int, fence: int, at: datetime) -> None:
    tx.jobs.items.leave(job_id, outcome=LEFT_FOR_LATER, fence=fence, at=at)


def _finding(planned: Planned) -> Result:
    plan = planned.plan
    return Result(plan.user_id, plan.finding or Finding.UNCHANGED, plan.why)


def _is_repair(planned: Planned) -> bool:
    """Whether a token is made for somebody for whom one was made before."""
    kinds = set(planned.plan.steps)
    had_one = planned.record is not None and planned.record.token_id is not None
    return had_one and bool(kinds & _TOKENS) and not kinds & _FROM_SCRATCH


def _without_token(planned: Planned) -> Planned:
    steps = tuple(kind for kind in planned.plan.steps if kind not in _TOKENS)
    return replace(planned, plan=replace(planned.plan, steps=steps))


def _repaired_lately(db: Snapshot, *, ids: Sequence[UserId], now: datetime) -> set[UserId]:
    repaired = {user_id: db.activity.last_of(user_id, REPAIR) for user_id in ids}
    return {user_id for user_id, at in repaired.items() if at is not None and abs(now - at) < ONE_REPAIR_IN}


def _mails_of(kept: str | None, *, since: datetime) -> dict[str, int]:
    """Mails by hour, of the hours that still count."""
    by_hour: Mapping[str, int] = json.loads(kept) if kept else {}
    return {hour: count for hour, count in by_hour.items() if hour >= f"{since:%Y-%m-%dT%H}"}
