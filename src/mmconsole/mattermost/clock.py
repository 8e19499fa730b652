"""The server's clock, told by the Date header of its answers."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime


class ServerClock:
    """Our clock, set right by the server's last answer. Exact to a second and to the way of an answer."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._offset_ms = 0
        self._last_date = ""

    def hear(self, date: str) -> None:
        """Take over the time of an answer that has just arrived."""
        if date == self._last_date:
            return
        try:
            told = parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return
        self._last_date = date
        self._offset_ms = int(told * 1000) - int(self._now() * 1000)

    def now_ms(self) -> int:
        """The server's milliseconds since 1970; before the first answer, our own."""
        return int(self._now() * 1000) + self._offset_ms
