"""Keeps one server for all processes of a test session: started for the first that asks, gone after the last.

Whoever uses the server holds a shared lock on a file. The guard, a process of its own, waits to have that file for
itself; the kernel hands it over when the last of them has ended, even if it was killed.
"""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.server import Server

KINDS: dict[str, type[Server]] = {one.kind: one for one in (PostgreSQL, MariaDB)}


@contextmanager
def shared(kind: str, folder: Path) -> Iterator[Server]:
    """The server that all processes with this folder use. None of them stops it."""
    with _locked(folder / f"{kind}.users", fcntl.LOCK_SH):
        port = folder / f"{kind}.port"
        with _locked(folder / f"{kind}.start", fcntl.LOCK_EX):
            if not port.exists():
                _start_guard(kind, folder)
        yield KINDS[kind](int(port.read_text()))


def _start_guard(kind: str, folder: Path) -> None:
    command = [sys.executable, "-m", "tests.servers.guard", kind, str(folder)]
    root = Path(__file__).parents[2]
    guard = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, start_new_session=True)
    assert guard.stdout is not None
    with guard.stdout as said:
        assert said.readline() == b"ready\n", f"no {kind} could be started"
    guard.returncode = 0  # It outlives whoever started it, and nobody waits for it.


def _guard(kind: str, folder: Path) -> None:
    server = KINDS[kind].new()
    port = folder / f"{kind}.port"
    try:
        server.start()
        port.write_text(str(server.port))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        with _locked(folder / f"{kind}.users", fcntl.LOCK_EX):
            port.unlink()
            server.remove()
    finally:
        server.remove()


@contextmanager
def _locked(file: Path, how: int) -> Iterator[IO[bytes]]:
    with file.open("ab") as opened:
        fcntl.flock(opened, how)
        yield opened


if __name__ == "__main__":
    _guard(sys.argv[1], Path(sys.argv[2]))
