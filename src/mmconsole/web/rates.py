"""How much one caller, one user or one address may ask. Counted in memory that all processes of a service share."""

import mmap
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct
from typing import Final, Self

from mmconsole.config import RateSettings
from mmconsole.errors import TooManyRequests

_MINUTE: Final = 60.0
_NAMES: Final = 16_384
"""Names that are remembered at once: a flood of made-up ones must not fill the memory."""
_PLACE: Final = Struct("=Qdd")
"""The digest of a name, how many it has left, and as of when."""


class Rate:
    """So many a minute for each name; whoever was quiet for a minute may ask for that many at once.

    Made before a process forks, it counts for all of them. Two that count a name at the very same moment may count one
    for both: a lock would be held for ever by a process that is killed.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = per_minute
        self._clock = clock
        self._memory = mmap.mmap(-1, _NAMES * _PLACE.size)

    def take(self, name: str) -> None:
        """Count one. Raises TooManyRequests, and counts nothing then."""
        digest = _digest(name)
        place, left = self._find(digest)
        self._demand(left)
        _PLACE.pack_into(self._memory, place, digest, left - 1, self._clock())

    def demand_room(self, name: str) -> None:
        """Raises TooManyRequests when `take` would."""
        self._demand(self._find(_digest(name))[1])

    def _demand(self, left: float) -> None:
        if left < 1:
            raise TooManyRequests(retry_after=(1 - left) * _MINUTE / self._limit)

    def _find(self, digest: int) -> tuple[int, float]:
        """Where a name is counted, and how many it has left. Of two places it may have, a new one gets the older."""
        first = digest % _NAMES
        found = []
        for place in (first * _PLACE.size, (first ^ 1) * _PLACE.size):
            known, left, at = _PLACE.unpack_from(self._memory, place)
            if known == digest:
                return place, min(self._limit, left + (self._clock() - at) * self._limit / _MINUTE)
            found.append((at, place))
        return min(found)[1], float(self._limit)


def _digest(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()) or 1


@dataclass(frozen=True, slots=True)
class Rates:
    """Everything that is counted."""

    caller: Rate
    user: Rate
    address: Rate
    failures: Rate
    """Of an address that shows keys which are none; who was let in is not slowed down by others of its address."""

    @classmethod
    def of(cls, settings: RateSettings) -> Self:
        limits = (settings.caller, settings.user, settings.address, settings.address)
        return cls(*map(Rate, limits))
