"""Applying the steps of one user: every rule is checked again right before the step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from mmconsole.database import Database, Snapshot, Transaction
from mmconsole.domain.accounts import Account, AccountChanges, AccountId, TeamId
from mmconsole.domain.activity import Level
from mmconsole.domain.plans import Kind, Outcome, Result, Rules, UserPlan, changes_for
from mmconsole.domain.tokens import Health, Intent, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import CannotOpen, MmconsoleError, NotFound, Refused, RowMissing, TokenDenied
from mmconsole.mattermost import MattermostClient
from mmconsole.services.accounts import CONFIRM, Accounts, StepConflict, linked_record
from mmconsole.services.changes import keep
from mmconsole.services.jobs import ENDS_THE_RUN, Row
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.tokens import Tokens

_COMPARE_AGAIN: Final = "?"
"""Stands for the digest of what was pushed when that is not certain. Nobody's digest is equal to it."""


@dataclass(slots=True)
class _State:
    """One user on the way through the steps."""

    user: User
    record: TokenRecord
    plan: UserPlan
    intent: Intent | None = None
    """An intent for the token that is stored already."""
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

    async def usernames(self, users: Sequence[User]) -> dict[UserId, str]:
        return await self._accounts.free_usernames(users)

    async def apply(self, plan: UserPlan, row: Row, *, username: str = "") -> Result:
        """Apply a user's steps in order; the first that fails stops this user and nobody else.

        Raises only the faults that would meet everybody (`jobs.ENDS_THE_RUN`).
        """
        user, record = row
        if plan.removes:
            return await self._remove(plan, record)
        if user is None or user.digest != plan.digest:
            return Result(plan.user_id, Outcome.SKIPPED, "the row changed meanwhile; the next sync takes it up")
        return await self._apply_steps(_State(user, record or TokenRecord(user.id), plan), username)

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
            await self._adopt(state)
        elif kind is Kind.GENERATE:
            await self._generate(client, state)
        if state.outcome is Outcome.SKIPPED:
            state.outcome = _OUTCOMES[kind]

    # ── account ──────────────────────────────────────────────────────────────────────────────────

    async def _create(self, state: _State, username: str) -> None:
        """Make the account, and store its link with the intent of the token that comes next: one durable write."""
        intent, account = await self._accounts.create(state.user, username, self._run)
        if Kind.GENERATE in state.plan.steps:
            state.intent = await self._tokens.intend(state.user.id, account.id)
        state.record = await self._accounts.link_made(intent, account, self._run, then=state.intent)

    async def _link(self, client: MattermostClient, state: _State) -> None:
        """Link an existing account, if its address is verified too.

        The server tells that only in the answer to a write, so an empty patch asks (seen on 11.6.0).
        """
        user = state.user
        account = await self._candidate(client, user)
        if account.privileged:
            raise StepConflict(f"@{account.username} has administrator rights: it is never linked", Health.DENIED)
        if account.foreign or not account.active:
            raise StepConflict(f"@{account.username} is a bot, remote or deactivated: it is not linked")
        if not self._rules.confirms(user.id):
            if not user.email_verified:
                raise StepConflict(f"the application has not verified this address; {CONFIRM}")
            answer = await client.patch_account(account.id, AccountChanges())
            account = replace(account, update_at=answer.update_at)
            verified = answer.email_verified and answer.email.lower() == user.address
            if not (verified or account.signs_in_elsewhere):
                # Remembered, so that the next sync does not write to this account only to hear the same again.
                state.record = replace(_pushed(state), account_update_at=answer.update_at)
                raise StepConflict(f"the address of @{account.username} is not verified on the server; {CONFIRM}")
        record = linked_record(state.record, user.id, account)
        row = self._run.activity("account linked", user.id, f"@{account.username}")

        def store(tx: Transaction) -> None:
            holder = next((held.user_id for held in tx.tokens.by_account(account.id) if held.user_id != user.id), None)
            if holder is not None and not _release(tx, holder):
                raise StepConflict(f"@{account.username} is linked to the user {holder} already")
            tx.roster.store(user.id, account_id=account.id)
            tx.tokens.save(record)
            tx.activity.add(row)

        await self._run.write(store)
        state.record = record
        await self._push(client, state, account)

    async def _candidate(self, client: MattermostClient, user: User) -> Account:
        """The account to link, looked at again: the one the row names where that was confirmed, else by address."""
        if user.stored_account_id and self._rules.confirms(user.id):
            named = await client.accounts_by_ids([AccountId(user.stored_account_id)])
            if named:
                return named[0]
        account = await client.find_account_by_email(user.address or "")
        if account is None:
            raise StepConflict("the account is gone meanwhile; the next sync decides anew")
        return account

    async def _reactivate(self, client: MattermostClient, state: _State) -> None:
        account = await client.account(_account_of(state))
        _demand_ordinary(account)
        await client.set_account_active(account.id, active=True)
        state.record = replace(state.record, deactivated_by_us=False, pushed_digest=_COMPARE_AGAIN)
        row = self._run.activity("account reactivated", state.user.id, "")
        record = state.record
        await self._run.write(keep(record, row))

    async def _update(self, client: MattermostClient, state: _State) -> None:
        account = await client.account(_account_of(state))
        _demand_ordinary(account)
        if await self._push(client, state, account) and state.outcome is Outcome.SKIPPED:
            state.outcome = Outcome.WAITING
            state.note = f"the server waits until {state.record.waiting_email} is verified by its owner"

    async def _push(self, client: MattermostClient, state: _State, account: Account) -> bool:
        """Send the fields that differ. Returns whether the server took a new address without applying it."""
        user, waiting = state.user, state.record.waiting_email
        changes = changes_for(user, account, self._rules, waiting_email=waiting)
        named = changes.named()
        answer = await client.patch_account(account.id, changes) if named else account
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
            await self._run.write(keep(record, self._run.activity("account updated", user.id, ", ".join(named))))
        elif record != state.record:
            await self._run.write(lambda tx: tx.tokens.save(record))
        state.record = record
        return held_back

    async def _join(self, client: MattermostClient, state: _State) -> None:
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

    # ── token ────────────────────────────────────────────────────────────────────────────────────

    async def _adopt(self, state: _State) -> None:
        record = _pushed(state)
        adopted = await self._tokens.adopt(state.user.id, record, self._run)
        # A stored secret that is dead is replaced.
        state.record = adopted or await self._tokens.generate(state.user.id, record, self._run)

    async def _generate(self, client: MattermostClient, state: _State) -> None:
        """Make a token, unless the server, asked by the old one's id, still has it: the paged list has no order."""
        record = _pushed(state)
        if state.intent is not None:
            state.record = await self._tokens.make(state.intent, record, self._run)
            return
        asked = state.user.id in self._rules.asked
        if record.token_id is not None and state.user.has_stored_token and not (record.withheld and asked):
            token = await client.find_token(record.token_id)
            if token is not None and token.account_id != record.account_id:
                raise StepConflict("the stored token belongs to another account")
            if token is not None and token.active:
                state.outcome = Outcome.KEPT if state.outcome is Outcome.SKIPPED else state.outcome
                return
            if token is not None and not asked:
                raise StepConflict("somebody disabled the token on the server meanwhile", Health.DISABLED)
            # Its id stays in the record, so that it is revoked all the same: a replica may lag.
        state.record = await self._tokens.generate(state.user.id, record, self._run)

    # ── removals ─────────────────────────────────────────────────────────────────────────────────

    async def _remove(self, plan: UserPlan, record: TokenRecord | None) -> Result:
        """Revoke and deactivate, after the row was read once more by its key and the account by its id."""
        user, record = await self._database.read(partial(_as_they_are, user_id=plan.user_id))
        if user is not None and user.active:
            return Result(plan.user_id, Outcome.SKIPPED, "the row is there and active again")
        if record is None:
            return Result(plan.user_id, Outcome.SKIPPED, "nothing is known of this user any more")
        try:
            await self._remove_for_good(plan, record)
        except ENDS_THE_RUN:
            raise
        except MmconsoleError as fault:
            await self._failed_activity(plan, fault)
            return Result(plan.user_id, Outcome.FAILED, str(fault))
        return Result(plan.user_id, Outcome.REMOVED, plan.why)

    async def _remove_for_good(self, plan: UserPlan, record: TokenRecord) -> None:
        client = await self._server.client()
        if Kind.REVOKE in plan.steps:
            record = await self._tokens.revoke(record, self._run, why=plan.why)
        if Kind.DEACTIVATE not in plan.steps or record.account_id is None:
            return
        try:
            account = await client.account(record.account_id)
        except NotFound:
            return
        if account.privileged or account.foreign or not account.active:
            return
        # Written down before it is done: only what we deactivated is ever reactivated.
        record = replace(record, deactivated_by_us=True)
        await self._run.write(lambda tx: tx.tokens.save(record))
        try:
            await client.set_account_active(account.id, active=False)
        except Refused:
            await self._run.write(lambda tx: tx.tokens.save(replace(record, deactivated_by_us=False)))
            raise
        gone = replace(record, health=Health.INACTIVE, cause=plan.why)
        row = self._run.activity("account deactivated", plan.user_id, plan.why)
        await self._run.write(keep(gone, row))

    # ── endings ──────────────────────────────────────────────────────────────────────────────────

    async def _note_conflict(self, state: _State, conflict: StepConflict) -> Result:
        record = replace(state.record, health=conflict.health, cause=str(conflict))
        row = self._run.activity("conflict found", state.user.id, str(conflict), level=Level.WARNING)
        await self._run.write(keep(record, row))
        return Result(state.user.id, Outcome.CONFLICT, str(conflict))

    async def _note_failure(self, state: _State, fault: MmconsoleError) -> Result:
        """Keep what was reached, so that the next sync compares this user again."""
        record = replace(state.record, pushed_digest=state.record.pushed_digest and _COMPARE_AGAIN)
        row = self._run.activity("sync failed", state.user.id, str(fault), level=Level.ERROR)

        def store(tx: Transaction) -> None:
            if record.account_id is not None:
                tx.tokens.save(record)
            tx.activity.add(row)

        await self._run.write(store)
        return Result(state.user.id, Outcome.FAILED, str(fault))

    async def _failed_activity(self, plan: UserPlan, fault: MmconsoleError) -> None:
        row = self._run.activity("sync failed", plan.user_id, str(fault), level=Level.ERROR)
        await self._run.write(lambda tx: tx.activity.add(row))


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
    return replace(state.record, pushed_digest="" if state.missed_team else state.user.digest)


def _demand_ordinary(account: Account) -> None:
    if account.privileged:
        raise StepConflict(f"@{account.username} has administrator rights: it is never changed", Health.DENIED)
    if account.foreign:
        raise StepConflict(f"@{account.username} has become a bot or remote account")


def _as_they_are(db: Snapshot, *, user_id: UserId) -> tuple[User | None, TokenRecord | None]:
    """The row, if there is one, and what we remember."""
    rows = db.roster.rows([user_id])
    return rows[0] if rows else (None, db.tokens.find(user_id))


def _account_of(state: _State) -> AccountId:
    if state.record.account_id is None:
        raise RowMissing(user_id=state.user.id, database="")
    return state.record.account_id
