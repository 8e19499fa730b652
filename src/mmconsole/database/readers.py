"""A few threads that read, each on a connection of its own that cannot write."""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Final, TypeVar

from mmconsole.database.outage import Outage
from mmconsole.database.session import Session, Snapshot
from mmconsole.database.writer import tell
from mmconsole.errors import DatabaseError

T = TypeVar("T")

READERS: Final = 4

_Question = tuple[Callable[[Snapshot], Any], asyncio.Future[Any]]


class Readers:
    """Answers questions of one event loop, each within a snapshot of its own. A thread starts when it is needed."""

    def __init__(self, open_session: Callable[[], Session], *, database: str, of_a_file: bool) -> None:
        self._open_session = open_session
        self._database = database
        self._of_a_file = of_a_file
        self._closing = Event()
        self._loop = asyncio.get_running_loop()
        self._questions: SimpleQueue[_Question | None] = SimpleQueue()
        self._unanswered = 0
        self._threads: list[Thread] = []
        self._running = 0
        self._open = True
        self._stopped = self._loop.create_future()

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        if not self._open:
            raise DatabaseError(database=self._database, why="it is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._unanswered += 1
        self._questions.put((query, future))
        if self._unanswered > len(self._threads) < READERS:
            self._start_one()
        return await future

    async def close(self) -> None:
        """Answer what was asked, then end the threads."""
        self._open = False
        self._closing.set()
        for _ in self._threads:
            self._questions.put(None)
        if self._running:
            await asyncio.shield(self._stopped)
        for thread in self._threads:
            thread.join()

    # ── in the loop ──────────────────────────────────────────────────────────────────────────────

    def _start_one(self) -> None:
        thread = Thread(target=self._work, name=f"mmconsole-reader-{len(self._threads) + 1}", daemon=True)
        self._threads.append(thread)
        self._running += 1
        thread.start()

    def _deliver(self, future: asyncio.Future[Any], answer: object, fault: BaseException | None) -> None:
        self._unanswered -= 1
        if future.done():
            return
        if fault is None:
            future.set_result(answer)
        else:
            future.set_exception(fault)

    def _end_one(self) -> None:
        self._running -= 1
        if not self._running:
            self._stopped.set_result(None)

    # ── in the threads ───────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        session: Session | None = None
        while question := self._questions.get():
            query, future = question
            outage = Outage(ended_by=self._closing, of_a_file=self._of_a_file)
            session, answer, fault = self._try(session, query)
            while fault and outage.outlasts(fault):
                session, answer, fault = self._try(session, query)
            tell(self._loop, self._deliver, future, answer, fault)
        if session:
            session.close()
        tell(self._loop, self._end_one)

    def _try(
        self, session: Session | None, query: Callable[[Snapshot], Any]
    ) -> tuple[Session | None, object, Exception | None]:
        """Ask once. Returns the session if it can still be used, the answer, and what went wrong."""
        answer, fault = None, None
        try:
            session = session or self._open_session()
            answer = session.answer(query)
        except BaseException as error:  # noqa: BLE001 - it goes to whoever asked; the thread serves others too
            fault = self._told(error, session)
        if session and not session.roll_back():
            session.close()
            session = None
        return session, answer, fault

    def _told(self, error: BaseException, session: Session | None) -> Exception:
        if not isinstance(error, Exception):
            return DatabaseError(database=self._database, why="the query tried to end its thread")
        return session.translated(error) if session else error
