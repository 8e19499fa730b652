"""Approved plans compared with what is known now: of a sync with a new look, of tokens with what we remember."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Protocol

from mmconsole.database import Database
from mmconsole.domain.approvals import remaining
from mmconsole.domain.plans import Outcome, Result, UserPlan
from mmconsole.domain.tokens import TokenRecord
from mmconsole.services.applying import Watching
from mmconsole.services.look import Planned
from mmconsole.services.planning import Brief, Planning, noted
from mmconsole.services.summary import Summary
from mmconsole.services.tokens.steps import token_of


@dataclass(slots=True)
class Compared:
    """What became of some approved plans: those that are still to be done, and why the others are not."""

    kept: list[UserPlan] = field(default_factory=list)
    settled: list[Result] = field(default_factory=list)
    noted: list[TokenRecord] = field(default_factory=list)

    def settle(self, result: Result, summary: Summary) -> None:
        summary.users += 1
        summary.add(result)
        self.settled.append(result)


class Comparison(Protocol):
    async def compare(self, approved: Sequence[UserPlan], summary: Summary, watching: Watching) -> Compared:
        """Count these users, and keep of what was approved what is still needed."""


class SyncComparison:
    """Plans every user anew."""

    def __init__(self, planning: Planning, brief: Brief) -> None:
        self._planning = planning
        self._brief = brief

    async def compare(self, approved: Sequence[UserPlan], summary: Summary, watching: Watching) -> Compared:
        compared, plans = Compared(), {plan.user_id: plan for plan in approved}
        brief, advance = self._brief.about(approved), watching.progress.advance
        async with aclosing(self._planning.batches(brief, advance=advance, stop=watching.stop)) as batches:
            async for batch in batches:
                compared.noted += noted(batch.planned)
                for planned in batch.planned:
                    _sort(compared, summary, brief, plans.pop(planned.plan.user_id), planned)
        for plan in plans.values():
            left = remaining(plan, None)
            if isinstance(left, Result):
                compared.settle(left, summary)
        return compared


def _sort(compared: Compared, summary: Summary, brief: Brief, approved: UserPlan, planned: Planned) -> None:
    left = remaining(approved, planned.plan)
    if isinstance(left, Result):
        compared.settle(left, summary)
    else:
        summary.take(replace(planned, plan=left), brief.request)
        compared.kept.append(left)


class TokenComparison:
    """Looks whether a user still has the token that the plan was made for; the step itself decides once more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def compare(self, approved: Sequence[UserPlan], summary: Summary, watching: Watching) -> Compared:
        compared, ids = Compared(), [plan.user_id for plan in approved]
        rows = {user.id: (user, record) for user, record in await self._database.read(lambda db: db.roster.rows(ids))}
        for plan in approved:
            user, record = rows.get(plan.user_id, (None, None))
            if user is None:
                compared.settle(Result(plan.user_id, Outcome.SKIPPED, "the row is gone"), summary)
            elif token_of(record) != plan.digest:
                why = "it has another token by now than when this was planned"
                compared.settle(Result(plan.user_id, Outcome.SKIPPED, why), summary)
            else:
                summary.add_plan(Planned(plan, user, record))
                compared.kept.append(plan)
        watching.progress.advance(len(approved))
        return compared
