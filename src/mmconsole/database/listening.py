"""Being told of changes at once: PostgreSQL's notifications, on a direct connection of their own.

A pooler in transaction mode does not pass them on, so there is a setting of its own for that connection. Whoever
listens looks by itself too: a notification that was missed costs time and nothing else.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from mmconsole.config import Settings
from mmconsole.database.trigger_statements import CHANNEL
from mmconsole.errors import DatabaseUnreachable

_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
_CONNECT_WITHIN: Final = 10


@asynccontextmanager
async def open_wake(settings: Settings, say: Callable[[str], None]) -> AsyncIterator[asyncio.Event]:
    """An event that is set when somebody changed something, or may have; without `database.listen_url` it never is.

    `say` is told when the connection is lost, and when it is back.
    """
    wake = asyncio.Event()
    url = settings.values.database.listen_url
    if url is None:
        yield wake
        return
    listening = asyncio.create_task(_listen(_spelled(url), wake, say))
    try:
        yield wake
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


def direct_url(settings: Settings) -> str:
    """A connection that no pooler stands in the way of, as libpq reads it. Raises DatabaseUnreachable."""
    return _spelled(settings.values.database.listen_url or settings.database_url)


def _spelled(url: str) -> str:
    """As libpq reads it. Raises DatabaseUnreachable."""
    from sqlalchemy import make_url  # noqa: PLC0415 - a file has nothing to listen to
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        parsed = make_url(url)
    except ArgumentError as fault:
        raise DatabaseUnreachable(database="in `database.listen_url`", why="this is not a database URL") from fault
    if parsed.get_backend_name() not in {"postgresql", "postgres", "pgsql"}:
        raise DatabaseUnreachable(database="in `database.listen_url`", why="only PostgreSQL tells of changes")
    return parsed.set(drivername="postgresql").render_as_string(hide_password=False)


async def _listen(url: str, wake: asyncio.Event, say: Callable[[str], None]) -> None:
    from psycopg import AsyncConnection, Error  # noqa: PLC0415 - only who listens needs the driver

    wait, lost = _FIRST_WAIT, False
    while True:
        try:
            connection = await AsyncConnection.connect(url, autocommit=True, connect_timeout=_CONNECT_WITHIN)
            async with connection:
                await connection.execute(f"LISTEN {CHANNEL}".encode())
                if lost:
                    say("The database tells of changes again.")
                wait, lost = _FIRST_WAIT, False
                # What was changed before nobody told.
                wake.set()
                async for _ in connection.notifies():
                    wake.set()
        except (Error, OSError):
            # The driver's sentence may quote the address with its password.
            if not lost:
                say("The database cannot tell of changes just now (`database.listen_url`); looking every now and then.")
            lost = True
        await asyncio.sleep(wait * random.uniform(0.75, 1.0))  # noqa: S311 - no secret
        wait = min(wait * 2, _LONGEST_WAIT)
