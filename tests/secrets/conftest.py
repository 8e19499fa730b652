"""The shell of the command's tests, and somebody who knows every secret and looks for parts of them."""

from __future__ import annotations

import base64
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.conftest import COMMAND, Shell, bare, options, prepared, server, shell
from tests.tui.conftest import at_work

__all__ = ["Searcher", "at_work", "bare", "options", "prepared", "server", "shell", "watched"]

PART = 8
"""Characters of a secret that are too many to be seen."""
_LOOK_EVERY = 0.02
"""Seconds between two looks at what a running process shows of itself."""


@dataclass
class Searcher:
    """Looks for parts of secrets, as they are and as they are often written."""

    parts: dict[bytes, str] = field(default_factory=dict)
    """Each with the name of its secret."""

    def plant(self, name: str, secret: str) -> None:
        raw = secret.encode()
        for form in (raw, raw.hex().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
            self.parts |= {form[at : at + PART]: name for at in range(len(form) - PART + 1)}

    def find(self, text: bytes) -> set[str]:
        """The names of the secrets of which there is a part in here."""
        return {name for at in range(len(text) - PART + 1) if (name := self.parts.get(text[at : at + PART]))}

    def find_in_files(self, folder: Path, *, but: set[Path]) -> dict[str, set[str]]:
        found = {
            str(file.relative_to(folder)): self.find(file.read_bytes())
            for file in folder.rglob("*")
            if file.is_file() and file not in but
        }
        return {name: names for name, names in found.items() if names}


@dataclass(frozen=True)
class Watched:
    """How a command ended, and what others could see of it meanwhile."""

    code: int
    out: bytes
    err: bytes
    seen: bytes
    """The command lines and environments of its process and of all that it started."""


def watched(shell: Shell, *arguments: str, given: str = "", ends_in: float = 60, command: str = COMMAND) -> Watched:
    """Run a command without a terminal. One that goes on until it is told to end is told so."""
    process = subprocess.Popen(
        [command, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=shell.saved(),
    )
    seen, waited, told = set[bytes](), 0.0, given.encode() or None
    while True:
        try:
            out, err = process.communicate(told, timeout=_LOOK_EVERY)
            return Watched(process.returncode, out, err, b"\n".join(sorted(seen)))
        except subprocess.TimeoutExpired:
            told = None
        waited += _LOOK_EVERY
        seen |= shown_by(process.pid)
        if waited >= ends_in:
            process.terminate()


def shown_by(pid: int) -> set[bytes]:
    """The command lines and environments of a process and all that it started."""
    shown = set[bytes]()
    # A process may end while it is looked at.
    with suppress(OSError):
        folder = Path(f"/proc/{pid}")
        shown |= {(folder / name).read_bytes() for name in ("cmdline", "environ")}
        for task in (folder / "task").iterdir():
            for child in (task / "children").read_text().split():
                shown |= shown_by(int(child))
    return shown
