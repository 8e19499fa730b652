"""Accounts of newcomers: made behind an intent, and known again after a crash."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from mmconsole.database import Transaction
from mmconsole.domain.accounts import Account, NewAccount
from mmconsole.domain.plans import CONFIRM, locale_of
from mmconsole.domain.secrets import Secret
from mmconsole.domain.text import fitting_name, legal_username, numbered_username
from mmconsole.domain.tokens import Health, Intent, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import (
    AnswerLost,
    EmailTaken,
    Garbled,
    MattermostError,
    MmconsoleError,
    Refused,
    RowMissing,
    UsernameTaken,
)
from mmconsole.secrets.passwords import random_password
from mmconsole.services.conflicts import StepConflict
from mmconsole.services.intents import close_intent, is_of_its_time, new_operation, open_intent, replace_intent
from mmconsole.services.runs import Run
from mmconsole.services.server import Server

_NAME_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class MadeAccount:
    """An account as it was made, with its intent, which is still open."""

    intent: Intent
    account: Account
    request_id: str = ""
    """The server's id of the create; empty when its answer was lost."""


class Accounts:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._claimed: set[str] = set()
        self._next_number: dict[str, int] = {}

    async def free_usernames(self, users: Sequence[User]) -> dict[UserId, str]:
        """A username for each newcomer that neither the server nor this run has given away.

        Asked in one call: the server hashes a password before it finds a username taken (0.12 s on 11.6.0). When it
        cannot be asked, each create finds out by itself.
        """
        wanted = {user.id: username_for(user) for user in users}
        client = await self._server.client()
        taken: set[str] = set()
        with suppress(MattermostError):
            taken = {account.username for account in await client.accounts_by_usernames(sorted(set(wanted.values())))}
        return {user_id: self._claim(name, taken) for user_id, name in wanted.items()}

    def _claim(self, name: str, taken: set[str]) -> str:
        free = name
        while free in taken or free in self._claimed:
            # Goes on where the last one of this name ended: thousands may have the same local part.
            number = self._next_number.get(name, 2)
            self._next_number[name] = number + 1
            free = numbered_username(name, number)
        self._claimed.add(free)
        return free

    async def create(self, user: User, username: str, run: Run) -> MadeAccount:
        """Make an account behind an intent, which is still open when this returns: `link_made` closes it.

        Raises StepConflict when the address or every username near the wanted one is taken.
        """
        password = random_password((await self._server.facts()).password_policy)
        name = username or username_for(user)
        intent = await self._intend(user, name, run)
        for attempt in range(_NAME_TRIES):
            try:
                return await self._create_once(_new_account(user, name), password, intent, run)
            except UsernameTaken:
                name = numbered_username(username_for(user), secrets.randbelow(10 ** (2 + attempt // 4)) + 2)
                intent = await self._rename(intent, user, name, run)
        await run.write(close_intent(intent.operation_id))
        message = f"no free username near `{username_for(user)}` was found: give the user another one"
        raise StepConflict(message)

    async def _create_once(self, new: NewAccount, password: Secret, intent: Intent, run: Run) -> MadeAccount:
        """One try. After a lost answer the server is asked what it did; without one the intent stays open."""
        client = await self._server.client()
        try:
            account = await client.create_account(new, password=password)
        except UsernameTaken:
            raise
        except EmailTaken:
            await run.write(close_intent(intent.operation_id))
            message = f"another account took this address meanwhile; {CONFIRM}"
            raise StepConflict(message) from None
        except AnswerLost:
            if (found := await self.made(intent)) is None:
                raise
            return MadeAccount(intent, found)
        except Garbled:
            # Not Mattermost's own word, which may have acted behind whoever answered: the note stays for `recover`.
            raise
        except MmconsoleError:
            await run.write(close_intent(intent.operation_id))
            raise
        return MadeAccount(intent, account, client.last_request_id)

    async def _intend(self, user: User, name: str, run: Run) -> Intent:
        text = f"{name} {user.address}"
        intent = Intent(new_operation(), user.id, "account", None, text, await self._server.now())
        await run.write(open_intent(intent))
        return intent

    async def _rename(self, intent: Intent, user: User, name: str, run: Run) -> Intent:
        """The same intent under the next name, durable before the next try."""
        renamed = replace(intent, description=f"{name} {user.address}")
        await run.write(replace_intent(intent, renamed))
        return renamed

    async def made(self, intent: Intent) -> Account | None:
        """The account that an intent announced, if the server has it.

        It counts as ours only with the username, the address and the moment that the intent names.

        Somebody who signs up with this address in between would get another moment or another name; without the
        moment, an account that waits for its victim could be taken for our own.
        """
        username, _, address = intent.description.partition(" ")
        client = await self._server.client()
        try:
            account = await client.find_account_by_email(address)
        except Refused:
            # An address that cannot even be asked for has no account.
            return None
        if account is None or account.username != username or account.email.lower() != address:
            return None
        if account.privileged or account.foreign:
            return None
        return account if is_of_its_time(account.create_at, intent) else None

    async def link_made(self, made: MadeAccount, run: Run, *, then: Intent | None = None) -> TokenRecord:
        """Store the link to an account that an intent announced; `then` opens the next intent in the same breath."""
        intent, account = made.intent, made.account
        row = run.activity("account created", intent.user_id, f"@{account.username}", request_id=made.request_id)

        def store(tx: Transaction) -> TokenRecord:
            known = tx.tokens.find(intent.user_id)
            if known is not None and known.account_id == account.id:
                tx.intents.close(intent.operation_id)
                return known
            record = linked_record(known, intent.user_id, account)
            # Without a row the record alone remembers the account, as of anybody else who has left.
            with suppress(RowMissing):
                tx.roster.store(intent.user_id, account_id=account.id)
            tx.tokens.save(record)
            tx.intents.close(intent.operation_id)
            tx.activity.add(row)
            if then is not None:
                tx.intents.open(then)
            return record

        return await run.write(store)


def username_for(user: User) -> str:
    """The username to try first: the mapped column, else the address's local part, else the id; always legal."""
    local = (user.address or "").partition("@")[0]
    names = (legal_username(user.username or ""), legal_username(local), legal_username(f"user-{user.id}"))
    return next((name for name in names if name), "user")


def _new_account(user: User, username: str) -> NewAccount:
    return NewAccount(
        username=username,
        email=user.address or "",
        first_name=fitting_name(user.first_name or ""),
        last_name=fitting_name(user.last_name or ""),
        locale=locale_of(user),
        email_verified=user.email_verified,
    )


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
