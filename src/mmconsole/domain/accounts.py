"""Accounts: people's users on the Mattermost server."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NewType

AccountId = NewType("AccountId", str)
TeamId = NewType("TeamId", str)

ORDINARY_ROLES: Final = frozenset({"system_user", "system_guest", "system_user_access_token"})


def moment_of(milliseconds: int) -> datetime | None:
    """The server's milliseconds as a moment; None for its 0, which means never, and for what no calendar has."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the server tells it. Times are the server's milliseconds since 1970, 0 for never."""

    id: AccountId
    username: str
    email: str
    first_name: str = ""
    last_name: str = ""
    locale: str = ""
    roles: str = "system_user"
    auth_service: str = ""
    is_bot: bool = False
    remote_id: str = ""
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    email_verified: bool | None = None
    """Told only in the answer to a write (seen on 11.6.0); None means not said."""

    @property
    def active(self) -> bool:
        return self.delete_at == 0

    @property
    def privileged(self) -> bool:
        """Whether it has any role besides the ordinary ones: such an account gets no token, update or link from us."""
        return not self.roles.strip() or not ORDINARY_ROLES.issuperset(self.roles.split())

    @property
    def signs_in_elsewhere(self) -> bool:
        """Whether single sign-on (SAML, LDAP, OpenID …) vouches for its address."""
        return bool(self.auth_service)

    @property
    def foreign(self) -> bool:
        """Whether it is a bot or belongs to a remote server: such an account is never linked."""
        return self.is_bot or bool(self.remote_id)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What a create sends, besides the random password that nobody keeps."""

    username: str
    email: str
    first_name: str = ""
    last_name: str = ""
    locale: str | None = None
    email_verified: bool = False


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """The fields a patch sends; None leaves a field as it is."""

    email: str | None = None
    username: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    locale: str | None = None

    def named(self) -> dict[str, str]:
        """The changed fields by Mattermost's names."""
        fields = ("email", "username", "first_name", "last_name", "locale")
        return {name: value for name in fields if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class Team:
    id: TeamId
    name: str
    delete_at: int = 0


@dataclass(frozen=True, slots=True)
class UserLimits:
    """How many active users the server has, and may have; 0 means that there is no limit."""

    active: int
    at_most: int

    @property
    def room(self) -> int | None:
        """How many more there may be; None without a limit."""
        return max(0, self.at_most - self.active) if self.at_most else None


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What the server demands of a password (PasswordSettings). Lengths in bytes."""

    minimum_length: int = 8
    maximum_length: int = 72
    lowercase: bool = False
    uppercase: bool = False
    number: bool = False
    symbol: bool = False


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What one signed-in look at a server tells."""

    version: tuple[int, int, int]
    diagnostic_id: str
    """Names the installation; kept with our tables so that they never meet another server."""
    tokens_enabled: bool | None
    """EnableUserAccessTokens; None when the server did not say (it tells only who is signed in)."""
    max_token_days: int = 0
    """MaximumPersonalAccessTokenLifetimeDays (from 11.9); 0 means no policy."""
    password_policy: PasswordPolicy = field(default_factory=PasswordPolicy)
    smtp_host: str = ""
    smtp_port: str = ""
    max_users_per_team: int = 0
    """0 means not said."""
    calls_per_second: int | None = None
    """What RateLimitSettings allows; 0 means no limit, None not said."""

    @property
    def tokens_expire(self) -> bool:
        """Whether a create takes `expires_at` (from 11.9; 11.6.0 ignores it silently)."""
        return self.version >= (11, 9, 0)

    @property
    def mails_tokens(self) -> bool:
        """Whether the server tries to mail people about new tokens.

        It always does; only the unused default host makes it fail at once (seen on 11.6.0: an empty host in the
        settings becomes localhost again, so emptiness proves nothing).
        """
        return (self.smtp_host or "localhost", self.smtp_port or "10025") != ("localhost", "10025")
