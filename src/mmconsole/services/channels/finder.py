"""Which channel and which team somebody means."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from mmconsole.config import Settings
from mmconsole.domain.accounts import Team
from mmconsole.domain.channels import Channel, ChannelId, ChannelReference, is_legal_channel_name, reference_of
from mmconsole.errors import ChannelAmbiguous, ChannelTeamMissing, ChannelUnknown, NoSuchTeam, NotFound, TeamUnsaid
from mmconsole.services.server import Server


class ChannelFinder:
    def __init__(self, settings: Settings, server: Server) -> None:
        self._settings = settings
        self._server = server

    async def team(self, name: str) -> Team:
        """A team by the name in its address. Raises NoSuchTeam."""
        client = await self._server.client()
        try:
            team = await client.team_by_name(name)
        except NotFound as fault:
            raise NoSuchTeam(name=name, server=self._settings.server) from fault
        if team.delete_at:
            raise NoSuchTeam(name=name, server=self._settings.server)
        return team

    async def team_for(self, channel: str, *, named: str | None) -> Team:
        """The team of a new channel: the named one, else the configured one. Raises ChannelTeamMissing, NoSuchTeam."""
        teams = self._configured
        if named is None and len(teams) != 1 and not self._settings.values.channels.team:
            raise TeamUnsaid(name=channel, key="channels.team")
        return await self.team(named or teams[0])

    async def teams(self, named: str | None) -> list[Team]:
        """The named team, else the configured ones. Raises ChannelTeamMissing, NoSuchTeam."""
        names = (named,) if named else self._configured
        if not names:
            raise TeamUnsaid(name="all channels", key="channels.team")
        return [await self.team(name) for name in names]

    async def of_team(self, team: Team, *, archived: bool = False) -> AsyncIterator[Channel]:
        """The public and private channels of a team, or instead those in its archive."""
        async for channel in (await self._server.client()).team_channels(team.id, archived=archived):
            yield replace(channel, team=team.name)

    async def find(self, text: str) -> Channel:
        """A channel, archived or not, by its name, `team/name`, id or link.

        Raises ChannelUnknown, ChannelAmbiguous, ChannelTeamMissing, NoSuchTeam.
        """
        reference = reference_of(text, server=self._settings.server)
        if reference is None:
            raise self._unknown(text, "")
        if reference.id is not None and (channel := await self.by_id(reference.id)) is not None:
            return channel
        if not is_legal_channel_name(reference.name):
            raise self._unknown(text, "")
        return await self._by_name(reference)

    async def by_id(self, channel_id: ChannelId) -> Channel | None:
        """A team's channel, archived or not; None when the server says that there is none."""
        channel = await (await self._server.client()).find_channel(channel_id)
        return await self.named(channel) if channel is not None and channel.of_a_team else None

    async def in_team(self, team: Team, name: str) -> Channel | None:
        """The channel of this name in a team, archived or not."""
        channel = await (await self._server.client()).find_channel_by_name(team.id, name)
        return channel and replace(channel, team=team.name)

    async def named(self, channel: Channel) -> Channel:
        """The same channel with the name of its team."""
        client = await self._server.client()
        return replace(channel, team=(await client.team(channel.team_id)).name)

    async def _by_name(self, reference: ChannelReference) -> Channel:
        names = (reference.team,) if reference.team else self._configured
        if not names:
            raise ChannelTeamMissing(name=reference.text, key="channels.team")
        found = await self._in_teams(reference.name, names)
        if not found:
            teams = " or ".join(names)
            raise self._unknown(reference.text, f" in the team {teams}")
        if len(found) > 1:
            raise ChannelAmbiguous(name=reference.text, found=", ".join(channel.address for channel in found))
        return found[0]

    async def _in_teams(self, name: str, teams: Sequence[str]) -> list[Channel]:
        found = [await self.in_team(await self.team(team), name) for team in teams]
        return [channel for channel in found if channel is not None]

    @property
    def _configured(self) -> tuple[str, ...]:
        """The teams to look in, the one for new channels first."""
        values = self._settings.values
        own = (values.channels.team,) if values.channels.team else ()
        return tuple(dict.fromkeys((*own, *values.sync.teams)))

    def _unknown(self, text: str, where: str) -> ChannelUnknown:
        return ChannelUnknown(name=text, where=where, server=self._settings.server)
