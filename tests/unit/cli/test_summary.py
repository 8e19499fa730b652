"""How a sync ended, in counts and exit codes."""

import pytest

from mmconsole.cli.summary import Ending, counts_of, ending_lines, exit_code_of, recovered_lines
from mmconsole.domain.plans import Finding, Outcome, Result
from mmconsole.domain.tokens import TokenId
from mmconsole.domain.users import UserId
from mmconsole.errors import LeaseLost, Unreachable
from mmconsole.services.recovery import Recovered
from mmconsole.services.sync import Summary


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
