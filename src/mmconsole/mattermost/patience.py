"""When a call is made again, and after how long: full jitter, a budget, and obedience to 429 up to a bound."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_ATTEMPTS: Final = 5
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 8.0
_SHARE: Final = 0.1
"""Retries per call: more would make an outage worse."""
_FLOOR: Final = 10.0
"""Retries that a short run may make all the same."""
THROTTLED_AT_MOST: Final = 300.0
"""Seconds a single call obeys 429 before it gives up."""
_UNSAID_WAIT: Final = 1.0
_LONGEST_UNSAID_WAIT: Final = 60.0


class Budget:
    """Retries that are allowed, earned by calls."""

    def __init__(self) -> None:
        self._left = _FLOOR

    def earn(self) -> None:
        self._left = min(self._left + _SHARE, _FLOOR * 10)

    def spend(self) -> bool:
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class Patience:
    """What one call has left."""

    budget: Budget
    random: Callable[[], float]
    failures: int = 0
    throttles: int = 0
    throttled_for: float = 0.0

    def after_failure(self) -> float | None:
        """Seconds to wait before the call is made again; None when it is not."""
        self.failures += 1
        if self.failures >= _ATTEMPTS or not self.budget.spend():
            return None
        return self.random() * min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (self.failures - 1))

    def after_throttle(self, asked: float | None) -> float:
        """Seconds that a 429 makes everybody wait. Without Retry-After they grow from time to time."""
        self.throttles += 1
        if asked is not None:
            return asked
        widest = min(_LONGEST_UNSAID_WAIT, _UNSAID_WAIT * 2.0 ** (self.throttles - 1))
        return widest * (0.5 + self.random() / 2)

    def bears(self, wait: float) -> bool:
        """Whether another wait stays within what one call may be held up."""
        self.throttled_for += wait
        return self.throttled_for <= THROTTLED_AT_MOST
