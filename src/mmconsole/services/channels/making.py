"""New channels: made behind an intent, and known again after a crash.

A name is given only once in a team. So the create of an open intent may be sent again: either it makes the channel, or
the name is taken, and then the channel of that name tells whether it is the one that was announced.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from mmconsole.database import Database, Transaction
from mmconsole.domain.accounts import TeamId
from mmconsole.domain.channels import (
    Channel,
    NewChannel,
    ProjectChannel,
    ProjectId,
    mark,
    numbered_channel_name,
)
from mmconsole.domain.tokens import Intent
from mmconsole.domain.users import UserId
from mmconsole.errors import AnswerLost, ChannelHidden, ChannelNameTaken, ChannelTaken, Refused
from mmconsole.services.intents import close_intent, is_of_its_time, new_operation, open_intent, replace_intent
from mmconsole.services.runs import Run
from mmconsole.services.server import Server

KIND: Final = "channel"
_NAME_TRIES: Final = 20
_COUNTED: Final = 10
NOBODYS: Final = ProjectId("")
"""Stands in an intent for the project of a channel that belongs to none."""


@dataclass(frozen=True, slots=True)
class _Announced:
    """What the intent of a channel says."""

    team_id: TeamId
    name: str
    marker: str
    """The purpose of a project's channel; empty for one that an operator makes, whose purpose is theirs."""

    def is_for(self, new: NewChannel) -> bool:
        return (self.team_id, self.name) == (new.team_id, new.name)


@dataclass(frozen=True, slots=True)
class MadeChannel:
    """A channel as it was made, or found in the archive, with its intent, which is still open."""

    intent: Intent
    channel: Channel
    request_id: str = ""
    """The server's id of the create; empty when its answer was lost."""


