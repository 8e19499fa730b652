"""Adding users to one channel: with whose token, and why not."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final

from mmconsole.database import Database, PerhapsUser, Transaction
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.activity import Activity
from mmconsole.domain.channels import Channel, ChannelId
from mmconsole.domain.health import USELESS
from mmconsole.domain.plans import Outcome, Result, UserPlan
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import Health, Intent, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import (
    CannotOpen,
    ChannelInArchive,
    ChannelPrivate,
    MmconsoleError,
    NotFound,
    Refused,
    Unauthorized,
)
from mmconsole.services.changes import Change, note
from mmconsole.services.conflicts import StepConflict
from mmconsole.services.intents import close_intent, new_operation, open_intent
from mmconsole.services.jobs import ENDS_THE_RUN
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage

KIND: Final = "member"
"""Of the intent of one user who is added by themselves."""
_LOOK_AGAIN_AFTER: Final = 5.0
"""Seconds. The server lets people into archived channels, so a long job looks whether this one has become one."""
_HELD_BACK: Final = frozenset({Health.DISABLED, Health.WITHHELD, Health.DENIED})
_FORBIDDEN: Final = 403
_NONE_STORED: Final = "no token is stored"


def demand_open(channel: Channel, *, as_admin: bool) -> None:
    """Raises ChannelInArchive and ChannelPrivate for a channel that nobody can be added to in this way."""
    if channel.archived:
        raise ChannelInArchive(channel=channel.address)
    if not channel.public and not as_admin:
        raise ChannelPrivate(channel=channel.address)


class ChannelMembers:
    """Adds one user at a time, and says how that ended."""

    def __init__(  # noqa: PLR0913 - the parts meet in channels.py
        self,
        database: Database,
        server: Server,
        storage: Storage,
        *,
        channel: Channel,
        as_admin: bool,
        fallback: bool,
        in_team: Collection[AccountId],
        run: Run,
    ) -> None:
        self._database = database
        self._server = server
        self._storage = storage
        self._channel = channel
        self._as_admin = as_admin
        self._fallback = fallback
        self._in_team = in_team
        self._run = run
        self._looked_at = asyncio.get_running_loop().time()

    async def usernames(self, users: Sequence[User]) -> dict[UserId, str]:  # noqa: ARG002 - the Applier's
        """Nobody gets an account here."""
        return {}

    async def apply(self, plan: UserPlan, row: PerhapsUser, *, username: str = "") -> Result:  # noqa: ARG002 - the same
        """Add one user. Raises only the faults that would meet everybody (`jobs.ENDS_THE_RUN`)."""
        try:
            await self._add(*row)
        except (StepConflict, CannotOpen, ChannelInArchive, ChannelPrivate, Refused) as no:
            return Result(plan.user_id, Outcome.REFUSED, str(no))
        except ENDS_THE_RUN:
            raise
        except MmconsoleError as fault:
            return Result(plan.user_id, Outcome.FAILED, str(fault))
        return Result(plan.user_id, Outcome.ADDED)

    def foresee(self, user_id: UserId, row: PerhapsUser) -> Result:
        """How adding would end, as far as it is known before the stored token is tried."""
        try:
            user, record, _ = _linked(*row)
            self._demand_usable(user, record, stored=user.has_stored_token)
        except StepConflict as no:
            return Result(user_id, Outcome.REFUSED, str(no))
        return Result(user_id, Outcome.ADDED)

    async def _add(self, user: User | None, record: TokenRecord | None) -> None:
        user, record, account_id = _linked(user, record)
        await self._look_again()
        secret = await self._secret(user, record, account_id)
        intent = await self._announce(user, account_id)
        try:
            await self._join_team(user, account_id)
            await self._join(user, account_id, secret, intent)
        except (StepConflict, Refused):
            await self._run.write(_end(intent))
            raise

    async def _look_again(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._looked_at < _LOOK_AGAIN_AFTER:
            return
        self._looked_at = now
        channel = await (await self._server.client()).find_channel(self._channel.id)
        if channel is None:
            message = f"the channel {self._channel.address} is gone from the server"
            raise StepConflict(message)
        demand_open(channel, as_admin=self._as_admin)

    # ── whose token ──────────────────────────────────────────────────────────────────────────────

    async def _secret(self, user: User, record: TokenRecord, account_id: AccountId) -> Secret | None:
        """The user's own token; None for the administrator's. Raises StepConflict when neither may be used."""
        if self._as_admin:
            return None
        envelope = await self._database.read(lambda db: db.roster.envelope(user.id))
        self._demand_usable(user, record, stored=envelope is not None)
        if envelope is None:
            return None
        vault = await self._storage.vault()
        return await self._proven(vault.open(envelope, user.id), user, account_id)

    def _demand_usable(self, user: User, record: TokenRecord, *, stored: bool) -> None:
        """Raises StepConflict when neither the user's own token nor the administrator's may be tried."""
        if self._as_admin:
            return
        if record.withheld or record.health in _HELD_BACK:
            raise StepConflict(_dead(user, Health.WITHHELD if record.withheld else record.health))
        if stored:
            return
        if record.health in USELESS:
            raise StepConflict(_dead(user, record.health))
        if not self._fallback:
            message = f"{_NONE_STORED}: `mmconsole tokens repair {user.id}` makes one"
            raise StepConflict(message)

    async def _proven(self, secret: Secret, user: User, account_id: AccountId) -> Secret:
        """The secret, once it was seen to be the linked account's, and that account to be an ordinary one."""
        client = await self._server.client()
        try:
            owner = await client.me(secret)
        except Unauthorized:
            raise StepConflict(_dead(user, Health.REVOKED)) from None
        if owner.id != account_id:
            message = "the stored token belongs to another account: replace it with `mmconsole tokens repair`"
            raise StepConflict(message)
        if owner.privileged:
            message = f"@{owner.username} has administrator rights: its token is never used"
            raise StepConflict(message)
        return secret

    # ── joining ──────────────────────────────────────────────────────────────────────────────────

    async def _announce(self, user: User, account_id: AccountId) -> Intent | None:
        """The note that one user is about to be added, written before it is done. A job's items are such notes."""
        if self._run.job_id is not None:
            return None
        text = f"{self._channel.id} {self._channel.address}"
        intent = Intent(new_operation(), user.id, KIND, account_id, text, await self._server.now())
        await self._run.write(open_intent(intent))
        return intent

    async def _join_team(self, user: User, account_id: AccountId) -> None:
        """Nobody can be in a channel without its team, and people cannot join a closed team by themselves."""
        if account_id in self._in_team:
            return
        client = await self._server.client()
        await client.join_team(self._channel.team_id, account_id)
        request_id = client.last_request_id
        await self._run.write(
            note(self._run.activity("team joined", user.id, self._channel.team, request_id=request_id))
        )

    async def _join(self, user: User, account_id: AccountId, secret: Secret | None, intent: Intent | None) -> None:
        client = await self._server.client()
        try:
            await client.join_channel(self._channel.id, account_id, secret=secret)
        except Unauthorized:
            raise StepConflict(_dead(user, Health.REVOKED)) from None
        except Refused as fault:
            if secret is None or type(fault) is not Refused or fault.status != _FORBIDDEN:
                raise
            message = "the server does not let them join by themselves; `mmconsole channel add --as-admin` adds them"
            raise StepConflict(message) from fault
        detail, request_id = f"{self._channel.address}{self._by(secret)}", client.last_request_id
        row = self._run.activity("channel joined", user.id, detail, request_id=request_id)
        await self._run.write(_end(intent, row))

    def _by(self, secret: Secret | None) -> str:
        """Whose token did it, where it was not the user's own: each such use is in the activity log."""
        if secret is not None:
            return ""
        why = "as asked" if self._as_admin else f"since {_NONE_STORED}"
        return f" with the administrator's token, {why}"


