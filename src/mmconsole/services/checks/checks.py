"""Checking tokens: reads users in pages, has each page looked at, and remembers what is new.

A check holds no lease. What it found is stored only where link, token and health are still those it began with, so a
sync beside it always has the last word.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database, Scratch, Transaction, open_scratch
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.checks import Cause, is_broken, is_left_out, remembered
from mmconsole.domain.filters import Filter, Order, Teams
from mmconsole.domain.health import AsOf, status_of
from mmconsole.domain.plans import Result
from mmconsole.domain.tokens import Health, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.services.asking import PAGE
from mmconsole.services.checks.pages import Advance, Looked, Page, Pages, Way
from mmconsole.services.checks.probing import Probing
from mmconsole.services.checks.survey import Survey
from mmconsole.services.leases import Unleased
from mmconsole.services.look import BATCH
from mmconsole.services.memberships import teams_of
from mmconsole.services.overview import Overview
from mmconsole.services.runs import Run, acting
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage
from mmconsole.services.summary import KEPT_RESULTS, Progress, Silent
from mmconsole.services.users import Users

_PROBED_AT_ONCE: Final = 1_000
"""Users whose secrets are opened and tried together: what a stop or a crash costs at most."""
_CAUSES: Final = frozenset(Cause)
_FEW: Final = 8
"""So many tokens are asked for by their ids without thinking about it."""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Whose tokens: named users, else those that the filter means."""

    names: tuple[str, ...] = ()
    """Users by id, e-mail or username."""
    wanted: Filter = field(default_factory=Filter)
    deep: bool = False
    """Whether each secret itself is tried."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One user, as the check leaves them."""

    user: User
    status: Health
    cause: str
    token_id: TokenId | None


@dataclass(slots=True)
class CheckSummary:
    """How a check ended: every user is in exactly one count, or left out."""

    counts: Counter[tuple[Health, str]] = field(default_factory=Counter)
    """By status and, of those that a check gives itself, cause."""
    broken: list[Checked] = field(default_factory=list)
    """At most KEPT_RESULTS of each status and cause, in the order of the users table."""
    left_out: int = 0
    """Users who are inactive in the application and have no token, as it should be."""
    changed: int = 0
    """Users of whom something else is remembered now."""
    refused: tuple[Result, ...] = ()
    """Names that mean no user; they are in no count."""

    @property
    def users(self) -> int:
        return self.counts.total()

    @property
    def troubled(self) -> int:
        return len(self.refused) + sum(count for (status, _), count in self.counts.items() if is_broken(status))

    def add(self, checked: Checked) -> None:
        told = checked.status is Health.UNKNOWN or checked.cause in _CAUSES
        key = checked.status, checked.cause if told else ""
        self.counts[key] += 1
        if is_broken(checked.status) and self.counts[key] <= KEPT_RESULTS:
            self.broken.append(checked)


