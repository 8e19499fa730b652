"""Where a named secret lives: exactly the place the settings name, and no other is ever tried instead."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, NoReturn, Protocol

import platformdirs

from mmconsole.config import (
    AdminTokenSettings,
    JwtSecretSettings,
    LaravelSettings,
    ProxySecretSettings,
    SealSettings,
)
from mmconsole.domain.secrets import Secret
from mmconsole.errors import SecretError
from mmconsole.secrets.env_file import EnvFile
from mmconsole.secrets.files import SecretFile, read_text
from mmconsole.secrets.keyring import KeyringEntry

DEADLINE: Final = 5.0
"""Seconds a keyring may take when nobody is there to unlock it."""
UNLOCK_DEADLINE: Final = 30.0
"""Seconds it may take when a person can."""


class Place(Protocol):
    """One named secret in one place. The text is trimmed on reading; nothing but space counts as nothing."""

    @property
    def description(self) -> str:
        """As it follows "in the": `keyring`, `file /etc/mmconsole/token`."""

    @property
    def warning(self) -> str:
        """What to tell people who chose this place; empty when there is nothing to say."""

    @property
    def writable(self) -> bool:
        """Whether we can write there, or only others."""

    def read(self) -> Secret | None: ...

    def write(self, secret: Secret) -> None:
        """Store the secret and read it back. Raises SecretError where only others can write."""

    def delete(self) -> None:
        """Forget the secret; that there is none is fine. Raises SecretError where only others can write."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A systemd credential: systemd decrypts it into a folder that only this unit can read."""

    name: str
    environment: Mapping[str, str] = field(repr=False)
    warning: str = ""
    writable: ClassVar[bool] = False

    @property
    def description(self) -> str:
        absent = "" if self._folder else " (this process has none: $CREDENTIALS_DIRECTORY is not set)"
        return f"systemd credential {self.name}{absent}"

    @property
    def _folder(self) -> str:
        return self.environment.get("CREDENTIALS_DIRECTORY", "")

    def read(self) -> Secret | None:
        if "/" in self.name or self.name in {"", ".", ".."}:
            raise SecretError(why=f"`{self.name}` is not the name of a systemd credential")
        # No look at owner and mode: systemd guards the folder, partly with ACLs that look like group bits.
        return read_text(Path(self._folder) / self.name) if self._folder else None

    def write(self, secret: Secret) -> NoReturn:  # noqa: ARG002 - the protocol's
        raise SecretError(
            why=f"the systemd credential {self.name} is made outside of mmconsole: "
            f"`systemd-creds encrypt --name={self.name} - {self.name}.cred`, "
            f"then `LoadCredentialEncrypted={self.name}:…/{self.name}.cred` in the unit"
        )

    def delete(self) -> NoReturn:
        raise SecretError(why=f"the systemd credential {self.name} is removed in its unit, not by mmconsole")


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """A variable of this process, for containers that have nothing better."""

    variable: str
    environment: Mapping[str, str] = field(repr=False)
    writable: ClassVar[bool] = False

    @property
    def description(self) -> str:
        return f"environment variable {self.variable}"

    @property
    def warning(self) -> str:
        return (
            f"The secret in {self.variable} can be read by every process of this user and is inherited by every "
            "command it starts. A keyring, a systemd credential or a file is safer."
        )

    def read(self) -> Secret | None:
        text = self.environment.get(self.variable, "").strip()
        return Secret(text) if text else None

    def write(self, secret: Secret) -> NoReturn:  # noqa: ARG002 - the protocol's
        raise SecretError(why=f"the environment is set outside of mmconsole: `export {self.variable}=…`")

    def delete(self) -> NoReturn:
        raise SecretError(why=f"the environment is set outside of mmconsole: `unset {self.variable}`")


def place_of(
    chosen: AdminTokenSettings | SealSettings | LaravelSettings | JwtSecretSettings | ProxySecretSettings,
    *,
    key: str,
    name: str,
    interactive: bool | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Place:
    """The one place that the settings name. `key` is the setting that named it, `name` the secret's own name.

    `interactive` says whether a person can unlock a keyring now; by default, whether there is a terminal.
    """
    match chosen.source:
        case "keyring":
            return KeyringEntry(name, key=key, seconds=_deadline(interactive))
        case "credential":
            return Credential(chosen.credential, environment)
        case "file":
            return SecretFile((chosen.file or default_file(name)).expanduser().absolute())
        case "environment":
            return EnvironmentVariable(chosen.variable, environment)
        case "env_file":
            return EnvFile(_named(chosen.file, key=key))


def _named(file: Path | None, *, key: str) -> Path:
    if file is None:
        setting = key.replace(".source", ".file")
        raise SecretError(why=f"`{setting}` does not name the application's .env, which `{key}` says to read")
    return file.expanduser().absolute()


def default_file(name: str) -> Path:
    """Where a secret's file lies when the settings do not say; not beside the database, so not in its backups."""
    return platformdirs.user_config_path("mmconsole") / "secrets" / name


def _deadline(interactive: bool | None) -> float:  # noqa: FBT001 - None is "look at the terminal"
    # A service may run without any standard input.
    present = sys.stdin is not None and sys.stdin.isatty() if interactive is None else interactive
    return UNLOCK_DEADLINE if present else DEADLINE
