"""Values as text for programs."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.documents import as_cell, as_json


@pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1"])
def test_what_a_spreadsheet_would_calculate_is_text(formula: str) -> None:
    assert as_cell(formula) == f"'{formula}"


@given(st.text(st.characters(codec=None)))
def test_no_cell_begins_a_formula_or_acts_on_a_terminal(text: str) -> None:
    cell = as_cell(text)

    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert "\x1b" not in cell
    cell.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        ("Zoë", "Zoë"),
        (datetime(2026, 1, 4, tzinfo=UTC), "2026-01-04T00:00:00+00:00"),
    ],
)
def test_values_are_written_plainly(value: object, cell: str) -> None:
    assert as_cell(value) == cell


def test_what_json_knows_stays_what_it_is() -> None:
    assert json.loads(as_json({"yes": True, "none": None, "set": {2, 1}})) == {"yes": True, "none": None, "set": [1, 2]}
