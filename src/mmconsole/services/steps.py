"""Applying the steps of one user: every rule is checked again right before the step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from mmconsole.database import Database, PerhapsUser, Transaction
from mmconsole.domain.accounts import Account, AccountChanges, AccountId, TeamId
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.checks import Cause
from mmconsole.domain.plans import CONFIRM, Kind, Outcome, Result, Rules, UserPlan, changes_for
from mmconsole.domain.tokens import Health, Intent, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import CannotOpen, MmconsoleError, RowMissing, TokenDenied, UsernameTaken
from mmconsole.services.accounts import Accounts, linked_record
from mmconsole.services.changes import keep, note
from mmconsole.services.conflicts import StepConflict
from mmconsole.services.jobs import ENDS_THE_RUN
from mmconsole.services.removals import Removals, failed
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.tokens.making import Tokens

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient

_COMPARE_AGAIN: Final = "?"
"""Stands for the digest of what was pushed when that is not certain. Nobody's digest is equal to it."""


@dataclass(slots=True)
class _State:
    """One user on the way through the steps."""

    user: User
    record: TokenRecord
    plan: UserPlan
    known: TokenRecord | None
    """What was remembered before."""
    intent: Intent | None = None
    """An intent for the token that is stored already."""
    account_seen: bool = False
    """Whether this run has just made the account, or read it and found it an ordinary one."""
    unlogged: list[Activity] = field(default_factory=list)
    """What has happened, and is written with the token that comes next: a commit of its own would hold up everybody."""
    refused_username: str = ""
    """Why the username is not the wanted one."""
    missed_team: bool = False
    outcome: Outcome = Outcome.SKIPPED
    note: str = ""


_OUTCOMES: Final = {
    Kind.CREATE: Outcome.CREATED,
    Kind.LINK: Outcome.LINKED,
    Kind.REACTIVATE: Outcome.REACTIVATED,
    Kind.UPDATE: Outcome.UPDATED,
    Kind.JOIN: Outcome.JOINED,
    Kind.ADOPT: Outcome.ADOPTED,
    Kind.GENERATE: Outcome.GENERATED,
    Kind.REVOKE: Outcome.REMOVED,
    Kind.DEACTIVATE: Outcome.REMOVED,
}
"""A user is counted by the first of these that was done."""


