"""Applying what was asked for one user's token: decided once more right before it is done."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mmconsole.database import Database, PerhapsUser, Transaction
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.health import AsOf
from mmconsole.domain.plans import WITHHELD, Finding, Kind, Outcome, Result, UserPlan
from mmconsole.domain.secrets import Secret
from mmconsole.domain.token_plans import Act, TokenRules, plan_token
from mmconsole.domain.tokens import Health, Intent, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import (
    CannotOpen,
    MmconsoleError,
    RowMissing,
    TokenDenied,
    TokenGone,
    Unauthorized,
)
from mmconsole.services.changes import keep, note
from mmconsole.services.conflicts import StepConflict, demand_ordinary
from mmconsole.services.intents import close_intent
from mmconsole.services.jobs import ENDS_THE_RUN
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage
from mmconsole.services.tokens.making import Tokens, identified, why_barred
from mmconsole.services.tokens.revocation import Revocations, revocation_among

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient

_ACTS: Final = {
    Kind.ADOPT: Act.GENERATE,
    Kind.GENERATE: Act.GENERATE,
    Kind.REPLACE: Act.ROTATE,
    Kind.DISABLE: Act.REVOKE,
    Kind.REVOKE: Act.REVOKE,
    Kind.ENABLE: Act.UNDO,
}
"""What must be asked for so that a step is still the right one."""
_LASTING: Final = frozenset({Health.CONFLICT, Health.DENIED, Health.INACTIVE, Health.DISABLED})
"""What a conflict found that is remembered; anything else may be over with the next look."""
_QUIET: Final = frozenset({Kind.ADOPT, Kind.GENERATE, Kind.REPLACE})
_CHANGED: Final = "something else is known of its token by now; say it again"


class TokenSteps:
    """Does the one step of a user's plan. `plan.digest` is the id of the token that it was made for."""

    def __init__(  # noqa: PLR0913 - the parts meet in tokens.py
        self,
        database: Database,
        server: Server,
        storage: Storage,
        tokens: Tokens,
        revocations: Revocations,
        *,
        as_of: Callable[[], AsOf],
        grace: timedelta,
        run: Run,
    ) -> None:
        self._database = database
        self._server = server
        self._storage = storage
        self._tokens = tokens
        self._revocations = revocations
        self._as_of = as_of
        self._grace = grace
        self._run = run

    async def usernames(self, users: Sequence[User]) -> dict[UserId, str]:  # noqa: ARG002 - the Applier's
        """Nobody gets an account here."""
        return {}

    async def apply(self, plan: UserPlan, row: PerhapsUser, *, username: str = "") -> Result:  # noqa: ARG002 - the same
        """Do one user's step. Raises only the faults that would meet everybody (`jobs.ENDS_THE_RUN`)."""
        user, record = row
        if user is None:
            return Result(plan.user_id, Outcome.SKIPPED, "the row is gone")
        # One look tells both whether a revocation is open, and whether an earlier call is not settled.
        notes = await self._database.read(lambda db: db.intents.open_for(user.id))
        revocation = revocation_among(notes, record)
        if (why := self._why_not(plan, user, record, revocation)) is not None:
            return Result(user.id, Outcome.SKIPPED, why)
        known = record or TokenRecord(user.id)
        try:
            if not _QUIET.isdisjoint(plan.steps):
                _demand_quiet(notes)
            return await self._step(plan, user, known, revocation)
        except StepConflict as conflict:
            return await self._note_conflict(known, conflict)
        except TokenDenied as fault:
            withheld = replace(known, withheld=True)
            return await self._note_conflict(withheld, StepConflict(str(fault), Health.DENIED), known=known)
        except RowMissing:
            return Result(user.id, Outcome.SKIPPED, "the row is gone")
        except ENDS_THE_RUN as fault:
            if not isinstance(fault, CannotOpen):
                raise
            return await self._note_failure(plan, fault)
        except MmconsoleError as fault:
            return await self._note_failure(plan, fault)

    def _why_not(self, plan: UserPlan, user: User, record: TokenRecord | None, revocation: Intent | None) -> str | None:
        """Why a step is not the right one any more; None when it still is."""
        (kind,) = plan.steps
        if plan.digest != token_of(record):
            return _CHANGED
        rules = TokenRules(_ACTS[kind], self._as_of(), named=plan.asked, at_once=kind is Kind.REVOKE)
        now = plan_token(user, record, rules, revocation)
        return None if kind in now.steps else now.why or _CHANGED

    async def _step(self, plan: UserPlan, user: User, record: TokenRecord, revocation: Intent | None) -> Result:
        (kind,) = plan.steps
        if kind is Kind.ADOPT:
            return await self._adopt(user, record, asked=plan.asked)
        if kind is Kind.GENERATE:
            return await self._generate(user, record, revocation)
        if kind is Kind.REPLACE:
            return await self._replace(user, record)
        if kind is Kind.ENABLE:
            return await self._enable(user, record, revocation)
        grace = self._grace if kind is Kind.DISABLE else timedelta()
        return await self._revoke(user, record, revocation, grace=grace)

    # ── a new token ──────────────────────────────────────────────────────────────────────────────

    async def _adopt(self, user: User, record: TokenRecord, *, asked: bool) -> Result:
        """Find out what a stored secret is worth whose token is not known by an id; a dead one is replaced."""
        await demand_ordinary(await self._server.client(), record)
        try:
            adopted = await self._tokens.adopt(user.id, record, self._run, asked=asked)
        except CannotOpen:
            adopted = None
        if adopted is not None:
            return Result(user.id, Outcome.KEPT, "its token works")
        await self._tokens.generate(user.id, record, self._run)
        return Result(user.id, Outcome.GENERATED)

    async def _generate(self, user: User, record: TokenRecord, revocation: Intent | None) -> Result:
        """Make a token for who has none that works. What is stored is tried first: it may work after all."""
        await demand_ordinary(await self._server.client(), record)
        if not record.withheld and user.has_stored_token and await self._works(record):
            row = self._run.activity("token checked", user.id, f"{record.health} is now ok")
            ok = replace(record, health=Health.OK, cause="", checked_at=self._run.now())
            await self._run.write(keep(ok, row))
            return Result(user.id, Outcome.KEPT, "its token works after all")
        await self._tokens.generate(user.id, record, self._run)
        if revocation is not None:
            # The new token took its place, so there is nothing left to revoke later or to undo.
            await self._run.write(close_intent(revocation.operation_id))
        return Result(user.id, Outcome.GENERATED)

    async def _replace(self, user: User, record: TokenRecord) -> Result:
        """Make, then break."""
        await demand_ordinary(await self._server.client(), record)
        named = await self._with_token_id(user, record)
        await self._tokens.generate(user.id, named, self._run)
        return Result(user.id, Outcome.REPLACED)

    async def _works(self, record: TokenRecord) -> bool:
        """Whether the stored secret signs its owner in. One that cannot be opened does not."""
        secret = await self._secret(record.user_id)
        if secret is None:
            return False
        try:
            return await why_barred(await self._server.client(), secret, record.account_id) is None
        except Unauthorized:
            return False

    async def _secret(self, user_id: UserId) -> Secret | None:
        envelope = await self._database.read(lambda db: db.roster.envelope(user_id))
        if envelope is None:
            return None
        try:
            return (await self._storage.vault()).open(envelope, user_id)
        except CannotOpen:
            return None

    async def _with_token_id(self, user: User, record: TokenRecord) -> TokenRecord:
        """The record with the id of its token, without which the old one would live on. Raises StepConflict."""
        if record.token_id is not None or record.account_id is None or not user.has_stored_token:
            return record
        client, secret = await self._server.client(), await self._secret(user.id)
        if secret is None:
            message = "the stored token cannot be opened, and its id is not known: revoke it on the server"
            raise StepConflict(message, Health.UNKNOWN)
        try:
            why = await why_barred(client, secret, record.account_id)
        except Unauthorized:
            await _demand_gone(client, record, record.account_id)
            return record
        if why is None:
            found = await identified(client, record, record.account_id, fingerprint=record.fingerprint)
            if found.token_id is not None:
                return found
        raise _undecided(record, await client.tokens_in_use(record.account_id))

    # ── revocation ───────────────────────────────────────────────────────────────────────────────

    async def _revoke(self, user: User, record: TokenRecord, revocation: Intent | None, *, grace: timedelta) -> Result:
        named = await self._with_token_id(user, record)
        if named.token_id is None:
            await self._withhold(named, user)
            return Result(user.id, Outcome.REMOVED, "there was no token any more; it gets none before somebody asks")
        if named != record:
            await self._run.write(lambda tx: tx.tokens.save(named))
        token_id = TokenId(named.token_id)
        due = await self._revocations.begin(named, token_id, self._run, known=revocation, grace=grace)
        if due is None:
            return Result(user.id, Outcome.REMOVED)
        return Result(user.id, Outcome.DISABLED, f"revoked for good after {due:%Y-%m-%d %H:%M:%S} UTC")

    async def _withhold(self, record: TokenRecord, user: User) -> None:
        """Of a token that is gone already there is only to remember that its user gets no other."""
        gone = replace(
            record, fingerprint="", health=Health.WITHHELD, cause=WITHHELD, withheld=True, checked_at=self._run.now()
        )
        row = self._run.activity("token revoked", user.id, "it was gone already")

        def store(tx: Transaction) -> None:
            tx.roster.store(user.id, envelope=None)
            keep(gone, row)(tx)

        await self._run.write(store)

    async def _enable(self, user: User, record: TokenRecord, revocation: Intent | None) -> Result:
        if revocation is None:
            return Result(user.id, Outcome.SKIPPED, _CHANGED)
        try:
            works = await self._revocations.undo(revocation, record, self._run)
        except StepConflict as conflict:
            # Only told: what is remembered stays an operator's revocation, whose time goes on.
            return Result(user.id, Outcome.CONFLICT, str(conflict))
        except TokenGone as gone:
            return Result(user.id, Outcome.CONFLICT, str(gone))
        if works:
            return Result(user.id, Outcome.ENABLED)
        return Result(user.id, Finding.LEFT, "its token was disabled before the revocation, and stays so")

    # ── endings ──────────────────────────────────────────────────────────────────────────────────

    async def _note_conflict(
        self, record: TokenRecord, conflict: StepConflict, *, known: TokenRecord | None = None
    ) -> Result:
        """Remember what keeps the user from a token; what says nothing about that is only told."""
        # What somebody disabled stays withheld, also when it is deleted on the server later.
        withheld = record.withheld or conflict.health is Health.DISABLED
        noted = replace(record, health=conflict.health, cause=str(conflict), withheld=withheld)
        row = self._run.activity("conflict found", record.user_id, str(conflict), level=Level.WARNING)
        if conflict.health in _LASTING and noted != (known or record):
            await self._run.write(keep(noted, row))
        return Result(record.user_id, Outcome.CONFLICT, str(conflict))

    async def _note_failure(self, plan: UserPlan, fault: MmconsoleError) -> Result:
        await self._run.write(note(self._failed(plan, fault)))
        return Result(plan.user_id, Outcome.FAILED, str(fault))

    def _failed(self, plan: UserPlan, fault: MmconsoleError) -> Activity:
        (kind,) = plan.steps
        verb, request_id = f"{kind} failed", fault.request_id
        return self._run.activity(verb, plan.user_id, str(fault), level=Level.ERROR, request_id=request_id)


