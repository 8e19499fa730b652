"""The observer: follows what the application changes, by the events that triggers write down.

One at a time for each database. An event is taken out after it was done, by its number; whoever is killed in between
leaves it to the next observer, and doing it again finds nothing to do.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

from mmconsole.config import Settings
from mmconsole.database import Backlog, Claim, Database, Snapshot, Subject, Transaction, UserEvent, open_wake
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.channels import ChannelChange, Did, ProjectId
from mmconsole.domain.plans import Finding, Outcome, Result
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    Busy,
    DatabaseError,
    GuardTripped,
    LeaseLost,
    MmconsoleError,
    ServerFault,
    Throttled,
    Unreachable,
)
from mmconsole.services.applying import Applying
from mmconsole.services.changes import forget
from mmconsole.services.channels.channels import Channels
from mmconsole.services.following import LEASE, Following, Round
from mmconsole.services.jobs import ENDS_THE_RUN
from mmconsole.services.leases import Lease, hold
from mmconsole.services.planning import Planning
from mmconsole.services.processes import has_ended
from mmconsole.services.turns import Turns
from mmconsole.services.unseen import Unseen

HELD_BACK: Final = "held back"
"""What is told of somebody whom the guard or the limit of mails stopped."""
AT_ONCE: Final = 1_000
"""Users and projects who are looked at together."""
_PAGE: Final = 500
_PROJECTS: Final = 8
"""Projects that are followed at once."""
_FIRST_PAUSE: Final = 10.0
"""Seconds until somebody is tried again, doubled each time."""
_LONGEST_PAUSE: Final = 3_600.0
_AWAY_FIRST: Final = 1.0
"""Seconds until a server or a database that is away is asked again, doubled each time."""
_AWAY_LONGEST: Final = 60.0
_NOT_OUR_TURN: Final = 0.2
_ASK_FOR_LEASE: Final = 5.0
_IDLE: Final = 10.0
"""Seconds without a change after which a job is closed."""
_EVERYBODYS: Final = (*ENDS_THE_RUN, Unreachable, ServerFault, Throttled)
"""Faults that the next one would meet as well: nobody's tries are counted for them."""
_AGAIN: Final = frozenset({Outcome.FAILED, Outcome.SKIPPED})


@dataclass(frozen=True, slots=True)
class Followed:
    """One user or project that was followed."""

    subject: Subject
    subject_id: str
    outcome: str
    note: str = ""


class Hearer(Protocol):
    """Is told while an observer is at work."""

    def followed(self, some: Sequence[Followed]) -> None:
        """These were done, or failed, just now."""

    def said(self, line: str) -> None:
        """Something about all of it, in a sentence."""


@dataclass(slots=True)
class Tally:
    """How many users and projects were followed, by how that ended."""

    counts: Counter[str] = field(default_factory=Counter)
    backlog: Backlog = field(default_factory=Backlog)
    """What is left."""
    blind: bool = False
    """Whether there are no triggers, so that nothing is written down any more."""


class _Patience:
    """How long to wait before the next try."""

    def __init__(self) -> None:
        self._tries = 0
        self._told = ""

    def over(self) -> None:
        self._tries, self._told = 0, ""

    def next_pause(self) -> float:
        pause: float = min(_AWAY_FIRST * 2**self._tries, _AWAY_LONGEST)
        self._tries += 1
        return pause * random.uniform(0.75, 1.0)  # noqa: S311 - no secret

    def is_news(self, fault: MmconsoleError) -> bool:
        """Whether this fault has not been told since all was well."""
        known, self._told = self._told, type(fault).__name__
        return known != self._told


@dataclass(frozen=True, slots=True)
class _Shift:
    """What one observer works with, for as long as it has its lease."""

    lease: Lease
    following: Following
    hearer: Hearer
    stop: asyncio.Event
    tally: Tally

    def told(self, some: Sequence[Followed]) -> None:
        self.tally.counts.update(one.outcome for one in some)
        self.hearer.followed(some)