class ChannelMaking:
    def __init__(self, database: Database, server: Server) -> None:
        self._database = database
        self._server = server

    async def make(self, new: NewChannel, run: Run, *, numbered: bool) -> MadeChannel:
        """Make an operator's channel, with a number behind its name if that is taken and it may be numbered.

        The intent is open when this returns: `link_made` closes it. Raises ChannelTaken, TooManyChannels, Refused.
        """
        same = [one for one in await self._left(NOBODYS) if _announced_by(one).is_for(new)]
        return await self._make_either(new, NOBODYS, same, run, numbered=numbered)

    async def make_for_project(self, new: NewChannel, project_id: ProjectId, run: Run) -> MadeChannel:
        """Make a project's channel, with a number behind its name if that is taken. The intent stays open.

        What an earlier run announced is found, or made now, under the name that it announced.
        """
        return await self._make_either(new, project_id, await self._left(project_id), run, numbered=True)

    async def made(self, intent: Intent) -> Channel | None:
        """The channel that an intent announced, if the server has it."""
        channel = await self._of_that_name(intent)
        return channel if channel is not None and await self._is_announced(channel, intent) else None

    async def link_made(self, made: MadeChannel, run: Run) -> None:
        """Remember whose channel it is, and that it was made. Once is enough, whoever comes first."""
        intent, channel = made.intent, made.channel
        project_id = ProjectId(intent.user_id)
        of_project = f" for the project {project_id}" if project_id else ""
        row = run.activity("channel created", None, f"{channel.address}{of_project}", request_id=made.request_id)

        def store(tx: Transaction) -> None:
            closed = tx.intents.close(intent.operation_id)
            # A recovery at the same time may have closed it: for want of a trace, or because it has linked already.
            if not closed and (not project_id or tx.projects.channel_of(project_id) is not None):
                return
            if project_id:
                tx.projects.save(ProjectChannel(project_id, channel.id, run.now()))
            tx.activity.add(row)

        await run.write(store)

    async def link_left(self, project_id: ProjectId, run: Run) -> None:
        """What an interrupted run made for this project is the project's."""
        for intent in await self._left(project_id):
            if (found := await self._found(intent)) is not None:
                await self.link_made(found, run)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    async def _left(self, project_id: ProjectId) -> list[Intent]:
        """What interrupted runs announced for a project, or for none."""
        left = await self._database.read(lambda db: db.intents.open_for(UserId(project_id)))
        return [intent for intent in left if intent.kind == KIND]

    async def _make_either(
        self, new: NewChannel, project_id: ProjectId, left: Sequence[Intent], run: Run, *, numbered: bool
    ) -> MadeChannel:
        """What was announced before, else something new."""
        earlier = left[0] if left else None
        if earlier is not None and (made := await self._make_announced(new, earlier, run)) is not None:
            return made
        return await self._make(new, project_id, earlier, run, numbered=numbered)

    async def _make(
        self, new: NewChannel, project_id: ProjectId, intent: Intent | None, run: Run, *, numbered: bool
    ) -> MadeChannel:
        """Try one name after the other. One that is taken is never announced, so a channel of that name is ours."""
        client = await self._server.client()
        for attempt in range(1, _NAME_TRIES + 1 if numbered else 2):
            name = new.name if attempt == 1 else numbered_channel_name(new.name, _number(attempt))
            if await client.find_channel_by_name(new.team_id, name) is not None:
                continue
            intent = await self._announce(replace(new, name=name), project_id, run, instead_of=intent)
            announced = _announced_by(intent)
            one = replace(new, name=name, purpose=announced.marker or new.purpose)
            if (made := await self._create(one, intent, run)) is not None:
                return made
        if intent is not None:
            await run.write(close_intent(intent.operation_id))
        state, way = (", and others with numbers behind it", "") if numbered else ("", ", or say --number")
        raise ChannelTaken(channel=new.name, state=state, ways=way)

    async def _make_announced(self, new: NewChannel, earlier: Intent, run: Run) -> MadeChannel | None:
        """What an earlier run announced; None when its name has become another channel's."""
        if (found := await self._found(earlier)) is not None:
            return found
        announced = _announced_by(earlier)
        new = replace(new, team_id=announced.team_id, name=announced.name, purpose=announced.marker or new.purpose)
        return await self._create(new, earlier, run, announced_earlier=True)

    async def _create(
        self, new: NewChannel, intent: Intent, run: Run, *, announced_earlier: bool = False
    ) -> MadeChannel | None:
        """One try, and another one after a lost answer. None when the name is another channel's.

        A refusal closes the intent, unless a dead process sent this create before us: that may still arrive.
        """
        client = await self._server.client()
        try:
            return MadeChannel(intent, await client.create_channel(new), client.last_request_id)
        except ChannelNameTaken:
            return await self._found_after_all(intent) if announced_earlier else None
        except AnswerLost:
            if (found := await self._found(intent)) is not None:
                return found
        except Refused:
            if not announced_earlier:
                await run.write(close_intent(intent.operation_id))
            raise
        try:
            return MadeChannel(intent, await client.create_channel(new), client.last_request_id)
        except ChannelNameTaken:
            return await self._found_after_all(intent)

    async def _found(self, intent: Intent) -> MadeChannel | None:
        channel = await self.made(intent)
        return None if channel is None else MadeChannel(intent, channel)

    async def _found_after_all(self, intent: Intent) -> MadeChannel | None:
        """The announced channel, once its name was found taken; None when it is another one's.

        Raises ChannelHidden when nobody knows yet whose it is.
        """
        channel = await self._of_that_name(intent)
        if channel is None:
            raise ChannelHidden(channel=_announced_by(intent).name)
        return MadeChannel(intent, channel) if await self._is_announced(channel, intent) else None

    async def _of_that_name(self, intent: Intent) -> Channel | None:
        announced = _announced_by(intent)
        return await (await self._server.client()).find_channel_by_name(announced.team_id, announced.name)

    async def _is_announced(self, channel: Channel, intent: Intent) -> bool:
        """Whether a channel of the announced name is the announced one.

        A project's is known by its marker. One without is ours only if the administrator made it at that moment.
        """
        if marker := _announced_by(intent).marker:
            return channel.purpose == marker
        if not is_of_its_time(channel.create_at, intent):
            return False
        return channel.creator_id == (await (await self._server.client()).whoami()).id

    async def _announce(self, new: NewChannel, project_id: ProjectId, run: Run, *, instead_of: Intent | None) -> Intent:
        """The note of a channel that is about to be made under this name, durable before it is."""
        operation = new_operation()
        installation = await self._database.read(lambda db: db.meta.installation_id)
        marker = mark(installation, project_id, operation) if project_id else ""
        text = f"{new.team_id} {new.name} {marker}"
        intent = Intent(operation, UserId(project_id), KIND, None, text, await self._server.now())
        await run.write(open_intent(intent) if instead_of is None else replace_intent(instead_of, intent))
        return intent


def _announced_by(intent: Intent) -> _Announced:
    team_id, name, marker = intent.description.split(" ", 2)
    return _Announced(TeamId(team_id), name, marker)


def _number(attempt: int) -> int:
    """`-2` to `-9` first, then random ones of more and more digits."""
    return attempt if attempt < _COUNTED else secrets.randbelow(10 ** (attempt // 4)) + _COUNTED
