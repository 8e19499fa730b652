"""What Mattermost's answers look like, and how they become values of the domain.

Decoded and checked by msgspec in one pass: unknown fields are skipped, absent ones have defaults, a wrong type is a
fault of its own. As seen on 11.6.0.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from operator import attrgetter
from typing import Annotated, Final

from msgspec import Meta, Struct, field
from msgspec.json import Decoder

from mmconsole.domain.accounts import Account, AccountId, Team, TeamId
from mmconsole.domain.channels import Channel, ChannelId
from mmconsole.domain.tokens import Token, TokenId

_SIZE: Final = Meta(min_length=1, max_length=64)
Stamp = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""Milliseconds since 1970. What no column of a database holds is no answer of Mattermost's."""


class AppError(Struct, gc=False):
    """A refusal of Mattermost's own. The message is localised, so only the id counts."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    status_code: int


class AccountRow(Struct, gc=False):
    id: Annotated[AccountId, _SIZE]
    username: str
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    locale: str = ""
    roles: str = ""
    auth_service: str = ""
    is_bot: bool = False
    remote_id: str | None = None
    create_at: Stamp = 0
    update_at: Stamp = 0
    delete_at: Stamp = 0
    email_verified: bool = False


class TokenRow(Struct, gc=False):
    id: Annotated[TokenId, _SIZE]
    user_id: Annotated[AccountId, _SIZE]
    is_active: bool
    description: str = ""
    expires_at: Stamp = 0


class NewTokenRow(Struct, gc=False):
    id: Annotated[TokenId, _SIZE]
    user_id: Annotated[AccountId, _SIZE]
    token: Annotated[str, Meta(min_length=1, max_length=64)]
    description: str
    is_active: bool = True
    expires_at: Stamp = 0

    def __repr__(self) -> str:
        return f"NewTokenRow(id={self.id!r})"


class SessionRow(Struct, gc=False):
    id: Annotated[str, _SIZE]
    user_id: Annotated[AccountId, _SIZE]
    props: dict[str, str] | None = None


class TeamRow(Struct, gc=False):
    id: Annotated[TeamId, _SIZE]
    name: str
    delete_at: Stamp = 0


class TeamMemberRow(Struct, gc=False):
    team_id: Annotated[TeamId, _SIZE]
    user_id: Annotated[AccountId, _SIZE]
    delete_at: Stamp = 0


class ChannelRow(Struct, gc=False):
    """A conversation between a few people belongs to no team."""

    id: Annotated[ChannelId, _SIZE]
    team_id: TeamId
    name: str
    type: str
    display_name: str = ""
    purpose: str = ""
    creator_id: AccountId = AccountId("")
    create_at: Stamp = 0
    update_at: Stamp = 0
    delete_at: Stamp = 0


class ChannelMemberRow(Struct, gc=False):
    channel_id: Annotated[ChannelId, _SIZE]
    user_id: Annotated[AccountId, _SIZE]


class StatsRow(Struct, gc=False):
    total_users_count: int


class LimitsRow(Struct, gc=False):
    active: int = field(name="activeUserCount")
    at_most: int = field(default=0, name="maxUsersHardLimit")


class TeamStatsRow(Struct, gc=False):
    team_id: Annotated[TeamId, _SIZE]
    active_member_count: int


class StatusRow(Struct, gc=False):
    status: str


class ClientConfig(Struct, gc=False):
    """Everything in it is text. What is not told to this caller is absent."""

    version: str = field(default="", name="Version")
    diagnostic_id: str = field(default="", name="DiagnosticId")
    tokens_enabled: str | None = field(default=None, name="EnableUserAccessTokens")
    max_token_days: str = field(default="", name="MaximumPersonalAccessTokenLifetimeDays")
    minimum_length: str = field(default="", name="PasswordMinimumLength")
    lowercase: str = field(default="", name="PasswordRequireLowercase")
    uppercase: str = field(default="", name="PasswordRequireUppercase")
    number: str = field(default="", name="PasswordRequireNumber")
    symbol: str = field(default="", name="PasswordRequireSymbol")


class EmailSettings(Struct, gc=False):
    smtp_host: str | None = field(default=None, name="SMTPServer")
    smtp_port: str | None = field(default=None, name="SMTPPort")


class TeamSettings(Struct, gc=False):
    max_users_per_team: int | None = field(default=None, name="MaxUsersPerTeam")


class PasswordSettings(Struct, gc=False):
    minimum_length: int = field(default=8, name="MinimumLength")
    lowercase: bool = field(default=False, name="Lowercase")
    uppercase: bool = field(default=False, name="Uppercase")
    number: bool = field(default=False, name="Number")
    symbol: bool = field(default=False, name="Symbol")


class RateLimitSettings(Struct, gc=False):
    enabled: bool = field(default=False, name="Enable")
    per_second: int = field(default=10, name="PerSec")


class ServerConfig(Struct, gc=False):
    """The administrator's configuration. Parts that this caller may not see are null or absent."""

    email: EmailSettings | None = field(default=None, name="EmailSettings")
    team: TeamSettings | None = field(default=None, name="TeamSettings")
    password: PasswordSettings | None = field(default=None, name="PasswordSettings")
    rate_limit: RateLimitSettings | None = field(default=None, name="RateLimitSettings")


