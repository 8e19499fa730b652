"""What the server shows of what it knows: the JSON of each thing, and who may see which part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from mmconsole.simulator import permissions

if TYPE_CHECKING:
    from mmconsole.simulator.config import ServerConfig
    from mmconsole.simulator.entities import Audit, Channel, ChannelMember, Session, Team, TeamMember, Token, User
    from mmconsole.simulator.state import State

NOTIFY_PROPS: Final = {
    "channel": "true",
    "comments": "never",
    "desktop": "mention",
    "desktop_sound": "true",
    "desktop_threads": "all",
    "email": "true",
    "email_threads": "all",
    "first_name": "false",
    "mention_keys": "",
    "push": "mention",
    "push_status": "online",
    "push_threads": "all",
}
TIMEZONE: Final = {"automaticTimezone": "", "manualTimezone": "", "useAutomaticTimezone": "true"}
CHANNEL_NOTIFY_PROPS: Final = {
    "channel_auto_follow_threads": "off",
    "desktop": "default",
    "email": "default",
    "ignore_channel_mentions": "default",
    "mark_unread": "all",
    "push": "default",
}


def user_fields(user: User) -> dict[str, Any]:
    """What an administrator reads. `email_verified` is never part of it."""
    fields: dict[str, Any] = {
        "id": user.id,
        "create_at": user.create_at,
        "update_at": user.update_at,
        "delete_at": user.delete_at,
        "username": user.username,
        "auth_service": user.auth_service,
        "email": user.email,
        "nickname": user.nickname,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "position": user.position,
        "roles": user.roles,
        "notify_props": user.notify_props or NOTIFY_PROPS,
        "locale": user.locale,
        "timezone": TIMEZONE if user.timezone is None else user.timezone,
        "disable_welcome_email": False,
    }
    if user.props:
        fields["props"] = user.props
    if user.mfa_active:
        fields["mfa_active"] = True
    if not user.is_bot:
        fields["remote_id"] = user.remote_id
        return fields
    fields["is_bot"] = True
    if user.bot_description:
        fields["bot_description"] = user.bot_description
    return fields


def own_fields(user: User) -> dict[str, Any]:
    """What a user reads of oneself, and what every write answers with: only here is `email_verified`, when true."""
    fields = user_fields(user)
    if user.last_password_update:
        fields["last_password_update"] = user.last_password_update
    if user.email_verified:
        fields["email_verified"] = True
    if user.failed_attempts:
        fields["failed_attempts"] = user.failed_attempts
    return fields


def for_admin(user: User) -> bytes:
    if user.as_admin is None:
        user.as_admin = msgspec.json.encode(user_fields(user))
    return user.as_admin


def for_self(user: User) -> bytes:
    if user.as_self is None:
        user.as_self = msgspec.json.encode(own_fields(user))
    return user.as_self


def for_others(user: User, config: ServerConfig) -> bytes:
    """What another user sees: no notification settings, no sign-in service; address and name by the settings."""
    fields = user_fields(user)
    del fields["notify_props"]
    fields["auth_service"] = ""
    if not config.shows_email:
        fields["email"] = ""
    if not config.shows_names:
        fields["first_name"] = fields["last_name"] = ""
    return msgspec.json.encode(fields)


def profiles(users: list[User], *, asker: User, config: ServerConfig) -> list[bytes]:
    if asker.is_admin:
        return [user.as_admin or for_admin(user) for user in users]
    return [for_others(user, config) for user in users]


def etag(user: User, config: ServerConfig) -> bytes:
    shown = f"{str(config.shows_names).lower()}.{str(config.shows_email).lower()}"
    return f"{config.version}.{user.id}.{user.update_at}..0.{shown}.0".encode()


def token_fields(token: Token, release: tuple[int, int]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": token.id,
        "user_id": token.user_id,
        "description": token.description,
        "is_active": token.is_active,
    }
    if release >= (11, 9):
        fields["expires_at"] = token.expires_at
    return fields


def listed_token(token: Token, release: tuple[int, int]) -> bytes:
    if token.encoded is None:
        token.encoded = msgspec.json.encode(token_fields(token, release))
    return token.encoded


def new_token(token: Token, release: tuple[int, int]) -> bytes:
    """With its secret: only the answers to create and rotate ever carry it (1.2)."""
    return msgspec.json.encode({**token_fields(token, release), "token": token.secret})


def session_fields(session: Session, user: User) -> dict[str, Any]:
    props = {"is_guest": str(user.is_guest).lower()}
    if session.token_id:
        props |= {"type": "UserAccessToken", "user_access_token_id": session.token_id}
    else:
        props |= {"browser": "Unknown/0.0", "os": "", "platform": ""}
    if session.is_bot:
        props["is_bot"] = "true"
    return {
        "id": session.id,
        "token": "",
        "create_at": session.create_at,
        "expires_at": session.expires_at,
        "last_activity_at": session.last_activity_at,
        "user_id": session.user_id,
        "device_id": session.device_id,
        "roles": user.roles,
        "is_oauth": False,
        "expired_notify": False,
        "props": props,
        "team_members": [team_member_fields(member) for member in user.teams if not member.delete_at],
        "local": False,
    }


def team_fields(team: Team, *, asker: User, is_creator: bool = False) -> dict[str, Any]:
    """The address and the invitation are for those who manage the team or may invite to it."""
    manages = is_creator or permissions.may_in_team(asker, team.id, "manage_team")
    invites = is_creator or permissions.may_in_team(asker, team.id, "invite_user")
    return {
        "id": team.id,
        "create_at": team.create_at,
        "update_at": team.update_at,
        "delete_at": team.delete_at,
        "display_name": team.display_name,
        "name": team.name,
        "description": team.description,
        "email": team.email if manages else "",
        "type": team.type,
        "company_name": "",
        "allowed_domains": team.allowed_domains,
        "invite_id": team.invite_id if invites else "",
        "allow_open_invite": team.allow_open_invite,
        "scheme_id": None,
        "group_constrained": None,
        "policy_id": None,
        "cloud_limits_archived": False,
    }


def _roles(place: str, *, is_admin: bool, is_guest: bool) -> str:
    if is_guest:
        return f"{place}_guest"
    return f"{place}_user {place}_admin" if is_admin else f"{place}_user"


def team_member_fields(member: TeamMember) -> dict[str, Any]:
    return {
        "team_id": member.team_id,
        "user_id": member.user_id,
        "roles": _roles("team", is_admin=member.is_admin, is_guest=member.is_guest),
        "delete_at": member.delete_at,
        "scheme_guest": member.is_guest,
        "scheme_user": not member.is_guest,
        "scheme_admin": member.is_admin,
        "explicit_roles": "",
    }


def channel_fields(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "create_at": channel.create_at,
        "update_at": channel.update_at,
        "delete_at": channel.delete_at,
        "team_id": channel.team_id,
        "type": channel.type,
        "display_name": channel.display_name,
        "name": channel.name,
        "header": channel.header,
        "purpose": channel.purpose,
        "last_post_at": channel.last_post_at,
        "total_msg_count": channel.total_msg_count,
        "extra_update_at": 0,
        "creator_id": channel.creator_id,
        "scheme_id": None,
        "props": None,
        "group_constrained": None,
        "autotranslation": False,
        "shared": None,
        "total_msg_count_root": channel.total_msg_count,
        "policy_id": None,
        "last_root_post_at": channel.last_post_at,
        "banner_info": None,
        "policy_enforced": False,
        "policy_is_active": False,
        "default_category_name": "",
    }


def channel_member_fields(member: ChannelMember, *, asker: User) -> dict[str, Any]:
    """When somebody else last read the channel is nobody's business: -1."""
    own = member.user_id == asker.id
    return {
        "channel_id": member.channel_id,
        "user_id": member.user_id,
        "roles": _roles("channel", is_admin=member.is_admin, is_guest=member.is_guest),
        "last_viewed_at": 0 if own else -1,
        "msg_count": 0,
        "mention_count": 0,
        "mention_count_root": 0,
        "urgent_mention_count": 0,
        "msg_count_root": 0,
        "notify_props": CHANNEL_NOTIFY_PROPS,
        "last_update_at": member.last_update_at if own else -1,
        "scheme_guest": member.is_guest,
        "scheme_user": not member.is_guest,
        "scheme_admin": member.is_admin,
        "explicit_roles": "",
        "autotranslation_disabled": False,
    }


def bot_fields(bot: User) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "user_id": bot.id,
        "username": bot.username,
        "display_name": bot.first_name,
        "owner_id": bot.bot_owner,
        "create_at": bot.create_at,
        "update_at": bot.update_at,
        "delete_at": bot.delete_at,
    }
    if bot.bot_description:
        fields["description"] = bot.bot_description
    return fields


def audit_fields(audit: Audit) -> dict[str, Any]:
    return {name: getattr(audit, name) for name in audit.__slots__}


def report_fields(user: User, state: State) -> dict[str, Any]:
    """A row of `/reports/users`: the account, when it last signed in, and how many live channels it is in."""
    fields = user_fields(user)
    if user.last_login:
        fields["last_login"] = user.last_login
    if user.last_status_at:
        fields["last_status_at"] = user.last_status_at
    channels = [
        channel for member in user.teams if not member.delete_at for channel in state.channels_of[member.team_id]
    ]
    fields["days_active"] = 0
    fields["channel_count"] = sum(
        1 for channel in channels if not channel.delete_at and state.channel_member(channel, user.id)
    )
    return fields
