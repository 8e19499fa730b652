"""Spans of time, and how long a token lives."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.lifetimes import lifetime_for
from mmconsole.domain.spans import parse_span, span_text
from mmconsole.domain.users import UserId

DAY = timedelta(days=1)
USERS = st.text(min_size=1).map(UserId)


@pytest.mark.parametrize(
    ("text", "span"), [("10m", DAY / 144), ("36h", DAY * 1.5), ("90d", DAY * 90), ("2W", DAY * 14), ("0", DAY * 0)]
)
def test_a_span_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "10", "m", "-1d", "1.5d", "10 min", "9999999d"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"it (must|cannot) be"):
        parse_span(text)


@given(st.integers(0, 10_000_000))
def test_what_is_written_reads_back(seconds: int) -> None:
    span = timedelta(seconds=seconds)

    assert parse_span(span_text(span)) == span


@given(USERS, st.integers(1, 400), st.integers(1, 400))
def test_a_lifetime_stays_below_wish_and_limit_and_is_always_the_same(user: UserId, wish: int, cap: int) -> None:
    found = lifetime_for(user, wanted=wish * DAY, cap_days=cap)

    assert found is not None
    assert found <= wish * DAY
    assert found < cap * DAY
    assert found == lifetime_for(user, wanted=wish * DAY, cap_days=cap)
    longest = min(wish * DAY, cap * DAY - DAY if cap > 2 else cap * DAY / 2)
    assert found > longest * 0.89


@given(USERS)
def test_without_wish_and_limit_there_is_no_end(user: UserId) -> None:
    assert lifetime_for(user, wanted=None, cap_days=0) is None
