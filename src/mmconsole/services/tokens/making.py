"""New tokens: made behind an intent, tried before they are kept, found again after a crash; and old ones taken over."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mmconsole.database import Database, Transaction
from mmconsole.domain.accounts import AccountId, moment_of
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.health import WORKS
from mmconsole.domain.lifetimes import lifetime_for
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import Health, Intent, NewToken, TokenId, TokenRecord, describe
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    AnswerLost,
    Garbled,
    LeaseLost,
    MattermostError,
    MfaDemanded,
    NotFound,
    RowMissing,
    TokenDenied,
    TokenRejected,
    Unauthorized,
)
from mmconsole.services.changes import keep, note
from mmconsole.services.conflicts import StepConflict
from mmconsole.services.hearing import Making, listener
from mmconsole.services.intents import close_intent, new_operation, open_intent
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient

ANOTHERS: Final = "it belongs to another account"
PRIVILEGED: Final = "its account has administrator rights"
MFA: Final = "the server demands multi-factor authentication of its account"
_LASTING: Final = frozenset({ANOTHERS, PRIVILEGED, MFA})
"""Reasons that another token would not cure, and each token mails its owner."""


class Tokens:
    def __init__(
        self,
        database: Database,
        server: Server,
        storage: Storage,
        *,
        lifetime: timedelta | None = None,
    ) -> None:
        self._database = database
        self._server = server
        self._storage = storage
        self._lifetime = lifetime
        self._installation_id = ""

    # ── generate ─────────────────────────────────────────────────────────────────────────────────

    async def intend(self, user_id: UserId, account_id: AccountId) -> Intent:
        """The note of a token that is about to be made. It must be stored before `make`."""
        installation = await self._installation()
        operation = new_operation()
        description = describe(installation, user_id, operation)
        return Intent(operation, user_id, "token", account_id, description, await self._server.now())

    async def generate(
        self, user_id: UserId, old: TokenRecord, run: Run, *, also: Sequence[Activity] = ()
    ) -> TokenRecord:
        """Make a token for a linked user, try it, store it, and drop the old one. `also` is logged with it."""
        if old.account_id is None:
            message = "a token is made for a linked user"
            raise ValueError(message)
        intent = await self.intend(user_id, old.account_id)
        await run.write(open_intent(intent))
        return await self.make(intent, old, run, also=also)

    async def make(self, intent: Intent, old: TokenRecord, run: Run, *, also: Sequence[Activity] = ()) -> TokenRecord:
        """Do what a stored intent announced.

        A lost answer is cleared up and tried once more; a second one is left to `recover`. Raises TokenRejected when
        the new token does not work (it is revoked then, and nothing stored changed), or a MattermostError.
        """
        client = await self._server.client()
        try:
            made = await self._create(client, intent)
        except AnswerLost:
            if (lost := await self.revoke_made(intent)) is None:
                raise
            await run.write(note(_revoked(intent.user_id, lost, "its secret was lost on the way", client, run)))
            made = await self._create(client, intent)
        except Garbled:
            # Not Mattermost's own word, which may have acted behind whoever answered: the note stays for `recover`.
            raise
        except MattermostError:
            await run.write(close_intent(intent.operation_id))
            raise
        await self._try(client, made, intent, run)
        try:
            return await self._keep(made, intent, old, run, also=also)
        except RowMissing:
            await self._take_back(client, made, intent, run, why="its user's row is gone")
            raise
        except LeaseLost:
            # Whoever took over may have closed the note before the server made the token, and nobody else knows of it.
            with suppress(MattermostError):
                await client.revoke_token(made.token.id)
            raise

    async def _create(self, client: "MattermostClient", intent: Intent) -> NewToken:
        account_id = intent.account_id
        if account_id is None:
            message = "a token needs an account"
            raise ValueError(message)
        listener().making(intent.user_id, Making.CREATE)
        expires_at = await self._expiry(intent.user_id)
        return await client.create_token(account_id, description=intent.description, expires_at=expires_at)

    async def _expiry(self, user_id: UserId) -> int | None:
        """The end of a new token in the server's milliseconds; None where the server knows of no such end."""
        facts = await self._server.facts()
        if not facts.tokens_expire:
            return None
        lifetime = lifetime_for(user_id, wanted=self._lifetime, cap_days=facts.max_token_days)
        return None if lifetime is None else int((await self._server.now() + lifetime).timestamp() * 1000)

    async def _try(self, client: "MattermostClient", made: NewToken, intent: Intent, run: Run) -> None:
        listener().making(intent.user_id, Making.TEST)
        why = await self._why_unusable(client, made.secret, intent.account_id)
        if why is None:
            return
        await self._take_back(client, made, intent, run, why=why)
        rejected = TokenDenied if why in _LASTING else TokenRejected
        raise rejected(user_id=intent.user_id, why=why)

    async def _take_back(
        self, client: "MattermostClient", made: NewToken, intent: Intent, run: Run, *, why: str
    ) -> None:
        """Revoke a new token that is of no use."""
        await client.revoke_token(made.token.id)
        row = _revoked(intent.user_id, made.token.id, why, client, run)
        await run.write(close_intent(intent.operation_id, activity=row))

    async def _why_unusable(
        self, client: "MattermostClient", secret: Secret, account_id: AccountId | None
    ) -> str | None:
        """Why a secret cannot be used for an account, or None when it works."""
        try:
            return await why_barred(client, secret, account_id)
        except MattermostError as fault:
            return str(fault)

    async def _keep(
        self, made: NewToken, intent: Intent, old: TokenRecord, run: Run, *, also: Sequence[Activity]
    ) -> TokenRecord:
        listener().making(intent.user_id, Making.STORE)
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
        row = run.activity("token generated", intent.user_id, f"token {made.token.id}", request_id=made.request_id)

        def store(tx: Transaction) -> None:
            tx.roster.store(intent.user_id, account_id=record.account_id, envelope=envelope)
            tx.tokens.save(record)
            tx.intents.close(intent.operation_id)
            tx.activity.add_many((*also, row))
            if drop is not None:
                tx.intents.open(drop)

        await run.write(store)
        if drop is not None:
            await self._drop(drop, run, works=old.health in WORKS)
        return record

    async def _drop(self, drop: Intent, run: Run, *, works: bool) -> None:
        """Revoke the replaced token, disabled first if it worked. A failure is left to `recover`."""
        listener().making(drop.user_id, Making.DROP)
        client, token_id = await self._server.client(), TokenId(drop.description)
        try:
            if works:
                with suppress(NotFound):
                    await client.disable_token(token_id)
            await client.revoke_token(token_id)
        except MattermostError:
            return
        row = _revoked(drop.user_id, token_id, "another one took its place", client, run)
        await run.write(close_intent(drop.operation_id, activity=row))

    def _drop_intent(self, old: TokenRecord, run: Run) -> Intent | None:
        """The note that a replaced token is still to be revoked, written together with its successor."""
        if old.token_id is None:
            return None
        return Intent(new_operation(), old.user_id, "drop", old.account_id, old.token_id, run.now())

    # ── adopt ────────────────────────────────────────────────────────────────────────────────────

    async def adopt(self, user_id: UserId, old: TokenRecord, run: Run, *, asked: bool) -> TokenRecord | None:
        """Take over a stored secret whose token we do not know, as the Laravel version left it.

        Returns None when the secret is dead. Its id is found among the account's sessions, which the probe makes; when
        several fit, the token is kept without an id. Raises StepConflict when it must not be used, or when somebody may
        have disabled it and no operator `asked` for this user by name; CannotOpen when it cannot be read.
        """
        client = await self._server.client()
        vault = await self._storage.vault()
        envelope = await self._database.read(lambda db: db.roster.envelope(user_id))
        if envelope is None or old.account_id is None:
            return None
        secret = vault.open(envelope, user_id)
        try:
            if (why := await why_barred(client, secret, old.account_id)) is not None:
                health = Health.CONFLICT if why == ANOTHERS else Health.DENIED
                raise StepConflict(f"the stored token is not used: {why}", health)
        except Unauthorized:
            if not asked:
                await _demand_none_disabled(client, old.account_id)
            return None
        found = await identified(client, old, old.account_id, fingerprint=vault.fingerprint(secret))
        record = replace(found, checked_at=run.now())
        row = run.activity("token adopted", user_id, f"token {record.token_id or 'without a known id'}")
        await run.write(keep(record, row))
        return record

    # ── revoke ───────────────────────────────────────────────────────────────────────────────────

    async def revoke(self, record: TokenRecord, run: Run, *, why: str) -> TokenRecord:
        """Revoke a user's token for good and forget its secret. One that is gone already counts as revoked."""
        client = await self._server.client()
        token_id = record.token_id
        request_id = ""
        if token_id is not None:
            await client.revoke_token(token_id)
            request_id = client.last_request_id
        gone = replace(record, token_id=None, fingerprint="", health=Health.REVOKED, cause=why, checked_at=run.now())
        row = run.activity(
            "token revoked", record.user_id, f"token {token_id}: {why}" if token_id else why, request_id=request_id
        )

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