class Checks:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        server: Server,
        storage: Storage,
        users: Users,
        *,
        overview: Overview,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._storage = storage
        self._users = users
        self._overview = overview
        self._actor = actor
        self._now = now

    async def run(
        self, request: CheckRequest, *, progress: Progress | None = None, stop: asyncio.Event | None = None
    ) -> CheckSummary:
        """Check tokens. `stop` ends it after what is under way; what was found until then is stored.

        Raises what `Users.meant` raises, NoSuchTeam, SecretError, and what the way to the server can raise. A server
        that fails later makes users unknown.
        """
        shown, stopping, summary = progress or Silent(), stop or asyncio.Event(), CheckSummary()
        ids = await self._ids(request, summary)
        await self._server.client()
        await self._storage.refresh()
        pages = Pages(self._database, ids, size=_PROBED_AT_ONCE if request.deep else BATCH, deep=request.deep)
        shown.stage("checking", await pages.total())
        with open_scratch() as scratch:
            way = await self._way(request, ids, scratch, stopping)
            await way.begin()
            async with aclosing(pages.all()) as found:
                async for page in found:
                    if stopping.is_set():
                        break
                    await self._look(way, page, summary, shown.advance)
        return summary

    async def _ids(self, request: CheckRequest, summary: CheckSummary) -> Sequence[UserId] | None:
        """Named users, or those of a filter; None means everybody. The summary gets the names that mean nobody."""
        if request.names:
            meant = await self._users.meant(request.names)
            summary.refused = meant.refused
            return meant.ids
        if not request.wanted:
            return None
        return await self._overview.ids(request.wanted, order=Order(), teams=await self.teams_of(request.wanted))

    async def teams_of(self, wanted: Filter) -> Teams:
        """Who is in the teams that a filter names. No server is asked when it names none. Raises NoSuchTeam."""
        return await teams_of(wanted, self._database, self._server)

    async def _way(
        self, request: CheckRequest, ids: Sequence[UserId] | None, scratch: Scratch, stop: asyncio.Event
    ) -> Way:
        probing = Probing(self._server, self._storage, now=self._now, stop=stop)
        if request.deep:
            return probing
        few = ids is not None and len(ids) <= max(_FEW, await self._list_pages())
        return Survey(self._server, scratch, probing, one_by_one=few, now=self._now, stop=stop)

    async def _list_pages(self) -> int:
        """How many calls the list of all tokens takes, which is less than a call for each of many."""
        return await self._database.read(lambda db: db.tokens.count_live()) // PAGE

    async def _look(self, way: Way, page: Page, summary: CheckSummary, advance: Advance) -> None:
        """Look at some users, store what is new, and count everybody."""
        rows = [row for row in page.rows if not is_left_out(*row)]
        summary.left_out += len(page.rows) - len(rows)
        advance(len(page.rows) - len(rows))
        looked = {one.user.id: one for one in await way.look(replace(page, rows=rows), advance)}
        found = [_found(looked[user.id]) for user, _ in rows if user.id in looked]
        as_of = self._settings.as_of(self._now())
        summary.changed += await self._store(found, as_of.now)
        for one in found:
            summary.add(one.checked(as_of))

    async def _store(self, found: Sequence["_Found"], at: datetime) -> int:
        """All of a page in one transaction. Returns how many records say something else now."""
        run = Run(Unleased(self._database), acting(self._actor), self._now)
        same = [one.old for one in found if one.definite and one.old is not None and one.old is one.new]
        changes = [change for one in found if (change := one.change(at)) is not None]

        def store(tx: Transaction) -> int:
            tx.tokens.set_checked(same, at)
            stored = [change for change in changes if change.store(tx)]
            tx.activity.add_many(change.activity(run) for change in stored if change.tells)
            return len(stored)

        return await run.write(store) if same or changes else 0


@dataclass(frozen=True, slots=True)
class _Change:
    """A record before and after a check."""

    old: TokenRecord
    new: TokenRecord
    envelope: str = field(repr=False)
    """What the id of a token that had none belongs to; empty where none was found."""

    def store(self, tx: Transaction) -> bool:
        """False when somebody else changed something meanwhile: then that stays."""
        user_id = self.old.user_id
        if self.envelope and tx.roster.envelope(user_id) != self.envelope:
            return False
        return tx.tokens.exchange(self.old, self.new)

    @property
    def tells(self) -> bool:
        """Whether it is worth a row of the activity log."""
        return self.old.health is not self.new.health

    def activity(self, run: Run) -> Activity:
        cause = f": {self.new.cause}" if self.new.cause not in {"", self.new.health} else ""
        level = Level.WARNING if is_broken(self.new.health) else Level.INFO
        detail = f"{self.old.health} is now {self.new.health}{cause}"
        return run.activity("token checked", self.old.user_id, detail, level=level)


@dataclass(frozen=True, slots=True)
class _Found:
    """One user, and what is to be remembered, without the time of the check: the very same record, or another."""

    looked: Looked
    new: TokenRecord | None

    @property
    def old(self) -> TokenRecord | None:
        return self.looked.record

    @property
    def definite(self) -> bool:
        return self.looked.verdict is not None and self.looked.verdict.definite

    def change(self, at: datetime) -> _Change | None:
        if self.old is None or self.new is None or self.old is self.new:
            return None
        envelope = self.looked.envelope if self.looked.identified else ""
        return _Change(self.old, replace(self.new, checked_at=at), envelope)

    def checked(self, as_of: AsOf) -> Checked:
        """As it is shown."""
        user, verdict = self.looked.user, self.looked.verdict
        token_id = self.new.token_id if self.new else None
        if verdict is not None and not verdict.definite:
            return Checked(user, Health.UNKNOWN, verdict.cause, token_id)
        status = status_of(user, self.new, as_of)
        return Checked(user, status, self.new.cause if self.new and is_broken(status) else "", token_id)


def _found(looked: Looked) -> _Found:
    record, verdict = looked.record, looked.verdict
    if record is None or verdict is None or not verdict.definite:
        return _Found(looked, record)
    new = remembered(record, verdict, probed=looked.probed)
    if (named := looked.identified) is not None:
        cause = named.cause if new.health is Health.OK else new.cause
        new = replace(new, token_id=named.token_id, fingerprint=named.fingerprint, cause=cause)
    return _Found(looked, record if new == record else new)
