"""The headers of an answer, joined once and reused until the second or the configuration changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmconsole.simulator.state import State

Header = tuple[bytes, bytes]

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_JSON = (b"content-type", b"application/json")
_SECURITY: tuple[Header, ...] = (
    (b"vary", b"Accept-Encoding"),
    (b"permissions-policy", b""),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Headers:
    """Makes the headers of one server. The date is the server's own, so a shifted clock shows."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._second = -1
        self._date = b""
        self._built_for: tuple[int, str, bool] | None = None
        self._read: list[Header] = []
        self._write: list[Header] = []

    def date(self) -> bytes:
        second = int(self._state.now())
        if second != self._second:
            self._second = second
            at = time.gmtime(second)
            day, month = _WEEKDAYS[at.tm_wday], _MONTHS[at.tm_mon - 1]
            clock = f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}"
            self._date = f"{day}, {at.tm_mday:02d} {month} {at.tm_year} {clock} GMT".encode()
        return self._date

    def version_id(self) -> bytes:
        licensed = str(self._state.licensed).lower()
        return f"{self._state.options.version}..{self._state.config.digest}.{licensed}".encode()

    def api(self, method: str, request_id: str) -> list[Header]:
        """Of an answer that a handler gave. Reads are not to be kept (`Expires: 0`)."""
        self.date()
        key = (self._second, self._state.config.digest, self._state.licensed)
        if key != self._built_for:
            self._built_for = key
            self._write = [_JSON, (b"date", self._date), (b"x-version-id", self.version_id()), *_SECURITY]
            self._read = [*self._write, (b"expires", b"0")]
        return [*(self._read if method == "GET" else self._write), (b"x-request-id", request_id.encode())]

    def bare(self) -> list[Header]:
        """Of an answer that came before any handler: without version, without request id."""
        return [_JSON, (b"date", self.date())]

    def page(self) -> list[Header]:
        return [(b"content-type", b"text/html; charset=utf-8"), (b"date", self.date())]
