"""Tokens with our marker that nobody here stores: a restored backup has forgotten them, or a staging copy made them.

They may be somebody's who uses them, so they are shown, and revoked only when an operator asks for exactly that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from mmconsole.config import Settings
from mmconsole.database import Database, JobItem, Snapshot
from mmconsole.domain.activity import Level
from mmconsole.domain.plans import Kind, Outcome, UserPlan
from mmconsole.domain.tokens import Token, TokenId, is_ours
from mmconsole.domain.users import UserId
from mmconsole.errors import Declined, MmconsoleError
from mmconsole.services.applying import Applying
from mmconsole.services.asking import all_pages
from mmconsole.services.changes import note
from mmconsole.services.guard import demand_room
from mmconsole.services.jobs import ENDS_THE_RUN, Journal, end_left
from mmconsole.services.leases import hold
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.sync import LEASE

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient

KIND: Final = "unstored tokens"
"""Of its jobs. They run under the lease of a sync, so nobody makes a token meanwhile."""
_AT_ONCE: Final = 16
_WHY: Final = "it carries our marker, and nobody here stores it"


@dataclass(frozen=True, slots=True)
class Swept:
    """How it ended for each of the tokens that were found."""

    found: tuple[Token, ...]
    revoked: tuple[TokenId, ...] = ()
    left: tuple[TokenId, ...] = ()
    """By the time of their turn they were gone, or stored."""
    failed: tuple[tuple[TokenId, str], ...] = ()
    """With the reason."""
    job_id: int | None = None


Confirm = Callable[[Sequence[Token]], Awaitable[bool]]


class UnstoredTokens:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        server: Server,
        *,
        applying: Applying,
        actor: str,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._applying = applying
        self._actor = actor
        self._now = now

    async def find(self) -> list[Token]:
        """All of them, in the order of their descriptions. Reads the whole list of tokens, 200 a call."""
        # The tokens first: one that is made meanwhile is then in the records.
        ours = await marked_as_ours(await self._server.client())
        found = await self._database.read(partial(unstored, tokens=ours))
        return sorted(found, key=lambda token: (token.description, token.id))

    async def revoke(self, *, confirm: Confirm, allow_removals: int | None = None, wait: bool = False) -> Swept:
        """Revoke them for good, each after one more look at it and at what is stored.

        Raises Busy, GuardTripped and Declined before the first, and what everybody would meet.
        """
        async with hold(self._database, LEASE, holder=self._actor, wait=wait) as lease:
            # What an interrupted run announced is ours to clear up, and is none of these.
            await self._applying.clear_up(lease)
            await end_left(lease, KIND, at=self._now())
            found = await self.find()
            if not found:
                return Swept(())
            await self._pass_guard(len(found), allow_removals)
            if not await confirm(found):
                raise Declined
            title = f"tokens recover --foreign, {len(found)} tokens"
            job = Journal(lease, kind=KIND, title=title, actor=self._actor, now=self._now)
            await job.add([UserPlan(UserId(one.id), steps=(Kind.REVOKE,), why=one.description) for one in found])
            return await self._revoke_all(found, job, self._applying.run(lease, job_id=job.id))

    async def _pass_guard(self, removals: int, confirmed: int | None) -> None:
        guard = self._settings.values.guard
        counted = partial(demand_room, settings=guard, removals=removals, confirmed=confirmed, now=self._now())
        await self._database.read(counted)

    async def _revoke_all(self, found: Sequence[Token], job: Journal, run: Run) -> Swept:
        await job.start()
        ended: list[tuple[Token, Outcome, str]] = []
        work = list(zip(await job.items(), found, strict=True))
        for start in range(0, len(work), _AT_ONCE):
            some = work[start : start + _AT_ONCE]
            await job.start_items([item for item, _ in some])
            ended += await asyncio.gather(*(self._revoke_one(item, token, job, run) for item, token in some))
        await job.end(complete=True)
        return Swept(
            tuple(found),
            tuple(token.id for token, outcome, _ in ended if outcome is Outcome.REMOVED),
            tuple(token.id for token, outcome, _ in ended if outcome is Outcome.SKIPPED),
            tuple((token.id, why) for token, outcome, why in ended if outcome is Outcome.FAILED),
            job.id,
        )

    async def _revoke_one(self, item: JobItem, token: Token, job: Journal, run: Run) -> tuple[Token, Outcome, str]:
        outcome, why = Outcome.REMOVED, ""
        try:
            if not await self._is_still_unstored(token):
                outcome = Outcome.SKIPPED
            else:
                client = await self._server.client()
                await client.revoke_token(token.id)
                detail = f"token {token.id} of the account {token.account_id}: {_WHY}"
                row = run.activity(
                    "token revoked", None, detail, level=Level.WARNING, request_id=client.last_request_id
                )
                await run.write(note(row))
        except ENDS_THE_RUN:
            raise
        except MmconsoleError as fault:
            outcome, why = Outcome.FAILED, str(fault)
        await job.finish(item, outcome, why, removals=int(outcome is not Outcome.SKIPPED))
        return token, outcome, why

    async def _is_still_unstored(self, token: Token) -> bool:
        now = await (await self._server.client()).find_token(token.id)
        if now is None or now.description != token.description:
            return False
        return bool(await self._database.read(partial(unstored, tokens=[token])))


async def marked_as_ours(client: "MattermostClient") -> list[Token]:
    """Every token with our marker, of whichever installation, each once: the list has no order and may repeat one."""
    pages = all_pages(client.tokens_page)
    ours = {token.id: token async for page in pages for token in page if is_ours(token.description)}
    return list(ours.values())


def unstored(db: Snapshot, tokens: Sequence[Token]) -> list[Token]:
    """Those that no record names, and no open note: one names what it announces by description, what it ends by id."""
    noted = {one.description for one in db.intents.all_open()}
    unnoted = [token for token in tokens if not noted & {token.id, token.description}]
    return [token for token in unnoted if db.tokens.by_token(token.id) is None]
