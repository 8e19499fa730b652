"""Which process this is, and whether another one of this machine has ended: a process that is killed cannot say so."""

import os
from functools import cache
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PARTS: Final = 3
_STATE: Final = 0
_STARTED: Final = 19
"""Where it stands in `/proc/PID/stat` behind the name, as the state does (proc(5): fields 3 and 22)."""
_GONE: Final = frozenset({"Z", "X"})


def this_process() -> str:
    """A name that no other process will ever have; empty where there is no `/proc`."""
    stat = _stat(os.getpid())
    return f"{_machine()}/{os.getpid()}/{stat[_STARTED]}" if stat and _machine() else ""


def has_ended(process: str) -> bool:
    """Whether it is certain that this process, as `this_process` named it, runs no more.

    Of another machine's, or another container's, nothing is certain.
    """
    parts = process.rsplit("/", _PARTS - 1)
    if len(parts) != _PARTS or not parts[0] or parts[0] != _machine():
        return False
    number = int(parts[1])
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # It is there; where processes of others are hidden, `/proc` would say that it is not.
        pass
    stat = _stat(number)
    return stat is not None and (stat[_STATE] in _GONE or stat[_STARTED] != parts[2])


@cache
def _machine() -> str:
    """This running of this kernel, and the container: elsewhere the same number is another process."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _stat(number: int) -> list[str] | None:
    """What `/proc` says of a process, from its state on; None where it does not."""
    try:
        said = (_PROC / str(number) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name may hold anything, a bracket too.
    return said.rpartition(")")[2].split()
