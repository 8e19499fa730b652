"""After a crash: every open intent is looked for on the server and brought to an end."""

from dataclasses import dataclass, replace

from mmconsole.database import Database
from mmconsole.domain.activity import Level
from mmconsole.domain.tokens import Intent, TokenId
from mmconsole.domain.users import UserId
from mmconsole.errors import Refused
from mmconsole.services.accounts import SETTLED_AFTER, Accounts
from mmconsole.services.changes import close_intent
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `recover` found: tokens revoked, accounts linked, intents without a trace, and what must wait."""

    revoked: tuple[TokenId, ...] = ()
    linked: tuple[UserId, ...] = ()
    closed: int = 0
    young: int = 0
    """Intents without a trace on the server that are too young to be closed: a slow server may still act."""


class Recovery:
    def __init__(self, database: Database, server: Server, accounts: Accounts, tokens: Tokens) -> None:
        self._database = database
        self._server = server
        self._accounts = accounts
        self._tokens = tokens

    async def recover(self, run: Run) -> Recovered:
        """Clear up what interrupted runs left: tokens nobody stored are revoked, accounts of ours are linked."""
        found = Recovered()
        for intent in await self._database.read(lambda db: db.intents.all_open()):
            try:
                found = await self._recover_one(intent, run, found)
            except Refused:
                # One that the server will not talk about must not keep all others waiting; it is asked again.
                found = replace(found, young=found.young + 1)
        return found

    async def _recover_one(self, intent: Intent, run: Run, found: Recovered) -> Recovered:
        if intent.kind == "account":
            account = await self._accounts.made(intent)
            if account is not None:
                await self._accounts.link_made(intent, account, run)
                return replace(found, linked=(*found.linked, intent.user_id))
        elif (token_id := await self._revoke(intent)) is not None:
            await self._close(intent, token_id, run)
            return replace(found, revoked=(*found.revoked, token_id))
        if await self._server.now() - intent.opened_at < SETTLED_AFTER:
            return replace(found, young=found.young + 1)
        await run.write(close_intent(intent.operation_id))
        return replace(found, closed=found.closed + 1)

    async def _revoke(self, intent: Intent) -> TokenId | None:
        """Revoke the token that an intent announced, or the replaced one that it names."""
        if intent.kind != "drop":
            return await self._tokens.revoke_made(intent)
        token_id = TokenId(intent.description)
        await (await self._server.client()).revoke_token(token_id)
        return token_id

    async def _close(self, intent: Intent, token_id: TokenId, run: Run) -> None:
        detail = f"token {token_id} was left over by an interrupted run"
        row = run.activity("token recovered", intent.user_id, detail, level=Level.WARNING)
        await run.write(close_intent(intent.operation_id, activity=row))
