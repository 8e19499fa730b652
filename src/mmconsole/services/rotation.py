"""Rotation of the seal key: a new key, every sealed token under it, then the old one is retired.

Both keys are kept from before the first value is written until after the last one, so at every moment everything
opens. Where it was interrupted there are two keys, and that is how the next run knows.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database
from mmconsole.errors import UsageError
from mmconsole.secrets import seal_keys
from mmconsole.secrets.forms import Form, form_of, seal_key_of
from mmconsole.services.leases import Lease, hold
from mmconsole.services.rewrite import Rewrite, Rewritten, Stock, stock_of
from mmconsole.services.storage import Storage
from mmconsole.services.summary import Progress
from mmconsole.services.sync import LEASE

_KIND: Final = "seal rotation"


@dataclass(frozen=True, slots=True)
class Rotated:
    """A rotation that came to its end, or to a stop."""

    key: str
    """The one that seals now."""
    retired: tuple[str, ...]
    kept: tuple[str, ...]
    """Older keys that something is, or may be, still sealed with."""
    unused: tuple[str, ...]
    """Older keys that nothing is sealed with, in a place where only others can remove them."""
    before: Stock
    after: Stock
    done: Rewritten


class Rotation:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: Storage,
        *,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._actor = actor
        self._now = now

    async def rotate(
        self, *, wait: bool = False, progress: Progress | None = None, stop: asyncio.Event | None = None
    ) -> Rotated:
        """Seal everything with a new key, or go on with a rotation that was interrupted.

        Raises Busy, UsageError unless the storage is sealed, and SecretError where only others can write keys.
        """
        if self._settings.values.tokens.storage != Form.SEALED.value:
            raise UsageError(why="Only sealed tokens have a seal key, and `tokens.storage` is not `sealed`.")
        stopping = stop or asyncio.Event()
        async with hold(self._database, LEASE, holder=self._actor, wait=wait) as lease:
            before = await stock_of(self._database)
            # The keyring may hang until its deadline; the loop must go on meanwhile.
            keys = await asyncio.to_thread(seal_keys.begin_rotation, self._settings, now=self._now())
            await self._note(lease)
            done = await self._reseal(lease, keys.current.id, progress, stopping)
            after = await stock_of(self._database)
            old = {key.id for key in keys.keys[1:]}
            idle = set() if stopping.is_set() else old - {held.key for held in after}
            retired = idle if await asyncio.to_thread(self._retire, idle) else set()
            await self._note(lease)
        return Rotated(
            key=keys.current.id,
            retired=tuple(sorted(retired)),
            kept=tuple(sorted(old - idle)),
            unused=tuple(sorted(idle - retired)),
            before=before,
            after=after,
            done=done,
        )

    def _retire(self, key_ids: set[str]) -> bool:
        """Forget keys, where we can."""
        writable = seal_keys.place(self._settings).writable
        if writable:
            seal_keys.retire(self._settings, key_ids)
        return writable

    async def _reseal(self, lease: Lease, current: str, progress: Progress | None, stop: asyncio.Event) -> Rewritten:
        vault = await self._storage.vault_for(Form.SEALED, accept=())
        rewrite = Rewrite(
            self._database,
            vault,
            # What is damaged is due as well, so that it is told of.
            due=lambda text: form_of(text) is Form.SEALED and seal_key_of(text) != current,
            actor=self._actor,
            now=self._now,
            progress=progress,
        )
        return await rewrite.apply(lease, kind=_KIND, title="seal rotate", stop=stop)

    async def _note(self, lease: Lease) -> None:
        """Let long-lived processes fetch the keys anew when their next run begins."""
        await self._storage.note_change(lease, self._now())
