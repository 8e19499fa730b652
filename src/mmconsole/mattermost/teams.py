"""Calls about teams, all made as administrator: people cannot join a closed team by themselves."""

from collections.abc import Sequence
from typing import Final

from mmconsole.domain.accounts import AccountId, Team, TeamId
from mmconsole.errors import NotFound, Refused
from mmconsole.mattermost import schemas
from mmconsole.mattermost.exchange import BAD_SEGMENT, Exchange
from mmconsole.mattermost.routes import Effect, Route

_ONE: Final = Route("GET", "/teams/{team_id}", schemas.TEAM)
_BY_NAME: Final = Route("GET", "/teams/name/{name}", schemas.TEAM)
_OF_ACCOUNT: Final = Route("GET", "/users/{user_id}/teams", schemas.TEAMS)
_SIZE: Final = Route("GET", "/teams/{team_id}/stats", schemas.TEAM_STATS)
_JOIN: Final = Route("POST", "/teams/{team_id}/members", schemas.TEAM_MEMBER, Effect.AGAIN)
_MEMBERS: Final = Route("POST", "/teams/{team_id}/members/ids", schemas.TEAM_MEMBERS)


class TeamCalls:
    _exchange: Exchange

    async def team(self, team_id: TeamId) -> Team:
        """A team by its id. Raises NotFound."""
        return schemas.team_of(await self._exchange.ask(_ONE, team_id, about=lambda row: row.id == team_id))

    async def team_by_name(self, name: str) -> Team:
        """A team by the name in its address. Raises NotFound."""
        wanted = name.lower()
        try:
            return schemas.team_of(await self._exchange.ask(_BY_NAME, wanted, about=lambda row: row.name == wanted))
        except Refused as fault:
            # A name that no team can have, of one letter or with a stroke, is not looked for (11.6.0).
            if fault.error_id != BAD_SEGMENT:
                raise
            raise NotFound(**fault.facts) from fault  # type: ignore[arg-type]

    async def teams_of(self, account_id: AccountId) -> tuple[Team, ...]:
        """The teams an account is in. Raises NotFound."""
        return tuple(map(schemas.team_of, await self._exchange.ask(_OF_ACCOUNT, account_id)))

    async def team_size(self, team_id: TeamId) -> int:
        """How many active members a team has. Raises NotFound."""
        row = await self._exchange.ask(_SIZE, team_id, about=lambda row: row.team_id == team_id)
        return row.active_member_count

    async def join_team(self, team_id: TeamId, account_id: AccountId) -> None:
        """Make an account a member, also when it is one already. Raises TeamFull, NotFound, Refused."""
        await self._exchange.ask(
            _JOIN,
            team_id,
            body={"team_id": team_id, "user_id": account_id},
            about=lambda row: (row.team_id, row.user_id) == (team_id, account_id),
        )

    async def team_members(self, team_id: TeamId, account_ids: Sequence[AccountId]) -> set[AccountId]:
        """Those of these accounts that are members of the team."""
        if not account_ids:
            return set()
        asked = frozenset(account_ids)
        rows = await self._exchange.ask(
            _MEMBERS,
            team_id,
            body=account_ids,
            about=lambda rows: all(row.team_id == team_id and row.user_id in asked for row in rows or ()),
        )
        return {row.user_id for row in rows or () if not row.delete_at}
