"""Several processes on one socket: each is a whole service, and one that dies is replaced."""

import os
import signal
import time
from collections.abc import Callable
from typing import Final

from mmconsole.web.journal import LOG, place_of

_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
_TOO_SOON: Final = 5.0
"""Seconds. A worker that ends sooner would end again."""
_MISTAKE: Final = 70


def supervise(number: int, work: Callable[[int], int]) -> int:
    """Run `work` in so many processes until a signal comes, each told which one it is. Returns the exit code.

    They share the sockets that are open. Each signal is passed on, and what a worker cannot do at its start ends all.
    """
    return _Workers(number, work).run()


class _Workers:
    def __init__(self, number: int, work: Callable[[int], int]) -> None:
        self._number = number
        self._work = work
        self._begun: dict[int, tuple[int, float]] = {}
        """By process: which worker it is, and when it began."""
        self._stopping = False
        self._code = 0

    def run(self) -> int:
        before = {one: signal.signal(one, self._pass_on) for one in _SIGNALS}
        try:
            for place in range(self._number):
                self._start(place)
            while self._begun:
                self._replace(*os.wait())
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
        return self._code

    def _start(self, place: int) -> None:
        # A signal between the fork and our knowing of the process would not reach it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        process = os.fork()
        if not process:
            self._be_worker(place)
        self._begun[process] = place, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _be_worker(self, place: int) -> None:
        code = _MISTAKE
        try:
            for one in _SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            code = self._work(place)
        except BaseException as fault:  # noqa: BLE001 - nothing of the parent may run on in here
            LOG.error("a worker ended: %s", place_of(fault))
        finally:
            os._exit(code)

    def _replace(self, process: int, status: int) -> None:
        place, begun = self._begun.pop(process, (None, 0.0))
        if self._stopping or place is None:
            # Or it was somebody else's, whose place this process took by exec.
            return
        if time.monotonic() - begun < _TOO_SOON:
            self._code = max(os.waitstatus_to_exitcode(status), 1)
            self._pass_on(signal.SIGTERM)
            return
        LOG.warning("a worker ended and is replaced")
        self._start(place)

    def _pass_on(self, number: int, _frame: object = None) -> None:
        self._stopping = True
        for process in list(self._begun):
            os.kill(process, number)
