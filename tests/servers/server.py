"""Real database servers: each in a folder of its own, on a free loopback port, run by somebody who is not root."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Self


class ServerDied(Exception):
    """The server ended while it started; what it said is in the message."""


class Server(ABC):
    """A server that can be stopped and started again with its data, on the same port."""

    kind: str
    account: str
    """Who runs it when the tests are run by root, which both servers refuse."""
    binary: str
    """What must be installed."""

    def __init__(self, port: int, folder: Path | None = None) -> None:
        """A server that somebody else keeps is known by its port alone."""
        self.port = port
        self.folder = folder or Path()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def new(cls) -> Self:
        """A server of one's own, to be started."""
        server = cls(_free_port(), Path(mkdtemp(prefix=f"mmconsole-{cls.kind}-")))
        if os.getuid() == 0:
            shutil.chown(server.folder, cls.account, cls.account)
        server._prepare()
        return server

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database, for its administrator."""
        name = f"app_{secrets.token_hex(6)}"
        self.create(name)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    @classmethod
    @abstractmethod
    def found(cls) -> str | None:
        """The server's program; None when it is not installed."""

    @abstractmethod
    def url(self, database: str, user: str = "", password: str = "") -> str:
        """As `database.url` has it; without a user as the administrator."""

    @abstractmethod
    def create(self, database: str) -> None: ...

    @abstractmethod
    def drop(self, database: str) -> None:
        """Whoever is connected to it is thrown out."""

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_somebody(self._command()), stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        while not self._answers():
            if self._process.poll() is not None:
                raise ServerDied((self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """Whoever is connected is thrown out."""
        if self._process is not None:
            self._process.send_signal(self._quit)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ── what the kinds do differently ────────────────────────────────────────────────────────────

    _quit = signal.SIGTERM

    @abstractmethod
    def _prepare(self) -> None:
        """Make the folder a server's."""

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def _connect(self) -> None:
        """Raises OSError, or what the driver raises, when nobody answers."""

    def _answers(self) -> bool:
        with suppress(Exception):
            self._connect()
            return True
        return False

    def _as_somebody(self, command: Sequence[str]) -> list[str]:
        if os.getuid() != 0:
            return list(command)
        return ["setpriv", f"--reuid={self.account}", f"--regid={self.account}", "--clear-groups", "--", *command]

    def _run(self, *command: str) -> None:
        ran = subprocess.run(self._as_somebody(command), capture_output=True, text=True, cwd=self.folder, check=False)
        if ran.returncode:
            raise ServerDied(ran.stdout + ran.stderr)


def in_the_system(program: str) -> str | None:
    """Where a program is that may be for administrators only."""
    return shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])
