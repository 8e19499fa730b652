"""Another program that does what it is told, and is killed at its n-th step. Orders and answers are lines of JSON."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Order = dict[str, Any]
Act = Callable[[Order], Coroutine[Any, Any, object]]

# ── in the test ──────────────────────────────────────────────────────────────────────────────────


class Program:
    """The other program, as the test sees it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    async def tell(self, order: Order) -> str:
        """Have it done, or killed at the step that `deadly` names. Answers `finished`, `killed` or `failed`."""
        return await asyncio.to_thread(self._ask, order)

    def _ask(self, order: Order) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@contextmanager
def started(name: str) -> Iterator[Program]:
    """The program of this folder that is called so."""
    command = [sys.executable, "-m", f"tests.faults.services.{name}"]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        yield Program(process)
        assert process.stdin
        process.stdin.close()


# ── in the program ───────────────────────────────────────────────────────────────────────────────


class Steps:
    """Counts, and dies at the given one."""

    def __init__(self, deadly: int) -> None:
        self._left = deadly

    def pass_one(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def obey(act: Act, count: Callable[[Steps], None]) -> None:
    """Do what the lines of stdin say, each in a process of its own that has not started a thread yet."""
    for line in sys.stdin:
        sys.stdout.write(_ending(json.loads(line), act, count) + "\n")
        sys.stdout.flush()


def _ending(order: Order, act: Act, count: Callable[[Steps], None]) -> str:
    child = os.fork()
    if child == 0:
        try:
            count(Steps(order["deadly"]))
            asyncio.run(act(order))
        except BaseException as fault:  # noqa: BLE001 - the parent must hear of it, whatever it is
            sys.stderr.write(f"{type(fault).__name__}: {fault}\n")
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "killed"
    return "finished" if os.WEXITSTATUS(status) == 0 else "failed"
