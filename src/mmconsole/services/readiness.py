"""Whether the service can do its work right now: its database, its server and its keys are there."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from mmconsole.database import Database
from mmconsole.errors import MmconsoleError
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage

_LOOK_EVERY: Final = 5.0
"""Seconds. Whoever asks often must not become a burden to the server."""


class Readiness:
    def __init__(self, database: Database, server: Server, storage: Storage) -> None:
        self._database = database
        self._server = server
        self._storage = storage
        self._looking = asyncio.Lock()
        self._found: dict[str, str] = {}
        self._looked_at: float | None = None

    async def look(self) -> dict[str, str]:
        """`ok` or the sentence of its error, for `database`, `server` and `keys`; at most a few seconds old."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if self._looked_at is None or now - self._looked_at >= _LOOK_EVERY:
                ways = {"database": self._database_answers, "server": self._server_answers, "keys": self._keys_there}
                self._found = {name: await _told(look) for name, look in ways.items()}
                self._looked_at = now
            return self._found

    async def _database_answers(self) -> None:
        await self._database.read(lambda db: db.meta.installation_id)

    async def _server_answers(self) -> None:
        await (await self._server.client()).ping()

    async def _keys_there(self) -> None:
        await self._storage.vault()


async def _told(look: Callable[[], Awaitable[None]]) -> str:
    try:
        await look()
    except MmconsoleError as fault:
        return str(fault)
    return "ok"
