"""Which parts are seen at which size, and small things of the frame."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.errors import Busy, GuardTripped, MmconsoleError
from mmconsole.tui.actions import PANES, Pane
from mmconsole.tui.cells import fitted, width_of
from mmconsole.tui.frame import rule
from mmconsole.tui.moments import ago, distance, roughly
from mmconsole.tui.shapes import Part, Shape, parts
from mmconsole.tui.wording import on_screen

NOW = datetime(2026, 3, 2, 14, 32, tzinfo=UTC)


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 100),
    pane=st.sampled_from(PANES),
    full=st.booleans(),
    detail=st.booleans(),
)
def test_whatever_the_size_the_pane_somebody_is_in_is_seen(
    *, width: int, height: int, pane: Pane, full: bool, detail: bool
) -> None:
    seen = parts(Shape(width, height), pane, full=full, detail=detail)

    assert seen == {Part.TOO_SMALL} or {Part.TITLE, Part.KEYS, Part(pane.value)} <= seen
    assert (seen == {Part.TOO_SMALL}) is (width < 60 or height < 15)


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ((80, 24), {Part.STRIP, Part.USERS, Part.DETAIL, Part.JOB_LINE, Part.LAST_EVENT}),
        ((120, 36), {Part.STRIP, Part.USERS, Part.DETAIL, Part.JOB_LINE, Part.LOG}),
        ((120, 24), {Part.STRIP, Part.USERS, Part.DETAIL, Part.JOB_LINE, Part.LAST_EVENT}),
        ((200, 50), {Part.HEALTH, Part.USERS, Part.DETAIL, Part.JOBS, Part.LOG}),
    ],
)
def test_what_is_seen_at_the_three_sizes(size: tuple[int, int], seen: set[Part]) -> None:
    assert parts(Shape(*size), Pane.USERS, full=False, detail=True) == seen | {Part.TITLE, Part.KEYS}


@given(st.text(), st.integers(0, 60))
def test_fitted_text_is_as_wide_as_asked_and_harmless(text: str, width: int) -> None:
    shown = fitted(text, width)

    assert width_of(shown) == width
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)


@given(st.text(), st.text("ab王\x1b"), st.integers(1, 120))
def test_a_rule_is_as_wide_as_the_screen_and_harmless(left: str, right: str, width: int) -> None:
    shown = rule(left, right, width)

    assert width_of(shown) == width
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)


@pytest.mark.parametrize(
    ("span", "past", "future"),
    [
        (timedelta(seconds=20), "now", "+0m"),
        (timedelta(minutes=6), "6m ago", "+6m"),
        (timedelta(hours=23, minutes=59), "23h ago", "+23h"),
        (timedelta(days=41), "41d ago", "+41d"),
    ],
)
def test_moments_are_said_in_their_largest_unit(span: timedelta, past: str, future: str) -> None:
    assert ago(NOW - span, NOW) == past
    assert distance(NOW + span, NOW) == future
    assert ago(None, NOW) == distance(None, NOW) == "-"


def test_what_is_over_is_negative() -> None:
    assert distance(NOW - timedelta(days=3), NOW) == "-3d"


def test_what_is_over_at_once_does_not_take_about_nothing() -> None:
    assert [roughly(0.3), roughly(123)] == ["less than a second", "about 2:03"]


@pytest.mark.parametrize(
    "fault", [GuardTripped(removals=9, total=12, allowed=10), Busy(holder="ops1@cli", since="14:32")]
)
def test_where_there_are_keys_no_flag_is_named(fault: MmconsoleError) -> None:
    assert "--" in str(fault)
    assert "--" not in on_screen(fault)
