"""Asking a server for much: all pages of a list, or one question about each of many."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, TypeVar

from mmconsole.errors import Garbled

T = TypeVar("T")
N = TypeVar("N")

PAGE: Final = 200
_AT_ONCE: Final = 8
"""Pages read at once: a server on two cores is not faster with more."""


async def all_pages(fetch: Callable[[int], Awaitable[list[T]]]) -> AsyncIterator[list[T]]:
    """All pages of a list, a few at once; the first short page is the last."""
    first = await fetch(0)
    yield first
    page, full, last = 1, len(first) == PAGE, first
    while full:
        for rows in await asyncio.gather(*(fetch(number) for number in range(page, page + _AT_ONCE))):
            if rows and rows == last:
                raise Garbled(server="the server", call="GET pages of a list", why="every page is the same one")
            last = rows
            if rows:
                yield rows
            full = full and len(rows) == PAGE
        page += _AT_ONCE


async def at_once(call: Callable[[N], Awaitable[T]], names: Sequence[N]) -> list[T]:
    """Ask about many names; the client keeps the number under way within what the server takes."""
    found: list[T] = []
    for start in range(0, len(names), 256):
        found += await asyncio.gather(*map(call, names[start : start + 256]))
    return found
