"""The processes that share one database: begun, killed, begun again, looked at, and told to end."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak import meter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND = str(Path(sys.executable).with_name("mmconsole"))
ROWS, COLUMNS = 36, 120
_TAIL = 100_000
ENDS = {0, 143}
"""How a process ends that is told to: the console tells its shell that it was."""


@dataclass
class Worker:
    """One of the processes, whichever of its lives it is in."""

    name: str
    arguments: Sequence[str]
    ready: str
    """What it says, or shows, as soon as it hears when it is told to end."""
    on_terminal: bool = False
    process: subprocess.Popen[bytes] | None = None
    killed: bool = False
    """By us, so that its end is no wonder."""
    leaving: bool = False
    """It was told to end, and shall not come back."""
    lives: int = 0
    readings: list[meter.Reading] = field(default_factory=list)
    """Of this life."""
    said_before: int = 0
    """Bytes."""
    terminal: int | None = None
    shown: bytearray = field(default_factory=bytearray)
    """The end of what came to its terminal."""


class Company:
    """Of those who work at the same time."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = {**environment, "TERM": "xterm-256color"}
        self.workers: list[Worker] = []

    # ── life and death ───────────────────────────────────────────────────────────────────────────

    def engage(self, name: str, *arguments: str, ready: str, on_terminal: bool = False) -> Worker:
        """Somebody who goes on until the end."""
        worker = Worker(name, arguments, ready, on_terminal)
        self.workers.append(worker)
        self.begin(worker)
        return worker

    def begin(self, worker: Worker) -> None:
        worker.killed, worker.readings, worker.lives = False, [], worker.lives + 1
        if worker.on_terminal:
            worker.process = self._on_terminal(worker)
            return
        with (self._folder / f"{worker.name}.said").open("ab") as said:
            worker.said_before = said.tell()
            worker.process = subprocess.Popen(
                [COMMAND, *worker.arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=self._environment,
            )

    def kill(self, worker: Worker) -> None:
        if worker.process is not None:
            worker.killed = True
            worker.process.kill()

    def tell_to_end(self, worker: Worker) -> None:
        if worker.process is not None:
            worker.leaving = True
            worker.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """End whoever is left."""
        for worker in self.workers:
            if worker.process is not None:
                worker.process.kill()
                worker.process.wait()
            self._hang_up(worker)

    def begin_anew(self) -> None:
        """Whoever was killed. An end of one's own is a find."""
        for worker in self.workers:
            if worker.process is not None and not worker.leaving and (code := worker.process.poll()) is not None:
                assert worker.killed, f"{worker.name} ended by itself with {code}:\n{self.said(worker)[-3000:]}"
                self._hang_up(worker)
                self.begin(worker)

    # ── what is seen of them ─────────────────────────────────────────────────────────────────────

    def look(self) -> None:
        """Take a reading of everybody."""
        for worker in self.workers:
            if worker.process is not None and worker.process.poll() is None:
                with suppress(OSError):
                    worker.readings.append(meter.read(worker.process.pid))

    def is_ready(self, worker: Worker) -> bool:
        return worker.ready in self.said(worker)[worker.said_before :]

    def has_ended(self, worker: Worker) -> bool:
        self.listen(worker)
        return worker.process is None or worker.process.poll() is not None

    def said(self, worker: Worker) -> str:
        """Everything, in all of its lives; of a terminal the end."""
        if worker.on_terminal:
            self.listen(worker)
            return worker.shown.decode(errors="replace")
        return (self._folder / f"{worker.name}.said").read_text(errors="replace")

    # ── terminals ────────────────────────────────────────────────────────────────────────────────

    def type(self, worker: Worker, keys: bytes) -> None:
        self.listen(worker)
        if worker.terminal is not None:
            with suppress(OSError):
                os.write(worker.terminal, keys)

    def listen(self, worker: Worker) -> None:
        """Take what its terminal was sent, so that it need not wait."""
        if worker.terminal is None:
            return
        with suppress(BlockingIOError, OSError):
            while some := os.read(worker.terminal, 65_536):
                worker.shown += some
                del worker.shown[:-_TAIL]

    def _on_terminal(self, worker: Worker) -> subprocess.Popen[bytes]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.set_blocking(ours, False)
        worker.terminal, worker.shown = ours, bytearray()
        # No group's leader, so setsid becomes the command, and the process that is killed is the console itself.
        command = ["setsid", "--ctty", COMMAND, *worker.arguments]
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=self._environment)
        os.close(theirs)
        return process

    def _hang_up(self, worker: Worker) -> None:
        if worker.terminal is not None:
            self.listen(worker)
            os.close(worker.terminal)
            worker.terminal = None
