"""What was asked of the server: how often each route, and the last calls one by one."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

KEPT = 10_000


class RecentCall(NamedTuple):
    """One call. `status` is 0 when the connection was dropped instead of an answer."""

    method: str
    path: str
    route: str
    status: int


class Calls(Counter[str]):
    """Counts by `METHOD /route/{id}`; `recent` has the last ones, without their query strings."""

    def __init__(self) -> None:
        super().__init__()
        self.recent: deque[RecentCall] = deque(maxlen=KEPT)

    def note(self, route: str, method: str, path: str, status: int) -> None:
        self[route] += 1
        self.recent.append(RecentCall(method, path, route, status))
