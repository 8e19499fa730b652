"""Setting up: what is found is proposed, what is chosen is written, all of it or nothing."""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from mmconsole.config import Settings, UsersTable, load_settings
from mmconsole.database import FirstLook, first_look
from mmconsole.domain.hosts import is_loopback
from mmconsole.domain.laravel_env import LaravelEnv, read_env
from mmconsole.errors import FileUnwritable, KeyringSlow, KeyringUnavailable, KeyringUnsafe
from mmconsole.secrets import admin_token
from mmconsole.secrets.forms import Form, form_of

ENV_FILE: Final = ".env"
_FLAGS: Final = {"mattermost.url": "--url", "database.url": "--database"}
"""What a wrong answer is called by."""
_LARGEST: Final = 1_000_000
_KEYRING: Final = (KeyringSlow, KeyringUnavailable, KeyringUnsafe)
_CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    "first_name": ("first_name", "firstname", "given_name"),
    "last_name": ("last_name", "lastname", "surname", "family_name"),
    "name": ("name", "full_name", "display_name"),
    "username": ("username", "user_name", "login"),
    "locale": ("locale", "language", "lang"),
    "email_verified_at": ("email_verified_at", "verified_at"),
    "active": ("active", "is_active", "enabled"),
    "deleted_at": ("deleted_at",),
}
"""What applications call the columns that need not be there."""
_HEAD: Final = """\
# Settings of mmconsole, written by `mmconsole init`. config.example.yaml
# explains all there are; what is not named here has its default.
# No secret belongs in here.
"""


@dataclass(frozen=True, slots=True)
class Choices:
    """What an installation shall be like. What is None or empty has its default."""

    url: str
    database_url: str | None = None
    env_file: Path | None = None
    """The application's, where its password and keys are read from."""
    users: Mapping[str, str | None] = field(default_factory=dict)
    storage: Form = Form.SEALED
    accept: tuple[Form, ...] = ()
    teams: tuple[str, ...] = ()
    secrets_in: str = "keyring"
    allow_http: bool = False
    reads_password: bool = False
    """Whether the database's password is in `env_file`."""

    def tree(self) -> dict[str, Any]:
        """As it stands in the settings file."""
        database: dict[str, Any] = {}
        if self.database_url:
            database["url"] = self.database_url
            if self.reads_password:
                database["env_file"] = str(self.env_file)
            if self.users:
                database["users"] = dict(self.users)
        laravel = {"source": "env_file", "file": str(self.env_file)} if self.storage is Form.LARAVEL else {}
        sections = {
            "mattermost": {"url": self.url} | ({"allow_http": True} if self.allow_http else {}),
            "admin_token": {"source": self.secrets_in} if self.secrets_in != "keyring" else {},
            "database": database,
            "seal": {"source": self.secrets_in} if self.secrets_in != "keyring" else {},
            "laravel": laravel,
            "sync": {"teams": list(self.teams)} if self.teams else {},
            "tokens": self._tokens(),
        }
        return {name: section for name, section in sections.items() if section}

    def _tokens(self) -> dict[str, Any]:
        storage = {"storage": self.storage.value} if self.storage is not Form.SEALED else {}
        return storage | ({"accept": [form.value for form in self.accept]} if self.accept else {})

    def text(self) -> str:
        return _HEAD + "".join(
            "\n" + yaml.safe_dump({name: section}, sort_keys=False, allow_unicode=True)
            for name, section in self.tree().items()
        )

    def settings(self) -> Settings:
        """The settings as they will be. Raises SettingsError for what cannot be meant."""
        return load_settings(file=Path(os.devnull), environment={}, flags=_flags(self.tree()))


def in_the_clear(choices: Choices) -> bool:
    """Whether a token would travel unencrypted to another machine."""
    address = urlsplit(choices.url)
    return address.scheme == "http" and not is_loopback(address.hostname or "")


def find_application(env: Path) -> LaravelEnv | None:
    """The Laravel application whose `.env` this is; None when it is no such file, or cannot be read."""
    try:
        with env.open(encoding="utf-8") as file:
            return read_env(file.read(_LARGEST), folder=env.absolute().parent)
    except (OSError, UnicodeDecodeError):
        return None


def look_at_database(choices: Choices) -> FirstLook:
    """The users table of the chosen database. Raises DatabaseError, SettingsError."""
    return first_look(choices.settings(), lambda text: form_of(text) or "unknown")


def mapped(columns: Collection[str]) -> dict[str, str | None]:
    """Which columns mean what, as far as their names tell: what differs from the defaults."""
    found: dict[str, str | None] = {
        field: next((name for name in names if name in columns), None) for field, names in _CALLED.items()
    }
    if found["first_name"] and found["last_name"]:
        found["name"] = None
    elif found["name"]:
        found["first_name"] = found["last_name"] = None
    usual = UsersTable().model_dump()
    return {field: name for field, name in found.items() if usual[field] != name}


def proposed_form(look: FirstLook, application: LaravelEnv | None) -> Form:
    """The form that is there; of an empty column, the one that its application can read."""
    for form in Form:
        if form in look.forms:
            return form
    return Form.LARAVEL if application is not None and application.has_key else Form.SEALED


def place_for_secrets(choices: Choices) -> str:
    """`keyring` where one answers, else `file`."""
    try:
        admin_token.place(replace(choices, secrets_in="keyring").settings(), interactive=False).read()
    except _KEYRING:
        return "file"
    return "keyring"


def write_settings(file: Path, text: str) -> None:
    """Write the file for its owner alone, whole or not at all. Raises FileUnwritable."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(file, text)
    except OSError as fault:
        raise FileUnwritable(file=file, why=fault.strerror or "it cannot be reached") from fault


def _write(file: Path, text: str) -> None:
    # The file beside it has mode 0600 from its first moment.
    with NamedTemporaryFile("w", dir=file.parent, prefix=".config-", encoding="utf-8", delete=False) as draft:
        try:
            draft.write(text)
            draft.flush()
            os.fsync(draft.fileno())
            Path(draft.name).replace(file)
        except BaseException:
            with suppress(OSError):
                Path(draft.name).unlink()
            raise


def _flags(tree: Mapping[str, Any], prefix: str = "") -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= _flags(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = (_FLAGS.get(prefix + name, "init"), value)
    return found
