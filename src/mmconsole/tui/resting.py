"""Whether the cursor rests. Who holds a key passes fifty users a second, and wants to see one of them whole."""

from collections.abc import Callable
from typing import Final

_TICKS: Final = 2
"""A move just before a tick has rested for nothing yet."""


class Resting:
    """Brings what follows the cursor up to date: at once for a single step, at rest while it runs."""

    def __init__(self, catch_up: Callable[[], None]) -> None:
        self._catch_up = catch_up
        self._key: str | None = None
        self._ticks = _TICKS
        self._behind = False

    def seen_on(self, key: str | None) -> None:
        """The cursor is on this row, which is another one or has changed."""
        runs = self._ticks < _TICKS
        moved, self._key = key != self._key, key
        if runs and (moved or self._behind):
            self._behind = True
        else:
            self._catch_up()
        if moved:
            self._ticks = 0

    def tick(self) -> None:
        """Some time has passed, always the same."""
        self._ticks = min(self._ticks + 1, _TICKS)
        if self._behind and self._ticks == _TICKS:
            self._behind = False
            self._catch_up()
