"""Calls about channels: made as administrator, but for joining, which people can do by themselves."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from mmconsole.domain.accounts import AccountId, TeamId
from mmconsole.domain.channels import Channel, ChannelId, NewChannel
from mmconsole.domain.secrets import Secret
from mmconsole.errors import NotFound, Refused
from mmconsole.mattermost import schemas
from mmconsole.mattermost.accounts import PAGE
from mmconsole.mattermost.exchange import Exchange
from mmconsole.mattermost.limits import MEMBERS_AT_ONCE
from mmconsole.mattermost.routes import Effect, Route

_ONE: Final = Route("GET", "/channels/{id}", schemas.CHANNEL)
_BY_NAME: Final = Route("GET", "/teams/{team_id}/channels/name/{name}", schemas.CHANNEL)
_PUBLIC: Final = Route("GET", "/teams/{team_id}/channels", schemas.CHANNELS)
_PRIVATE: Final = Route("GET", "/teams/{team_id}/channels/private", schemas.CHANNELS)
_ARCHIVED: Final = Route("GET", "/teams/{team_id}/channels/deleted", schemas.CHANNELS)
_CREATE: Final = Route("POST", "/channels", schemas.CHANNEL, Effect.ONCE)
_ARCHIVE: Final = Route("DELETE", "/channels/{id}", schemas.STATUS, Effect.AGAIN)
_RESTORE: Final = Route("POST", "/channels/{id}/restore", schemas.CHANNEL, Effect.AGAIN)
_JOIN: Final = Route("POST", "/channels/{id}/members", schemas.CHANNEL_MEMBER, Effect.AGAIN)
_MEMBERS: Final = Route("POST", "/channels/{id}/members/ids", schemas.CHANNEL_MEMBERS)

_NO_SUCH_CHANNEL: Final = "app.channel.get.existing.app_error"
_NO_SUCH_NAME: Final = "app.channel.get_by_name.missing.app_error"
_ARCHIVED_ALREADY: Final = "api.channel.delete_channel.deleted.app_error"
_RESTORED_ALREADY: Final = "api.channel.restore_channel.restored.app_error"
"""Seen on 11.6.0, but for the last, which was read in its source."""


class ChannelCalls:
    _exchange: Exchange

    async def find_channel(self, channel_id: ChannelId) -> Channel | None:
        """A channel, archived or not; None only when the server says that it does not exist."""
        try:
            row = await self._exchange.ask(_ONE, channel_id, about=lambda row: row.id == channel_id)
        except NotFound as fault:
            if fault.error_id == _NO_SUCH_CHANNEL:
                return None
            raise
        return schemas.channel_of(row)

    async def find_channel_by_name(self, team_id: TeamId, name: str) -> Channel | None:
        """The channel of a team with this legal name, archived or not; None when there is none."""
        try:
            row = await self._exchange.ask(
                _BY_NAME,
                team_id,
                name,
                query="include_deleted=true",
                about=lambda row: (row.team_id, row.name) == (team_id, name),
            )
        except NotFound as fault:
            if fault.error_id == _NO_SUCH_NAME:
                return None
            raise
        return schemas.channel_of(row)

    async def team_channels(self, team_id: TeamId, *, archived: bool = False) -> AsyncIterator[Channel]:
        """All public and private channels of a team, or instead those in its archive, read in pages."""
        for route in (_ARCHIVED,) if archived else (_PUBLIC, _PRIVATE):
            page = 0
            while True:
                query = f"page={page}&per_page={PAGE}"
                rows = await self._exchange.ask(
                    route, team_id, query=query, about=lambda rows: all(row.team_id == team_id for row in rows or ())
                )
                for row in rows or ():
                    yield schemas.channel_of(row)
                if len(rows or ()) < PAGE:
                    break
                page += 1

    async def create_channel(self, new: NewChannel) -> Channel:
        """Make a channel, of which the administrator becomes a member. Never repeated: AnswerLost means it may exist.

        Use the answer's name: with UseAnonymousURLs the server gives another one (11.6).
        Raises ChannelNameTaken (also by an archived one), TooManyChannels, NotFound, Refused.
        """
        body = {
            "team_id": new.team_id,
            "name": new.name,
            "display_name": new.display_name,
            "purpose": new.purpose,
            "type": "P" if new.private else "O",
        }
        wanted = (new.team_id, new.display_name, new.purpose)
        row = await self._exchange.ask(
            _CREATE, body=body, about=lambda row: (row.team_id, row.display_name, row.purpose) == wanted
        )
        return schemas.channel_of(row)

    async def archive_channel(self, channel_id: ChannelId) -> None:
        """Archive a channel; one that is archived already counts as done. Its webhooks are gone for good (11.6).

        Raises NotFound, and DefaultChannel for a team's Town Square.
        """
        try:
            await self._exchange.ask(_ARCHIVE, channel_id, about=schemas.is_ok)
        except Refused as fault:
            if fault.error_id != _ARCHIVED_ALREADY:
                raise

    async def restore_channel(self, channel_id: ChannelId) -> None:
        """Take a channel out of the archive; one that is in use counts as done. Raises NotFound."""
        try:
            await self._exchange.ask(_RESTORE, channel_id, about=lambda row: row.id == channel_id)
        except Refused as fault:
            if fault.error_id != _RESTORED_ALREADY:
                raise

    async def join_channel(self, channel_id: ChannelId, account_id: AccountId, *, secret: Secret | None = None) -> None:
        """Make an account a member, also when it is one already: with its own token if given, else as administrator.

        The server lets people into archived channels as well (seen on 11.6.0): look before. With the own token only
        public channels of the own teams can be joined; all others are Refused with 403.
        Raises OutsideTeam, AccountDeactivated, ManagedByGroups, Refused; Unauthorized for a token that is dead.
        """
        await self._exchange.ask(
            _JOIN,
            channel_id,
            secret=secret,
            body={"user_id": account_id},
            about=lambda row: (row.channel_id, row.user_id) == (channel_id, account_id),
        )

    async def channel_members(self, channel_id: ChannelId, account_ids: Sequence[AccountId]) -> set[AccountId]:
        """Those of these accounts that are in the channel."""
        found: set[AccountId] = set()
        for start in range(0, len(account_ids), MEMBERS_AT_ONCE):
            chunk = account_ids[start : start + MEMBERS_AT_ONCE]
            found |= await self._members_among(channel_id, chunk)
        return found

    async def _members_among(self, channel_id: ChannelId, account_ids: Sequence[AccountId]) -> set[AccountId]:
        asked = frozenset(account_ids)
        rows = await self._exchange.ask(
            _MEMBERS,
            channel_id,
            body=account_ids,
            about=lambda rows: all(row.channel_id == channel_id and row.user_id in asked for row in rows or ()),
        )
        return {row.user_id for row in rows or ()}
