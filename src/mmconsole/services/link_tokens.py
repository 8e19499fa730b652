"""The token behind a magic link: the user's own, tried right before it signs somebody in, repaired if it is dead.

However many requests for a user arrive together, the server is asked once, and at most one token is made.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database, Snapshot
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.health import WORKS
from mmconsole.domain.plans import Outcome, UserPlan
from mmconsole.domain.secrets import Secret
from mmconsole.domain.token_plans import Act, TokenRules, plan_token
from mmconsole.domain.tokens import Health, Intent, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import LinkRefused, NoSuchId, RepairedLately, TokenUntold, Unauthorized
from mmconsole.secrets.forms import Form, form_of
from mmconsole.services.applying import Applying
from mmconsole.services.changes import note
from mmconsole.services.checks.checks import CheckRequest, Checks
from mmconsole.services.leases import Lease, hold
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage, rotations
from mmconsole.services.sync import LEASE
from mmconsole.services.tokens.making import why_barred
from mmconsole.services.tokens.revocation import revocation_among
from mmconsole.services.tokens.steps import token_of
from mmconsole.services.tokens.tokens import TokenLife
from mmconsole.services.turns import Turns

REPAIR: Final = "token replacement begun"
"""Noted before it is done, so that also one which fails counts: its token has mailed the user."""
ONE_REPAIR_IN: Final = timedelta(hours=24)
_TRUSTED_FOR: Final = timedelta(hours=1)
_REFUSED: Final = {
    Health.WITHHELD: "an operator revoked the token",
    Health.DISABLED: "somebody disabled the token on the server",
    Health.DENIED: "the account may have no token",
    Health.CONFLICT: "who the account belongs to is not decided",
}
"""Remembered reasons that no new token would cure, and that are somebody's decision."""
_UNSETTLED: Final = frozenset({"token", "drop"})


@dataclass(frozen=True, slots=True)
class Held:
    """A user's own secret and whose account it signs in to."""

    user: User
    account_id: AccountId
    envelope: str = field(repr=False)
    """What stood in the row when this was read."""
    secret: Secret


@dataclass(frozen=True, slots=True)
class StoredToken:
    """What is stored of one user's token, as of one moment."""

    user_id: UserId
    user: User | None
    record: TokenRecord | None
    envelope: str | None = field(repr=False)
    shared: bool
    """Whether another user claims the same account."""
    rotations: str
    """What `Storage.heed` must be told."""


@dataclass(frozen=True, slots=True)
class _Past:
    """What was begun for one user before."""

    notes: list[Intent]
    repaired_at: datetime | None


