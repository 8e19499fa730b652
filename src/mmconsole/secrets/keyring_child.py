"""The child process that talks to the keyring: one question on standard input, one answer on standard output.

The only module that imports keyring. An answer never carries the text of a foreign error, because a back end may
put the secret into it.
"""

import json
import math
import os
import signal
import sys
from typing import Any, Final

_WHY: Final = {
    "KeyringLocked": "it is locked and was not unlocked",
    "NoKeyringError": "there is none",
    "InitError": "it could not be opened",
    "PasswordSetError": "it did not take the secret",
    "PasswordDeleteError": "it did not delete the entry",
    "DBusErrorResponse": "the D-Bus service behind it failed",
}
"""Sentences for the errors of keyring and its D-Bus client, by class name."""


class UnsafeBackEnd(Exception):
    """The back end keeps secrets in plain text or not at all."""


class NoBackEnd(Exception):
    """There is no back end that can be asked."""


def main() -> None:
    reply = _private_output()
    question = json.load(sys.stdin)
    # Our parent ends us at its deadline; if it was killed itself, the kernel does, in whatever library we hang.
    signal.alarm(math.ceil(question["seconds"]) + 1)
    answer = respond(question)
    with os.fdopen(reply, "w") as file:
        json.dump(answer, file)
    # A back end may leave threads or exit handlers behind that hang.
    os._exit(0)


def respond(question: dict[str, Any]) -> dict[str, str]:
    """Do what is asked: `read`, `write` (read back and compared) or `delete`."""
    try:
        import keyring  # noqa: PLC0415 - its import chooses a back end, which may fail

        backend = chosen(keyring.get_keyring())
        return _DO[question["action"]](backend, question)
    except UnsafeBackEnd as fault:
        return {"outcome": "unsafe", "backend": str(fault)}
    except NoBackEnd as fault:
        return {"outcome": "unavailable", "why": str(fault)}
    except Exception as fault:  # noqa: BLE001 - back ends raise what they like, and the parent needs an answer
        return {"outcome": "unavailable", "why": _reason(fault)}


def chosen(backend: object) -> Any:  # noqa: ANN401 - a back end is what keyring says it is
    """The back end itself; of a chain the first good one alone, so that it cannot fall back to another.

    Raises UnsafeBackEnd or NoBackEnd.
    """
    if _name_of(type(backend)).startswith("keyring.backends.chainer."):
        members = list(getattr(backend, "backends", ()))
        good = [member for member in members if not _unsafe(member) and not _absent(member)]
        if not members:
            raise NoBackEnd("there is none")
        backend = (good or members)[0]
    if why := _absent(backend):
        raise NoBackEnd(why)
    if _unsafe(backend):
        raise UnsafeBackEnd(_name_of(type(backend)))
    return backend


def _unsafe(backend: object) -> bool:
    return any(
        name.startswith(("keyring.backends.null.", "keyrings.alt.")) or "plaintext" in name.lower()
        for name in _names_of(backend)
    )


def _absent(backend: object) -> str:
    """Why there is nobody to ask; empty when there is."""
    names = _names_of(backend)
    if "keyring.backends.fail.Keyring" in names:
        return "there is none"
    if "keyrings.alt.file.EncryptedKeyring" in names:
        return "its back end keyrings.alt.file.EncryptedKeyring wants a password each time"
    return ""


def _names_of(backend: object) -> list[str]:
    return [_name_of(kind) for kind in type(backend).__mro__]


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _read(backend: Any, question: dict[str, Any]) -> dict[str, str]:  # noqa: ANN401 - as in chosen
    found = backend.get_password(question["service"], question["name"])
    return {"outcome": "done"} if found is None else {"outcome": "done", "secret": found}


def _write(backend: Any, question: dict[str, Any]) -> dict[str, str]:  # noqa: ANN401 - as in chosen
    place = question["service"], question["name"]
    backend.set_password(*place, question["secret"])
    if backend.get_password(*place) != question["secret"]:
        return {"outcome": "unavailable", "why": "it does not give back what was stored"}
    return {"outcome": "done"}


def _delete(backend: Any, question: dict[str, Any]) -> dict[str, str]:  # noqa: ANN401 - as in chosen
    place = question["service"], question["name"]
    if backend.get_password(*place) is not None:
        backend.delete_password(*place)
    return {"outcome": "done"}


_DO: Final = {"read": _read, "write": _write, "delete": _delete}


def _reason(fault: Exception) -> str:
    name = type(fault).__name__
    return _WHY.get(name, f"its back end failed with {name}")


def _private_output() -> int:
    """Standard output as a descriptor of ours alone: what back ends and their children print goes nowhere."""
    private = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return private


if __name__ == "__main__":
    main()