def _demand_quiet(notes: Sequence[Intent]) -> None:
    """Never more than two live tokens: what an earlier call may have made must be known before another is made.

    Raises StepConflict.
    """
    if any(one.kind in {"token", "drop"} for one in notes):
        message = "an earlier call for this user may still be under way; try again in a few minutes"
        raise StepConflict(message, Health.UNKNOWN)


async def _demand_gone(client: "MattermostClient", record: TokenRecord, account_id: AccountId) -> None:
    """Of a refused secret: raises StepConflict while a token may live that it signs in with later.

    A disabled token and a deactivated account are refused like a token that is gone (seen on 11.6.0).
    """
    account = await client.find_account(account_id)
    if account is None:
        return
    tokens = await client.tokens_of(account_id)
    if tokens:
        raise _undecided(record, {token.id for token in tokens})
    if not account.active:
        message = "the account is deactivated and the server lists no token of it: reactivate it, then say it again"
        raise StepConflict(message, record.health)


def _undecided(record: TokenRecord, fitting: Iterable[TokenId]) -> StepConflict:
    message = f"which token is stored is not known; revoke the right one on the server: {', '.join(sorted(fitting))}"
    return StepConflict(message, record.health)


def token_of(record: TokenRecord | None) -> str:
    """The id of the token that a record names; empty for none."""
    return record.token_id or "" if record else ""
