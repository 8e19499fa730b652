"""Joining and leaving teams, one at a time and in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mmconsole.simulator import permissions, rules, views
from mmconsole.simulator.errors import AppError, bad_body, forbidden, no_user
from mmconsole.simulator.ids import is_id
from mmconsole.simulator.routes.teams import find_team
from mmconsole.simulator.routing import Route
from mmconsole.simulator.wire import Call, Reply, answer, done

if TYPE_CHECKING:
    from mmconsole.simulator.entities import Team, TeamMember
    from mmconsole.simulator.state import State

LARGEST_BATCH = 256


class NewMember(msgspec.Struct):
    """Who shall join what; the team repeats the path."""

    team_id: str = ""
    user_id: str = ""


def add(call: Call) -> Reply:
    team_id = call.id(0, "team_id")
    wanted = call.decode(NewMember, "team_member")
    if wanted.team_id != team_id:
        raise bad_body("team_id")
    if not is_id(wanted.user_id):
        raise bad_body("user_id")
    _check_permission(call, team_id, wanted.user_id)
    member = join(call.state, find_team(call.state, team_id), wanted.user_id)
    return answer(views.team_member_fields(member), 201)


def _check_permission(call: Call, team_id: str, user_id: str) -> None:
    """One joins an open team oneself; a closed one only an administrator, or whom a member adds."""
    if user_id != call.user.id:
        if not permissions.may_in_team(call.user, team_id, "add_user_to_team"):
            raise forbidden()
        return
    team = find_team(call.state, team_id)
    needed = "join_public_teams" if team.allow_open_invite else "join_private_teams"
    if not permissions.may(call.user, needed):
        raise forbidden()


def join(state: State, team: Team, user_id: str) -> TeamMember:
    """Make the user a member, or find that one is. Deactivated users may join."""
    user = state.users.get(user_id)
    if user is None:
        raise no_user()
    member = user.membership(team.id)
    if member is not None and not member.delete_at:
        return member
    if not user.is_bot and not rules.in_domains(user.email, team.allowed_domains):
        raise AppError("api.team.join_user_to_team.allowed_domains.app_error", 400)
    if team.active_members >= state.config["TeamSettings", "MaxUsersPerTeam"]:
        step = "join_user_to_team" if member else "join_user_to_team.save_member"
        raise AppError(f"app.team.{step}.max_accounts.app_error", 400)
    return state.join_team(team, user)


def add_many(call: Call) -> Reply:
    """Up to 256 at once. `graceful` of any value, even "false", reports errors beside the members."""
    graceful = bool(call.query("graceful"))
    team_id = call.id(0, "team_id")
    wanted = call.decode(list[NewMember], "members")
    call.units = len(wanted)
    if len(wanted) > LARGEST_BATCH:
        raise bad_body("too many members in batch")
    if not wanted:
        raise bad_body("no members in batch")
    team = find_team(call.state, team_id)
    for member in wanted:
        if member.team_id != team_id:
            raise bad_body(f"team_id for member with user_id={member.user_id}")
        if not is_id(member.user_id):
            raise bad_body("user_id")
    if not permissions.may_in_team(call.user, team_id, "add_user_to_team"):
        raise forbidden()
    if graceful:
        return answer([_tried(call.state, team, member.user_id) for member in wanted], 201)
    return answer([views.team_member_fields(join(call.state, team, member.user_id)) for member in wanted], 201)


def _tried(state: State, team: Team, user_id: str) -> dict[str, Any]:
    try:
        member = join(state, team, user_id)
    except AppError as refusal:
        return {"user_id": user_id, "member": None, "error": refusal.as_dict()}
    return {"user_id": user_id, "member": views.team_member_fields(member), "error": None}


def by_ids(call: Call) -> Reply:
    team_id = call.id(0, "team_id")
    ids = call.ids("user_ids")
    if not permissions.may_in_team(call.user, team_id, "view_team"):
        raise forbidden()
    team = find_team(call.state, team_id)
    found = [team.members[user_id] for user_id in dict.fromkeys(ids) if user_id in team.members]
    return answer([views.team_member_fields(member) for member in found])


def get(call: Call) -> Reply:
    team_id, user_id = call.id(0, "team_id"), call.id(1, "user_id")
    if not permissions.may_in_team(call.user, team_id, "view_team"):
        raise forbidden()
    user = call.state.users.get(user_id)
    member = user.membership(team_id) if user else None
    if member is None:
        raise AppError("app.team.get_member.missing.app_error", 404)
    return answer(views.team_member_fields(member))


def remove(call: Call) -> Reply:
    team_id, user_id = call.id(0, "team_id"), call.id(1, "user_id")
    if user_id != call.user.id and not permissions.may_in_team(call.user, team_id, "remove_user_from_team"):
        raise forbidden()
    team = find_team(call.state, team_id)
    user = call.state.users.get(user_id)
    if user is None:
        raise no_user()
    member = team.members.get(user_id)
    if member is None:
        raise AppError("app.team.get_member.missing.app_error", 404)
    call.state.leave_team(team, user, member)
    return done()


ROUTES = (
    Route("POST", "/teams/{id}/members", add),
    Route("POST", "/teams/{id}/members/batch", add_many),
    Route("POST", "/teams/{id}/members/ids", by_ids),
    Route("GET", "/teams/{id}/members/{user_id}", get),
    Route("DELETE", "/teams/{id}/members/{user_id}", remove),
)
