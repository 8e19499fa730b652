"""One breaker per server: after many faults in a row it is left alone for a while, then tried with a single call."""

from collections.abc import Callable
from typing import Final

from mmconsole.errors import BreakerOpen

TRIPS_AFTER: Final = 10
_FIRST_REST: Final = 5.0
_LONGEST_REST: Final = 60.0


class Breaker:
    """Faults are what a server does that is down; refusals and 429 are signs of life."""

    def __init__(self, server: str, *, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        self._faults = 0
        self._rest = _FIRST_REST
        self._open_until = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether a call would be turned away now."""
        if self._faults < TRIPS_AFTER:
            return False
        return self._probing or self._clock() < self._open_until

    def admit(self) -> bool:
        """Let a call pass, or raise BreakerOpen. True if it is the one that tries whether the server is back."""
        if self._faults < TRIPS_AFTER:
            return False
        if self.is_open:
            wait = max(1.0, self._open_until - self._clock())
            raise BreakerOpen(server=self._server, failures=self._faults, wait=wait)
        self._probing = True
        return True

    def succeeded(self) -> None:
        self._faults = 0
        self._rest = _FIRST_REST
        self._probing = False

    def failed(self, *, probe: bool) -> None:
        self._faults += 1
        if probe:
            self._rest = min(self._rest * 2, _LONGEST_REST)
            self._probing = False
        if probe or self._faults == TRIPS_AFTER:
            self._open_until = self._clock() + self._rest

    def abandoned(self, *, probe: bool) -> None:
        """The call was given up before it said anything."""
        if probe:
            self._probing = False
