"""What can be set, and what each value must look like.

A secret is never a setting. The settings say where a secret lives, and the secrets room fetches it.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, field_validator

from mmconsole.domain.spans import parse_span, span_text

PREFIX: Final = "MMCONSOLE_"
SecretSource = Literal["keyring", "credential", "file", "environment"]
Storage = Literal["sealed", "plain", "laravel"]


def _span(value: object) -> object:
    """YAML reads a number without a unit as a number, and only none at all needs no unit."""
    return parse_span(str(value)) if isinstance(value, str | int) else value


Span = Annotated[timedelta, BeforeValidator(_span), PlainSerializer(span_text)]
LaravelCipher = Literal["AES-128-CBC", "AES-256-CBC", "AES-128-GCM", "AES-256-GCM"]


def _web_address(url: str | None) -> str | None:
    if url is None:
        return None
    if not re.match(r"https?://[^/\s?#@]+(/[^\s?#]*)?\Z", url) or not _has_host_and_port(url):
        message = "it must look like https://chat.example.org or https://example.org/chat"
        raise ValueError(message)
    if re.search(r"/api/v4/?\Z", url):
        message = "it must be the address that people open, without /api/v4"
        raise ValueError(message)
    return url.rstrip("/")


def _has_host_and_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MattermostSettings(Section):
    url: str | None = None
    allow_http: bool = False
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    max_concurrency: Annotated[int, Field(ge=1, le=256)] = 16

    @field_validator("url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        return _web_address(url)


class AdminTokenSettings(Section):
    source: SecretSource = "keyring"
    file: Path | None = None
    credential: str = "mmconsole-admin-token"
    variable: str = "MMCONSOLE_ADMIN_TOKEN"


class SealSettings(Section):
    source: SecretSource = "keyring"
    file: Path | None = None
    credential: str = "mmconsole-seal-keys"
    variable: str = "MMCONSOLE_SEAL_KEYS"


class LaravelSettings(Section):
    source: SecretSource | Literal["env_file"] = "keyring"
    file: Path | None = None
    credential: str = "mmconsole-laravel-keys"
    variable: str = "MMCONSOLE_LARAVEL_KEYS"
    cipher: LaravelCipher = "AES-256-CBC"


class UsersTable(Section):
    """Names in the application's database. None means that there is no such column."""

    table: str = "users"
    base: str | None = None
    """The table behind `table`, where that is a view: the two columns are written there."""
    id: str = "id"
    email: str = "email"
    name: str | None = "name"
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    locale: str | None = None
    email_verified_at: str | None = "email_verified_at"
    active: str | None = None
    deleted_at: str | None = None
    account_id: str = "mattermost_user_id"
    token: str = "mattermost_token"  # noqa: S105 - the name of a column

    @property
    def written(self) -> str:
        """The table whose two columns are written."""
        return self.base or self.table

    @property
    def columns(self) -> dict[str, str | None]:
        """The names of the columns by their settings."""
        return self.model_dump(exclude={"table", "base"})


EMBEDDED_USERS: Final = UsersTable(
    name=None,
    first_name="first_name",
    last_name="last_name",
    username="username",
    locale="locale",
    active="active",
    deleted_at="deleted_at",
)
"""The users table of the embedded database, which is our own."""


class ProjectsTable(Section):
    """Names in the application's database. None as the table's means that there is none."""

    table: str | None = None
    id: str = "id"
    name: str = "name"
    archived_at: str | None = "archived_at"
    team: str | None = None

    @property
    def columns(self) -> dict[str, str | None]:
        """The names of the columns by their settings."""
        return self.model_dump(exclude={"table"})


EMBEDDED_PROJECTS: Final = ProjectsTable(table="projects", team="team")
"""The projects table of the embedded database, which is our own."""


class DatabaseSettings(Section):
    url: str | None = None
    env_file: Path | None = None
    listen_url: str | None = None
    users: UsersTable = UsersTable()
    projects: ProjectsTable = ProjectsTable()

    @property
    def embedded(self) -> bool:
        return self.url is None


class SyncSettings(Section):
    teams: tuple[str, ...] = ()
    update_username: bool = False
    reactivate: bool = True
    deactivate: bool = False
    max_mails: Annotated[int, Field(ge=0)] | None = None
    full_every_hours: Annotated[int, Field(ge=1)] = 24


class TokenSettings(Section):
    storage: Storage = "sealed"
    accept: tuple[Storage, ...] = ()
    fallback_to_admin: bool = True
    lifetime: Annotated[Span, Field(ge=timedelta(days=1))] | None = None
    grace: Annotated[Span, Field(le=timedelta(days=7))] = timedelta(minutes=10)


class ChannelSettings(Section):
    team: str | None = None
    private: bool = False


class GuardSettings(Section):
    removals: Annotated[int, Field(ge=0)] = 10
    percent: Annotated[float, Field(ge=0, le=100)] = 2.0


