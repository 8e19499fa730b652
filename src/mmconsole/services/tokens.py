"""The life of a token: made behind an intent, tried before it is kept, found again after a crash."""

import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final

from mmconsole.database import Database, Transaction
from mmconsole.domain.accounts import AccountId
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
    MfaDemanded,
    NotFound,
    RowMissing,
    TokenDenied,
    TokenRejected,
    Unauthorized,
)
from mmconsole.mattermost import MattermostClient
from mmconsole.services.accounts import moment_of
from mmconsole.services.changes import close_intent, keep, open_intent
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage

_DAY: Final = timedelta(days=1)


_ANOTHERS: Final = "it belongs to another account"
_PRIVILEGED: Final = "its account has administrator rights"
_MFA: Final = "the server demands multi-factor authentication of its account"
_LASTING: Final = frozenset({_ANOTHERS, _PRIVILEGED, _MFA})
"""Reasons that another token would not cure, and each token mails its owner."""


class Tokens:
    def __init__(
        self,
        database: Database,
        server: Server,
        storage: Storage,
    ) -> None:
        self._database = database
        self._server = server
        self._storage = storage
        self._installation_id = ""

    # ── generate ─────────────────────────────────────────────────────────────────────────────────

    async def intend(self, user_id: UserId, account_id: AccountId) -> Intent:
        """The note of a token that is about to be made. It must be stored before `make`."""
        installation = await self._installation()
        operation = OperationId(secrets.token_hex(8))
        description = describe(installation, user_id, operation)
        return Intent(operation, user_id, "token", account_id, description, await self._server.now())

    async def generate(self, user_id: UserId, old: TokenRecord, run: Run) -> TokenRecord:
        """Make a token for a linked user, try it, store it, and drop the old one."""
        if old.account_id is None:
            message = "a token is made for a linked user"
            raise ValueError(message)
        intent = await self.intend(user_id, old.account_id)
        await run.write(open_intent(intent))
        return await self.make(intent, old, run)

    async def make(self, intent: Intent, old: TokenRecord, run: Run) -> TokenRecord:
        """Do what a stored intent announced.

        A lost answer is cleared up and tried once more; a second one is left to `recover`. Raises TokenRejected when
        the new token does not work (it is revoked then, and nothing stored changed), or a MattermostError.
        """
        client = await self._server.client()
        try:
            made = await self._create(client, intent)
        except AnswerLost:
            if not await self.revoke_made(intent):
                raise
            made = await self._create(client, intent)
        except MattermostError:
            await run.write(close_intent(intent.operation_id))
            raise
        await self._try(client, made, intent, run)
        try:
            return await self._keep(client, made, intent, old, run)
        except RowMissing:
            await client.revoke_token(made.token.id)
            await run.write(close_intent(intent.operation_id))
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
        return int((await self._server.now() + wanted).timestamp() * 1000)

    async def _try(self, client: MattermostClient, made: NewToken, intent: Intent, run: Run) -> None:
        why = await self._why_unusable(client, made.secret, intent.account_id)
        if why is None:
            return
        await client.revoke_token(made.token.id)
        await run.write(close_intent(intent.operation_id))
        rejected = TokenDenied if why in _LASTING else TokenRejected
        raise rejected(user_id=intent.user_id, why=why)

    async def _why_unusable(self, client: MattermostClient, secret: Secret, account_id: AccountId | None) -> str | None:
        """Why a secret cannot be used for an account, or None when it works.

        `/users/me` is exempt from the MFA gate, `/users/me/teams` is not (seen on 11.6.0), so both are asked.
        """
        try:
            owner = await client.me(secret)
            if owner.id != account_id:
                return _ANOTHERS
            if owner.privileged:
                return _PRIVILEGED
            await client.my_teams(secret)
        except MfaDemanded:
            return _MFA
        except MattermostError as fault:
            return str(fault)
        return None

    async def _keep(
        self,
        client: MattermostClient,
        made: NewToken,
        intent: Intent,
        old: TokenRecord,
        run: Run,
    ) -> TokenRecord:
        vault = await self._storage.vault()
        now = run.now()
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
            expires_at=moment_of(made.token.expires_at),
            withheld=False,
        )
        envelope = vault.seal(made.secret, intent.user_id)
        drop = self._drop_intent(old, run)
        row = run.activity("token generated", intent.user_id, f"token {made.token.id}")

        def store(tx: Transaction) -> None:
            tx.roster.store(intent.user_id, account_id=record.account_id, envelope=envelope)
            tx.tokens.save(record)
            tx.intents.close(intent.operation_id)
            tx.activity.add(row)
            if drop is not None:
                tx.intents.open(drop)

        await run.write(store)
        if drop is not None:
            await self._drop(client, drop, run)
        return record

    async def _drop(self, client: MattermostClient, drop: Intent, run: Run) -> None:
        """Revoke the replaced token. Its successor is stored already, so a failure is left to `recover`."""
        try:
            await client.revoke_token(TokenId(drop.description))
        except MattermostError:
            return
        await run.write(close_intent(drop.operation_id))

    def _drop_intent(self, old: TokenRecord, run: Run) -> Intent | None:
        """The note that a replaced token is still to be revoked, written together with its successor."""
        if old.token_id is None:
            return None
        operation = OperationId(secrets.token_hex(8))
        return Intent(operation, old.user_id, "drop", old.account_id, old.token_id, run.now())

    # ── adopt ────────────────────────────────────────────────────────────────────────────────────

    async def adopt(self, user_id: UserId, old: TokenRecord, run: Run) -> TokenRecord | None:
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
            checked_at=run.now(),
        )
        row = run.activity("token adopted", user_id, f"token {token_id or 'without a known id'}")
        await run.write(keep(record, row))
        return record

    # ── revoke ───────────────────────────────────────────────────────────────────────────────────

    async def revoke(self, record: TokenRecord, run: Run, *, why: str) -> TokenRecord:
        """Revoke a user's token for good and forget its secret. One that is gone already counts as revoked."""
        client = await self._server.client()
        token_id = record.token_id
        if token_id is not None:
            await client.revoke_token(token_id)
        gone = replace(record, token_id=None, fingerprint="", health=Health.REVOKED, cause=why, checked_at=run.now())
        row = run.activity("token revoked", record.user_id, f"token {token_id}: {why}")

        def store(tx: Transaction) -> None:
            with suppress(RowMissing):
                tx.roster.store(record.user_id, envelope=None)
            tx.tokens.save(gone)
            tx.activity.add(row)

        await run.write(store)
        return gone

    async def revoke_made(self, intent: Intent) -> TokenId | None:
        """Revoke the token an intent announced, if the server has it."""
        if intent.account_id is None:
            return None
        client = await self._server.client()
        try:
            tokens = await client.tokens_of(intent.account_id)
        except NotFound:
            return None
        made = [token for token in tokens if token.description == intent.description]
        for token in made:
            await client.revoke_token(token.id)
        return made[0].id if made else None

    # ── small things ─────────────────────────────────────────────────────────────────────────────

    async def _installation(self) -> str:
        if not self._installation_id:
            self._installation_id = await self._database.read(lambda db: db.meta.installation_id)
        return self._installation_id