ACCOUNT: Final = Decoder(AccountRow)
ACCOUNTS: Final = Decoder(list[AccountRow])
TOKEN: Final = Decoder(TokenRow)
TOKENS: Final = Decoder(list[TokenRow])
NEW_TOKEN: Final = Decoder(NewTokenRow)
SESSIONS: Final = Decoder(list[SessionRow] | None)
TEAM: Final = Decoder(TeamRow)
TEAMS: Final = Decoder(list[TeamRow])
TEAM_MEMBER: Final = Decoder(TeamMemberRow)
TEAM_MEMBERS: Final = Decoder(list[TeamMemberRow] | None)
"""Go writes an empty list as null where nobody takes care; these lists were not seen empty."""
CHANNEL: Final = Decoder(ChannelRow)
CHANNELS: Final = Decoder(list[ChannelRow] | None)
CHANNEL_MEMBER: Final = Decoder(ChannelMemberRow)
CHANNEL_MEMBERS: Final = Decoder(list[ChannelMemberRow] | None)
STATS: Final = Decoder(StatsRow)
TEAM_STATS: Final = Decoder(TeamStatsRow)
LIMITS: Final = Decoder(LimitsRow)
STATUS: Final = Decoder(StatusRow)
CLIENT_CONFIG: Final = Decoder(ClientConfig)
SERVER_CONFIG: Final = Decoder(ServerConfig)


def account_of(row: AccountRow, *, written: bool = False) -> Account:
    """An account. Only the answer to a write tells whether the address is verified, and names it only when true."""
    return Account(
        row.id,
        row.username,
        row.email,
        row.first_name,
        row.last_name,
        row.locale,
        row.roles,
        row.auth_service,
        row.is_bot,
        row.remote_id or "",
        row.create_at,
        row.update_at,
        row.delete_at,
        row.email_verified if written else None,
    )


_FIELDS_OF_A_TOKEN: Final = attrgetter("id", "user_id", "description", "is_active", "expires_at")


def token_of(row: TokenRow | NewTokenRow) -> Token:
    return Token(*_FIELDS_OF_A_TOKEN(row))


def tokens_of(rows: Iterable[TokenRow]) -> Iterator[Token]:
    """The same of a page, in half the time: a sync with nothing to do makes one of every token there is."""
    return map(partial(tuple.__new__, Token), map(_FIELDS_OF_A_TOKEN, rows))


def team_of(row: TeamRow) -> Team:
    return Team(row.id, row.name, row.delete_at)


def channel_of(row: ChannelRow) -> Channel:
    return Channel(
        row.id,
        row.team_id,
        row.name,
        row.display_name,
        row.type,
        row.purpose,
        row.creator_id or None,
        row.create_at,
        row.update_at,
        row.delete_at,
    )


def is_ok(row: StatusRow) -> bool:
    """Whether the server says that it is done; a page of a proxy with status 200 does not."""
    return row.status == "OK"
