"""Teams: create, read, patch, and whose they are."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from mmconsole.simulator import permissions, rules, views
from mmconsole.simulator.entities import Team
from mmconsole.simulator.errors import AppError, bad_url, forbidden
from mmconsole.simulator.routing import Route
from mmconsole.simulator.wire import Call, Reply, answer, done

if TYPE_CHECKING:
    from mmconsole.simulator.entities import User
    from mmconsole.simulator.state import State


class NewTeam(msgspec.Struct):
    """What `POST /teams` reads."""

    name: str | None = None
    display_name: str | None = None
    type: str | None = None
    description: str | None = None
    allow_open_invite: bool | None = None
    allowed_domains: str | None = None


class TeamPatch(msgspec.Struct):
    """What a patch of a team may change."""

    display_name: str | None = None
    description: str | None = None
    allow_open_invite: bool | None = None
    allowed_domains: str | None = None


def find_team(state: State, team_id: str) -> Team:
    team = state.teams.get(team_id)
    if team is None:
        raise AppError("app.team.get.find.app_error", 404)
    return team


def create(call: Call) -> Reply:
    wanted = call.decode(NewTeam, "team")
    if not permissions.may(call.user, "create_team"):
        raise AppError("api.team.is_team_creation_allowed.disabled.app_error", 403)
    name, kind = wanted.name or "", wanted.type or ""
    rules.check_team(name, wanted.display_name or "", kind, wanted.description or "")
    state = call.state
    if name in state.teams_by_name:
        raise AppError("app.team.save.existing.app_error", 400)
    now = state.millis()
    team = Team(state.ids.new(), name, wanted.display_name or "", now, now, call.user.email, state.ids.new(), type=kind)
    team.description, team.allowed_domains = wanted.description or "", wanted.allowed_domains or ""
    team.allow_open_invite = bool(wanted.allow_open_invite)
    state.add_team(team)
    state.join_team(team, call.user, is_admin=True)
    return answer(views.team_fields(team, asker=call.user, is_creator=True), 201)


def get(call: Call) -> Reply:
    return _shown(call, find_team(call.state, call.id(0, "team_id")))


def get_by_name(call: Call) -> Reply:
    name = call.params[0].lower()
    if not rules.is_team_name(name):
        raise bad_url("team_name")
    team = call.state.teams_by_name.get(name)
    if team is None:
        raise AppError("app.team.get_by_name.missing.app_error", 404)
    return _shown(call, team)


def exists(call: Call) -> Reply:
    team = call.state.teams_by_name.get(call.params[0].lower())
    return answer({"exists": team is not None and _visible(call.user, team)})


def _shown(call: Call, team: Team) -> Reply:
    if not _visible(call.user, team):
        raise forbidden()
    return answer(views.team_fields(team, asker=call.user))


def _visible(user: User, team: Team) -> bool:
    """Open to everybody, or only to its members and administrators."""
    return (team.allow_open_invite and team.type == "O") or permissions.may_in_team(user, team.id, "view_team")


def page(call: Call) -> Reply:
    """All teams one may list, by their display name."""
    private = permissions.may(call.user, "list_private_teams")
    if not private and not permissions.may(call.user, "list_public_teams"):
        raise AppError("api.team.get_all_teams.insufficient_permissions", 403)
    teams = [team for team in call.state.teams.values() if private or team.allow_open_invite]
    teams.sort(key=lambda team: team.display_name)
    start, end = call.page()
    shown = [views.team_fields(team, asker=call.user) for team in teams[start:end]]
    return answer({"teams": shown, "total_count": len(teams)} if call.flag("include_total_count") else shown)


def patch(call: Call) -> Reply:
    team_id = call.id(0, "team_id")
    wanted = call.decode(TeamPatch, "team")
    if not permissions.may_in_team(call.user, team_id, "manage_team"):
        raise forbidden()
    team = find_team(call.state, team_id)
    for name, value in msgspec.structs.asdict(wanted).items():
        if value is not None:
            setattr(team, name, value)
    team.update_at = call.state.millis()
    call.audit("")
    return answer(views.team_fields(team, asker=call.user))


def archive(call: Call) -> Reply:
    team_id = call.id(0, "team_id")
    if not permissions.may_in_team(call.user, team_id, "manage_team"):
        raise forbidden()
    if call.flag("permanent"):
        raise AppError("api.user.delete_team.not_enabled.app_error", 401)
    team = find_team(call.state, team_id)
    team.update_at = team.delete_at = call.state.millis()
    return done()


def stats(call: Call) -> Reply:
    team_id = call.id(0, "team_id")
    if not permissions.may_in_team(call.user, team_id, "view_team"):
        raise forbidden()
    team = find_team(call.state, team_id)
    counts = {"total_member_count": len(team.members), "active_member_count": team.active_members}
    return answer({"team_id": team.id, **counts})


def of_user(call: Call) -> Reply:
    user_id = call.id(0, "user_id")
    if user_id != call.user.id and not permissions.may(call.user, "sysconsole_read_user_management_users"):
        raise forbidden()
    user = call.state.users.get(user_id)
    teams = [call.state.teams[member.team_id] for member in user.teams if not member.delete_at] if user else []
    return answer([views.team_fields(team, asker=call.user) for team in teams if not team.delete_at])


def memberships(call: Call) -> Reply:
    user_id = call.id(0, "user_id")
    if not permissions.may_edit(call.user, user_id):
        raise forbidden()
    user = call.state.users.get(user_id)
    return answer([views.team_member_fields(member) for member in (user.teams if user else ())])


def members(call: Call) -> Reply:
    team_id = call.id(0, "team_id")
    if not permissions.may_in_team(call.user, team_id, "view_team"):
        raise forbidden()
    team = call.state.teams.get(team_id)
    start, end = call.page()
    users = call.state.users
    only_active = call.flag("exclude_deleted_users")
    wanted = (
        member
        for member in (team.members.values() if team else ())
        if not (only_active and users[member.user_id].delete_at)
    )
    return answer([views.team_member_fields(member) for member in islice(wanted, start, end)])


ROUTES = (
    Route("POST", "/teams", create),
    Route("GET", "/teams", page),
    Route("GET", "/teams/name/{name}", get_by_name),
    Route("GET", "/teams/name/{name}/exists", exists),
    Route("GET", "/teams/{id}", get),
    Route("PUT", "/teams/{id}/patch", patch),
    Route("DELETE", "/teams/{id}", archive),
    Route("GET", "/teams/{id}/stats", stats),
    Route("GET", "/teams/{id}/members", members),
    Route("GET", "/users/{id}/teams", of_user),
    Route("GET", "/users/{id}/teams/members", memberships),
)
