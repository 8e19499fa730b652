"""Commands in forks of a process that has imported all of mmconsole: each interpreter anew would take 0.5 to 1 s.

A command still has a process, streams, an environment and a folder of its own, and comes in by the `main` of the
console script. What the interpreter itself reads at its start it does not see; `takes` says so.
"""

import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import mmconsole

_READ_AT_THE_START: Final = ("PYTHON", "LC_", "TZ")
_LANG: Final = "C.UTF-8"
_PIPE: Final = 60_000
"""Bytes that a pipe holds before anybody reads."""
_NUMBER: Final = 8

# ── in the test ──────────────────────────────────────────────────────────────────────────────────


class Prepared:
    """The process, as the tests see it."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    @staticmethod
    def takes(arguments: tuple[str, ...], *, environment: Mapping[str, str], given: str) -> bool:
        """Whether a command would be the same in a fork."""
        own = any(name.startswith(_READ_AT_THE_START) for name in environment)
        small = len(given.encode()) < _PIPE and sum(map(len, arguments)) < _PIPE
        return small and not own and environment.get("LANG") == _LANG

    def run(
        self, arguments: tuple[str, ...], *, environment: Mapping[str, str], given: str, timeout: float
    ) -> tuple[int, str, str]:
        """Exit code, standard output and standard error. Raises TimeoutExpired after it was killed."""
        with ExitStack() as stack:
            out, err = (stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", newline="")) for _ in "oe")
            read, write = os.pipe()
            os.write(write, given.encode())
            os.close(write)
            order = json.dumps({"arguments": arguments, "environment": dict(environment), "folder": str(Path.cwd())})
            try:
                socket.send_fds(self._channel, [order.encode()], [read, out.fileno(), err.fileno()])
            finally:
                os.close(read)
            code = self._ended(arguments, timeout)
            return code, _whole(out), _whole(err)

    def _ended(self, arguments: tuple[str, ...], timeout: float) -> int:
        process = _number(self._channel)
        self._channel.settimeout(timeout)
        try:
            return _number(self._channel)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.kill(process, 9)
            self._channel.settimeout(None)
            _number(self._channel)
            raise subprocess.TimeoutExpired(["mmconsole", *arguments], timeout) from None
        finally:
            self._channel.settimeout(None)


def _number(channel: socket.socket) -> int:
    return int.from_bytes(channel.recv(_NUMBER), "big", signed=True)


def _whole(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


@contextmanager
def prepared() -> Iterator[Prepared]:
    """A process that waits for commands, until the end of the block."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, "-m", "tests.cli.prepared", str(theirs.fileno())]
        environment = {"LANG": _LANG, "PATH": os.environ["PATH"]}
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=environment,
            cwd=Path(__file__).parents[2],
        ) as process:
            theirs.close()
            yield Prepared(ours)
            ours.close()
            process.wait(timeout=60)


# ── in the process ───────────────────────────────────────────────────────────────────────────────


def _wait_for_orders(channel: socket.socket) -> None:
    """Fork for each order. A child leaves by SystemExit, as the console script does."""
    while True:
        order, streams, _, _ = socket.recv_fds(channel, 1 << 18, 3)
        if not order:
            return
        child = os.fork()
        if child == 0:
            channel.close()
            _become(json.loads(order), streams)
        for stream in streams:
            os.close(stream)
        channel.send(child.to_bytes(_NUMBER, "big", signed=True))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        channel.send(code.to_bytes(_NUMBER, "big", signed=True))


def _become(order: dict[str, object], streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(order["environment"])  # type: ignore[call-overload]
    os.chdir(str(order["folder"]))
    sys.argv = ["mmconsole", *order["arguments"]]  # type: ignore[misc]
    from mmconsole.cli import main  # noqa: PLC0415 - as the console script has it

    main()
    sys.exit()


def _import_everything() -> None:
    """But for the faces with a loop of their own, which these commands are not."""
    for found in pkgutil.walk_packages(mmconsole.__path__, "mmconsole."):
        if not found.name.startswith(("mmconsole.tui", "mmconsole.web", "mmconsole.database.migrations")):
            importlib.import_module(found.name)


if __name__ == "__main__":
    _import_everything()
    _wait_for_orders(socket.socket(fileno=int(sys.argv[1])))