class Observer:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        planning: Planning,
        applying: Applying,
        channels: Channels,
        *,
        turns: Turns,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._planning = planning
        self._applying = applying
        self._channels = channels
        self._turns = turns
        self._actor = actor
        self._now = now
        self.under_way: set[UserId] = set()
        """Whose steps have begun and not ended."""

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    async def wanted(self) -> bool:
        """Whether `serve` is to follow changes: as the settings say, else if the triggers are installed."""
        enabled = self._settings.values.observer.enabled
        return await self.sees_changes() if enabled is None else enabled

    async def sees_changes(self) -> bool:
        """Whether the triggers on the users table are installed."""
        return await self._database.read(lambda db: db.triggers.installed(Subject.USER))

    async def backlog(self) -> Backlog:
        now = self._now()
        return await self._database.read(lambda db: db.events.backlog(now=now))

    async def waiting(self) -> AsyncIterator[UserEvent]:
        """What was tried in vain, and what was set aside."""
        after = 0
        while page := await self._database.read(partial(_waiting, after=after)):
            for event in page:
                yield event
            after = page[-1].id

    async def take_up(self) -> int:
        """Try what was set aside once more. Returns how many."""
        return await self._database.write(lambda tx: tx.events.take_up())

    # ── following ────────────────────────────────────────────────────────────────────────────────

    async def drain(self, hearer: Hearer, stop: asyncio.Event) -> Tally:
        """Follow what is due now, and end. Raises Busy when another observer is at work, and what keeps it from it."""
        tally = Tally()
        async with (
            hold(self._database, LEASE, holder=self._actor, wait=False, inherit=True) as lease,
            self._shift(lease, hearer, stop, tally) as shift,
        ):
            await self._compare_in_time(shift)
            while not stop.is_set():
                try:
                    if not await self._round(shift):
                        break
                except Busy:
                    await _rest(stop, _NOT_OUR_TURN)
        tally.backlog = await self.backlog()
        return tally

    async def watch(self, hearer: Hearer, stop: asyncio.Event) -> Tally:
        """Follow until somebody says stop; while another observer is at work, wait for its end."""
        tally, patience = Tally(), _Patience()
        while not stop.is_set():
            try:
                if await self._is_free(hearer, patience):
                    async with hold(self._database, LEASE, holder=self._actor, wait=False, inherit=True) as lease:
                        patience.over()
                        await self._session(lease, hearer, stop, tally)
                    continue
                await _rest(stop, _ASK_FOR_LEASE)
            except (Busy, LeaseLost):
                await _rest(stop, _NOT_OUR_TURN)
            except DatabaseError as fault:
                await self._wait_out(fault, patience, hearer, stop)
        return tally

    async def _is_free(self, hearer: Hearer, patience: _Patience) -> bool:
        now = self._now()
        held = await self._database.read(lambda db: db.leases.find(LEASE, now=now))
        if held is None or has_ended(held.process):
            return True
        busy = Busy(holder=held.holder, since=f"{held.acquired_at:%H:%M:%S} UTC")
        if patience.is_news(busy):
            hearer.said(f"{held.holder} follows the changes already; waiting for its end.")
        return False

    async def _session(self, lease: Lease, hearer: Hearer, stop: asyncio.Event, tally: Tally) -> None:
        """Follow for as long as the lease is ours. Raises LeaseLost, DatabaseError."""
        poll = self._settings.values.observer.poll_seconds
        async with open_wake(self._settings, hearer.said) as wake, self._shift(lease, hearer, stop, tally) as shift:
            patience, idle = _Patience(), 0.0
            while not stop.is_set():
                wake.clear()
                try:
                    await self._compare_in_time(shift)
                    worked = await self._round(shift)
                except Busy:
                    await _rest(stop, _NOT_OUR_TURN)
                    continue
                except (LeaseLost, DatabaseError):
                    raise
                except MmconsoleError as fault:
                    await self._wait_out(fault, patience, hearer, stop)
                    continue
                patience.over()
                idle = 0.0 if worked else idle + poll
                if idle >= _IDLE:
                    await shift.following.end()
                if not worked:
                    await _rest(stop, poll, wake)

    @asynccontextmanager
    async def _shift(self, lease: Lease, hearer: Hearer, stop: asyncio.Event, tally: Tally) -> AsyncIterator[_Shift]:
        following = Following(
            self._settings,
            self._database,
            self._planning,
            self._applying,
            lease=lease,
            under_way=self.under_way,
            actor=self._actor,
            now=self._now,
        )
        await following.begin()
        shift = _Shift(lease, following, hearer, stop, tally)
        try:
            await self._say_if_blind(shift)
            yield shift
        finally:
            with suppress(DatabaseError, LeaseLost):
                await following.end()

    async def _wait_out(self, fault: MmconsoleError, patience: _Patience, hearer: Hearer, stop: asyncio.Event) -> None:
        """Nothing is lost meanwhile: what the application changes goes on being written down."""
        pause = patience.next_pause()
        if patience.is_news(fault):
            hearer.said(f"{fault} Trying again.")
            row = Activity(self._now(), self._actor, "observer waits", detail=str(fault), level=Level.WARNING)
            with suppress(DatabaseError):
                await self._database.write(lambda tx: tx.activity.add(row))
        await _rest(stop, pause)

    # ── one round ────────────────────────────────────────────────────────────────────────────────

    async def _round(self, shift: _Shift) -> bool:
        """Follow those who have waited longest. Returns whether there was somebody.

        Raises Busy when it is somebody else's turn, and what the next round would meet too.
        """
        now = self._now()
        claims = await self._database.read(lambda db: db.events.due(now=now, limit=AT_ONCE))
        users = {UserId(one.subject_id): one for one in claims if one.subject is Subject.USER}
        projects = [one for one in claims if one.subject is Subject.PROJECT]
        if projects:
            await self._follow_projects(projects, shift)
        if users and not shift.stop.is_set():
            await self._follow_users(users, shift)
        return bool(claims)

    async def _follow_users(self, claims: dict[UserId, Claim], shift: _Shift) -> None:
        async def for_now(give_way: asyncio.Event) -> Round:
            async with _either(shift.stop, give_way) as ending:
                return await shift.following.follow(list(claims), ending)

        try:
            found = await self._turns.take_for_now(for_now)
        except (Busy, *_EVERYBODYS):
            raise
        except MmconsoleError as fault:
            await self._narrow_down(fault, claims, shift)
            return
        await self._write_down(found, claims, shift)
        if found.fault is not None:
            raise found.fault

    async def _narrow_down(self, fault: MmconsoleError, claims: dict[UserId, Claim], shift: _Shift) -> None:
        """One of them keeps all from being looked at: try each half, until it is alone."""
        if len(claims) == 1:
            (user_id,) = claims
            await self._write_down(Round({user_id: Result(user_id, Outcome.FAILED, str(fault))}), claims, shift)
            return
        ids, middle = list(claims), len(claims) // 2
        for half in (ids[:middle], ids[middle:]):
            if not shift.stop.is_set():
                await self._follow_users({one: claims[one] for one in half}, shift)

    async def _write_down(self, found: Round, claims: dict[UserId, Claim], shift: _Shift) -> None:
        done = [claims[user_id] for user_id, result in found.ended.items() if result.outcome not in _AGAIN]
        again = [(claims[r.user_id], r.note) for r in found.ended.values() if r.outcome in _AGAIN]
        aside = [(claims[user_id], str(fault)) for user_id, fault in found.held_back.items()]
        await self._store(shift.lease, done=done, again=again, aside=aside)
        shift.told(_told(found))

    async def _store(
        self,
        lease: Lease,
        *,
        done: Sequence[Claim] = (),
        again: Sequence[tuple[Claim, str]] = (),
        aside: Sequence[tuple[Claim, str]] = (),
    ) -> None:
        """Take out what was done; the rest waits for its next try, or for an operator."""
        now, most = self._now(), self._settings.values.observer.attempts
        given_up = [(claim, why) for claim, why in again if claim.attempts + 1 >= most]
        later = [(claim, why) for claim, why in again if claim.attempts + 1 < most]

        def store(tx: Transaction) -> None:
            tx.events.settle(done)
            for claim, why in later:
                tx.events.defer(claim, until=now + _pause_after(claim.attempts), why=why)
            for claim, why in (*aside, *given_up):
                tx.events.set_aside(claim, at=now, why=why)
                tx.activity.add(self._set_aside(claim, why))

        if done or again or aside:
            await lease.write(store)

    def _set_aside(self, claim: Claim, why: str) -> Activity:
        is_user = claim.subject is Subject.USER
        detail = f"{why} (`mmconsole watch --retry` tries it again)"
        about = detail if is_user else f"project {claim.subject_id}: {detail}"
        user_id = UserId(claim.subject_id) if is_user else None
        return Activity(self._now(), self._actor, "change set aside", user_id, about, Level.WARNING)

    # ── projects ─────────────────────────────────────────────────────────────────────────────────

    async def _follow_projects(self, claims: list[Claim], shift: _Shift) -> None:
        async def one(claim: Claim) -> None:
            if not shift.stop.is_set():
                shift.told([await self._follow_project(claim, shift.lease)])

        for start in range(0, len(claims), _PROJECTS):
            # Whoever is under way is waited for, also when another one's fault ends all of it.
            for ended in await asyncio.gather(*map(one, claims[start : start + _PROJECTS]), return_exceptions=True):
                if ended is not None:
                    raise ended

    async def _follow_project(self, claim: Claim, lease: Lease) -> Followed:
        try:
            change = await self._channels.follow_project(ProjectId(claim.subject_id))
        except GuardTripped as tripped:
            await self._store(lease, aside=[(claim, str(tripped))])
            return Followed(claim.subject, claim.subject_id, HELD_BACK, str(tripped))
        except (Busy, *_EVERYBODYS):
            raise
        except MmconsoleError as fault:
            await self._store(lease, again=[(claim, str(fault))])
            return Followed(claim.subject, claim.subject_id, Outcome.FAILED, str(fault))
        await self._store(lease, done=[claim])
        return Followed(claim.subject, claim.subject_id, *_words(change))

    # ── what no trigger saw ──────────────────────────────────────────────────────────────────────

    async def _compare_in_time(self, shift: _Shift) -> None:
        now, every = self._now(), self._settings.values.observer.compare_every
        last = await self._database.read(lambda db: db.meta.compared_at)
        # One in the future was written by a clock that was put back since.
        if last is not None and abs(now - last) < every:
            return
        found = await Unseen(self._database).write_down(shift.lease, at=now)
        oldest = now - timedelta(days=self._settings.values.activity.keep_days)

        def store(tx: Transaction) -> None:
            # Where everything is followed, there may never be a sync that does it.
            forget(tx, before=oldest)
            tx.meta.compared_at = now

        await shift.lease.write(store)
        if found:
            shift.hearer.said(f"{found:,} rows say something else than we remember, though no trigger told.")
        await self._say_if_blind(shift)

    async def _say_if_blind(self, shift: _Shift) -> None:
        """Say once that there are no triggers, or no longer: SQLite loses them when a table is rebuilt."""
        blind = not await self.sees_changes()
        if blind and not shift.tally.blind:
            shift.hearer.said("There are no triggers on the users table; `mmconsole migrate --triggers` installs them.")
        shift.tally.blind = blind