class LinkTokens:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        server: Server,
        storage: Storage,
        checks: Checks,
        *,
        life: TokenLife,
        applying: Applying,
        turns: Turns,
        actor: str,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._storage = storage
        self._checks = checks
        self._life = life
        self._applying = applying
        self._turns = turns
        self._actor = actor
        self._now = now
        self._under_way: dict[UserId, asyncio.Task[Held]] = {}

    async def opened(self, row: StoredToken) -> Held:
        """The secret of a token that was read, which must be one for a link. Raises what opening can raise."""
        held = await self._opened(row.user_id, row)
        assert held is not None  # noqa: S101 - it was seen to be there
        return held

    async def working(self, user_id: UserId) -> Held:
        """A user's token that has just been seen to work.

        Raises NoSuchId, LinkRefused, RepairedLately, TokenUntold, Busy, SecretError, and what calls raise.
        """
        task = self._under_way.get(user_id)
        if task is None:
            task = asyncio.create_task(self._working(user_id))
            self._under_way[user_id] = task
            task.add_done_callback(partial(self._end, user_id))
        try:
            # Who gives up does not take the answer from the others.
            return await asyncio.shield(task)
        finally:
            # A frame that holds its own fault lives until the collector comes, and the secret and the request with it.
            del task

    def _end(self, user_id: UserId, task: "asyncio.Task[Held]") -> None:
        del self._under_way[user_id]
        if not task.cancelled():
            task.exception()

    async def _working(self, user_id: UserId) -> Held:
        held = await self._held(user_id)
        if held is not None and await self._works(held):
            return held
        return await self._turns.take(lambda: self._repaired(user_id))

    # ── looking ──────────────────────────────────────────────────────────────────────────────────

    async def _held(self, user_id: UserId) -> Held | None:
        """The stored secret; None when there is none. Raises LinkRefused when there must not be one."""
        return await self._opened(user_id, await self._row(user_id))

    async def _opened(self, user_id: UserId, row: StoredToken) -> Held | None:
        user, account_id = _demand_linkable(user_id, row)
        if row.envelope is None:
            return None
        await self._storage.heed(row.rotations)
        vault = await self._storage.vault()
        return Held(user, account_id, row.envelope, vault.open(row.envelope, user_id))

    async def _row(self, user_id: UserId) -> StoredToken:
        return await self._database.read(partial(_read, user_id=user_id))

    async def _works(self, held: Held) -> bool:
        """Whether the secret signs its owner in. Raises LinkRefused when it must not be used."""
        try:
            why = await why_barred(await self._server.client_for_users(), held.secret, held.account_id)
        except Unauthorized:
            return False
        if why is None:
            return True
        await self._check(held.user.id)
        raise LinkRefused(user_id=held.user.id, why=why)

    async def _check(self, user_id: UserId) -> None:
        """Find out as administrator what is wrong, and remember it. Raises TokenUntold."""
        summary = await self._checks.run(CheckRequest((user_id,), deep=True))
        for checked in summary.broken:
            if checked.status is Health.UNKNOWN:
                raise TokenUntold(user_id=user_id, why=checked.cause)

    # ── repairing ────────────────────────────────────────────────────────────────────────────────

    async def _repaired(self, user_id: UserId) -> Held:
        async with hold(self._database, LEASE, holder=self._actor, wait=False) as lease:
            await self._applying.begin()
            # Another process may have done it while this one waited.
            held = await self._held(user_id)
            if held is None or not await self._works(held):
                if held is not None:
                    await self._check(user_id)
                await self._repair(user_id, lease)
        held = await self._held(user_id)
        if held is None:
            raise LinkRefused(user_id=user_id, why="it has no token")
        return held

    async def _repair(self, user_id: UserId, lease: Lease) -> None:
        run = self._applying.run(lease)
        past = await self._past(user_id)
        if any(one.kind in _UNSETTLED for one in past.notes):
            # What an interrupted call left must be settled before another token is made.
            await self._applying.recovery.recover(run)
            past = await self._past(user_id)
        row = await self._row(user_id)
        user, _ = _demand_linkable(user_id, row)
        now = self._now()
        if past.repaired_at is not None and abs(now - past.repaired_at) < ONE_REPAIR_IN:
            raise RepairedLately(user_id=user_id)
        plan = self._plan(user, row, past)
        if not plan.steps:
            raise LinkRefused(user_id=user_id, why=plan.why)
        await run.write(note(run.activity(REPAIR, user_id, f"for a link: {plan.why or 'there is none'}")))
        result = await self._life.steps(lease, None).apply(plan, (user, row.record))
        if result.outcome not in {Outcome.GENERATED, Outcome.KEPT, Outcome.REPLACED}:
            raise LinkRefused(user_id=user_id, why=result.note or str(result.outcome))

    async def _past(self, user_id: UserId) -> _Past:
        return await self._database.read(partial(_read_past, user_id=user_id))

    def _plan(self, user: User, row: StoredToken, past: _Past) -> UserPlan:
        """What an operator's `generate` would do of its own accord: nothing for who is withheld or not cured by it."""
        rules = TokenRules(Act.GENERATE, self._settings.as_of(self._now()), named=False)
        plan = plan_token(user, row.record, rules, revocation_among(past.notes, row.record))
        return replace(plan, digest=token_of(row.record))


def _read(db: Snapshot, *, user_id: UserId) -> StoredToken:
    user, record = db.roster.row(user_id)
    claims = db.tokens.claims(record.account_id) if record and record.account_id else 0
    return StoredToken(user_id, user, record, db.roster.envelope(user_id), claims > 1, rotations(db))


def _read_past(db: Snapshot, *, user_id: UserId) -> _Past:
    return _Past(db.intents.open_for(user_id), db.activity.last_of(user_id, REPAIR))


def _demand_linkable(user_id: UserId, row: StoredToken) -> tuple[User, AccountId]:
    """Raises NoSuchId and LinkRefused."""
    if row.user is None:
        raise NoSuchId(name=user_id)
    with suppress(KeyError):
        raise LinkRefused(user_id=user_id, why=_REFUSED[_standing(row)])
    if not row.user.active:
        raise LinkRefused(user_id=user_id, why="the user is inactive in the application")
    if row.record is None or row.record.account_id is None:
        raise LinkRefused(user_id=user_id, why=f"no account yet; `mmconsole sync {user_id}` makes or links it")
    return row.user, row.record.account_id


def _standing(row: StoredToken) -> Health:
    if row.shared:
        return Health.CONFLICT
    if row.record is None:
        return Health.NO_ACCOUNT
    return Health.WITHHELD if row.record.withheld and row.record.health not in _REFUSED else row.record.health


def trusted(db: Snapshot, user_id: UserId, now: datetime) -> StoredToken | None:
    """A user's token, if it was seen to work within the hour: its link then costs no call, and needs no server.

    None for any other, which `working` looks at.
    """
    row = _read(db, user_id=user_id)
    if row.record is None or row.envelope is None or form_of(row.envelope) is not Form.SEALED:
        # Of a sealed one nobody else can have put another in its place.
        return None
    return row if _was_seen_to_work(row.record, now) and _is_linkable(row) else None


def _was_seen_to_work(record: TokenRecord, now: datetime) -> bool:
    # A check in the future tells of a clock that was put back, and nothing of the token.
    if record.health not in WORKS or record.checked_at is None or abs(now - record.checked_at) >= _TRUSTED_FOR:
        return False
    return record.expires_at is None or now < record.expires_at


def _is_linkable(row: StoredToken) -> bool:
    try:
        _demand_linkable(row.user_id, row)
    except (NoSuchId, LinkRefused):
        return False
    return True
