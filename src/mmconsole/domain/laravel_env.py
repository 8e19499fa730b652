"""What a Laravel application's `.env` tells about the place where mmconsole shall work."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from mmconsole.domain.env_text import values_of
from mmconsole.domain.secrets import Secret

_SCHEMES: Final = {
    "pgsql": "postgresql",
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mysql2": "mysql",
    "mariadb": "mysql",
    "sqlite": "sqlite",
    "sqlite3": "sqlite",
}
_PORTS: Final = {"postgresql": "5432", "mysql": "3306"}
_TOKENS: Final = ("MATTERMOST_ADMIN_TOKEN", "MATTERMOST_TOKEN", "MATTERMOST_BOT_TOKEN", "MATTERMOST_API_TOKEN")
_ADDRESSES: Final = (
    "MATTERMOST_URL",
    "MATTERMOST_BASE_URL",
    "MATTERMOST_API_URL",
    "MATTERMOST_SERVER",
    "MATTERMOST_HOST",
)
_DATABASES: Final = ("DB_URL", "DATABASE_URL")
"""The second was the first one's name before Laravel 11."""
_TEAMS: Final = ("MATTERMOST_TEAM", "MATTERMOST_TEAM_NAME", "MATTERMOST_DEFAULT_TEAM")
_NAMES: Final = (
    *("APP_NAME", "APP_KEY", "DB_CONNECTION", "DB_HOST", "DB_PORT", "DB_DATABASE", "DB_USERNAME", "DB_PASSWORD"),
    *(*_TOKENS, *_ADDRESSES, *_DATABASES, *_TEAMS),
)


@dataclass(frozen=True, slots=True)
class LaravelEnv:
    """Everything of it that matters here. Of its passwords and keys only whether there are any."""

    application: str = ""
    database_url: str | None = None
    """Without a password."""
    has_password: bool = False
    has_key: bool = False
    mattermost_url: str | None = None
    team: str | None = None
    admin_token: Secret | None = None


def read_env(text: str, *, folder: PurePath) -> LaravelEnv | None:
    """What an `.env` says; None when it is no Laravel application's. `folder` is where it lies."""
    found = {name: value for name, value in _plain(text, _NAMES).items() if value}
    if not {"APP_KEY", "DB_CONNECTION"} & found.keys():
        return None
    found = _with_address(found)
    token = _first(found, _TOKENS)
    address = _first(found, _ADDRESSES)
    return LaravelEnv(
        application=found.get("APP_NAME", ""),
        database_url=_database(found, folder),
        has_password="DB_PASSWORD" in found,
        has_key="APP_KEY" in found,
        mattermost_url=_address(address) if address else None,
        team=_first(found, _TEAMS),
        admin_token=Secret(token) if token else None,
    )


def database_password(text: str, *, user: str) -> str | None:
    """The password of a user of the database that an `.env` says, which may be an empty one.

    The address of another user is that of something else, whose password the database must not be told.
    """
    said = _plain(text, ("DB_PASSWORD", *_DATABASES))
    told = _with_address(said)
    return (told if told.get("DB_USERNAME", user) == user else said).get("DB_PASSWORD")


def _plain(text: str, names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in values_of(text, names).items() if "${" not in value}


def _with_address(found: dict[str, str]) -> dict[str, str]:
    """What the parts of an address say wins over what is said one by one, as in Laravel."""
    try:
        parts = urlsplit(_first(found, _DATABASES) or "")
        port = parts.port
    except ValueError:
        return found
    told = {
        "DB_CONNECTION": parts.scheme,
        "DB_HOST": parts.hostname,
        "DB_PORT": str(port or ""),
        "DB_DATABASE": parts.path.removeprefix("/"),
        "DB_USERNAME": parts.username,
        "DB_PASSWORD": parts.password,
    }
    return found | {name: unquote(value) for name, value in told.items() if value}


def _database(found: Mapping[str, str], folder: PurePath) -> str | None:
    scheme = _SCHEMES.get(found.get("DB_CONNECTION", ""))
    if scheme == "sqlite":
        # Laravel's default, and a path of its own is relative to the application.
        return f"sqlite:///{folder / found.get('DB_DATABASE', 'database/database.sqlite')}"
    if scheme is None or "DB_DATABASE" not in found:
        return None
    user = f"{quote(found['DB_USERNAME'], safe='')}@" if "DB_USERNAME" in found else ""
    port = found.get("DB_PORT", _PORTS[scheme])
    host = found.get("DB_HOST", "127.0.0.1")
    place = f"[{host}]" if ":" in host else host
    at = f":{port}" if port != _PORTS[scheme] else ""
    return f"{scheme}://{user}{place}{at}/{quote(found['DB_DATABASE'], safe='')}"


def _address(text: str) -> str:
    """As people open it: without the path of the API, and with a scheme."""
    address = text.rstrip("/").removesuffix("/api/v4").rstrip("/")
    return address if "://" in address else f"https://{address}"


def _first(found: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((found[name] for name in names if name in found), None)
