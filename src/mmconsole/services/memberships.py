"""Who is in the teams that a filter names: the server alone knows, so it is asked before the database is."""

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from mmconsole.database import Database, Snapshot
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.filters import Filter, Teams
from mmconsole.domain.tokens import TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.errors import NoSuchTeam, NotFound
from mmconsole.services.look import BATCH
from mmconsole.services.server import Server

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient


async def teams_of(wanted: Filter, database: Database, server: Server) -> Teams:
    """The linked accounts in each team that the filter names; no call is made when it names none. Raises NoSuchTeam."""
    if not wanted.teams():
        return {}
    client = await server.client()
    return {name: await _members(client, name, database) for name in sorted(wanted.teams())}


async def _members(client: "MattermostClient", name: str, database: Database) -> Collection[AccountId]:
    try:
        team = await client.team_by_name(name)
    except NotFound as fault:
        raise NoSuchTeam(name=name, server=client.server) from fault
    members: set[AccountId] = set()
    after: UserId | None = None
    while records := await database.read(partial(_page, after=after)):
        accounts = [record.account_id for record in records if record.account_id]
        members |= await client.team_members(team.id, accounts)
        after = records[-1].user_id
    return members


def _page(db: Snapshot, *, after: UserId | None) -> list[TokenRecord]:
    return db.tokens.page(after, BATCH)
