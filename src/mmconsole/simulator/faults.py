"""What can go wrong between a client and the server, on demand and counted."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, get_args

FaultKind = Literal[
    "drop_before",
    "drop_after",
    "status",
    "redirect",
    "login_page",
    "cut_json",
    "slow_body",
    "hang",
    "delay",
    "hold",
    "hold_answer",
    "stale_reads",
]
"""
drop_before   the connection is closed and nothing was done
drop_after    the call is done, then the connection is closed without a byte of an answer
status        an answer of this status: 429 as the rate limiter words it (Retry-After only if given), others as HTML
redirect      302 to /login, nothing done
login_page    200 with the HTML of a sign-in page, nothing done
cut_json      the call is done; of its answer only the first half comes, and the connection is closed in the middle
              (`honest`: the length that is announced is the one that comes, so only the JSON is broken)
slow_body     the call is done; the body of its answer dribbles in during `seconds`
hang          the call is done; its answer comes `seconds` later
delay         the call is begun `seconds` later
hold          the call is begun when it is let go (`Fault.let_go`, from any thread), and later ones are not held
hold_answer   the call is done; its answer comes when it is let go
stale_reads   a lagging replica: what was made during the last `seconds` is not there yet, new tokens do not work yet
"""

KINDS: frozenset[str] = frozenset(get_args(FaultKind))
HOLDS: frozenset[str] = frozenset({"hold", "hold_answer"})
_PARAMETER = re.compile(r"\{[^}]*\}")


class Gate:
    """Where calls wait until they are let go, from whatever thread: a test says when, never a clock."""

    __slots__ = ("_opened", "holding")

    def __init__(self) -> None:
        self._opened: Future[None] = Future()
        self.holding = 0
        """How many calls are held now."""

    def let_go(self) -> None:
        """Let go of the calls that are held, and hold no more."""
        if not self._opened.done():
            self._opened.set_result(None)

    async def passed(self) -> None:
        self.holding += 1
        try:
            # Shielded, for a call that is given up must not open it for the others.
            await asyncio.shield(asyncio.wrap_future(self._opened))
        finally:
            self.holding -= 1


@dataclass(slots=True)
class Fault(Gate):
    """One fault: for which calls, how often (`times`, None for ever), and how many matching calls go well before.

    `path` is a route pattern below /api/v4, such as `/users/{id}/tokens`; the names in braces do not matter.
    """

    kind: FaultKind
    method: str | None = None
    path: str | None = None
    times: int | None = 1
    after: int = 0
    seconds: float = 1.0
    status: int = 503
    retry_after: int | None = None
    honest: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such fault: {self.kind}")
        Gate.__init__(self)
        if self.path is not None:
            self.path = _PARAMETER.sub("{}", self.path.removeprefix("/api/v4"))

    def fits(self, method: str, pattern: str) -> bool:
        return self.method in (None, method) and self.path in (None, _PARAMETER.sub("{}", pattern))


class Faults:
    """The faults still to come, in the order in which they were added."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._holds: list[Fault] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, fault: Fault) -> Fault:
        self._waiting.append(fault)
        if fault.kind in HOLDS:
            self._holds.append(fault)
        return fault

    def clear(self) -> None:
        """No more faults; and what is held is let go."""
        self._waiting.clear()
        while self._holds:
            self._holds.pop().let_go()

    @property
    def holding(self) -> int:
        """How many calls are held now."""
        return sum(fault.holding for fault in self._holds)

    def take(self, method: str, pattern: str) -> Fault | None:
        """The fault of this call, if it has one. The first that fits is counted, and gone when it is used up."""
        for fault in list(self._waiting):
            if not fault.fits(method, pattern):
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
            return fault
        return None
