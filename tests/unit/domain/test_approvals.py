"""What is left of an approved plan, by what would be planned now."""

import pytest

from mmconsole.domain.approvals import remaining
from mmconsole.domain.plans import Finding, Kind, Outcome, Result, UserPlan
from mmconsole.domain.tokens import Health
from mmconsole.domain.users import UserId

ANN = UserId("1")
NEWCOMER = (Kind.CREATE, Kind.JOIN, Kind.GENERATE)


def plan(*steps: Kind, digest: str = "d", links: str = "", asked: bool = False, confirmed: bool = False) -> UserPlan:
    return UserPlan(ANN, digest, steps, links=links, asked=asked, confirmed=confirmed)


def test_what_is_still_needed_is_done_as_it_was_approved() -> None:
    assert remaining(plan(*NEWCOMER, asked=True), plan(*NEWCOMER)) == plan(*NEWCOMER, asked=True)


@pytest.mark.parametrize("left", [(Kind.GENERATE,), (Kind.JOIN, Kind.GENERATE), (Kind.JOIN,)])
def test_what_was_done_meanwhile_is_not_done_again(left: tuple[Kind, ...]) -> None:
    assert remaining(plan(*NEWCOMER), plan(*left)) == plan(*left)


def test_a_user_who_needs_nothing_any_more_is_unchanged() -> None:
    now = UserPlan(ANN, finding=Finding.UNCHANGED)

    assert remaining(plan(*NEWCOMER), now) == Result(ANN, Finding.UNCHANGED)


@pytest.mark.parametrize(
    ("finding", "outcome"), [(Finding.CONFLICT, Outcome.CONFLICT), (Finding.LEFT, Finding.LEFT)], ids=str
)
def test_a_finding_of_today_counts_and_says_why(finding: Finding, outcome: Outcome | Finding) -> None:
    now = UserPlan(ANN, "d", finding=finding, health=Health.CONFLICT, why="somebody said so")

    assert remaining(plan(*NEWCOMER), now) == Result(ANN, outcome, "somebody said so")


def test_nothing_is_done_to_a_row_that_changed() -> None:
    left = remaining(plan(*NEWCOMER), plan(*NEWCOMER, digest="another"))

    assert left == Result(ANN, Outcome.SKIPPED, "the row changed since it was planned; the next sync takes it up")


def test_a_team_that_was_left_meanwhile_holds_up_nothing_else() -> None:
    assert remaining(plan(Kind.GENERATE), plan(Kind.JOIN, Kind.GENERATE)) == plan(Kind.GENERATE)
    assert remaining(plan(Kind.GENERATE), plan(Kind.JOIN)) == Result(ANN, Finding.UNCHANGED)


@pytest.mark.parametrize("more", [Kind.REVOKE, Kind.DEACTIVATE, Kind.UPDATE, Kind.REACTIVATE, Kind.LINK])
def test_nothing_is_done_that_was_not_approved(more: Kind) -> None:
    left = remaining(plan(Kind.GENERATE), plan(more, Kind.GENERATE))

    assert isinstance(left, Result)
    assert left.outcome is Outcome.SKIPPED
    assert str(more) in left.note


@pytest.mark.parametrize(("done", "left"), [(Kind.LINK, Kind.UPDATE), (Kind.ADOPT, Kind.GENERATE)])
def test_a_step_that_was_done_half_way_may_leave_what_it_would_have_done_itself(done: Kind, left: Kind) -> None:
    assert remaining(plan(done), plan(left)) == plan(left)


def test_a_link_leads_to_the_account_that_was_seen() -> None:
    approved = plan(Kind.LINK, Kind.GENERATE, links="ann", confirmed=True)

    same = remaining(approved, plan(Kind.LINK, Kind.GENERATE, links="ann"))
    other = remaining(approved, plan(Kind.LINK, Kind.GENERATE, links="mallory"))

    assert same == approved
    assert isinstance(other, Result)
    assert "@mallory has the address by now, and @ann was planned" in other.note


def test_a_user_of_whom_nothing_is_left_is_skipped() -> None:
    left = remaining(plan(Kind.REVOKE), None)

    assert left == Result(ANN, Outcome.SKIPPED, "neither the row nor anything of ours is left")
