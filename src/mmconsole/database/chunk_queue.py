"""Chunks of a job, handed to workers on several machines through procrastinate. PostgreSQL only.

What is to be done, by whom, and what became of it stays in our own tables; the queue only says who looks at what next,
so a chunk that is handed out twice is harmless. Its tables have a schema of their own, and a connection that is direct:
a pooler in transaction mode passes no notifications on.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from mmconsole.config import Settings
from mmconsole.database.address import address_of
from mmconsole.database.listening import direct_url
from mmconsole.errors import DatabaseError, NoWorkers

if TYPE_CHECKING:
    from procrastinate import App
    from procrastinate.tasks import Task

SCHEMA: Final = "mmconsole_workers"
_TASK: Final = "chunk"
_HEARTBEAT: Final = 2.0
_DEAD_AFTER: Final = 10.0
"""Seconds without a heartbeat."""
_POLL: Final = 1.0
_LOCK: Final = 1835884400


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some items of a job that stand one after the other, under the lease with this number."""

    job_id: int
    fence: int
    first: int
    last: int


class ChunkQueue:
    def __init__(self, app: "App", task: "Task[..., Any, Any]", *, database: str) -> None:
        self._app = app
        self._task = task
        self._database = database

    async def hand_out(self, job_id: int, chunks: Sequence[Chunk]) -> None:
        deferred = self._task.configure(queue=_queue_of(job_id))
        async with _door(self._database):
            await deferred.batch_defer_async(*(asdict(chunk) for chunk in chunks))

    async def work(self, *, job_id: int | None = None) -> None:
        """Take chunks, of one job or of any, until cancelled; the one under way is brought to its end."""
        only: dict[str, Any] = {} if job_id is None else {"queues": [_queue_of(job_id)]}
        async with _door(self._database):
            await self._app.run_worker_async(
                **only,
                name="mmconsole",
                concurrency=1,
                install_signal_handlers=False,
                fetch_job_polling_interval=_POLL,
                update_heartbeat_interval=_HEARTBEAT,
                stalled_worker_timeout=_DEAD_AFTER * 6,
                delete_jobs="always",
            )

    async def unfinished(self, job_id: int) -> int:
        """How many chunks wait, or are worked on."""
        async with _door(self._database):
            jobs = await self._app.job_manager.list_jobs_async(queue=_queue_of(job_id))
        return sum(job.status in {"todo", "doing"} for job in jobs)

    async def withdraw(self, job_id: int) -> None:
        """Take back what nobody has begun."""
        async with _door(self._database):
            for job in await self._app.job_manager.list_jobs_async(queue=_queue_of(job_id), status="todo"):
                if job.id is not None:
                    await self._app.job_manager.cancel_job_by_id_async(job.id, delete_job=True)

    async def take_from_the_dead(self, job_id: int) -> int:
        """Hand out again what workers had who are heard of no more. Returns how many chunks."""
        manager = self._app.job_manager
        async with _door(self._database):
            stalled = list(await manager.get_stalled_jobs(queue=_queue_of(job_id), seconds_since_heartbeat=_DEAD_AFTER))
            for job in stalled:
                await manager.retry_job(job)
        return len(stalled)


@asynccontextmanager
async def open_chunk_queue(settings: Settings, do: Callable[[Chunk], Awaitable[None]]) -> AsyncIterator[ChunkQueue]:
    """The queue of a profile's database, made when it is not there. `do` is given each chunk that this process takes.

    Raises NoWorkers, and what opening a connection can raise.
    """
    address = address_of(settings)
    if address.url.get_backend_name() != "postgresql":
        raise NoWorkers(why="the database is not PostgreSQL")
    url = direct_url(settings)
    try:
        from procrastinate import App, PsycopgConnector  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as fault:
        raise NoWorkers(why="the library is not installed; type: pipx inject mmconsole procrastinate") from fault
    # It would log each task with a traceback of its own.
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    async with _door(address.name):
        await _make_tables(url)
    connector = PsycopgConnector(conninfo=url, kwargs={"options": f"-c search_path={SCHEMA}"}, min_size=1, max_size=4)
    app = App(connector=connector)

    @app.task(name=_TASK)
    async def chunk(**given: Any) -> None:  # noqa: ANN401 - as it was stored
        await do(Chunk(**given))

    async with app.open_async():
        yield ChunkQueue(app, chunk, database=address.name)


@asynccontextmanager
async def _door(database: str) -> AsyncIterator[None]:
    """Raises DatabaseError for what the library or the driver raise."""
    from procrastinate.exceptions import ConnectorException  # noqa: PLC0415
    from psycopg import Error  # noqa: PLC0415

    try:
        yield
    except (ConnectorException, Error) as fault:
        driver = fault.__cause__ if isinstance(fault, ConnectorException) else fault
        why = (str(driver).strip().splitlines() or ["no answer"])[0]
        # What the driver says may quote the address.
        raise DatabaseError(database=database, why=why) from None


async def _make_tables(url: str) -> None:
    from procrastinate.schema import SchemaManager  # noqa: PLC0415
    from psycopg import AsyncConnection  # noqa: PLC0415

    async with await AsyncConnection.connect(url) as connection:
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})".encode())
        found = await (await connection.execute(f"SELECT to_regnamespace('{SCHEMA}')".encode())).fetchone()
        if found is not None and found[0] is not None:
            return
        await connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
        await connection.execute(f"SET LOCAL search_path = {SCHEMA}".encode())
        await connection.execute(SchemaManager.get_schema())


def _queue_of(job_id: int) -> str:
    return f"job-{job_id}"