async def why_barred(client: "MattermostClient", secret: Secret, account_id: AccountId | None) -> str | None:
    """Which lasting reason keeps a secret from being used; None when it works. Raises what the calls raise.

    `/users/me` is exempt from the MFA gate, `/users/me/teams` is not (seen on 11.6.0), so both are asked.
    """
    owner = await client.me(secret)
    if owner.id != account_id:
        return ANOTHERS
    if owner.privileged:
        return PRIVILEGED
    try:
        await client.my_teams(secret)
    except MfaDemanded:
        return MFA
    return None


async def identified(
    client: "MattermostClient", old: TokenRecord, account_id: AccountId, *, fingerprint: str
) -> TokenRecord:
    """The record of a stored secret that has just been tried, with its id if the sessions leave no doubt about it."""
    known = await client.tokens_in_use(account_id)
    token_id = known.pop() if len(known) == 1 else None
    cause = "" if token_id else f"its id is unknown: {len(known)} tokens fit"
    return replace(old, token_id=token_id, fingerprint=fingerprint, health=Health.OK, cause=cause)


async def _demand_none_disabled(client: "MattermostClient", account_id: AccountId) -> None:
    """Raises StepConflict when a refused secret may be that of a token that somebody disabled."""
    disabled = sorted(token.id for token in await client.tokens_of(account_id) if not token.active)
    if disabled:
        message = (
            f"the stored token may be one that somebody disabled: {', '.join(disabled)}; name the user for a new one"
        )
        raise StepConflict(message, Health.DISABLED)


def _revoked(user_id: UserId, token_id: TokenId, why: str, client: "MattermostClient", run: Run) -> Activity:
    """That a token was revoked by the call before this one."""
    detail = f"token {token_id}: {why}"
    return run.activity("token revoked", user_id, detail, level=Level.WARNING, request_id=client.last_request_id)
