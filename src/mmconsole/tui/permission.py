"""Whether changes are allowed from this console, and until when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

WRITABLE_FOR: Final = timedelta(minutes=15)


class Permission:
    """A protected profile begins read-only, any other writable; what is unlocked locks itself again."""

    def __init__(self, *, protected: bool, now: Callable[[], datetime]) -> None:
        self.protected = protected
        self._now = now
        self._writable = not protected
        self._until: datetime | None = None

    @property
    def writable(self) -> bool:
        return self._writable and (self._until is None or self._now() < self._until)

    @property
    def word(self) -> str:
        """`read-only`, `writable` or `writable until 14:47`."""
        if not self.writable:
            return "read-only"
        return f"writable until {self._until.astimezone():%H:%M}" if self._until else "writable"

    def unlock(self) -> None:
        self._writable, self._until = True, self._now() + WRITABLE_FOR

    def lock(self) -> None:
        self._writable = False
