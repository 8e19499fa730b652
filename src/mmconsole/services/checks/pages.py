"""What a check works on: users in pages as the database has them, and what was found of each."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from mmconsole.database import Database, Snapshot, UserAndRecord
from mmconsole.domain.checks import Verdict
from mmconsole.domain.tokens import TokenRecord
from mmconsole.domain.users import User, UserId

Advance = Callable[[int], None]
"""Hears how many more users are done."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some users as of one moment."""

    rows: list[UserAndRecord]
    envelopes: Mapping[UserId, str] = field(repr=False)
    """What stands in the token column, of those whose secret is to be tried."""
    end: int
    """How many users were asked for up to here."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One user, and what the server said."""

    user: User
    record: TokenRecord | None
    """As it was when the check began with this user."""
    verdict: Verdict | None = None
    """None where there is nothing that a server could be asked."""
    probed: bool = False
    """Whether the secret itself was tried."""
    identified: TokenRecord | None = None
    """The record with the id of a token that was not known by one before."""
    envelope: str = field(default="", repr=False)
    """What that id belongs to."""


class Way(Protocol):
    """A kind of check."""

    async def begin(self) -> None:
        """What is asked once."""

    async def look(self, page: Page, advance: Advance) -> list[Looked]:
        """What the server says of these users, without those before whom a stop came. Raises no MattermostError."""


class Pages:
    """Reads users in pages: everybody, or those of some ids who still have a row."""

    def __init__(self, database: Database, ids: Sequence[UserId] | None, *, size: int, deep: bool) -> None:
        self._database = database
        self._ids = ids
        self._size = size
        self._deep = deep

    async def total(self) -> int:
        if self._ids is not None:
            return len(self._ids)
        return await self._database.read(lambda db: db.roster.count())

    async def all(self) -> AsyncGenerator[Page, None]:
        page = asyncio.create_task(self._next(None))
        try:
            while found := await page:
                # The next page is read while the server is asked about this one.
                page = asyncio.create_task(self._next(found))
                yield found
        finally:
            page.cancel()

    async def _next(self, last: Page | None) -> Page | None:
        return await self._database.read(partial(self._read, last=last))

    def _read(self, db: Snapshot, *, last: Page | None) -> Page | None:
        begin = last.end if last else 0
        if self._ids is not None:
            if begin >= len(self._ids):
                return None
            rows = db.roster.rows(self._ids[begin : begin + self._size])
        elif not (rows := db.roster.page(last.rows[-1][0].id if last else None, self._size)):
            return None
        tried = [user.id for user, record in rows if self._is_tried(user, record)]
        return Page(rows, db.roster.envelopes(tried) if tried else {}, begin + self._size)

    def _is_tried(self, user: User, record: TokenRecord | None) -> bool:
        """Whether the secret itself is tried. Of a token without a known id nothing else can be asked."""
        if record is None or record.account_id is None or not user.has_stored_token:
            return False
        return self._deep or record.token_id is None
