"""Calls about personal access tokens, all made as administrator."""

from typing import Final

from mmconsole.domain.accounts import AccountId
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import NewToken, Token, TokenId
from mmconsole.errors import Garbled, NotFound
from mmconsole.mattermost import schemas
from mmconsole.mattermost.accounts import PAGE
from mmconsole.mattermost.exchange import Exchange
from mmconsole.mattermost.routes import Effect, Route

_CREATE: Final = Route("POST", "/users/{id}/tokens", schemas.NEW_TOKEN, Effect.ONCE)
_OF_ACCOUNT: Final = Route("GET", "/users/{id}/tokens", schemas.TOKENS)
_PAGE: Final = Route("GET", "/users/tokens", schemas.TOKENS)
_ONE: Final = Route("GET", "/users/tokens/{token_id}", schemas.TOKEN)
_REVOKE: Final = Route("POST", "/users/tokens/revoke", schemas.STATUS, Effect.AGAIN)
_DISABLE: Final = Route("POST", "/users/tokens/disable", schemas.STATUS, Effect.AGAIN)
_ENABLE: Final = Route("POST", "/users/tokens/enable", schemas.STATUS, Effect.AGAIN)
_SESSIONS: Final = Route("GET", "/users/{id}/sessions", schemas.SESSIONS)

_NO_SUCH_TOKEN: Final = "app.user_access_token.get_by_user.app_error"  # noqa: S105 - an error's id
"""Seen on 11.6.0. Any other 404 says nothing about the token."""


class TokenCalls:
    _exchange: Exchange

    async def create_token(self, account_id: AccountId, *, description: str, expires_at: int | None = None) -> NewToken:
        """Make a token. Never repeated: AnswerLost means that it may exist; find it by its description.

        `expires_at` is in the server's milliseconds. Compare the answer's: before 11.9 the server ignores it.
        Raises NotFound, TokensSwitchedOff, Refused.
        """
        body: dict[str, object] = {"description": description}
        if expires_at is not None:
            body["expires_at"] = expires_at
        row = await self._exchange.ask(
            _CREATE,
            account_id,
            body=body,
            about=lambda row: row.user_id == account_id and row.description == description,
        )
        return NewToken(schemas.token_of(row), Secret(row.token), self._exchange.last_request_id)

    async def tokens_of(self, account_id: AccountId) -> list[Token]:
        """All tokens of an account; none for an unknown account, as the server has it (11.6.0)."""
        found: dict[TokenId, Token] = {}
        page = 0
        while True:
            rows = await self._exchange.ask(
                _OF_ACCOUNT,
                account_id,
                query=f"page={page}&per_page={PAGE}",
                about=lambda rows: all(row.user_id == account_id for row in rows),
            )
            known = len(found)
            found.update((token.id, token) for token in schemas.tokens_of(rows))
            if len(rows) < PAGE:
                return list(found.values())
            if len(found) == known:
                raise Garbled(server=self._exchange.server, call=_OF_ACCOUNT.name, why="its pages repeat themselves")
            page += 1

    async def tokens_page(self, page: int, *, per_page: int = PAGE) -> list[Token]:
        """One page of all tokens; the first is 0.

        The pages have no order, so a token that none of them showed may still exist: ask `find_token`.
        """
        rows = await self._exchange.ask(_PAGE, query=f"page={page}&per_page={per_page}")
        return list(schemas.tokens_of(rows))

    async def find_token(self, token_id: TokenId) -> Token | None:
        """A token; None only when the server says that it does not exist."""
        try:
            row = await self._exchange.ask(_ONE, token_id, about=lambda row: row.id == token_id)
        except NotFound as fault:
            if fault.error_id == _NO_SUCH_TOKEN:
                return None
            raise
        return schemas.token_of(row)

    async def revoke_token(self, token_id: TokenId) -> None:
        """Remove a token for good. One that is gone already counts as revoked."""
        try:
            await self._exchange.ask(_REVOKE, body={"token_id": token_id}, about=schemas.is_ok)
        except NotFound as fault:
            if fault.error_id != _NO_SUCH_TOKEN:
                raise

    async def disable_token(self, token_id: TokenId) -> None:
        """Stop a token until it is enabled again. Raises NotFound."""
        await self._exchange.ask(_DISABLE, body={"token_id": token_id}, about=schemas.is_ok)

    async def enable_token(self, token_id: TokenId) -> None:
        """Let a disabled token work again. Raises NotFound."""
        await self._exchange.ask(_ENABLE, body={"token_id": token_id}, about=schemas.is_ok)

    async def tokens_in_use(self, account_id: AccountId) -> set[TokenId]:
        """The tokens that made an account's sessions: so its id is found of one of which only the secret is known."""
        rows = await self._exchange.ask(
            _SESSIONS, account_id, about=lambda rows: all(row.user_id == account_id for row in rows or ())
        )
        named = ((row.props or {}).get("user_access_token_id") for row in rows or ())
        return {TokenId(token_id) for token_id in named if token_id}
