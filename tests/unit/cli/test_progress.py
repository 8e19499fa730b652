"""How far a long operation is, where nobody sees a bar."""

import pytest

from mmconsole.cli.progress import Bar, Lines


class StandingPace:
    """A server that wants to be left alone."""

    wait_left = 1.23


def test_each_tenth_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()

    lines.stage("applying", 1_000)
    for _ in range(250):
        lines.advance()

    assert capsys.readouterr().err == ("applying: 10 % (100 of 1,000 users)\napplying: 20 % (200 of 1,000 users)\n")


def test_a_big_step_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()

    lines.stage("comparing", 3)
    lines.advance(5)

    assert capsys.readouterr().err == "comparing: 100 % (5 of 3 users)\n"


@pytest.mark.parametrize("total", [None, 0])
def test_without_a_total_there_is_nothing_to_say(total: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()

    lines.stage("comparing", total)
    lines.advance(10)

    assert capsys.readouterr().err == ""


def test_a_bar_says_what_everything_waits_for() -> None:
    bar = Bar()
    before = bar._left(12.0)

    bar._pace = StandingPace()  # type: ignore[assignment]

    assert before == "12 s left"
    assert bar._left(12.0) == "the server asked us to wait 1.2 s"
