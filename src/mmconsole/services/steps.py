"""Applying the steps of one user: every rule is checked again right before the step."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain, count
from typing import Final

from mmconsole.database import Database, Snapshot, Transaction
from mmconsole.domain.accounts import Account, AccountChanges, AccountId, NewAccount, TeamId
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.plans import Kind, Outcome, Result, Rules, UserPlan, changes_for, locale_of
from mmconsole.domain.text import fitting_name, legal_username, numbered_username
from mmconsole.domain.tokens import Health, Intent, OperationId, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import AnswerLost, CannotOpen, EmailTaken, MmconsoleError, NotFound, RowMissing, UsernameTaken
from mmconsole.mattermost import MattermostClient
from mmconsole.secrets.passwords import random_password
from mmconsole.services.changes import close_intent, keep, open_intent, replace_intent
from mmconsole.services.jobs import ENDS_THE_RUN, Row
from mmconsole.services.leases import Lease
from mmconsole.services.server import Server
from mmconsole.services.tokens import Tokens, linked_record

_NAME_TRIES: Final = 20
_COMPARE_AGAIN: Final = "?"
"""Stands for the digest of what was pushed when that is not certain. Nobody's digest is equal to it."""
_CONFIRM: Final = "if that account is theirs, say `sync USER --link-existing`"


class StepConflict(Exception):
    """A rule said no right before the step. Its text is the reason and the cure, for people."""

    def __init__(self, why: str, health: Health = Health.CONFLICT) -> None:
        super().__init__(why)
        self.health = health