class ObserverSettings(Section):
    enabled: bool | None = None
    poll_seconds: Annotated[float, Field(ge=0.05, le=3600)] = 0.5
    compare_every: Annotated[Span, Field(ge=timedelta(minutes=1))] = timedelta(hours=1)
    attempts: Annotated[int, Field(ge=1, le=100)] = 8


class WorkersSettings(Section):
    share: bool = False


class ActivitySettings(Section):
    keep_days: Annotated[int, Field(ge=1)] = 400


class ConsoleSettings(Section):
    theme: Literal["auto", "dark", "light", "contrast", "red-green", "blue-yellow", "terminal"] = "auto"
    keymap: Literal["vim", "plain"] = "vim"
    keymap_file: Path | None = None
    ascii: bool = False
    protected: bool = False


class JwtSecretSettings(Section):
    source: SecretSource = "keyring"
    file: Path | None = None
    credential: str = "mmconsole-jwt-secret"
    variable: str = "MMCONSOLE_JWT_SECRET"


class JwtSettings(Section):
    """Without an algorithm no JWT is accepted."""

    algorithms: tuple[Literal["HS256", "RS256", "ES256", "EdDSA"], ...] = ()
    issuer: str | None = None
    audience: str | None = None
    jwks_url: str | None = None
    claim: Literal["sub", "email"] = "sub"
    secret: JwtSecretSettings = JwtSecretSettings()

    @field_validator("jwks_url")
    @classmethod
    def _encrypted(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https://[^/\s?#@]+(/\S*)?\Z", url):
            message = "keys are only fetched over https"
            raise ValueError(message)
        return url

    @field_validator("algorithms")
    @classmethod
    def _of_one_kind(cls, algorithms: tuple[str, ...]) -> tuple[str, ...]:
        # With both, a public key that everybody knows could be taken for the shared secret.
        if "HS256" in algorithms and len(algorithms) > 1:
            message = "HS256 is not mixed with others"
            raise ValueError(message)
        return algorithms


class SanctumSettings(Section):
    enabled: bool = False
    table: str = "personal_access_tokens"
    model: str = "App\\Models\\User"
    expiration: Annotated[Span, Field(gt=timedelta())] | None = None


class ProxySecretSettings(Section):
    source: SecretSource = "keyring"
    file: Path | None = None
    credential: str = "mmconsole-proxy-secret"
    variable: str = "MMCONSOLE_PROXY_SECRET"


class ProxySettings(Section):
    """Without a header nobody is believed because of one."""

    header: str | None = None
    secret_header: str = "X-Mmconsole-Proxy-Secret"  # noqa: S105 - the name of a header
    trusted: tuple[str, ...] = ("127.0.0.1", "::1")
    secret: ProxySecretSettings = ProxySecretSettings()


class RateSettings(Section):
    """Requests a minute."""

    caller: Annotated[int, Field(ge=1)] = 600
    user: Annotated[int, Field(ge=1)] = 30
    address: Annotated[int, Field(ge=1)] = 60


Audience = Literal["loopback", "everybody", "nobody"]


class WebSettings(Section):
    listen: str = "127.0.0.1:8075"
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    public_url: str | None = None
    mattermost_url: str | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    log: Literal["text", "json"] = "text"
    link_life: Annotated[Span, Field(gt=timedelta(), le=timedelta(seconds=120))] = timedelta(seconds=60)
    include_token: bool = True
    trust_same_site: bool = False
    allowed_origins: tuple[str, ...] = ()
    metrics: Audience = "loopback"
    docs: Audience = "loopback"
    rate: RateSettings = RateSettings()
    jwt: JwtSettings = JwtSettings()
    sanctum: SanctumSettings = SanctumSettings()
    proxy: ProxySettings = ProxySettings()

    @field_validator("public_url", "mattermost_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        return _web_address(url)


class Values(Section):
    """Everything that can be set, by room."""

    mattermost: MattermostSettings = MattermostSettings()
    admin_token: AdminTokenSettings = AdminTokenSettings()
    database: DatabaseSettings = DatabaseSettings()
    seal: SealSettings = SealSettings()
    laravel: LaravelSettings = LaravelSettings()
    sync: SyncSettings = SyncSettings()
    tokens: TokenSettings = TokenSettings()
    channels: ChannelSettings = ChannelSettings()
    guard: GuardSettings = GuardSettings()
    observer: ObserverSettings = ObserverSettings()
    workers: WorkersSettings = WorkersSettings()
    activity: ActivitySettings = ActivitySettings()
    console: ConsoleSettings = ConsoleSettings()
    web: WebSettings = WebSettings()


def leaf_keys() -> tuple[str, ...]:
    """All settings by their dotted keys, in the order of `Values`."""
    return tuple(key for key, _ in _leaves(Values))


def variable_of(key: str) -> str:
    """The environment variable of a setting, as MMCONSOLE_SYNC_TEAMS."""
    return PREFIX + key.replace(".", "_").upper()


def _leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting with the type of its values."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _leaves(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, kind


OPTIONAL: Final = frozenset(key for key, kind in _leaves(Values) if type(None) in get_args(kind))
"""Settings for which `null` says something: that there is none."""
