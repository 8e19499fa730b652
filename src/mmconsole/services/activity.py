"""The activity log: what happened, read in pages or followed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from mmconsole.database import Database
from mmconsole.domain.activity import Activity
from mmconsole.domain.users import UserId

_LOOK_EVERY: Final = 1.0
_PAGE: Final = 500


class ActivityLog:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(self, *, user_id: UserId | None = None, limit: int = 50) -> list[Activity]:
        """The newest entries, the oldest of them first."""
        newest = await self._database.read(lambda db: db.activity.page(user_id=user_id, limit=limit))
        return newest[::-1]

    async def follow(self, *, user_id: UserId | None = None, after_id: int) -> AsyncIterator[Activity]:
        """Entries as they come, for ever."""
        while True:
            found = await self._after(after_id, user_id)
            for entry in found:
                yield entry
                after_id = entry.id
            if len(found) < _PAGE:
                await asyncio.sleep(_LOOK_EVERY)

    async def _after(self, after_id: int, user_id: UserId | None) -> list[Activity]:
        return await self._database.read(lambda db: db.activity.page(after_id=after_id, user_id=user_id, limit=_PAGE))
