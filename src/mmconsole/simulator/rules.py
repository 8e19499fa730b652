"""What a username, an address, a password, a team and a channel must look like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mmconsole.simulator.errors import AppError
from mmconsole.simulator.ids import is_id

if TYPE_CHECKING:
    from mmconsole.simulator.config import ServerConfig
    from mmconsole.simulator.entities import Channel, User

USERNAME: Final = re.compile(r"[a-z0-9.\-_]+")
RESERVED_USERNAMES: Final = frozenset({"all", "channel", "matterbot", "system"})
_ATOM: Final = r"[^\s@<>,;:\"()\[\]\\.]+"
EMAIL: Final = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_ATOM}(\.{_ATOM})*")
"""As Go's net/mail takes it: no dot at an end, no two in a row."""
TEAM_NAME: Final = re.compile(r"[a-z0-9]+([a-z\-0-9]+|(__)?)[a-z0-9]+")
RESERVED_TEAMS: Final = frozenset(
    {
        *("admin", "api", "channel", "claim", "error", "files", "help", "landing", "login", "mfa", "oauth"),
        *("boards", "playbooks", "plug", "plugins", "post", "signup"),
    }
)
CHANNEL_NAME: Final = re.compile(r"[a-z0-9]+([a-z\-_0-9]+|(__)?)[a-z0-9]*")
GROUP_MESSAGE_NAME: Final = re.compile(r"[a-f0-9]{40}")
LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{2})?")
SYMBOLS: Final = " !\"\\#$%&'()*+,-./:;<=>?@[]^_`|~"

LOCALES: Final = frozenset(
    {
        *("bg", "de", "en", "en-AU", "es", "fa", "fr", "hu", "it", "ja", "ko", "nl", "pl", "pt-BR", "ro", "ru"),
        *("sv", "tr", "uk", "vi", "zh-CN", "zh-TW"),
    }
)
"""What a new account may ask for; anything else becomes the server's default."""

_TAKEN_OUT: Final = re.compile(
    "[\u0340\u0341\u17a3\u17d3\u2028-\u202e\u206a-\u206f\ufeff\ufff9-\ufffc\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
_LONGEST = (("nickname", 64), ("position", 128), ("first_name", 64), ("last_name", 64))


def sanitized(text: str) -> str:
    """A name as the server keeps it: without marks of order and obsolete letters (SanitizeUnicode)."""
    return _TAKEN_OUT.sub("", text)


def is_username(name: str) -> bool:
    return 1 <= len(name) <= 64 and bool(USERNAME.fullmatch(name)) and name not in RESERVED_USERNAMES


def is_email(address: str) -> bool:
    return bool(EMAIL.fullmatch(address)) and address == address.lower()


def check_user(user: User) -> None:
    """The server's own order: username, address, names, authentication, locale, roles."""
    if not is_username(user.username):
        raise _wrong_user("username")
    if len(user.email.encode()) > 128 or not is_email(user.email):
        raise _wrong_user("email")
    for name, longest in _LONGEST:
        if len(getattr(user, name)) > longest:
            raise _wrong_user(name)
    if len(user.auth_data.encode()) > 128:
        raise _wrong_user("auth_data")
    if user.auth_data and not user.auth_service:
        raise _wrong_user("auth_data_type")
    if user.auth_data and user.password:
        raise _wrong_user("auth_data_pwd")
    if user.locale and (len(user.locale) > 5 or not LOCALE.fullmatch(user.locale)):
        raise _wrong_user("locale")
    if len(user.roles.encode()) > 256:
        raise _wrong_user("roles_limit")


def check_password(password: str, config: ServerConfig) -> None:
    """Length first, then the classes that are missing, joined into one error id."""
    if len(password.encode()) < config["PasswordSettings", "MinimumLength"]:
        raise _wrong_user("pwd_min_length")
    if len(password.encode()) > 72:
        raise _wrong_user("pwd_max_length")
    tests = (
        ("Lowercase", any("a" <= letter <= "z" for letter in password)),
        ("Uppercase", any("A" <= letter <= "Z" for letter in password)),
        ("Number", any("0" <= letter <= "9" for letter in password)),
        ("Symbol", any(letter in SYMBOLS for letter in password)),
    )
    missing = [name.lower() for name, there in tests if config["PasswordSettings", name] and not there]
    if missing:
        raise _wrong_user("_".join(("pwd", *missing)))


def in_domains(email: str, domains: str) -> bool:
    """Is the address in one of these domains? They are separated by commas or spaces, with or without an @."""
    accepted = domains.replace("@", " ").replace(",", " ").lower().split()
    return not accepted or any(email.endswith("@" + domain) for domain in accepted)


def check_channel(channel: Channel) -> None:
    if len(channel.display_name) > 64:
        raise _wrong_channel("display_name")
    if not is_channel_name(channel.name):
        raise _wrong_channel("1_or_more")
    if channel.type not in ("O", "P"):
        raise _wrong_channel("type")
    if len(channel.header) > 1024:
        raise _wrong_channel("header")
    if len(channel.purpose) > 250:
        raise _wrong_channel("purpose")
    if GROUP_MESSAGE_NAME.fullmatch(channel.name):
        raise _wrong_channel("name")
    if len(parts := channel.name.split("__")) == 2 and all(is_id(part) for part in parts):
        raise _wrong_channel("name")


def is_channel_name(name: str) -> bool:
    return 1 <= len(name) <= 64 and bool(CHANNEL_NAME.fullmatch(name))


def is_team_name(name: str) -> bool:
    return len(name) >= 2 and bool(TEAM_NAME.fullmatch(name))


def check_team(name: str, display_name: str, kind: str, description: str) -> None:
    if not 1 <= len(display_name) <= 64:
        raise _wrong_team("name")
    if not 2 <= len(name) <= 64:
        raise _wrong_team("url")
    if len(description) > 255:
        raise _wrong_team("description")
    if name in RESERVED_TEAMS:
        raise _wrong_team("reserved")
    if not is_team_name(name):
        raise _wrong_team("characters")
    if kind not in ("O", "I"):
        raise _wrong_team("type")


def _wrong_user(field: str) -> AppError:
    return AppError(f"model.user.is_valid.{field}.app_error", 400)


def _wrong_channel(field: str) -> AppError:
    return AppError(f"model.channel.is_valid.{field}.app_error", 400)


def _wrong_team(field: str) -> AppError:
    return AppError(f"model.team.is_valid.{field}.app_error", 400)
