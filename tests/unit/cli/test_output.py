"""What is printed, and what it can never do to a terminal."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from mmconsole.cli import output
from mmconsole.cli.table import Table, fitted

ANY_TEXT = st.text(st.characters(codec=None))


@given(ANY_TEXT)
def test_json_says_the_same_and_nothing_in_it_acts_on_a_terminal(text: str) -> None:
    line = output.as_json({"text": text})

    assert json.loads(line) == {"text": text}
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", line)
    line.encode("utf-8")


@given(ANY_TEXT.map(output.visible), st.integers(2, 40))
def test_a_cell_is_exactly_as_wide_as_its_column(text: str, room: int) -> None:
    cell = fitted(text, room)

    assert cell_len(cell) == room


@pytest.mark.parametrize("width", [12, 40, 60, 80, 120])
@pytest.mark.parametrize("key", ["17", "5f0c7a8e-2b1d-4c55-9d5f-6f0f3a1c2b4d"])
def test_no_row_of_a_table_is_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, key: str
) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda _: True)
    monkeypatch.setattr(output, "width", lambda: width)
    monkeypatch.setenv("NO_COLOR", "1")
    table = Table("ID", "STATUS", "E-MAIL…", "MADE", "WHY…", glyphs=1, spare=("MADE", "WHY"))

    table.add(key, "x withheld", "ann.a-long-address@example.org", "2026-11-29", "王 revoked it")
    table.end()

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert max(map(cell_len, lines)) <= width
    assert ("MADE" in lines[0], "WHY" in lines[0]) == {
        12: (False, False),
        40: (False, False),
        60: (key == "17", key == "17"),
        80: (key == "17", True),
        120: (True, True),
    }[width]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "1 s"), (0.4, "1 s"), (8.4, "8 s"), (89, "89 s"), (90, "2 min"), (3_540, "59 min"), (4_200, "1 h 10 min")],
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert output.duration(seconds) == words


def test_amounts_agree_with_their_nouns() -> None:
    assert output.amount(1, "user") == "1 user"
    assert output.amount(1204, "user") == "1,204 users"
    assert output.amount(0, "entry", "entries") == "0 entries"


def test_facts_leave_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    output.facts({"id": "17", "e-mail": "", "status": "+ ok"})

    assert capsys.readouterr().out == "id      17\nstatus  + ok\n"
