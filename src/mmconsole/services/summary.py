"""A sync from outside: what was asked for, how far it is, and how it ended."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from mmconsole.domain.forecast import Forecast
from mmconsole.domain.plans import Finding, Kind, Outcome, Result
from mmconsole.domain.users import UserId
from mmconsole.errors import MmconsoleError
from mmconsole.services.look import Planned
from mmconsole.services.recovery import Recovered

LEFT_FOR_LATER: Final = "left for later"
"""Users with steps beyond `--limit`."""
KEPT_RESULTS: Final = 1_000
"""How many results of each kind a summary carries along; the database has all of them."""
_TOLD: Final = frozenset({Outcome.REFUSED, Outcome.CONFLICT, Outcome.FAILED, Outcome.SKIPPED, Finding.LEFT})
_TROUBLES: Final = (Outcome.REFUSED, Outcome.CONFLICT, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What was asked for."""

    names: tuple[str, ...] = ()
    """Users by id, e-mail or username; empty means all."""
    by_operator: bool = True
    """Whether a person named them: only that ends *withheld*."""
    missing: bool = False
    limit: int | None = None
    full: bool = False
    teams: bool = False
    link_existing: bool = False
    """The operator confirms the links to existing accounts, for the users who are named."""
    allow_removals: int | None = None
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A user and the existing account that is about to be theirs because the operator says so."""

    user_id: UserId
    email: str
    username: str


@dataclass(slots=True)
class Summary:
    """How a sync ended: every user is in exactly one count."""

    users: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    listed: list[Result] = field(default_factory=list)
    """Unknown names, conflicts, failures and users left alone or skipped, at most KEPT_RESULTS of each."""
    steps: Counter[Kind] = field(default_factory=Counter)
    planned: int = 0
    """Users with steps."""
    removals: int = 0
    notices: int = 0
    """Mails about changed addresses and usernames, if the server sends any."""
    links: list[Link] = field(default_factory=list)
    """What `--link-existing` confirmed."""
    forecast: Forecast = field(default_factory=Forecast)
    asks: Counter[str] = field(default_factory=Counter)
    """Why an operator should be asked, and of how many users."""
    would_stop: list[MmconsoleError] = field(default_factory=list)
    """What would stop a run before its first step; only a plan that is not applied collects it."""
    recovered: Recovered = field(default_factory=Recovered)
    undo_until: datetime | None = None
    """By the server's clock: until then what was disabled can be enabled again."""
    job_id: int | None = None
    fault: MmconsoleError | None = None
    """What ended the run before its end."""

    @property
    def asks_anything(self) -> bool:
        """Whether an operator should see it before it is done."""
        return bool(self.forecast.mails or self.removals or self.links or self.asks)

    @property
    def troubled(self) -> int:
        return sum(self.counts[outcome] for outcome in _TROUBLES)

    def take(self, planned: Planned, request: SyncRequest) -> bool:
        """Count one user. Returns whether there are steps to apply, which are at most `limit` users'."""
        if planned.plan.steps and request.limit is not None and self.planned >= request.limit:
            self.users += 1
            self.counts[LEFT_FOR_LATER] += 1
            return False
        if planned.plan.links and planned.plan.confirmed:
            email = planned.user.email if planned.user else None
            self.links.append(Link(planned.plan.user_id, email or "", planned.plan.links))
        return self.add_plan(planned)

    def add_plan(self, planned: Planned) -> bool:
        """Count a finding, or take note of steps. Returns whether there are steps to apply."""
        plan = planned.plan
        self.users += planned.user is not None or bool(plan.steps)
        if plan.steps:
            self.planned += 1
            self.removals += plan.removes
            self.notices += plan.notices
            self.steps.update(plan.steps)
            if plan.asks:
                self.asks[plan.asks] += 1
            return True
        if plan.finding is Finding.CONFLICT:
            self.add(Result(plan.user_id, Outcome.CONFLICT, plan.why))
        elif plan.finding is Finding.LEFT:
            self.add(Result(plan.user_id, Finding.LEFT, plan.why))
        elif planned.user is not None:
            self.counts[Finding.UNCHANGED] += 1
        return False

    def add_unchanged(self, users: int) -> None:
        if users:
            self.users += users
            self.counts[Finding.UNCHANGED] += users

    def refuse(self, refused: Sequence[Result]) -> None:
        """Count names that mean no user."""
        self.users += len(refused)
        for result in refused:
            self.add(result)

    def add(self, result: Result) -> None:
        self.counts[result.outcome] += 1
        if result.outcome in _TOLD and self.counts[result.outcome] <= KEPT_RESULTS:
            self.listed.append(result)


Confirm = Callable[[Summary], Awaitable[bool]]
"""Whether to go on with what was planned."""


async def always(_planned: object) -> bool:
    """For who need not be asked."""
    return True


class Progress(Protocol):
    """Where a long operation tells how far it is. The command line draws a bar, the console a line."""

    def stage(self, name: str, total: int | None) -> None:
        """A new stretch begins; `total` is in users, None when it is not known."""

    def advance(self, done: int = 1) -> None:
        """So many more users are done."""

    def planned(self, planned: Planned) -> None:
        """A user has steps."""


class Silent:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int | None) -> None:
        pass

    def advance(self, done: int = 1) -> None:
        pass

    def planned(self, planned: Planned) -> None:
        pass