def _told(found: Round) -> list[Followed]:
    ended = [Followed(Subject.USER, r.user_id, str(r.outcome), r.note) for r in found.ended.values()]
    return ended + [Followed(Subject.USER, one, HELD_BACK, str(fault)) for one, fault in found.held_back.items()]


def _words(change: ChannelChange | None) -> tuple[str, str]:
    if change is None:
        return str(Finding.UNCHANGED), ""
    return str(Finding.UNCHANGED if change.did is Did.UNCHANGED else change.did), change.channel.address


def _pause_after(attempts: int) -> timedelta:
    return timedelta(seconds=min(_FIRST_PAUSE * 2**attempts, _LONGEST_PAUSE) * random.uniform(0.75, 1.0))  # noqa: S311


def _waiting(db: Snapshot, *, after: int) -> list[UserEvent]:
    return db.events.waiting(after, _PAGE)


async def _rest(stop: asyncio.Event, seconds: float, *others: asyncio.Event) -> None:
    """Wait, unless somebody says stop, or one of the others happens."""
    waiting = [asyncio.create_task(event.wait()) for event in (stop, *others)]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waiting:
            one.cancel()


@asynccontextmanager
async def _either(*events: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """An event that is set when one of these is; whoever has it may set it too."""
    ending = asyncio.Event()

    async def pass_on(event: asyncio.Event) -> None:
        await event.wait()
        ending.set()

    passing = [asyncio.create_task(pass_on(event)) for event in events]
    try:
        yield ending
    finally:
        for one in passing:
            one.cancel()