class Steps:
    """Does what a plan says for one user at a time."""

    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        database: Database,
        server: Server,
        accounts: Accounts,
        tokens: Tokens,
        *,
        rules: Rules,
        teams: Mapping[TeamId, str],
        run: Run,
    ) -> None:
        self._database = database
        self._server = server
        self._accounts = accounts
        self._tokens = tokens
        self._rules = rules
        self._teams = teams
        self._run = run
        self._removals = Removals(database, server, tokens, run)

    async def usernames(self, users: Sequence[User]) -> dict[UserId, str]:
        return await self._accounts.free_usernames(users)

    async def apply(self, plan: UserPlan, row: PerhapsUser, *, username: str = "") -> Result:
        """Apply a user's steps in order; the first that fails stops this user and nobody else.

        Raises only the faults that would meet everybody (`jobs.ENDS_THE_RUN`).
        """
        user, record = row
        if plan.removes:
            return await self._removals.remove(plan)
        if user is None or user.digest != plan.digest:
            return Result(plan.user_id, Outcome.SKIPPED, "the row changed meanwhile; the next sync takes it up")
        state = _State(user, record or TokenRecord(user.id), plan, record)
        try:
            return await self._apply_steps(state, username)
        finally:
            if state.unlogged:
                await self._run.write(note(*state.unlogged))

    async def _apply_steps(self, state: _State, username: str) -> Result:
        user, plan = state.user, state.plan
        try:
            for kind in plan.steps:
                await self._step(kind, state, username)
            if state.record != _pushed(state):
                await self._run.write(lambda tx: tx.tokens.save(_pushed(state)))
        except StepConflict as conflict:
            return await self._note_conflict(state, conflict)
        except TokenDenied as fault:
            state.record = replace(state.record, withheld=True)
            return await self._note_conflict(state, StepConflict(str(fault), Health.DENIED))
        except RowMissing:
            return Result(user.id, Outcome.SKIPPED, "the row is gone; the next sync takes it up")
        except CannotOpen as fault:
            return await self._note_failure(state, fault)
        except ENDS_THE_RUN:
            raise
        except MmconsoleError as fault:
            return await self._note_failure(state, fault)
        if state.refused_username:
            return await self._note_refused_username(state)
        failed = bool(state.note) and state.outcome is not Outcome.WAITING
        return Result(user.id, Outcome.FAILED if failed else state.outcome, state.note)

    async def _step(self, kind: Kind, state: _State, username: str) -> None:
        client = await self._server.client()
        if kind is Kind.CREATE:
            await self._create(state, username)
        elif kind is Kind.LINK:
            await self._link(client, state)
        elif kind is Kind.REACTIVATE:
            await self._reactivate(client, state)
        elif kind is Kind.UPDATE:
            await self._update(client, state)
        elif kind is Kind.JOIN:
            await self._join(client, state)
        elif kind is Kind.ADOPT:
            await self._adopt(client, state)
        elif kind is Kind.GENERATE:
            await self._generate(client, state)
        if state.outcome is Outcome.SKIPPED:
            state.outcome = _OUTCOMES[kind]

    # ── account ──────────────────────────────────────────────────────────────────────────────────

    async def _create(self, state: _State, username: str) -> None:
        """Make the account, and store its link with the intent of the token that comes next: one durable write."""
        made = await self._accounts.create(state.user, username, self._run)
        if Kind.GENERATE in state.plan.steps:
            state.intent = await self._tokens.intend(state.user.id, made.account.id)
        state.record = await self._accounts.link_made(made, self._run, then=state.intent)
        state.account_seen = True

    async def _link(self, client: "MattermostClient", state: _State) -> None:
        """Link an existing account, if its address is verified too.

        The server tells that only in the answer to a write, so an empty patch asks (seen on 11.6.0).
        """
        user, request_id = state.user, ""
        account = await self._candidate(client, state)
        if account.privileged:
            raise StepConflict(f"@{account.username} has administrator rights: it is never linked", Health.DENIED)
        if account.foreign or not account.active:
            raise StepConflict(f"@{account.username} is a bot, remote or deactivated: it is not linked")
        if state.plan.confirmed and account.username != state.plan.links:
            why = f"@{state.plan.links} was confirmed, and by now it would be @{account.username}"
            raise StepConflict(f"{why}; {CONFIRM}")
        if not state.plan.confirmed:
            if not user.email_verified:
                raise StepConflict(f"the application has not verified this address; {CONFIRM}")
            answer = await client.patch_account(account.id, AccountChanges())
            request_id = client.last_request_id
            account = replace(account, update_at=answer.update_at)
            verified = answer.email_verified and answer.email.lower() == user.address
            if not (verified or account.signs_in_elsewhere):
                # Remembered, so that the next sync does not write to this account only to hear the same again.
                state.record = replace(_pushed(state), account_update_at=answer.update_at)
                raise StepConflict(f"the address of @{account.username} is not verified on the server; {CONFIRM}")
        record = linked_record(state.record, user.id, account)
        row = self._run.activity("account linked", user.id, f"@{account.username}", request_id=request_id)

        def store(tx: Transaction) -> None:
            holder = next((held.user_id for held in tx.tokens.by_account(account.id) if held.user_id != user.id), None)
            if holder is not None and not _release(tx, holder):
                raise StepConflict(f"@{account.username} is linked to the user {holder} already")
            tx.roster.store(user.id, account_id=account.id)
            tx.tokens.save(record)
            tx.activity.add(row)

        await self._run.write(store)
        state.record, state.account_seen = record, True
        await self._push(client, state, account)

    async def _candidate(self, client: "MattermostClient", state: _State) -> Account:
        """The account to link, looked at again: the one the row names where that was confirmed, else by address."""
        user = state.user
        if user.stored_account_id and state.plan.confirmed:
            named = await client.accounts_by_ids([AccountId(user.stored_account_id)])
            if named:
                return named[0]
        account = await client.find_account_by_email(user.address or "")
        if account is None:
            raise StepConflict("the account is gone meanwhile; the next sync decides anew")
        return account

    async def _reactivate(self, client: "MattermostClient", state: _State) -> None:
        account = await self._ordinary_account(client, state)
        await client.set_account_active(account.id, active=True)
        state.record = replace(state.record, deactivated_by_us=False, pushed_digest=_COMPARE_AGAIN)
        row = self._run.activity("account reactivated", state.user.id, request_id=client.last_request_id)
        record = state.record
        await self._run.write(keep(record, row))

    async def _update(self, client: "MattermostClient", state: _State) -> None:
        account = await self._ordinary_account(client, state)
        if await self._push(client, state, account) and state.outcome is Outcome.SKIPPED:
            state.outcome = Outcome.WAITING
            state.note = f"the server waits until {state.record.waiting_email} is verified by its owner"

    async def _push(self, client: "MattermostClient", state: _State, account: Account) -> bool:
        """Send the fields that differ. Returns whether the server took a new address without applying it."""
        user, waiting = state.user, state.record.waiting_email
        changes = changes_for(user, account, self._rules, waiting_email=waiting)
        answer, changes = await self._patched(client, state, account, changes)
        named, request_id = changes.named(), client.last_request_id
        held_back = changes.email is not None and answer.email.lower() != changes.email
        if changes.email and not held_back and not answer.email_verified:
            # A changed address starts unverified, also when an administrator changed it (seen on 11.6.0).
            await client.verify_email(account.id)
        if changes.email is not None:
            waiting = changes.email if held_back else ""
        elif waiting in {answer.email.lower(), ""} or waiting != user.address:
            waiting = ""
        record = replace(state.record, waiting_email=waiting)
        if named:
            record = replace(record, account_update_at=answer.update_at)
            row = self._run.activity("account updated", user.id, ", ".join(named), request_id=request_id)
            await self._run.write(keep(record, row))
        elif record != state.record:
            await self._run.write(lambda tx: tx.tokens.save(record))
        state.record = record
        return held_back

    async def _patched(
        self, client: "MattermostClient", state: _State, account: Account, changes: AccountChanges
    ) -> tuple[Account, AccountChanges]:
        """Send changes, but for a username that is taken. Returns the answer, and what it is about."""
        if not changes.named():
            return account, changes
        try:
            return await client.patch_account(account.id, changes), changes
        except UsernameTaken:
            cure = "give the user another one in the application"
            state.refused_username = f"the username {changes.username} is taken on the server: {cure}"
            return await self._patched(client, state, account, replace(changes, username=None))

    async def _ordinary_account(self, client: "MattermostClient", state: _State) -> Account:
        """The account as it is now. Raises StepConflict when it is none of ours to change any more."""
        account = await client.account(_account_of(state))
        if account.privileged:
            raise StepConflict(f"@{account.username} has administrator rights: it is never changed", Health.DENIED)
        if account.foreign:
            raise StepConflict(f"@{account.username} has become a bot or remote account")
        state.account_seen = True
        return account

    async def _join(self, client: "MattermostClient", state: _State) -> None:
        """Join the configured teams. A team that is full does not keep the user from a token."""
        account_id = _account_of(state)
        for team_id, name in self._teams.items():
            try:
                await client.join_team(team_id, account_id)
            except ENDS_THE_RUN:
                raise
            except MmconsoleError as fault:
                state.note = f"team {name}: {fault}"
                state.missed_team = True
            else:
                row = self._run.activity("team joined", state.user.id, name, request_id=client.last_request_id)
                state.unlogged.append(row)

    # ── token ────────────────────────────────────────────────────────────────────────────────────

    async def _adopt(self, client: "MattermostClient", state: _State) -> None:
        record = _pushed(state)
        adopted = await self._tokens.adopt(state.user.id, record, self._run, asked=state.plan.asked)
        if adopted is not None:
            state.record = adopted
            return
        # A stored secret that is dead is replaced.
        if not state.account_seen:
            await self._ordinary_account(client, state)
        state.record = await self._tokens.generate(state.user.id, record, self._run)

    async def _generate(self, client: "MattermostClient", state: _State) -> None:
        """Make a token, unless the server, asked by the old one's id, still has it: the paged list has no order."""
        record = _pushed(state)
        if state.intent is not None:
            state.record = await self._tokens.make(state.intent, record, self._run, also=state.unlogged)
            state.unlogged = []
            return
        asked = state.plan.asked
        stored = state.user.has_stored_token and record.cause != Cause.OTHER_SECRET
        if record.token_id is not None and stored and not (record.withheld and asked):
            token = await client.find_token(record.token_id)
            if token is not None and token.account_id != record.account_id:
                raise StepConflict("the stored token belongs to another account")
            if token is not None and token.active:
                state.outcome = Outcome.KEPT if state.outcome is Outcome.SKIPPED else state.outcome
                return
            if token is not None and not asked:
                raise StepConflict("somebody disabled the token on the server meanwhile", Health.DISABLED)
            # Its id stays in the record, so that it is revoked all the same: a replica may lag.
        if not state.account_seen:
            await self._ordinary_account(client, state)
        state.record = await self._tokens.generate(state.user.id, record, self._run, also=state.unlogged)
        state.unlogged = []

    # ── endings ──────────────────────────────────────────────────────────────────────────────────

    async def _note_conflict(self, state: _State, conflict: StepConflict) -> Result:
        record = replace(state.record, health=conflict.health, cause=str(conflict))
        row = self._run.activity("conflict found", state.user.id, str(conflict), level=Level.WARNING)
        if record != state.known:
            await self._run.write(keep(record, row))
        return Result(state.user.id, Outcome.CONFLICT, str(conflict))

    async def _note_refused_username(self, state: _State) -> Result:
        """The token works all the same; only the cause tells, and once is enough."""
        record = replace(_pushed(state), cause=state.refused_username)
        row = self._run.activity("conflict found", state.user.id, record.cause, level=Level.WARNING)
        if state.known is None or state.known.cause != record.cause:
            await self._run.write(keep(record, row))
        return Result(state.user.id, Outcome.CONFLICT, record.cause)

    async def _note_failure(self, state: _State, fault: MmconsoleError) -> Result:
        """Keep what was reached, so that the next sync compares this user again."""
        record = replace(state.record, pushed_digest=state.record.pushed_digest and _COMPARE_AGAIN)
        row = failed(state.user.id, fault, self._run)

        def store(tx: Transaction) -> None:
            if record.account_id is not None:
                tx.tokens.save(record)
            tx.activity.add(row)

        await self._run.write(store)
        return Result(state.user.id, Outcome.FAILED, str(fault))


def _release(tx: Transaction, holder: UserId) -> bool:
    """Let go of an account whose user's row is gone and whose token is revoked. False when the claim stands."""
    known = tx.tokens.find(holder)
    if tx.roster.rows([holder]) or (known is not None and known.token_id is not None):
        return False
    tx.tokens.remove(holder)
    return True


def _pushed(state: _State) -> TokenRecord:
    """The record once everything the row says was pushed; saved together with whatever is stored next.

    An empty digest says that the steps after the link have not come to their end: the next sync looks at the teams.
    """
    digest = _COMPARE_AGAIN if state.refused_username else state.user.digest
    return replace(state.record, pushed_digest="" if state.missed_team else digest)


def _account_of(state: _State) -> AccountId:
    if state.record.account_id is None:
        raise RowMissing(user_id=state.user.id, database="")
    return state.record.account_id
