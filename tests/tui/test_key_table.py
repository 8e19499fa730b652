"""The keys in docs/console.md are those of the table of actions."""

from pathlib import Path

import pytest

from mmconsole.tui.actions import ACTIONS
from mmconsole.tui.key_table import key_table, with_key_table

PAGE = Path(__file__).parents[2] / "docs" / "console.md"


def test_the_page_about_the_console_has_every_key() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == with_key_table(text), "type: make screenshots"


def test_every_action_has_a_line_of_four_cells() -> None:
    lines = key_table().replace("\\|", "").splitlines()

    assert len(lines) == len(ACTIONS) + 2
    assert {line.count("|") for line in lines} == {5}


def test_a_text_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        with_key_table("no keys here")
