"""A closer look at the user the cursor rests on: where the token is kept, who made it, and what the server says.

It is looked for a few times a second whether the cursor still stands where it stood, so a move costs nothing. The
server is asked for nobody before somebody has moved: to open the console takes no server.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mmconsole.domain.users import UserId
from mmconsole.errors import MmconsoleError, NotFound
from mmconsole.tui.user_rows import TEAM

if TYPE_CHECKING:
    from textual.worker import Worker

    from mmconsole.core import Core
    from mmconsole.domain.accounts import AccountId
    from mmconsole.domain.tokens import TokenRecord
    from mmconsole.services.overview import Origin
    from mmconsole.services.standings import Standing
    from mmconsole.tui.app import Console

_AGAIN_AFTER: Final = 30.0
"""Seconds after which a server that did not answer is asked once more, for who still stands there."""


@dataclass(frozen=True, slots=True)
class Closer:
    """What is known besides the row."""

    user_id: str
    origin: "Origin | None" = None
    standing: "Standing | None" = None
    trouble: str = ""
    """Why the server did not say."""
    asking: bool = False


class CloserLook:
    """Belongs to one console, and looks at one user at a time."""

    def __init__(self, console: "Console", core: "Core") -> None:
        self._console = console
        self._core = core
        self._key: str | None = None
        self._since = 0.0
        self._record: TokenRecord | None = None
        self._looking: Worker[None] | None = None
        self._moved = False
        self._troubled_at: float | None = None
        self._asked: set[AccountId] = set()
        """Whose teams were asked for, answered or not."""

    def tick(self) -> None:
        """Begin when the cursor has rested long enough; break off what is about somebody else by now."""
        now, key = asyncio.get_running_loop().time(), self._place()
        if key != self._key:
            self._moved = self._moved or (key is not None and self._key is not None)
            self._leave(key, now)
        elif key is not None and now - self._since >= self._console.CURSOR_RESTS and self._is_due(key, now):
            self._begin(key)
        elif TEAM in self._console.users.table().columns:
            self._name_teams()

    def again(self, keys: Iterable[str]) -> None:
        """Something happened to these users."""
        if self._key in set(keys) and self._record is not None:
            if self._record.account_id is not None:
                self._core.standings.doubt(self._record.account_id)
            self._record = None

    def anew(self) -> None:
        """Whatever the server said is old, and somebody wants to know."""
        self._core.standings.doubt()
        self._moved, self._record = True, None
        self._asked.clear()

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    def _place(self) -> str | None:
        """The user under the cursor, if there is room to say so much about them."""
        detail = self._console.main.detail
        return self._console.users.table().cursor if detail.display and not detail.short else None

    def _leave(self, key: str | None, now: float) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._key, self._since, self._record, self._looking, self._troubled_at = key, now, None, None, None

    def _is_due(self, key: str, now: float) -> bool:
        """Whether nobody has looked yet, the token is another by now, or the server did not answer a while ago."""
        listed = self._console.seen.find(key) if self._console.seen is not None else None
        if listed is None or (self._looking is not None and not self._looking.is_finished):
            return False
        again = self._troubled_at is not None and now - self._troubled_at >= _AGAIN_AFTER
        return again or _about(listed.record) != _about(self._record)

    def _begin(self, key: str) -> None:
        listed = self._console.seen.find(key) if self._console.seen is not None else None
        if listed is None:
            return
        self._record, self._troubled_at = listed.record, None
        look = self._look(key, listed.record.account_id)
        self._looking = self._console.run_worker(look, group="closer", exclusive=True)

    async def _look(self, key: str, account_id: "AccountId | None") -> None:
        closer = Closer(key)
        # Whoever reads the rows meets a fault of the database too, and says it.
        with suppress(MmconsoleError):
            closer = Closer(key, await self._core.overview.origin(UserId(key)))
        self._show(closer)
        if account_id is not None:
            await self._ask(closer, account_id)

    async def _ask(self, closer: Closer, account_id: "AccountId") -> None:
        known = self._core.standings.find(account_id)
        closer = replace(closer, standing=known)
        if not self._moved or (known is not None and known.is_fresh(self._console.now())):
            self._show(closer)
            return
        self._show(replace(closer, asking=True))
        try:
            self._show(replace(closer, standing=await self._core.standings.ask(account_id)))
            await self._learn_version()
        except MmconsoleError as fault:
            self._troubled_at = asyncio.get_running_loop().time()
            self._show(replace(closer, trouble=str(fault)))

    async def _learn_version(self) -> None:
        """Whoever has answered is known by now; the title says it."""
        running = self._console.running
        if running is not None and running.facts is None:
            running.facts = await self._core.server.facts()
            self._console.picture.draw()

    def _name_teams(self) -> None:
        """Fill the column of teams for who is in sight: whoever wants to see it asks the server."""
        wanted = {key: account for key, account in self._in_sight() if account not in self._asked}
        if wanted:
            self._asked |= set(wanted.values())
            self._console.run_worker(self._ask_teams(wanted), group="teams")

    def _in_sight(self) -> Iterable[tuple[str, "AccountId"]]:
        seen, standings = self._console.seen, self._core.standings
        for key in self._console.users.table().keys_in_sight():
            listed = seen.find(key) if seen is not None else None
            account_id = listed.record.account_id if listed is not None else None
            standing = standings.find(account_id) if account_id is not None else None
            if account_id is not None and (standing is None or standing.doubted):
                yield key, account_id

    async def _ask_teams(self, accounts: dict[str, "AccountId"]) -> None:
        for key, account_id in accounts.items():
            try:
                await self._core.standings.ask(account_id)
            except NotFound:
                continue
            except MmconsoleError as fault:
                self._console.say(str(fault))
                return
            self._console.users.table().update_rows({key})
            if key == self._key:
                # The details say no less than the row.
                self._record = None

    def _show(self, closer: Closer) -> None:
        self._console.known.closer = closer
        self._console.picture.tell_detail()


def _about(record: "TokenRecord | None") -> tuple[str | None, str | None, bool]:
    return (record.token_id, record.account_id, True) if record is not None else (None, None, False)
