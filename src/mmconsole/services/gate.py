"""The gate before a job: the guard, the limit of mails, keys that are missing, and the operator."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database
from mmconsole.domain.plans import Kind
from mmconsole.errors import Declined, GuardTripped, MmconsoleError, TooManyMails
from mmconsole.services.guard import demand_room
from mmconsole.services.jobs import Journal
from mmconsole.services.storage import Storage
from mmconsole.services.summary import Confirm, Summary

_SEALING: Final = frozenset({Kind.GENERATE, Kind.REPLACE, Kind.ADOPT})
"""Steps that need the keys."""


class Gate:
    """What may stop a run before its first step: the same for a sync and for what is asked for tokens."""

    def __init__(
        self, settings: Settings, database: Database, storage: Storage, *, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._now = now

    async def let_pass(self, summary: Summary, confirm: Confirm, job: Journal, *, removals: int | None) -> None:
        """Let the job begin, or drop it and raise what stops it. `removals` is the number an operator confirmed.

        The operator is asked about mails, removals, links, and what a plan itself asks about. Raises GuardTripped,
        TooManyMails, Declined, SecretError.
        """
        try:
            async with aclosing(self.obstacles(summary, removals=removals)) as obstacles:
                async for fault in obstacles:
                    raise fault
            if summary.asks_anything and not await confirm(summary):
                raise Declined
        except MmconsoleError:
            await job.drop()
            raise

    async def obstacles(self, summary: Summary, *, removals: int | None) -> AsyncGenerator[MmconsoleError, None]:
        """What stops it, but for the operator."""
        guard = self._settings.values.guard
        counted = partial(demand_room, settings=guard, removals=summary.removals, confirmed=removals, now=self._now())
        try:
            await self._database.read(counted)
        except GuardTripped as tripped:
            yield tripped
        allowed = self._settings.values.sync.max_mails
        if allowed is not None and summary.forecast.mails > allowed:
            yield TooManyMails(mails=summary.forecast.mails, allowed=allowed)
        if _SEALING & summary.steps.keys():
            # Keys that are missing must show before the first account or token is made.
            try:
                await self._storage.vault()
            except MmconsoleError as missing:
                yield missing
