"""What a Mattermost server keeps: users, tokens, sessions, teams, channels and their members."""

from __future__ import annotations

from dataclasses import dataclass, field

USER_ROLE = "system_user"
ADMIN_ROLE = "system_admin"
TOKEN_ROLE = "system_user_access_token"
GUEST_ROLE = "system_guest"


@dataclass(slots=True, eq=False)
class Token:
    """A personal access token. The server keeps the secret in plain text, and so do we."""

    id: str
    secret: str
    user_id: str
    description: str
    create_at: int
    is_active: bool = True
    expires_at: int = 0
    position: int = 0
    encoded: bytes | None = None


@dataclass(slots=True, eq=False)
class Session:
    """A signed-in client. A token has exactly one, made at its first use, and all its users share it (1.3)."""

    id: str
    token: str
    user_id: str
    create_at: int
    expires_at: int
    last_activity_at: int
    token_id: str = ""
    is_bot: bool = False
    csrf: str = ""
    device_id: str = ""


@dataclass(slots=True, eq=False)
class TeamMember:
    team_id: str
    user_id: str
    delete_at: int = 0
    is_admin: bool = False
    is_guest: bool = False


@dataclass(slots=True, eq=False)
class ChannelMember:
    channel_id: str
    user_id: str
    last_update_at: int
    is_admin: bool = False
    is_guest: bool = False


@dataclass(slots=True, eq=False)
class User:
    """An account, a bot or a guest. None in `notify_props` and `timezone` stands for the defaults."""

    id: str
    username: str
    email: str
    create_at: int
    update_at: int
    roles: str = USER_ROLE
    delete_at: int = 0
    password: str = ""
    auth_service: str = ""
    auth_data: str = ""
    email_verified: bool = False
    nickname: str = ""
    first_name: str = ""
    last_name: str = ""
    position: str = ""
    locale: str = "en"
    props: dict[str, str] | None = None
    notify_props: dict[str, str] | None = None
    timezone: dict[str, str] | None = None
    remote_id: str = ""
    last_password_update: int = 0
    last_login: int = 0
    last_status_at: int = 0
    failed_attempts: int = 0
    mfa_active: bool = False
    is_bot: bool = False
    bot_owner: str = ""
    bot_description: str = ""
    tokens: tuple[Token, ...] = ()
    teams: tuple[TeamMember, ...] = ()
    as_admin: bytes | None = None
    as_self: bytes | None = None

    @property
    def is_admin(self) -> bool:
        return ADMIN_ROLE in self.roles.split()

    @property
    def is_guest(self) -> bool:
        return GUEST_ROLE in self.roles.split()

    def membership(self, team_id: str) -> TeamMember | None:
        """The membership in a team, also a past one."""
        for member in self.teams:
            if member.team_id == team_id:
                return member
        return None


@dataclass(slots=True, eq=False)
class Team:
    id: str
    name: str
    display_name: str
    create_at: int
    update_at: int
    email: str
    invite_id: str
    type: str = "O"
    description: str = ""
    allow_open_invite: bool = False
    allowed_domains: str = ""
    delete_at: int = 0
    members: dict[str, TeamMember] = field(default_factory=dict)
    active_members: int = 0
    """Members who are neither gone nor deactivated: what MaxUsersPerTeam is compared with."""


@dataclass(slots=True, eq=False)
class Channel:
    """A channel of a team. Town Square and Off-Topic hold everybody of the team who has not left them."""

    id: str
    team_id: str
    name: str
    display_name: str
    type: str
    create_at: int
    update_at: int
    creator_id: str = ""
    header: str = ""
    purpose: str = ""
    delete_at: int = 0
    last_post_at: int = 0
    total_msg_count: int = 0
    holds_everybody: bool = False
    members: dict[str, ChannelMember] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Audit:
    """A line of the old audit table."""

    id: str
    create_at: int
    user_id: str
    action: str
    extra_info: str
    session_id: str
    ip_address: str = "127.0.0.1"
