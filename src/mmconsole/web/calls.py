"""The application's own calls. Each is safe to repeat, and each needs a key with its scope."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from mmconsole.core import Gateway
from mmconsole.domain.callers import Scope
from mmconsole.domain.channels import ChannelChange, ProjectId
from mmconsole.errors import UsageError
from mmconsole.services.application_calls import Done
from mmconsole.web import examples
from mmconsole.web.door import Door

_ID = Annotated[str, Path(min_length=1, max_length=191, description="The id in the users table.")]
_Project = Annotated[str, Path(min_length=1, max_length=191, description="The project's id.")]
_CONFLICT = 409


class Member(BaseModel):
    """Whom to add."""

    model_config = ConfigDict(extra="forbid")

    user: Annotated[str, Field(min_length=1, max_length=191, description="The id in the users table.")]


class ProjectFacts(BaseModel):
    """What the channel needs to know where no projects table says it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    team: Annotated[str | None, Field(min_length=1, max_length=64)] = None


def routes(gateway: Gateway, door: Door) -> APIRouter:
    desk = _Desk(gateway, door)
    router = APIRouter(tags=["application"])
    router.add_api_route(
        "/api/mattermost/users/{user}/sync", desk.sync, methods=["POST"], response_model=None, responses=examples.SYNC
    )
    members = "/api/mattermost/channels/{channel:path}/members"
    router.add_api_route(members, desk.add_member, methods=["POST"], response_model=None, responses=examples.MEMBER)
    project = "/api/mattermost/projects/{project}/channel"
    for method, answer in (("PUT", desk.open_channel), ("DELETE", desk.archive_channel)):
        router.add_api_route(project, answer, methods=[method], response_model=None, responses=examples.CHANNEL)
    return router


class _Desk:
    def __init__(self, gateway: Gateway, door: Door) -> None:
        self._calls = gateway.calls
        self._door = door

    async def sync(self, request: Request, user: _ID) -> Response:
        """Bring one user, their account and their token into step."""
        caller, user_id = await self._door.caller_for(request, Scope.SYNC, user)
        return _told(await self._calls.sync_user(user_id, by=caller.name))

    async def add_member(self, request: Request, channel: str, member: Member) -> Response:
        """Add a user to a public channel, as themselves. A channel is named as `team/channel`, or by its id."""
        caller, user_id = await self._door.caller_for(request, Scope.CHANNEL, member.user)
        return _told(await self._calls.add_to_channel(channel, user_id, by=caller.name))

    async def open_channel(
        self, request: Request, project: _Project, facts: Annotated[ProjectFacts | None, Body()] = None
    ) -> Response:
        """Make sure that a project has its channel."""
        caller = await self._door.caller(request, Scope.PROJECT)
        given = facts or ProjectFacts()
        change = await self._calls.open_channel(_id_of(project), by=caller.name, name=given.name, team=given.team)
        return JSONResponse(_channel(project, change))

    async def archive_channel(self, request: Request, project: _Project) -> Response:
        """Archive a project's channel. One that has none, or whose channel is archived, is left as it is."""
        caller = await self._door.caller(request, Scope.PROJECT)
        change = await self._calls.archive_channel(_id_of(project), by=caller.name)
        return JSONResponse(_channel(project, change))


def _id_of(project: str) -> ProjectId:
    """Raises UsageError for what no table has as a key, no database need take, and no channel could be marked with."""
    if not project.isprintable():
        raise UsageError(why="`project` is no id of a projects table.")
    return ProjectId(project)


def _told(done: Done) -> JSONResponse:
    content = {"user": done.user_id, "outcome": done.outcome, "note": done.note}
    return JSONResponse(content, 200 if done.as_wanted else _CONFLICT)


def _channel(project: str, change: ChannelChange | None) -> dict[str, Any]:
    if change is None:
        return {"project": project, "outcome": "unchanged", "channel": None}
    channel = change.channel
    return {"project": project, "outcome": str(change.did), "channel": {"id": channel.id, "name": channel.address}}
