"""After a crash: every open intent is looked for on the server and brought to an end. So is a revocation in time."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from typing import Final

from mmconsole.database import Database
from mmconsole.domain.activity import Level
from mmconsole.domain.channels import ChannelId
from mmconsole.domain.tokens import Intent, TokenId
from mmconsole.domain.users import UserId
from mmconsole.errors import Garbled, NotMattermost, Refused, ServerFault, TokenStillWorks
from mmconsole.services.accounts import Accounts, MadeAccount
from mmconsole.services.channels.making import KIND as CHANNEL
from mmconsole.services.channels.making import ChannelMaking, MadeChannel
from mmconsole.services.channels.members import KIND as MEMBER
from mmconsole.services.channels.members import recover_joining
from mmconsole.services.intents import SETTLED_AFTER, close_intent
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.tokens.making import Tokens
from mmconsole.services.tokens.revocation import Revocations, Stage, is_revocation

_AT_ONCE: Final = 16
"""Users whose notes are looked into together: a thousand revocations in time need not wait for one another."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `recover` found: tokens revoked, accounts and channels linked, intents without a trace, what must wait."""

    revoked: tuple[TokenId, ...] = ()
    linked: tuple[UserId, ...] = ()
    channels: tuple[ChannelId, ...] = ()
    closed: int = 0
    ended: tuple[TokenId, ...] = ()
    """Tokens whose revocation an operator asked for, and whose time to undo is over."""
    pending: int = 0
    """Revocations that can still be undone."""
    young: int = 0
    """Intents without a trace on the server that are too young to be closed: a slow server may still act."""

    def __add__(self, more: "Recovered") -> "Recovered":
        return Recovered(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(more), strict=True)))


class Recovery:
    def __init__(
        self, database: Database, server: Server, accounts: Accounts, tokens: Tokens, revocations: Revocations
    ) -> None:
        self._database = database
        self._server = server
        self._accounts = accounts
        self._tokens = tokens
        self._revocations = revocations
        self._channels = ChannelMaking(database, server)

    async def recover(self, run: Run, *, only: Collection[UserId] | None = None) -> Recovered:
        """Clear up what interrupted runs left: tokens nobody stored are revoked, accounts of ours are linked.

        Some users at once, each user's notes in the order in which they were opened. `only` are users at whom nobody
        else is at work, where others go on with theirs.
        """
        notes: dict[UserId, list[Intent]] = {}
        for intent in await self._database.read(lambda db: db.intents.all_open()):
            if only is None or intent.user_id in only:
                notes.setdefault(intent.user_id, []).append(intent)
        waiting, found = list(notes.values()), Recovered()
        for start in range(0, len(waiting), _AT_ONCE):
            some = (self._recover_user(intents, run) for intents in waiting[start : start + _AT_ONCE])
            # Whoever is under way is waited for, also when another one's fault ends all of it.
            for ended in await asyncio.gather(*some, return_exceptions=True):
                if isinstance(ended, BaseException):
                    raise ended
                found += ended
        return found

    async def _recover_user(self, intents: Sequence[Intent], run: Run) -> Recovered:
        found = Recovered()
        for intent in intents:
            try:
                found += await self._recover_one(intent, run)
            except NotMattermost:
                raise
            except (Refused, TokenStillWorks, ServerFault, Garbled):
                # One that the server will not talk about must not keep all others waiting; it is asked again.
                found += Recovered(young=1)
        return found

    async def _recover_one(self, intent: Intent, run: Run) -> Recovered:
        if intent.kind == "account":
            account = await self._accounts.made(intent)
            if account is not None:
                await self._accounts.link_made(MadeAccount(intent, account), run)
                return Recovered(linked=(intent.user_id,))
        elif intent.kind == CHANNEL:
            channel = await self._channels.made(intent)
            if channel is not None:
                await self._channels.link_made(MadeChannel(intent, channel), run)
                return Recovered(channels=(channel.id,))
        elif is_revocation(intent):
            return await self._go_on(intent, run)
        elif intent.kind == MEMBER:
            if await recover_joining(intent, self._server, run):
                return Recovered()
        elif (token_id := await self._revoke(intent)) is not None:
            await self._close(intent, token_id, run)
            return Recovered(revoked=(token_id,))
        if await self._server.now() - intent.opened_at < SETTLED_AFTER:
            return Recovered(young=1)
        await run.write(close_intent(intent.operation_id))
        return Recovered(closed=1)

    async def _go_on(self, intent: Intent, run: Run) -> Recovered:
        stage = await self._revocations.go_on(intent, run)
        if stage is Stage.PENDING:
            return Recovered(pending=1)
        return Recovered(ended=(TokenId(intent.description),) if stage is Stage.ENDED else ())

    async def _revoke(self, intent: Intent) -> TokenId | None:
        """Revoke the token that an intent announced, or the replaced one that it names."""
        if intent.kind != "drop":
            return await self._tokens.revoke_made(intent)
        token_id = TokenId(intent.description)
        await (await self._server.client()).revoke_token(token_id)
        return token_id

    async def _close(self, intent: Intent, token_id: TokenId, run: Run) -> None:
        detail = f"token {token_id} was left over by an interrupted run"
        request_id = (await self._server.client()).last_request_id
        row = run.activity("token recovered", intent.user_id, detail, level=Level.WARNING, request_id=request_id)
        await run.write(close_intent(intent.operation_id, activity=row))
