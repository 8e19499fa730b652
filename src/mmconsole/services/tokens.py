"""The life of a token: made behind an intent, tried before it is kept, found again after a crash."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from mmconsole.database import Database, Transaction
from mmconsole.domain.accounts import Account, AccountId
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import (
    Health,
    Intent,
    NewToken,
    OperationId,
    TokenId,
    TokenRecord,
    describe,
)
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    AnswerLost,
    CannotOpen,
    MattermostError,
    NotFound,
    Refused,
    RowMissing,
    TokenRejected,
    Unauthorized,
)
from mmconsole.mattermost import MattermostClient
from mmconsole.services.changes import close_intent, keep, open_intent
from mmconsole.services.leases import Lease
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage

SETTLED_AFTER: Final = timedelta(seconds=90)
"""A call that was under way when its process died may still act on a slow server; after this it has not."""
_CLOCK_SLACK: Final = timedelta(seconds=5)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `recover` found: tokens revoked, accounts linked, intents without a trace, and what must wait."""

    revoked: tuple[TokenId, ...] = ()
    linked: tuple[UserId, ...] = ()
    closed: int = 0
    young: int = 0
    """Intents without a trace on the server that are too young to be closed: a slow server may still act."""


class Tokens:
    def __init__(
        self,
        database: Database,
        server: Server,
        storage: Storage,
        *,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._server = server
        self._storage = storage
        self._actor = actor
        self._now = now
        self._installation_id = ""

    # ── generate ─────────────────────────────────────────────────────────────────────────────────

    async def intend(self, user_id: UserId, account_id: AccountId) -> Intent:
        """The note of a token that is about to be made. It must be stored before `make`."""
        installation = await self._installation()
        operation = OperationId(secrets.token_hex(8))
        description = describe(installation, user_id, operation)
        return Intent(operation, user_id, "token", account_id, description, await self._server_time())

    async def generate(self, user_id: UserId, old: TokenRecord, lease: Lease, *, job_id: int | None) -> TokenRecord:
        """Make a token for a linked user, try it, store it, and drop the old one."""
        if old.account_id is None:
            message = "a token is made for a linked user"
            raise ValueError(message)
        intent = await self.intend(user_id, old.account_id)
        await lease.write(open_intent(intent))
        return await self.make(intent, old, lease, job_id=job_id)

    async def make(self, intent: Intent, old: TokenRecord, lease: Lease, *, job_id: int | None) -> TokenRecord:
        """Do what a stored intent announced.

        A lost answer is cleared up and tried once more; a second one is left to `recover`. Raises TokenRejected when
        the new token does not work (it is revoked then, and nothing stored changed), or a MattermostError.
        """
        client = await self._server.client()
        try:
            made = await self._create(client, intent)
        except AnswerLost:
            if not await self._revoke_made(client, intent):
                raise
            made = await self._create(client, intent)
        except MattermostError:
            await lease.write(close_intent(intent.operation_id))
            raise
        await self._try(client, made, intent, lease)
        try:
            return await self._keep(client, made, intent, old, lease, job_id=job_id)
        except RowMissing:
            await client.revoke_token(made.token.id)
            await lease.write(close_intent(intent.operation_id))
            raise

    async def _create(self, client: MattermostClient, intent: Intent) -> NewToken:
        account_id = intent.account_id
        if account_id is None:
            message = "a token needs an account"
            raise ValueError(message)
        return await client.create_token(account_id, description=intent.description, expires_at=await self._expiry())

    async def _expiry(self) -> int | None:
        """The end of a new token in the server's milliseconds, where the server demands one (from 11.9)."""
        facts = await self._server.facts()
        if not facts.max_token_days:
            return None
        cap = facts.max_token_days * _DAY
        # A day below the cap, so that clocks that differ a little do not make the server refuse it.
        wanted = cap - _DAY if cap > 2 * _DAY else cap / 2
        # Spread over a tenth, so that not all end on one day.
        wanted -= wanted * secrets.randbelow(100) / 1000
        return int((await self._server_time() + wanted).timestamp() * 1000)

    async def _try(self, client: MattermostClient, made: NewToken, intent: Intent, lease: Lease) -> None:
        why = await self._why_unusable(client, made.secret, intent.account_id)
        if why is None:
            return
        await client.revoke_token(made.token.id)
        await lease.write(close_intent(intent.operation_id))
        raise TokenRejected(user_id=intent.user_id, why=why)

    async def _why_unusable(self, client: MattermostClient, secret: Secret, account_id: AccountId | None) -> str | None:
        """Why a secret cannot be used for an account, or None when it works.

        `/users/me` is exempt from the MFA gate, `/users/me/teams` is not (seen on 11.6.0), so both are asked.
        """
        try:
            owner = await client.me(secret)
            if owner.id != account_id:
                return "it belongs to another account"
            if owner.privileged:
                return "its account has administrator rights"
            await client.my_teams(secret)
        except MattermostError as fault:
            return str(fault)
        return None

    async def _keep(  # noqa: PLR0913 - one transaction needs all of it
        self,
        client: MattermostClient,
        made: NewToken,
        intent: Intent,
        old: TokenRecord,
        lease: Lease,
        *,
        job_id: int | None,
    ) -> TokenRecord:
        vault = await self._storage.vault()
        now = self._now()
        record = replace(
            old,
            user_id=intent.user_id,
            token_id=made.token.id,
            description=intent.description,
            fingerprint=vault.fingerprint(made.secret),
            health=Health.OK,
            cause="",
            checked_at=now,
            created_at=now,
            expires_at=_moment(made.token.expires_at),
            withheld=False,
        )
        envelope = vault.seal(made.secret, intent.user_id)
        drop = self._drop_intent(old)
        row = self._activity("token generated", intent.user_id, f"token {made.token.id}", job_id=job_id)

        def store(tx: Transaction) -> None:
            tx.roster.store(intent.user_id, account_id=record.account_id, envelope=envelope)
            tx.tokens.save(record)
            tx.intents.close(intent.operation_id)
            tx.activity.add(row)
            if drop is not None:
                tx.intents.open(drop)

        await lease.write(store)
        if drop is not None:
            await self._drop(client, drop, lease)
        return record

    async def _drop(self, client: MattermostClient, drop: Intent, lease: Lease) -> None:
        """Revoke the replaced token. Its successor is stored already, so a failure is left to `recover`."""
        try:
            await client.revoke_token(TokenId(drop.description))
        except MattermostError:
            return
        await lease.write(close_intent(drop.operation_id))

    def _drop_intent(self, old: TokenRecord) -> Intent | None:
        """The note that a replaced token is still to be revoked, written together with its successor."""
        if old.token_id is None:
            return None
        operation = OperationId(secrets.token_hex(8))
        return Intent(operation, old.user_id, "drop", old.account_id, old.token_id, self._now())

    # ── adopt ────────────────────────────────────────────────────────────────────────────────────

    async def adopt(self, user_id: UserId, old: TokenRecord, lease: Lease, *, job_id: int | None) -> TokenRecord | None:
        """Take over a stored secret whose token we do not know, as the Laravel version left it.

        Returns None when the secret is dead. Its id is found among the account's sessions, which the probe makes; when
        several fit, the token is kept without an id. Raises CannotOpen when it is another account's.
        """
        client = await self._server.client()
        vault = await self._storage.vault()
        envelope = await self._database.read(lambda db: db.roster.envelope(user_id))
        if envelope is None or old.account_id is None:
            return None
        secret = vault.open(envelope, user_id)
        try:
            owner = await client.me(secret)
        except Unauthorized:
            return None
        if owner.id != old.account_id:
            raise CannotOpen(why="the token belongs to another account")
        if owner.privileged:
            raise CannotOpen(why="the token's account has administrator rights")
        known = {session.token_id for session in await client.sessions_of(old.account_id) if session.token_id}
        token_id = known.pop() if len(known) == 1 else None
        record = replace(
            old,
            token_id=token_id,
            fingerprint=vault.fingerprint(secret),
            health=Health.OK,
            cause="" if token_id else f"its id is unknown: {len(known)} tokens fit",
            checked_at=self._now(),
        )
        row = self._activity("token adopted", user_id, f"token {token_id or 'without a known id'}", job_id=job_id)
        await lease.write(keep(record, row))
        return record

    # ── revoke ───────────────────────────────────────────────────────────────────────────────────

    async def revoke(self, record: TokenRecord, lease: Lease, *, why: str, job_id: int | None) -> TokenRecord:
        """Revoke a user's token for good and forget its secret. One that is gone already counts as revoked."""
        client = await self._server.client()
        token_id = record.token_id
        if token_id is not None:
            await client.revoke_token(token_id)
        gone = replace(record, token_id=None, fingerprint="", health=Health.REVOKED, cause=why, checked_at=self._now())
        row = self._activity("token revoked", record.user_id, f"token {token_id}: {why}", job_id=job_id)

        def store(tx: Transaction) -> None:
            with suppress(RowMissing):
                tx.roster.store(record.user_id, envelope=None)
            tx.tokens.save(gone)
            tx.activity.add(row)

        await lease.write(store)
        return gone

    # ── recover ──────────────────────────────────────────────────────────────────────────────────

    async def recover(self, lease: Lease) -> Recovered:
        """Clear up after a crash: every open intent is looked for on the server and brought to an end."""
        found = Recovered()
        for intent in await self._database.read(lambda db: db.intents.all_open()):
            found = await self._recover_one(intent, lease, found)
        return found

    async def _recover_one(self, intent: Intent, lease: Lease, found: Recovered) -> Recovered:
        client = await self._server.client()
        if intent.kind == "account":
            account = await self._made_account(client, intent)
            if account is not None:
                await self.link_made(intent, account, lease, job_id=None)
                return replace(found, linked=(*found.linked, intent.user_id))
        elif intent.kind == "drop":
            await client.revoke_token(TokenId(intent.description))
            await self._close_with_token(intent, TokenId(intent.description), lease)
            return replace(found, revoked=(*found.revoked, TokenId(intent.description)))
        elif (token_id := await self._revoke_made(client, intent)) is not None:
            await self._close_with_token(intent, token_id, lease)
            return replace(found, revoked=(*found.revoked, token_id))
        if await self._server_time() - intent.opened_at < SETTLED_AFTER:
            return replace(found, young=found.young + 1)
        await lease.write(close_intent(intent.operation_id))
        return replace(found, closed=found.closed + 1)

    async def _close_with_token(self, intent: Intent, token_id: TokenId, lease: Lease) -> None:
        detail = f"token {token_id} was left over by an interrupted run"
        row = self._activity("token recovered", intent.user_id, detail, level=Level.WARNING)
        await lease.write(close_intent(intent.operation_id, activity=row))

    async def _revoke_made(self, client: MattermostClient, intent: Intent) -> TokenId | None:
        """Revoke the token an intent announced, if the server has it."""
        if intent.account_id is None:
            return None
        try:
            tokens = await client.tokens_of(intent.account_id)
        except NotFound:
            return None
        made = [token for token in tokens if token.description == intent.description]
        for token in made:
            await client.revoke_token(token.id)
        return made[0].id if made else None

    async def made_account(self, intent: Intent) -> Account | None:
        """The account that an intent announced, if the server has it."""
        return await self._made_account(await self._server.client(), intent)

    async def _made_account(self, client: MattermostClient, intent: Intent) -> Account | None:
        """An account counts as ours only with the username, the address and the moment that the intent names.

        Somebody who signs up with this address in between would get another moment or another name; without the
        moment, an account that waits for its victim could be taken for our own.
        """
        username, _, address = intent.description.partition(" ")
        try:
            account = await client.find_account_by_email(address)
        except Refused:
            # An address that cannot even be asked for has no account.
            return None
        if account is None or account.username != username or account.email.lower() != address:
            return None
        made_at = _moment(account.create_at)
        earliest, latest = intent.opened_at - _CLOCK_SLACK, intent.opened_at + SETTLED_AFTER
        return account if made_at is not None and earliest <= made_at <= latest else None

    async def link_made(
        self, intent: Intent, account: Account, lease: Lease, *, job_id: int | None, then: Intent | None = None
    ) -> TokenRecord:
        """Store the link to an account that an intent announced; `then` opens the next intent in the same breath."""
        row = self._activity("account created", intent.user_id, f"@{account.username}", job_id=job_id)

        def store(tx: Transaction) -> TokenRecord:
            record = linked_record(tx.tokens.find(intent.user_id), intent.user_id, account)
            # Without a row the record alone remembers the account, as of anybody else who has left.
            with suppress(RowMissing):
                tx.roster.store(intent.user_id, account_id=account.id)
            tx.tokens.save(record)
            tx.intents.close(intent.operation_id)
            tx.activity.add(row)
            if then is not None:
                tx.intents.open(then)
            return record

        return await lease.write(store)

    # ── small things ─────────────────────────────────────────────────────────────────────────────

    async def _installation(self) -> str:
        if not self._installation_id:
            self._installation_id = await self._database.read(lambda db: db.meta.installation_id)
        return self._installation_id

    async def _server_time(self) -> datetime:
        client = await self._server.client()
        return datetime.fromtimestamp(client.server_time_ms() / 1000, UTC)

    def _activity(
        self, verb: str, user_id: UserId, detail: str, *, level: Level = Level.INFO, job_id: int | None = None
    ) -> Activity:
        return Activity(self._now(), self._actor, verb, user_id, detail, level, job_id)


def linked_record(old: TokenRecord | None, user_id: UserId, account: Account) -> TokenRecord:
    """What we remember of a user right after the link was made: nothing pushed, no token."""
    kept = old or TokenRecord(user_id)
    return replace(
        kept,
        account_id=account.id,
        token_id=None,
        fingerprint="",
        health=Health.MISSING,
        cause="",
        pushed_digest="",
        account_update_at=account.update_at,
        waiting_email="",
        deactivated_by_us=False,
    )


def _moment(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
