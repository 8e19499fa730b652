"""The quick check: what an administrator sees of tokens and accounts, in lists where that is cheaper.

Nothing is sent with a user's own secret, but for those whose token is not known by an id: only trying tells of them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from mmconsole.database import Scratch
from mmconsole.domain.accounts import Account, AccountId
from mmconsole.domain.checks import assess, has_ended
from mmconsole.domain.tokens import Token, TokenId, TokenRecord
from mmconsole.domain.users import User
from mmconsole.errors import MattermostError
from mmconsole.services.asking import all_pages, at_once
from mmconsole.services.checks.pages import Advance, Looked, Page
from mmconsole.services.checks.probing import Asking, Probing, unanswered
from mmconsole.services.server import Server
from mmconsole.services.waiting import patient

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient


@dataclass(frozen=True, slots=True)
class _Linked:
    """A user with an account, whose token is looked at from outside."""

    user: User
    record: TokenRecord
    account_id: AccountId


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the lists showed of some users. What is not in them may exist all the same."""

    accounts: Mapping[AccountId, Account] = field(default_factory=dict)
    tokens: Mapping[TokenId, Token] = field(default_factory=dict)


class Survey:
    """Looks at users from outside. Those without a known token id go to `probing`."""

    def __init__(  # noqa: PLR0913 - the parts meet in checks.py
        self,
        server: Server,
        scratch: Scratch,
        probing: Probing,
        *,
        one_by_one: bool,
        now: Callable[[], datetime],
        stop: asyncio.Event,
    ) -> None:
        self._server = server
        self._scratch = scratch
        self._probing = probing
        self._one_by_one = one_by_one
        self._now = now
        self._stop = stop
        self._asking = Asking(stop)
        self._ended: dict[TokenId, Token] = {}
        self._unlisted: MattermostError | None = None
        """Why there is no list of tokens, though there should be."""

    async def begin(self) -> None:
        """Read the list of all tokens, unless each is asked for."""
        if self._one_by_one:
            return
        try:
            async for tokens in all_pages((await self._patient()).tokens_page):
                await self._scratch.add_tokens(tokens)
                self._ended |= {token.id: token for token in tokens if has_ended(token, self._now())}
        except MattermostError as fault:
            self._unlisted = fault

    async def look(self, page: Page, advance: Advance) -> list[Looked]:
        """Raises SecretError when a secret must be tried and the keys cannot be had."""
        tried = [row for row in page.rows if row[0].id in page.envelopes]
        rest = [_linked(*row) for row in page.rows if row[0].id not in page.envelopes]
        linked = [row for row in rest if isinstance(row, _Linked)]
        looked = [row for row in rest if isinstance(row, Looked)] + await self._looked(linked)
        advance(len(rest))
        return looked + await self._probing.look(Page(tried, page.envelopes, page.end), advance)

    async def _looked(self, linked: Sequence[_Linked]) -> list[Looked]:
        try:
            shown = await self._shown(linked)
        except MattermostError as fault:
            return [Looked(row.user, row.record, unanswered(fault)) for row in linked]
        client = await self._server.client()
        at_a_glance = [(row, self._seen(row, shown)) for row in linked]

        async def one(row: _Linked) -> Looked | None:
            if self._stop.is_set():
                return None
            return await self._asking.look(row.user, row.record, lambda: self._asked(client, row, shown))

        asked = await at_once(one, [row for row, seen in at_a_glance if seen is None])
        return [one for one in (*(seen for _, seen in at_a_glance), *asked) if one is not None]

    async def _shown(self, linked: Sequence[_Linked]) -> _Shown:
        """Raises the fault that left the check without a list."""
        if not linked:
            return _Shown()
        if self._unlisted is not None:
            raise self._unlisted
        accounts = await (await self._patient()).accounts_by_ids([one.account_id for one in linked])
        return _Shown({account.id: account for account in accounts}, await self._listed(linked))

    async def _listed(self, linked: Sequence[_Linked]) -> dict[TokenId, Token]:
        held = [(one.record.token_id, one.account_id) for one in linked if one.record.token_id is not None]
        active = zip(held, self._scratch.active(held), strict=True)
        tokens = {token_id: Token(token_id, account_id) for (token_id, account_id), works in active if works}
        rest = [token_id for token_id, _ in held if token_id not in tokens]
        return tokens | await self._scratch.disabled(rest) | self._ended

    def _seen(self, row: _Linked, shown: _Shown) -> Looked | None:
        """The verdict where the lists are enough for one."""
        account = shown.accounts.get(row.account_id)
        token = shown.tokens.get(row.record.token_id) if row.record.token_id else None
        if account is None or (token is None and row.user.has_stored_token):
            return None
        return Looked(row.user, row.record, assess(row.user, row.record, account, token, now=self._now()))

    async def _asked(self, client: "MattermostClient", row: _Linked, shown: _Shown) -> Looked:
        """The verdict after the account and the token that no list showed were asked for by their ids.

        The list of tokens has no order, so its pages may miss one (seen on 11.6.0).
        """
        account = shown.accounts.get(row.account_id) or await client.find_account(row.account_id)
        token_id = row.record.token_id
        token = None if token_id is None else shown.tokens.get(token_id) or await client.find_token(token_id)
        return Looked(row.user, row.record, assess(row.user, row.record, account, token, now=self._now()))

    async def _patient(self) -> "MattermostClient":
        return patient(await self._server.client(), self._stop)


def _linked(user: User, record: TokenRecord | None) -> Looked | _Linked:
    if record is None or record.account_id is None:
        return Looked(user, record)
    return _Linked(user, record, record.account_id)
