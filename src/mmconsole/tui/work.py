"""One run on the server as it is known here: it hears the services, and is painted from a few times a second."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mmconsole.domain.plans import Finding, Outcome, Result, UserPlan
from mmconsole.domain.users import UserId
from mmconsole.services.hearing import Making

if TYPE_CHECKING:
    from mmconsole.services.look import Planned

_RATE_OVER: Final = 10.0
"""Seconds over which a rate is measured."""
_BAD: Final = frozenset({Outcome.FAILED, Outcome.CONFLICT, Outcome.REFUSED})
_UNDONE: Final = _BAD | {Outcome.SKIPPED}
WAITING: Final = "waiting for its turn"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the last thing that was tried for a user did not succeed, and at which step."""

    step: str
    words: str


@dataclass(frozen=True, slots=True)
class PlannedUser:
    """A user's steps, and the address by which people know them."""

    plan: UserPlan
    address: str


class Work:
    """What the services tell of a run (`Progress`, `Listener`), kept for whoever draws it."""

    def __init__(
        self,
        title: str,
        users: Iterable[str] = (),
        *,
        planning: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.title = title
        self.planning = planning
        """It only reads, so it can be broken off anywhere."""
        self.users = frozenset(users)
        """Those it was asked for; empty when a plan or a filter decides."""
        self.stop = asyncio.Event()
        self.job_id: int | None = None
        self.stage_name = WAITING
        self.total: int | None = None
        self.done = self.ok = self.failed = 0
        self.retries_before = 0
        self.plans: list[PlannedUser] = []
        """What it planned, where it only plans."""
        self.troubles: dict[str, Trouble] = {}
        self.touched: set[str] = set(self.users)
        """Users who look different now; whoever paints them takes them out."""
        self._busy: dict[str, str] = dict.fromkeys(self.users, "waiting")
        self._steps: dict[str, list[Making]] = {}
        self._under_way: set[str] = set()
        self._clock = clock or asyncio.get_running_loop().time
        self._samples: deque[tuple[float, int]] = deque()

    # ── what the services tell ───────────────────────────────────────────────────────────────────

    def stage(self, name: str, total: int | None) -> None:
        self.stage_name, self.total, self.done = name, total, 0
        self._samples.clear()

    def advance(self, done: int = 1) -> None:
        self.done += done

    def planned(self, planned: "Planned") -> None:
        if self.planning:
            address = planned.user.email if planned.user else None
            self.plans.append(PlannedUser(planned.plan, address or f"user {planned.plan.user_id}"))

    def job(self, job_id: int) -> None:
        self.job_id = job_id

    def begun(self, user_id: UserId) -> None:
        self._under_way.add(user_id)
        self._set(user_id, "at work")

    def making(self, user_id: UserId, step: Making) -> None:
        self._steps.setdefault(user_id, []).append(step)
        self._set(user_id, step)

    def ended(self, result: Result) -> None:
        user_id = result.user_id
        steps = self._steps.pop(user_id, [])
        self._busy.pop(user_id, None)
        self._under_way.discard(user_id)
        self.touched.add(user_id)
        self.failed += result.outcome in _BAD
        self.ok += result.outcome not in _UNDONE and result.outcome is not Finding.LEFT
        if result.outcome in _UNDONE:
            self.troubles[user_id] = Trouble(steps[-1] if steps else "", result.note)

    def _set(self, user_id: str, word: str) -> None:
        self._busy[user_id] = word
        self.touched.add(user_id)

    # ── what is drawn ────────────────────────────────────────────────────────────────────────────

    def word_of(self, user_id: str) -> str | None:
        """What is being done for a user; None when nothing is."""
        return self._busy.get(user_id)

    def steps_of(self, user_id: str) -> tuple[Making, ...] | None:
        """The steps of a new token that were begun, the last of which is under way; None when nothing is."""
        return tuple(self._steps.get(user_id, ())) if user_id in self._busy else None

    @property
    def under_way(self) -> int:
        """Users who are being worked on."""
        return len(self._under_way)

    @property
    def left(self) -> int:
        """Users who are not begun."""
        return max(0, (self.total or 0) - self.done - self.under_way)

    def rate(self) -> float:
        """Users a second, lately; 0 while that is not known."""
        now = self._clock()
        self._samples.append((now, self.done))
        while self._samples[0][0] < now - _RATE_OVER:
            self._samples.popleft()
        begun, before = self._samples[0]
        return (self.done - before) / (now - begun) if now > begun else 0.0
