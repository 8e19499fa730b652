"""A database server that went away, and how long it is waited for."""

from threading import Event
from time import monotonic
from typing import Final

from mmconsole.errors import DatabaseUnreachable

PATIENCE: Final = 30.0
"""Seconds: a restart, or a replica that takes over, is shorter."""
_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0


class Outage:
    """Waits between the attempts at one piece of work. A file has no outages: what is wrong with it stays wrong."""

    def __init__(self, *, ended_by: Event, of_a_file: bool) -> None:
        self._ended_by = ended_by
        self._until = 0.0 if of_a_file else monotonic() + PATIENCE
        self._wait = _FIRST_WAIT

    def outlasts(self, fault: Exception) -> bool:
        """Wait a little. False when waiting does not cure this, has lasted long enough, or somebody ended it."""
        if not isinstance(fault, DatabaseUnreachable) or monotonic() > self._until:
            return False
        ended = self._ended_by.wait(self._wait)
        self._wait = min(self._wait * 2, _LONGEST_WAIT)
        return not ended
