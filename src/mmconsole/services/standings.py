"""What only the server knows of an account: its roles and its teams. Asked for one account, and kept with its age."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from mmconsole.domain.accounts import AccountId
from mmconsole.services.server import Server

FRESH_FOR: Final = timedelta(minutes=5)
_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Standing:
    roles: tuple[str, ...]
    teams: tuple[str, ...]
    """By the names in their addresses."""
    asked_at: datetime
    doubted: bool = False
    """Something has happened since, so that it is no more than what was heard last."""

    def is_fresh(self, now: datetime) -> bool:
        return not self.doubted and now - self.asked_at < FRESH_FOR


class Standings:
    def __init__(self, server: Server, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._server = server
        self._now = now
        self._known: dict[AccountId, Standing] = {}

    def find(self, account_id: AccountId) -> Standing | None:
        """What was heard last, however old it is by now."""
        return self._known.get(account_id)

    async def ask(self, account_id: AccountId) -> Standing:
        """Two calls. Raises NotFound, and what the way to the server can raise."""
        client = await self._server.client()
        account = await client.account(account_id)
        teams = await client.teams_of(account_id)
        names = tuple(sorted(team.name for team in teams if not team.delete_at))
        standing = Standing(tuple(account.roles.split()), names, self._now())
        self._keep(account_id, standing)
        return standing

    def doubt(self, account_id: AccountId | None = None) -> None:
        """Have one account, or all, asked for anew. What was heard is kept for as long as nobody answers."""
        for one in list(self._known) if account_id is None else {account_id} & self._known.keys():
            self._known[one] = replace(self._known[one], doubted=True)

    def _keep(self, account_id: AccountId, standing: Standing) -> None:
        self._known.pop(account_id, None)
        if len(self._known) >= _KEPT:
            del self._known[next(iter(self._known))]
        self._known[account_id] = standing
