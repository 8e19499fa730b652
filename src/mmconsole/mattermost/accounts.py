"""Calls about accounts."""

from collections.abc import Sequence
from typing import Final

from mmconsole.domain.accounts import Account, AccountChanges, AccountId, NewAccount, Team
from mmconsole.domain.secrets import Secret
from mmconsole.errors import NotFound
from mmconsole.mattermost import schemas
from mmconsole.mattermost.exchange import Exchange
from mmconsole.mattermost.routes import Effect, Route

IDS_AT_ONCE: Final = 5_000
"""Ids in one call. The server's body limit of 300,000 bytes holds twice as many (seen on 11.6.0)."""
PAGE: Final = 200
"""The most rows the server puts on a page; a larger wish is cut silently."""

_ME: Final = Route("GET", "/users/me", schemas.ACCOUNT)
_MY_TEAMS: Final = Route("GET", "/users/me/teams", schemas.TEAMS)
_ONE: Final = Route("GET", "/users/{id}", schemas.ACCOUNT)
_BY_EMAIL: Final = Route("GET", "/users/email/{email}", schemas.ACCOUNT)
_BY_IDS: Final = Route("POST", "/users/ids", schemas.ACCOUNTS)
_BY_USERNAMES: Final = Route("POST", "/users/usernames", schemas.ACCOUNTS)
_PAGE: Final = Route("GET", "/users", schemas.ACCOUNTS)
_STATS: Final = Route("GET", "/users/stats", schemas.STATS)
_CREATE: Final = Route("POST", "/users", schemas.ACCOUNT, Effect.ONCE)
_PATCH: Final = Route("PUT", "/users/{id}/patch", schemas.ACCOUNT, Effect.AGAIN)
_ACTIVE: Final = Route("PUT", "/users/{id}/active", schemas.STATUS, Effect.AGAIN)
_VERIFY: Final = Route("POST", "/users/{id}/email/verify/member", schemas.ACCOUNT, Effect.AGAIN)

_NO_SUCH_ACCOUNT: Final = "app.user.missing_account.const"


class AccountCalls:
    _exchange: Exchange

    async def me(self, secret: Secret) -> Account:
        """The account a token belongs to. It works also where multi-factor authentication is demanded: ask my_teams."""
        return schemas.account_of(await self._exchange.ask(_ME, secret=secret))

    async def my_teams(self, secret: Secret) -> tuple[Team, ...]:
        """The teams of a token's account. Raises MfaDemanded where `me` does not (11.6.0)."""
        return tuple(map(schemas.team_of, await self._exchange.ask(_MY_TEAMS, secret=secret)))

    async def whoami(self) -> Account:
        """The administrator's own account. Raises AdminTokenDead."""
        return schemas.account_of(await self._exchange.ask(_ME))

    async def account(self, account_id: AccountId) -> Account:
        """An account, active or not. Raises NotFound."""
        row = await self._exchange.ask(_ONE, account_id, about=lambda row: row.id == account_id)
        return schemas.account_of(row)

    async def find_account(self, account_id: AccountId) -> Account | None:
        """An account, active or not; None only when the server says that it does not exist."""
        try:
            return await self.account(account_id)
        except NotFound as fault:
            if fault.error_id == _NO_SUCH_ACCOUNT:
                return None
            raise

    async def find_account_by_email(self, email: str) -> Account | None:
        """The account with this address, active or not; None when the server says that there is none."""
        try:
            row = await self._exchange.ask(_BY_EMAIL, email, about=lambda row: _same_address(row.email, email))
        except NotFound as fault:
            if fault.error_id == _NO_SUCH_ACCOUNT:
                return None
            raise
        return schemas.account_of(row)

    async def accounts_by_ids(self, account_ids: Sequence[AccountId], *, since: int | None = None) -> list[Account]:
        """Those of at most `IDS_AT_ONCE` accounts that exist and, with `since`, changed after that server time in ms.

        Unknown ids are just absent from the answer.
        """
        if len(account_ids) > IDS_AT_ONCE:
            message = f"at most {IDS_AT_ONCE} ids at once, not {len(account_ids)}"
            raise ValueError(message)
        if not account_ids:
            return []
        asked = frozenset(account_ids)
        rows = await self._exchange.ask(
            _BY_IDS,
            query="" if since is None else f"since={since}",
            body=account_ids,
            about=lambda rows: all(row.id in asked for row in rows),
        )
        return list(map(schemas.account_of, rows))

    async def accounts_by_usernames(self, usernames: Sequence[str]) -> list[Account]:
        """Those of some usernames (lower case, legal) that are taken by an account. Groups are not among them."""
        if not usernames:
            return []
        return list(map(schemas.account_of, await self._exchange.ask(_BY_USERNAMES, body=usernames)))

    async def accounts_page(self, page: int, *, per_page: int = PAGE) -> list[Account]:
        """One page of all accounts by username, bots and inactive ones included. The first is 0."""
        rows = await self._exchange.ask(_PAGE, query=f"page={page}&per_page={per_page}")
        return list(map(schemas.account_of, rows))

    async def count_accounts(self) -> int:
        return (await self._exchange.ask(_STATS)).total_users_count

    async def create_account(self, new: NewAccount, *, password: Secret) -> Account:
        """Make an account without a welcome mail. Never repeated: AnswerLost means that it may exist.

        Raises EmailTaken, UsernameTaken, UserCapReached, Refused. The answer tells `email_verified`.
        """
        body = {
            "username": new.username,
            "email": new.email,
            "password": password.reveal(),
            "first_name": new.first_name,
            "last_name": new.last_name,
            "email_verified": new.email_verified,
            "disable_welcome_email": True,
        }
        if new.locale is not None:
            body["locale"] = new.locale
        wanted = new.username.lower()
        row = await self._exchange.ask(_CREATE, body=body, about=lambda row: row.username == wanted)
        return schemas.account_of(row, written=True)

    async def patch_account(self, account_id: AccountId, changes: AccountChanges) -> Account:
        """Change an account. The answer tells `email_verified`, also to a patch without changes.

        Compare its e-mail: under RequireEmailVerification the server answers 200 and keeps the old one (11.6.0).
        Raises EmailTaken, UsernameTaken, Refused (status 400 for an unknown account).
        """
        row = await self._exchange.ask(_PATCH, account_id, body=changes.named(), about=lambda row: row.id == account_id)
        return schemas.account_of(row, written=True)

    async def set_account_active(self, account_id: AccountId, *, active: bool) -> None:
        """Deactivate or reactivate. Reactivating revives all its tokens. Raises UserCapReached."""
        await self._exchange.ask(_ACTIVE, account_id, body={"active": active}, about=schemas.is_ok)

    async def verify_email(self, account_id: AccountId) -> None:
        """Declare the account's present address verified. The answer does not show it yet (seen on 11.6.0)."""
        await self._exchange.ask(_VERIFY, account_id, about=lambda row: row.id == account_id)


def _same_address(told: str, asked: str) -> bool:
    """Whether they are one address in any case. A database of the server's may have another notion of that."""
    return told.lower() == asked.lower()
