"""How a sync ended, in counts and exit codes."""

import pytest

from mmconsole.cli.summary import Ending, counts_of, ending_lines, exit_code_of, forecast_lines, recovered_lines
from mmconsole.domain.forecast import forecast_of
from mmconsole.domain.plans import Finding, Kind, Outcome, Result
from mmconsole.domain.tokens import TokenId
from mmconsole.domain.users import UserId
from mmconsole.errors import LeaseLost, Unreachable
from mmconsole.services.recovery import Recovered
from mmconsole.services.summary import KEPT_RESULTS, Summary


def summary(users: int, **outcomes: int) -> Summary:
    made = Summary(users=users)
    for name, count in outcomes.items():
        for number in range(count):
            made.add(Result(UserId(str(number)), Outcome[name], "because"))
    return made


def ending(of: Summary, *, interrupted: bool = False) -> Ending:
    return Ending(of, seconds=3, interrupted=interrupted)


def test_what_was_planned_and_not_done_has_a_count_of_its_own() -> None:
    made = summary(10, CREATED=4, FAILED=1)
    made.counts[Finding.UNCHANGED] = 2

    counts = counts_of(made)

    assert counts == {"created": 4, "failed": 1, "unchanged": 2, "not done": 3}
    assert sum(counts.values()) == made.users


@pytest.mark.parametrize(
    ("made", "interrupted", "code"),
    [
        (summary(2, CREATED=2), False, 0),
        (summary(2, CREATED=1, CONFLICT=1), False, 3),
        (summary(2, CREATED=1, FAILED=1), False, 3),
        (summary(2, SKIPPED=2), False, 0),
        (summary(2, CREATED=1), True, 130),
    ],
)
def test_the_exit_code_follows_the_counts(made: Summary, interrupted: bool, code: int) -> None:  # noqa: FBT001
    assert exit_code_of(ending(made, interrupted=interrupted)) == code


def test_a_fault_decides_the_exit_code() -> None:
    made = summary(2, CREATED=1, FAILED=1)

    made.fault = Unreachable(server="x", why="y")
    unreachable = exit_code_of(ending(made))
    made.fault = LeaseLost(lease="sync")
    lost = exit_code_of(ending(made))

    assert (unreachable, lost) == (1, 75)


def test_reasons_are_harmless() -> None:
    made = Summary(users=1)
    made.add(Result(UserId("\x1b[2J"), Outcome.FAILED, "bad \x07 name"))

    lines = list(ending_lines(ending(made)))

    assert lines[-1] == "x failed  ␛[2J: bad ␇ name"


def test_what_an_interrupted_run_left_is_told() -> None:
    recovered = Recovered(revoked=(TokenId("a"), TokenId("b")), linked=(UserId("1"),), closed=1, young=2)

    lines = list(recovered_lines(recovered))

    assert lines == [
        "Left by an interrupted run: 2 tokens revoked, 1 account linked, 1 note without a trace closed.",
        "2 calls of it may still be under way; the next run looks again.",
    ]


def test_users_who_were_left_alone_share_a_line_when_there_are_many_of_a_reason() -> None:
    made = Summary(users=9)
    for number in range(6):
        made.add(Result(UserId(str(number)), Finding.LEFT, "deactivated"))
    made.add(Result(UserId("7"), Outcome.SKIPPED, "the row changed"))
    made.add(Result(UserId("8"), Outcome.SKIPPED, "the row changed"))
    made.add(Result(UserId("9"), Finding.LEFT, "withheld \x07"))

    lines = list(ending_lines(ending(made)))

    assert lines[-5:] == [
        "",
        "- left alone  6 users (0, 1, 2 and 3 more): deactivated",
        "- skipped  7: the row changed",
        "- skipped  8: the row changed",
        "- left alone  9: withheld ␇",
    ]


def test_many_who_were_left_alone_do_not_push_out_the_failures() -> None:
    made = Summary()
    for number in range(KEPT_RESULTS + 5):
        made.add(Result(UserId(str(number)), Finding.LEFT, f"reason {number % 2}"))
    made.add(Result(UserId("f"), Outcome.FAILED, "broken"))

    lines = list(ending_lines(ending(made)))

    assert "x failed  f: broken" in lines
    assert lines[-1] == "and 5 more: --json lists them"


def test_mails_that_only_dead_tokens_cause_are_the_most_there_can_be() -> None:
    sure = forecast_of({Kind.GENERATE: 2}, users=2, removals=0, teams=0, mails=True)
    unsure = forecast_of({Kind.GENERATE: 1, Kind.ADOPT: 1}, users=2, removals=0, teams=0, mails=True)

    assert "It sends 2 e-mails to users." in list(forecast_lines(sure))
    assert "It sends up to 2 e-mails to users." in list(forecast_lines(unsure))
