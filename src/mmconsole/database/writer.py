"""The one thread that writes, and groups what has piled up during its last commit into the next one.

A commit that reaches the disk costs the same for one caller as for 64. So there is no timer: whoever comes while a
commit is under way is in the next one. Each caller has a savepoint of its own, and hears of its result only after
the commit; a second writer beside this one would only wait for the same lock.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, Final, TypeVar

from mmconsole.database.outage import Outage
from mmconsole.database.session import Session, Transaction
from mmconsole.errors import DatabaseError

T = TypeVar("T")

GROUP: Final = 64
"""Callers per commit: more would make the first of them wait without making a commit cheaper."""


def tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *values: object) -> None:
    """Wake the loop from a thread, once. A loop that was closed meanwhile has nobody left who waits."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *values)


class _Call:
    """One caller's change and, after the commit, what became of it."""

    __slots__ = ("change", "fault", "future", "result")

    def __init__(self, change: Callable[[Transaction], Any], future: asyncio.Future[Any]) -> None:
        self.change = change
        self.future = future
        self.result: Any = None
        self.fault: BaseException | None = None


class Writer:
    """Takes changes from one event loop. `open_session` is called in the thread, and again after a connection died."""

    def __init__(self, open_session: Callable[[], Session], *, database: str, of_a_file: bool) -> None:
        self._open_session = open_session
        self._database = database
        self._of_a_file = of_a_file
        self._closing = Event()
        self._committing = False
        self._loop = asyncio.get_running_loop()
        self._handed: SimpleQueue[list[_Call] | None] = SimpleQueue()
        self._piled: list[_Call] = []
        self._left: list[_Call] = []
        self._group: list[_Call] = []
        self._session: Session | None = None
        self._open = True
        self._why = "its writer has stopped"
        self._stopped = self._loop.create_future()
        self.commits = 0
        """How many groups were committed: the tests and the benchmarks count them."""
        self._thread = Thread(target=self._work, name="mmconsole-writer", daemon=True)
        self._thread.start()

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Run a change in the next group. Returns after its commit.

        When somebody else's change in the group fails, this one is taken back and run a second time.
        """
        if not self._open:
            raise self._gone()
        future: asyncio.Future[T] = self._loop.create_future()
        self._piled.append(_Call(change, future))
        if len(self._piled) == 1:
            # Whoever writes in the same turn of the loop goes over in the same hand.
            self._loop.call_soon(self._hand_over)
        return await future

    async def close(self) -> None:
        """Commit what waits, then end the thread."""
        self._open = False
        self._hand_over()
        self._handed.put(None)
        self._closing.set()
        await asyncio.shield(self._stopped)
        self._thread.join()

    # ── in the loop ──────────────────────────────────────────────────────────────────────────────

    def _hand_over(self) -> None:
        if self._piled:
            self._handed.put(self._piled)
            self._piled = []
        if self._stopped.done():
            self._fail_waiting()

    def _deliver(self, group: list[_Call]) -> None:
        for call in group:
            if call.future.done():
                continue
            if call.fault is None:
                call.future.set_result(call.result)
            else:
                call.future.set_exception(call.fault)

    def _end(self) -> None:
        """The thread ended. Nobody may wait for it any longer, whatever the reason."""
        self._open = False
        self._stopped.set_result(None)
        self._fail_waiting()

    def _fail_waiting(self) -> None:
        waiting = [*self._group, *self._left, *self._piled]
        while True:
            try:
                waiting += self._handed.get_nowait() or []
            except Empty:
                break
        for call in waiting:
            if not call.future.done():
                call.future.set_exception(self._gone())

    def _gone(self) -> DatabaseError:
        return DatabaseError(database=self._database, why=self._why)

    # ── in the thread ────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        try:
            while group := self._next_group():
                self._group = group
                self._write(group)
                self._group = []
                tell(self._loop, self._deliver, group)
        except BaseException as fault:  # noqa: BLE001 - it ends here, and everybody who waits hears of it
            self._why = f"its writer has stopped ({type(fault).__name__})"
        finally:
            self._drop_session()
            tell(self._loop, self._end)

    def _next_group(self) -> list[_Call]:
        """Wait for a caller, then take whoever else has come. Empty at the end."""
        calls = self._left
        while not calls or (len(calls) < GROUP and not self._handed.empty()):
            handed = self._handed.get()
            if handed is None:
                self._handed.put(None)
                break
            calls = calls + handed
        self._left = calls[GROUP:]
        return calls[:GROUP]

    def _write(self, group: list[_Call]) -> None:
        outage = Outage(ended_by=self._closing, of_a_file=self._of_a_file)
        while fault := self._try(group):
            told = self._session.translated(fault) if self._session else fault
            if self._committing or not outage.outlasts(told):
                self._give_up(group, fault)
                return
            # Nothing was committed, so the whole group runs again on another connection.
            self._drop_session()

    def _try(self, group: list[_Call]) -> Exception | None:
        """Run a group and commit it. Returns what went wrong with all of it."""
        self._committing = False
        for call in group:
            call.fault = None
        try:
            session = self._session = self._session or self._open_session()
            session.begin_writing()
            if not self._change_together(session, group):
                session.begin_writing()
                self._change_apart(session, group)
            # Whoever loses the connection now does not know whether it is stored: that is not to be done twice.
            self._committing = True
            session.commit()
        except Exception as fault:  # noqa: BLE001 - whatever it is, each caller of the group must hear it
            return fault
        self.commits += 1
        return None

    def _change_together(self, session: Session, group: list[_Call]) -> bool:
        """Run all changes as if none failed, which is nearly always so: without two more statements for each.

        If one fails, nothing of it stays, and the answer is False.
        """
        try:
            for call in group:
                if not call.future.cancelled():
                    call.result = call.change(session.transaction)
        except Exception:
            if not session.roll_back():
                raise
            return False
        return True

    def _change_apart(self, session: Session, group: list[_Call]) -> None:
        """Run each change within a savepoint of its own, so that one that fails leaves the others alone."""
        for call in group:
            if call.future.cancelled():
                continue
            session.set_savepoint()
            try:
                call.result = call.change(session.transaction)
            except Exception as fault:  # noqa: BLE001 - it is the caller's, and goes back to the caller
                call.fault = session.translated(fault)
                session.back_to_savepoint(because=fault)
            else:
                session.release_savepoint()

    def _give_up(self, group: list[_Call], fault: Exception) -> None:
        session = self._session
        for call in group:
            call.fault = call.fault or (session.translated(fault) if session else fault)
        if session and not session.roll_back():
            self._drop_session()

    def _drop_session(self) -> None:
        if self._session:
            self._session.close()
            self._session = None