@dataclass(slots=True)
class _State:
    """One user on the way through the steps."""

    user: User
    record: TokenRecord
    plan: UserPlan
    created: bool = False
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
        tokens: Tokens,
        *,
        rules: Rules,
        teams: Mapping[TeamId, str],
        actor: str,
        job_id: int | None,
        lease: Lease,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._server = server
        self._tokens = tokens
        self._rules = rules
        self._teams = teams
        self._actor = actor
        self._job_id = job_id
        self._lease = lease
        self._now = now
        self._claimed: set[str] = set()

    async def usernames(self, users: Sequence[User]) -> dict[UserId, str]:
        """A username for each newcomer that neither the server nor this run has given away.

        Asked in one call: the server hashes a password before it finds a username taken (0.12 s on 11.6.0).
        """
        wanted = {user.id: username_for(user) for user in users}
        client = await self._server.client()
        taken = {account.username for account in await client.accounts_by_usernames(sorted(set(wanted.values())))}
        return {user_id: self._claim(name, taken) for user_id, name in wanted.items()}

    def _claim(self, name: str, taken: set[str]) -> str:
        numbers = (numbered_username(name, number) for number in count(2))
        free = next(one for one in chain([name], numbers) if one not in taken and one not in self._claimed)
        self._claimed.add(free)
        return free

    async def apply(self, plan: UserPlan, row: Row, *, username: str = "") -> Result:
        """Apply a user's steps in order; the first that fails stops this user and nobody else.

        Raises only the faults that would meet everybody (`jobs.ENDS_THE_RUN`).
        """
        user, record = row
        if plan.removes:
            return await self._remove(plan, record)
        if user is None or user.digest != plan.digest:
            return Result(plan.user_id, Outcome.SKIPPED, "the row changed meanwhile; the next sync takes it up")
        state = _State(user, record or TokenRecord(user.id), plan)
        try:
            for kind in plan.steps:
                await self._step(kind, state, username)
            if state.record != _pushed(state):
                await self._lease.write(lambda tx: tx.tokens.save(_pushed(state)))
        except StepConflict as conflict:
            return await self._note_conflict(state, conflict)
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
            await self._create(client, state, username)
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

    async def _create(self, client: MattermostClient, state: _State, username: str) -> None:
        user = state.user
        facts = await self._server.facts()
        password = random_password(facts.password_policy)
        name = username or username_for(user)
        intent = self._account_intent(client, user, name)
        await self._lease.write(open_intent(intent))
        for attempt in range(_NAME_TRIES):
            new = NewAccount(
                username=name,
                email=user.address or "",
                first_name=fitting_name(user.first_name),
                last_name=fitting_name(user.last_name),
                locale=locale_of(user),
                email_verified=user.email_verified,
            )
            try:
                account = await client.create_account(new, password=password)
            except UsernameTaken:
                name = numbered_username(username_for(user), secrets.randbelow(10 ** (2 + attempt // 4)) + 2)
                intent = await self._renamed(intent, user, name)
                continue
            except EmailTaken:
                await self._lease.write(close_intent(intent.operation_id))
                message = f"another account took this address meanwhile; {_CONFIRM}"
                raise StepConflict(message) from None
            except AnswerLost:
                found = await self._tokens.made_account(intent)
                if found is None:
                    raise
                account = found
            except MmconsoleError:
                await self._lease.write(close_intent(intent.operation_id))
                raise
            await self._created(state, intent, account)
            return
        await self._lease.write(close_intent(intent.operation_id))
        message = f"no free username near `{username_for(user)}` was found: give the user another one"
        raise StepConflict(message)

    async def _created(self, state: _State, intent: Intent, account: Account) -> None:
        """Store the link, and with it the intent of the token that comes next: one durable write instead of two."""
        if Kind.GENERATE in state.plan.steps:
            state.intent = await self._tokens.intend(state.user.id, account.id)
        state.record = await self._tokens.link_made(
            intent, account, self._lease, job_id=self._job_id, then=state.intent
        )
        state.created = True

    def _account_intent(self, client: MattermostClient, user: User, name: str) -> Intent:
        opened_at = datetime.fromtimestamp(client.server_time_ms() / 1000, UTC)
        operation = OperationId(secrets.token_hex(8))
        return Intent(operation, user.id, "account", None, f"{name} {user.address}", opened_at)

    async def _renamed(self, intent: Intent, user: User, name: str) -> Intent:
        """The same intent under the next name, durable before the next try."""
        renamed = replace(intent, description=f"{name} {user.address}")
        await self._lease.write(replace_intent(intent, renamed))
        return renamed

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
                raise StepConflict(f"the application has not verified this address; {_CONFIRM}")
            answer = await client.patch_account(account.id, AccountChanges())
            account = replace(account, update_at=answer.update_at)
            if not (answer.email_verified or account.signs_in_elsewhere):
                # Remembered, so that the next sync does not write to this account only to hear the same again.
                state.record = replace(_pushed(state), account_update_at=answer.update_at)
                raise StepConflict(f"the address of @{account.username} is not verified on the server; {_CONFIRM}")
        record = linked_record(state.record, user.id, account)
        row = self._activity("account linked", user, f"@{account.username}")

        def store(tx: Transaction) -> None:
            holder = next((held.user_id for held in tx.tokens.by_account(account.id) if held.user_id != user.id), None)
            if holder is not None:
                raise StepConflict(f"@{account.username} is linked to the user {holder} already")
            tx.roster.store(user.id, account_id=account.id)
            tx.tokens.save(record)
            tx.activity.add(row)

        await self._lease.write(store)
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
        row = self._activity("account reactivated", state.user, "")
        record = state.record
        await self._lease.write(keep(record, row))

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
            await self._lease.write(keep(record, self._activity("account updated", user, ", ".join(named))))
        elif record != state.record:
            await self._lease.write(lambda tx: tx.tokens.save(record))
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
        adopted = await self._tokens.adopt(state.user.id, record, self._lease, job_id=self._job_id)
        # A stored secret that is dead is replaced.
        state.record = adopted or await self._tokens.generate(state.user.id, record, self._lease, job_id=self._job_id)

    async def _generate(self, client: MattermostClient, state: _State) -> None:
        """Make a token, unless the server, asked by the old one's id, still has it: the paged list has no order."""
        record = _pushed(state)
        if state.intent is not None:
            state.record = await self._tokens.make(state.intent, record, self._lease, job_id=self._job_id)
            return
        if record.token_id is not None and state.user.has_stored_token:
            token = await client.find_token(record.token_id)
            if token is not None and token.account_id != record.account_id:
                raise StepConflict("the stored token belongs to another account")
            if token is not None and token.active:
                state.outcome = Outcome.KEPT if state.outcome is Outcome.SKIPPED else state.outcome
                return
            if token is not None:
                raise StepConflict(
                    "the token was disabled on the server; `generate USER` makes another", Health.DISABLED
                )
            # Its id stays in the record, so that it is revoked all the same: a replica may lag.
        state.record = await self._tokens.generate(state.user.id, record, self._lease, job_id=self._job_id)

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
            record = await self._tokens.revoke(record, self._lease, why=plan.why, job_id=self._job_id)
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
        await self._lease.write(lambda tx: tx.tokens.save(record))
        await client.set_account_active(account.id, active=False)
        gone = replace(record, health=Health.INACTIVE, cause=plan.why)
        row = Activity(self._now(), self._actor, "account deactivated", plan.user_id, plan.why, job_id=self._job_id)
        await self._lease.write(keep(gone, row))

    # ── endings ──────────────────────────────────────────────────────────────────────────────────

    async def _note_conflict(self, state: _State, conflict: StepConflict) -> Result:
        record = replace(state.record, health=conflict.health, cause=str(conflict))
        row = self._activity("conflict found", state.user, str(conflict), level=Level.WARNING)
        await self._lease.write(keep(record, row))
        return Result(state.user.id, Outcome.CONFLICT, str(conflict))

    async def _note_failure(self, state: _State, fault: MmconsoleError) -> Result:
        """Keep what was reached, so that the next sync compares this user again."""
        record = replace(state.record, pushed_digest=state.record.pushed_digest and _COMPARE_AGAIN)
        row = self._activity("sync failed", state.user, str(fault), level=Level.ERROR)

        def store(tx: Transaction) -> None:
            if record.account_id is not None:
                tx.tokens.save(record)
            tx.activity.add(row)

        await self._lease.write(store)
        return Result(state.user.id, Outcome.FAILED, str(fault))

    async def _failed_activity(self, plan: UserPlan, fault: MmconsoleError) -> None:
        row = Activity(self._now(), self._actor, "sync failed", plan.user_id, str(fault), Level.ERROR, self._job_id)
        await self._lease.write(lambda tx: tx.activity.add(row))

    def _activity(self, verb: str, user: User, detail: str, *, level: Level = Level.INFO) -> Activity:
        return Activity(self._now(), self._actor, verb, user.id, detail, level, self._job_id)


def username_for(user: User) -> str:
    """The username to try first: the mapped column, else the address's local part, else the id; always legal."""
    local = (user.address or "").partition("@")[0]
    names = (legal_username(user.username or ""), legal_username(local), legal_username(f"user-{user.id}"))
    return next((name for name in names if name), "user")


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
