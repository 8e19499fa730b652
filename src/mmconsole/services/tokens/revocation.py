"""Revocations by an operator: disabled at once, revoked for good when the time to undo is over.

The note of a revocation is open from before the first call until the token is gone, and names the moment from which
`undo` is too late. Whichever run comes after it ends the revocation: a sync, what is done to tokens, or `recover`.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Final

from mmconsole.database import Database, Snapshot, Transaction
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.checks import Cause
from mmconsole.domain.plans import WITHHELD
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import Health, Intent, TokenId, TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    ColumnUnfit,
    MattermostError,
    NotFound,
    RowMissing,
    SecretError,
    TokenGone,
    TokenStillWorks,
    Unauthorized,
)
from mmconsole.services.conflicts import StepConflict, demand_ordinary
from mmconsole.services.intents import CLOCK_SLACK, new_operation, open_intent, replace_intent
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage
from mmconsole.services.tokens.making import why_barred

REVOKE: Final = "revoke"
REVOKE_DISABLED: Final = "revoke disabled"
"""Of a token that was disabled before, which is what `undo` brings back."""
ENABLE: Final = "enable"
_REVOKING: Final = frozenset({REVOKE, REVOKE_DISABLED})
_KINDS: Final = _REVOKING | {ENABLE}
_AT_ONCE: Final = timedelta()


class Stage(Enum):
    """How far a revocation is after somebody looked at it."""

    PENDING = "pending"
    ENDED = "ended"
    UNDONE = "undone"


class Revocations:
    def __init__(self, database: Database, server: Server, storage: Storage) -> None:
        self._database = database
        self._server = server
        self._storage = storage

    # ── by an operator ───────────────────────────────────────────────────────────────────────────

    async def begin(
        self, record: TokenRecord, token_id: TokenId, run: Run, *, known: Intent | None, grace: timedelta
    ) -> datetime | None:
        """Disable a token until the grace is over, or revoke it at once if there is none.

        `known` is the open note of it, if it was begun before. Returns the moment from which it is too late to undo;
        None when the token is gone already. Raises TokenStillWorks and MattermostError; the note stays open then.
        """
        intent = known
        if intent is None or intent.kind not in _REVOKING:
            intent = await self._intent(record, token_id, grace)
            await run.write(partial(_announce, intent=intent, known=known))
        if grace > _AT_ONCE and await self._disable(intent, run):
            return intent.opened_at
        await self.end(intent, run)
        return None

    async def _intent(self, record: TokenRecord, token_id: TokenId, grace: timedelta) -> Intent:
        """The note of a revocation. What can be undone says what the token was before."""
        kind = REVOKE_DISABLED if grace and await self._is_disabled(token_id) else REVOKE
        # The server's clock is known to a second, and what is to be done at once must not wait for that.
        due = await self._server.now() + (grace or -CLOCK_SLACK)
        return Intent(new_operation(), record.user_id, kind, record.account_id, token_id, due)

    async def _is_disabled(self, token_id: TokenId) -> bool:
        token = await (await self._server.client()).find_token(token_id)
        return token is not None and not token.active

    async def undo(self, intent: Intent, record: TokenRecord, run: Run) -> bool:
        """Bring back what was there before a revocation. Returns whether that is a token that is enabled.

        Raises TokenGone when it is too late for that, StepConflict when its account gets no token by now, and
        MattermostError. From the first note on the token is to be enabled, whatever happens to this process.
        """
        if intent.kind == REVOKE_DISABLED:
            await self._leave_disabled(intent, run)
            return False
        await demand_ordinary(await self._server.client(), record)
        wanted = intent
        if intent.kind == REVOKE:
            wanted = replace(intent, operation_id=new_operation(), kind=ENABLE)
            await run.write(replace_intent(intent, wanted))
        await self._enable(wanted, run)
        return True

    # ── by whoever comes next ────────────────────────────────────────────────────────────────────

    async def go_on(self, intent: Intent, run: Run) -> Stage:
        """Bring an open note as far as its time allows. Raises TokenStillWorks and MattermostError."""
        record = await self._database.read(lambda db: db.tokens.get(intent.user_id))
        # Of another token that took its place meanwhile nobody can want the old one back.
        replaced = record.token_id != intent.description
        over = replaced or intent.opened_at <= await self._server.now()
        if intent.kind != ENABLE and record.health is Health.WITHHELD and not over:
            return Stage.PENDING
        # Whoever lost the lease meanwhile must not act upon a note that somebody else has closed.
        if not await run.write(lambda tx: tx.intents.find(intent.operation_id) is not None):
            return Stage.UNDONE
        if intent.kind == ENABLE:
            return await self._go_on_enabling(intent, record, over=over, run=run)
        return await self._go_on_revoking(intent, over=over, run=run)

    async def _go_on_revoking(self, intent: Intent, *, over: bool, run: Run) -> Stage:
        # A process may have died before the call that disables it.
        if not over and await self._disable(intent, run):
            return Stage.PENDING
        await self.end(intent, run)
        return Stage.ENDED

    async def _go_on_enabling(self, intent: Intent, record: TokenRecord, *, over: bool, run: Run) -> Stage:
        """Enable a token as an undo wanted it; where its account gets none by now, the revocation goes on instead."""
        try:
            await demand_ordinary(await self._server.client(), record)
        except StepConflict:
            revoking = replace(intent, operation_id=new_operation(), kind=REVOKE)
            # The call that enables it may have been made, so it counts as not disabled.
            unknown = replace(record, health=Health.UNKNOWN, withheld=True)
            await run.write(partial(_revoke_again, enabling=intent, revoking=revoking, record=unknown))
            return await self._go_on_revoking(revoking, over=over, run=run)
        with suppress(TokenGone):
            await self._enable(intent, run)
        return Stage.UNDONE

    async def end(self, intent: Intent, run: Run) -> None:
        """Revoke for good, see that the token is gone, and forget its secret. One that is gone already counts."""
        client, token_id = await self._server.client(), TokenId(intent.description)
        secret = await self._secret(intent)
        await client.revoke_token(token_id)
        request_id = client.last_request_id
        if await client.find_token(token_id) is not None or (secret is not None and await self._works(secret)):
            raise TokenStillWorks(user_id=intent.user_id)
        row = run.activity("token revoked", intent.user_id, f"token {token_id}", request_id=request_id)
        await run.write(partial(_forget, intent=intent, at=run.now(), row=row))

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    async def _disable(self, intent: Intent, run: Run) -> bool:
        """Disable a token and withhold it from its user. False when the server has it no more."""
        client = await self._server.client()
        try:
            await client.disable_token(TokenId(intent.description))
        except NotFound:
            return False
        until = f"can be undone until {intent.opened_at:%Y-%m-%d %H:%M:%S} UTC"
        detail = f"token {intent.description}, {until}"
        row = run.activity("token disabled", intent.user_id, detail, request_id=client.last_request_id)

        def store(tx: Transaction) -> None:
            known = tx.tokens.get(intent.user_id)
            if known.token_id == intent.description:
                tx.tokens.save(replace(known, health=Health.WITHHELD, cause=WITHHELD, withheld=True))
            tx.activity.add(row)

        await run.write(store)
        return True

    async def _enable(self, intent: Intent, run: Run) -> None:
        client, token_id = await self._server.client(), TokenId(intent.description)
        try:
            await client.enable_token(token_id)
        except NotFound as fault:
            if await client.find_token(token_id) is not None:
                raise
            await self._note_gone(intent, run)
            raise TokenGone(user_id=intent.user_id) from fault
        row = run.activity("token enabled", intent.user_id, f"token {token_id}", request_id=client.last_request_id)
        health, cause = await self._tried(intent)
        restored = partial(replace, health=health, cause=cause, withheld=False, checked_at=run.now())
        await run.write(partial(_restore, intent=intent, restored=restored, row=row))

    async def _leave_disabled(self, intent: Intent, run: Run) -> None:
        """Undo a revocation of a token that was disabled before. Raises TokenGone."""
        token_id = TokenId(intent.description)
        if await (await self._server.client()).find_token(token_id) is None:
            await self._note_gone(intent, run)
            raise TokenGone(user_id=intent.user_id)
        row = run.activity("revocation undone", intent.user_id, f"token {token_id} stays disabled, as it was before")
        restored = partial(replace, health=Health.DISABLED, cause=Cause.DISABLED, withheld=True)
        await run.write(partial(_restore, intent=intent, restored=restored, row=row))

    async def _note_gone(self, intent: Intent, run: Run) -> None:
        detail = f"token {intent.description} was gone"
        row = run.activity("token revoked", intent.user_id, detail, level=Level.WARNING)
        await run.write(partial(_forget, intent=intent, at=run.now(), row=row))

    async def _tried(self, intent: Intent) -> tuple[Health, str]:
        """What an enabled token is worth. What cannot be found out is left to the next check."""
        secret = await self._secret(intent)
        if secret is None:
            return Health.UNKNOWN, ""
        try:
            why = await why_barred(await self._server.client(), secret, intent.account_id)
        except MattermostError as fault:
            return Health.UNKNOWN, str(fault)
        return (Health.OK, "") if why is None else (Health.DENIED, why)

    async def _works(self, secret: Secret) -> bool:
        """Whether a secret still signs somebody in. Raises MattermostError when nobody can tell."""
        try:
            await (await self._server.client()).me(secret)
        except Unauthorized:
            return False
        return True

    async def _secret(self, intent: Intent) -> Secret | None:
        """The stored secret of the token a note is about, if it can be read; by its id all is done without it."""
        envelope = await self._database.read(partial(_envelope, intent=intent))
        if envelope is None:
            return None
        with suppress(SecretError, ColumnUnfit):
            return (await self._storage.vault()).open(envelope, intent.user_id)
        return None


def is_revocation(intent: Intent) -> bool:
    """Whether a note is about a revocation, or that one is taken back."""
    return intent.kind in _KINDS


def revocation_among(notes: Sequence[Intent], record: TokenRecord | None) -> Intent | None:
    """The note, of those that are open, about the revocation of the token that a record names."""
    if record is None or record.token_id is None:
        return None
    return next((one for one in notes if is_revocation(one) and one.description == record.token_id), None)


def revocations(db: Snapshot, ids: Sequence[UserId]) -> dict[UserId, Intent]:
    """The open notes of revocations of these users."""
    return {one.user_id: one for one in db.intents.of(ids) if is_revocation(one)}


def _announce(tx: Transaction, *, intent: Intent, known: Intent | None) -> None:
    """Note a revocation. From now on nothing automatic makes another token for this user."""
    (open_intent(intent) if known is None else replace_intent(known, intent))(tx)
    record = tx.tokens.get(intent.user_id)
    if record.token_id == intent.description:
        tx.tokens.save(replace(record, withheld=True))


def _revoke_again(tx: Transaction, *, enabling: Intent, revoking: Intent, record: TokenRecord) -> None:
    replace_intent(enabling, revoking)(tx)
    tx.tokens.save(record)


def _restore(tx: Transaction, *, intent: Intent, restored: Callable[[TokenRecord], TokenRecord], row: Activity) -> None:
    """A revocation is taken back: remember what the token is now, and close the note."""
    known = tx.tokens.get(intent.user_id)
    if known.token_id == intent.description:
        tx.tokens.save(restored(known))
    tx.intents.close(intent.operation_id)
    tx.activity.add(row)


def _envelope(db: Snapshot, *, intent: Intent) -> str | None:
    record = db.tokens.get(intent.user_id)
    return db.roster.envelope(intent.user_id) if record.token_id == intent.description else None


def _forget(tx: Transaction, *, intent: Intent, at: datetime, row: Activity) -> None:
    """A token is gone: empty the column, unless another one stands there by now, and close the note."""
    known = tx.tokens.get(intent.user_id)
    if known.token_id == intent.description:
        with suppress(RowMissing):
            tx.roster.store(intent.user_id, envelope=None)
        gone = replace(
            known,
            token_id=None,
            fingerprint="",
            health=Health.WITHHELD,
            cause=WITHHELD,
            withheld=True,
            checked_at=at,
            expires_at=None,
        )
        tx.tokens.save(gone)
    tx.intents.close(intent.operation_id)
    tx.activity.add(row)
