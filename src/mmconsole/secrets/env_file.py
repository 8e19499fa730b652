"""The application's own `.env`: its two settings about keys are read, and nothing of it is ever written."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, NoReturn

from mmconsole.domain.env_text import values_of
from mmconsole.domain.secrets import Secret
from mmconsole.errors import SecretError
from mmconsole.secrets.files import read_text

_NAMES: Final = ("APP_KEY", "APP_PREVIOUS_KEYS")


@dataclass(frozen=True, slots=True)
class EnvFile:
    """Its owner and mode are the application's business."""

    path: Path
    warning: str = ""
    writable: ClassVar[bool] = False

    @property
    def description(self) -> str:
        return f"file {self.path}"

    def read(self) -> Secret | None:
        """APP_KEY and the previous keys, one per line; None without an APP_KEY."""
        text = read_text(self.path)
        found = values_of(text.reveal(), _NAMES) if text else {}
        for name, value in found.items():
            if "${" in value:
                raise SecretError(why=f"{name} in {self.path} refers to another variable, which is not followed")
        keys = [found.get(name, "") for name in _NAMES]
        return Secret("\n".join(keys).strip()) if keys[0] else None

    def write(self, secret: Secret) -> NoReturn:  # noqa: ARG002 - the protocol's
        raise SecretError(why=f"{self.path} belongs to the application, and mmconsole only reads it")

    def delete(self) -> NoReturn:
        raise SecretError(why=f"{self.path} belongs to the application, and mmconsole only reads it")