async def recover_joining(intent: Intent, server: Server, run: Run) -> bool:
    """Write down that an interrupted run added somebody, if it did. Returns whether it did."""
    channel_id, address = intent.description.split(" ", 1)
    accounts = [intent.account_id] if intent.account_id else []
    try:
        there = await (await server.client()).channel_members(ChannelId(channel_id), accounts)
    except NotFound:
        return False
    if not there:
        return False
    row = run.activity("channel joined", intent.user_id, f"{address}, found after an interrupted run")
    await run.write(close_intent(intent.operation_id, activity=row))
    return True


def _linked(user: User | None, record: TokenRecord | None) -> tuple[User, TokenRecord, AccountId]:
    """A user who has an account. Raises StepConflict."""
    if user is None or not user.active:
        message = "the user is inactive in the application, or gone"
        raise StepConflict(message)
    if record is None or record.account_id is None:
        message = f"no account yet: `mmconsole sync {user.id}` makes or links it"
        raise StepConflict(message)
    return user, record, record.account_id


def _end(intent: Intent | None, *rows: Activity) -> Change:
    """What happened, and the end of the note before it."""

    def change(tx: Transaction) -> None:
        if intent is not None:
            tx.intents.close(intent.operation_id)
        tx.activity.add_many(rows)

    return change


def _dead(user: User, health: Health) -> str:
    return f"the stored token is {health} and no other is used: `mmconsole tokens repair {user.id}` first"
