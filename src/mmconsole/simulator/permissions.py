"""Who may do what: the default permissions of Mattermost's roles, as far as the simulated calls ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmconsole.simulator.entities import ADMIN_ROLE, GUEST_ROLE, TOKEN_ROLE, USER_ROLE

if TYPE_CHECKING:
    from mmconsole.simulator.entities import Channel, User
    from mmconsole.simulator.state import State

_CHANNEL_WORK = frozenset(
    {
        "manage_public_channel_members",
        "manage_private_channel_members",
        "manage_public_channel_properties",
        "manage_private_channel_properties",
        "delete_public_channel",
        "delete_private_channel",
    }
)

SYSTEM = {
    USER_ROLE: frozenset({"list_public_teams", "join_public_teams", "view_members", "create_team"}),
    TOKEN_ROLE: frozenset({"create_user_access_token", "read_user_access_token", "revoke_user_access_token"}),
    GUEST_ROLE: frozenset[str](),
}

TEAM_USER = frozenset(
    {
        "list_team_channels",
        "join_public_channels",
        "read_public_channel",
        "view_team",
        "create_public_channel",
        "create_private_channel",
        "invite_user",
        "add_user_to_team",
    }
)
TEAM_ADMIN = TEAM_USER | _CHANNEL_WORK | {"manage_team", "remove_user_from_team", "manage_team_roles", "read_channel"}
TEAM_GUEST = frozenset({"view_team"})
CHANNEL_USER = _CHANNEL_WORK | {"read_channel"}
CHANNEL_ADMIN = CHANNEL_USER | {"manage_channel_roles"}
CHANNEL_GUEST = frozenset({"read_channel"})

ROLES = frozenset(
    {
        *SYSTEM,
        ADMIN_ROLE,
        "system_post_all",
        "system_post_all_public",
        "system_user_manager",
        "system_read_only_admin",
        "system_manager",
        "team_user",
        "team_admin",
        "team_guest",
        "channel_user",
        "channel_admin",
        "channel_guest",
    }
)
LICENSED_ROLES = frozenset(
    {"system_user_manager", "system_read_only_admin", "system_manager", "system_custom_group_admin"}
)


def may(user: User, permission: str) -> bool:
    """Does a system role of this user grant it? An administrator's grants everything."""
    roles = user.roles.split()
    return ADMIN_ROLE in roles or any(permission in SYSTEM.get(role, ()) for role in roles)


def may_in_team(user: User, team_id: str, permission: str) -> bool:
    member = user.membership(team_id)
    if member is not None and not member.delete_at:
        granted = TEAM_GUEST if member.is_guest else TEAM_ADMIN if member.is_admin else TEAM_USER
        if permission in granted:
            return True
    return may(user, permission)


def may_in_channel(state: State, user: User, channel: Channel, permission: str) -> bool:
    member = state.channel_member(channel, user.id)
    if member is not None:
        granted = CHANNEL_GUEST if member.is_guest else CHANNEL_ADMIN if member.is_admin else CHANNEL_USER
        if permission in granted:
            return True
    return may_in_team(user, channel.team_id, permission)


def may_edit(user: User, other_id: str) -> bool:
    """Oneself always; others with `edit_other_users`, which only administrators have."""
    return user.id == other_id or may(user, "edit_other_users")


def may_see(state: State, user: User, other: User) -> bool:
    """Guests know only the people of their own channels."""
    if user is other or may(user, "view_members"):
        return True
    mine = {team.team_id for team in user.teams if not team.delete_at}
    return any(
        state.channel_member(channel, user.id) and state.channel_member(channel, other.id)
        for team_id in mine
        for channel in state.channels_of[team_id]
    )
