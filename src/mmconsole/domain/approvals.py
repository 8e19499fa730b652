"""What is still to be done of a plan that was approved some time ago, by what is known now.

Nothing is ever done that was not approved: where more is needed by now, nothing is done at all.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from mmconsole.domain.plans import Finding, Kind, Outcome, Result, UserPlan

_COVERS: Final[Mapping[Kind, frozenset[Kind]]] = {
    Kind.LINK: frozenset({Kind.UPDATE}),
    Kind.ADOPT: frozenset({Kind.GENERATE}),
}
"""A step that was done half-way leaves another kind of step, which it would have done itself."""
_NEXT: Final = "the next sync takes it up"


def remaining(approved: UserPlan, now: UserPlan | None) -> UserPlan | Result:
    """The steps of an approved plan that are still needed, or why none is applied.

    `now` is what would be planned at this moment; None when neither the row nor anything of ours is left.
    """
    if now is None:
        return Result(approved.user_id, Outcome.SKIPPED, "neither the row nor anything of ours is left")
    if not now.steps:
        return _nothing_left(now)
    if now.digest != approved.digest:
        return Result(approved.user_id, Outcome.SKIPPED, f"the row changed since it was planned; {_NEXT}")
    if Kind.LINK in now.steps and Kind.LINK in approved.steps and now.links != approved.links:
        why = f"@{now.links} has the address by now, and @{approved.links} was planned; {_NEXT}"
        return Result(approved.user_id, Outcome.SKIPPED, why)
    # Who left a team is put back only where that was asked for, and it holds up nothing else.
    steps = tuple(kind for kind in now.steps if kind is not Kind.JOIN or kind in approved.steps)
    if not steps:
        return Result(approved.user_id, Finding.UNCHANGED)
    more = [kind for kind in steps if kind not in _covered(approved)]
    if more:
        return Result(approved.user_id, Outcome.SKIPPED, f"by now it needs more than was planned ({more[0]}); {_NEXT}")
    return replace(now, steps=steps, asked=approved.asked, confirmed=approved.confirmed)


def _nothing_left(now: UserPlan) -> Result:
    outcome: Finding | Outcome = (
        Outcome.CONFLICT if now.finding is Finding.CONFLICT else now.finding or Finding.UNCHANGED
    )
    return Result(now.user_id, outcome, now.why)


def _covered(approved: UserPlan) -> frozenset[Kind]:
    return frozenset(approved.steps).union(*(_COVERS.get(kind, ()) for kind in approved.steps))
