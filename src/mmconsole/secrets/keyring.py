"""The operating system's keyring, asked from a child process that has a deadline.

Keyrings hang: no D-Bus over SSH, a locked wallet behind a window that nobody sees. A thread that hangs in a foreign
library cannot be ended; a process can. So this process never imports keyring, and the secret goes through pipes,
never through arguments or the environment, which other processes can read.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final

from mmconsole.domain.secrets import Secret
from mmconsole.errors import KeyringSlow, KeyringUnavailable, KeyringUnsafe

SERVICE: Final = "mmconsole"
"""What our entries are filed under."""
_CHILD: Final = "mmconsole.secrets.keyring_child"


@dataclass(frozen=True, slots=True)
class KeyringEntry:
    """One entry of the keyring. `key` is the setting that chose the keyring, for the errors to name."""

    name: str
    key: str
    seconds: float
    description: str = "keyring"
    warning: str = ""
    writable: ClassVar[bool] = True

    def read(self) -> Secret | None:
        """Raises KeyringSlow, KeyringUnavailable or KeyringUnsafe, as everything here does."""
        text = self._ask("read").get("secret", "").strip()
        return Secret(text) if text else None

    def write(self, secret: Secret) -> None:
        self._ask("write", secret)

    def delete(self) -> None:
        self._ask("delete")

    def _ask(self, action: str, secret: Secret | None = None) -> dict[str, str]:
        question: dict[str, object] = {
            "action": action,
            "service": SERVICE,
            "name": self.name,
            "seconds": self.seconds,
        }
        if secret is not None:
            question["secret"] = secret.reveal()
        answer = _understood(self._exchange(json.dumps(question).encode()))
        match answer.get("outcome"):
            case "done":
                return answer
            case "unsafe":
                raise KeyringUnsafe(backend=answer.get("backend"), key=self.key)
            case _:
                raise KeyringUnavailable(why=answer.get("why", "it ended without an answer"), key=self.key)

    def _exchange(self, question: bytes) -> bytes:
        try:
            raw = _run_child(question, self.seconds)
        except OSError as fault:
            raise KeyringUnavailable(why=f"no process for it ({fault.strerror})", key=self.key) from fault
        if raw is None:
            raise KeyringSlow(seconds=self.seconds, key=self.key)
        return raw


def _run_child(question: bytes, seconds: float) -> bytes | None:
    """What the child answers; None when it has not by then. It and all it started are ended in any case."""
    with subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
        # -P keeps the working folder out of the module path: a keyring.py there is not the keyring.
        [sys.executable, "-P", "-m", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        start_new_session=True,
    ) as child:
        try:
            return child.communicate(question, timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            return None
        finally:
            if child.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Ours without our own variables, some of which may hold secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MMCONSOLE_")}


def _understood(raw: bytes) -> dict[str, str]:
    """The answer; an empty one when it is none. An error of parsing would carry the secret along."""
    try:
        answer = json.loads(raw)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
