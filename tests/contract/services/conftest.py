"""What several tests of the services need: rewriting of the token column in small pieces, and an end of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mmconsole.services.summary import Silent

if TYPE_CHECKING:
    import asyncio


@pytest.fixture
def small_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of two users, so that a few users are several items."""
    monkeypatch.setattr("mmconsole.services.rewrite.AT_ONCE", 2)


class StopsWhenRewriting(Silent):
    """Says stop after the first item."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._stage = ""

    def stage(self, name: str, total: int | None) -> None:
        self._stage = name

    def advance(self, done: int = 1) -> None:
        if self._stage == "rewriting":
            self._stop.set()
