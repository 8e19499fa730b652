"""Restorage: bring all stored tokens into one form."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mmconsole.database import Database
from mmconsole.secrets.ciphers import Vault
from mmconsole.secrets.forms import Form
from mmconsole.services.leases import hold
from mmconsole.services.rewrite import Rewrite, Rewritten, Stock, stock_of
from mmconsole.services.storage import Storage
from mmconsole.services.summary import Progress
from mmconsole.services.sync import LEASE

_KIND: Final = "restorage"


@dataclass(frozen=True, slots=True)
class Restored:
    """A restorage, or what it would be."""

    to: Form
    before: Stock
    after: Stock | None
    """None when nothing was written."""
    done: Rewritten


class Restorage:
    def __init__(
        self,
        database: Database,
        storage: Storage,
        *,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._storage = storage
        self._actor = actor
        self._now = now

    async def stock(self) -> Stock:
        """How many values there are by form and seal key. Needs no key."""
        return await stock_of(self._database)

    async def plan(self, to: Form, *, progress: Progress | None = None) -> Restored:
        """Try whether everything can be moved, and write nothing. Raises what `run` raises but Busy."""
        vault = await self._vault(to)
        before = await stock_of(self._database, vault)
        return Restored(to, before, None, await self._rewrite(vault, progress).look())

    async def run(
        self, to: Form, *, wait: bool = False, progress: Progress | None = None, stop: asyncio.Event | None = None
    ) -> Restored:
        """Write every stored token in this form, under its current key.

        All forms are read, whatever `tokens.accept` says. Raises Busy, ColumnUnfit before anything is written, and
        what the keys of the forms that stand there can raise.
        """
        async with hold(self._database, LEASE, holder=self._actor, wait=wait) as lease:
            vault = await self._vault(to)
            before = await stock_of(self._database, vault)
            # Whoever keeps a vault open looks at the column anew before it writes the old form once more.
            if any(kept.form is not to for kept in before):
                await self._storage.note_change(lease, self._now())
            done = await self._rewrite(vault, progress).apply(
                lease,
                kind=_KIND,
                title=f"tokens restorage --to {to}",
                stop=stop or asyncio.Event(),
            )
            if done.moved:
                await self._storage.note_change(lease, self._now())
            return Restored(to, before, await stock_of(self._database, vault), done)

    async def _vault(self, to: Form) -> Vault:
        """It reads the forms that stand there, so only their keys are needed."""
        found = {kept.form for kept in await self.stock()}
        return await self._storage.vault_for(to, accept=[form for form in Form if form in found])

    def _rewrite(self, vault: Vault, progress: Progress | None) -> Rewrite:
        return Rewrite(
            self._database,
            vault,
            due=lambda text: not vault.is_current(text),
            actor=self._actor,
            now=self._now,
            progress=progress,
        )
