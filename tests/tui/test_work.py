"""Runs as they are known here, plans as rows, and whether changes are allowed."""

from datetime import UTC, datetime, timedelta

import pytest

from mmconsole.domain.plans import Kind, Outcome, Result, UserPlan
from mmconsole.domain.users import UserId
from mmconsole.services.hearing import Making
from mmconsole.tui.dialogs import word_to_type
from mmconsole.tui.frame import bar_of
from mmconsole.tui.moments import duration
from mmconsole.tui.permission import Permission
from mmconsole.tui.plan_rows import PlanRows, groups_of
from mmconsole.tui.running import Undo
from mmconsole.tui.work import PlannedUser, Trouble, Work
from mmconsole.tui.work_words import undo_words

NOW = datetime(2026, 3, 2, 14, 32, tzinfo=UTC)
ANN = UserId("1")


def made(count: int, *kinds: Kind, first: int = 0) -> list[PlannedUser]:
    ids = (UserId(str(n)) for n in range(first, first + count))
    return [PlannedUser(UserPlan(one, steps=kinds), f"u{one}@x.test") for one in ids]


# ── work ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_user_is_at_work_until_their_end_is_heard() -> None:
    work = Work("repair", [ANN])
    assert work.word_of(ANN) == "waiting"

    work.begun(ANN)
    work.making(ANN, Making.CREATE)
    work.making(ANN, Making.TEST)
    assert work.word_of(ANN) == "test"
    assert work.steps_of(ANN) == (Making.CREATE, Making.TEST)
    assert work.under_way == 1

    work.ended(Result(ANN, Outcome.FAILED, "no"))
    assert work.word_of(ANN) is None
    assert (work.ok, work.failed, work.under_way) == (0, 1, 0)
    assert work.troubles == {ANN: Trouble("test", "no")}


async def test_a_rate_is_that_of_the_last_seconds() -> None:
    clock = [0.0]
    work = Work("sync", clock=lambda: clock[0])
    work.stage("applying", 1_000)
    assert work.rate() == 0

    for second in range(1, 31):
        clock[0] = float(second)
        work.advance(10 if second <= 15 else 50)
        rate = work.rate()

    assert rate == pytest.approx(50)


# ── plans ────────────────────────────────────────────────────────────────────────────────────────


def test_a_plan_shows_each_group_with_its_first_users_and_whom_nothing_is_done_for() -> None:
    planned = [*made(2, Kind.REVOKE, first=50), *made(5, Kind.CREATE, Kind.GENERATE)]
    rows = PlanRows(groups_of(planned, [Result(UserId("9"), Outcome.CONFLICT, "two rows")]))

    texts = [rows.row_of(rows.key_at(n)).cells[1].text.strip() for n in range(len(rows))]  # type: ignore[union-attr]

    assert texts == [
        "create account, generate token",
        *(f"u{n}@x.test" for n in range(3)),
        "and 2 more: enter opens",
        "revoke token",
        "u50@x.test",
        "u51@x.test",
        "! conflict",
        "user 9",
    ]


def test_a_group_is_left_out_as_a_whole_and_taken_in_again() -> None:
    rows = PlanRows(groups_of(made(5, Kind.GENERATE), []))

    assert rows.toggle(rows.key_at(0))
    assert rows.left_out == {"0", "1", "2", "3", "4"}
    assert rows.toggle(rows.key_at(1))
    assert rows.left_out == {"1", "2", "3", "4"}
    assert rows.toggle(rows.key_at(0))
    assert rows.left_out == {"0", "1", "2", "3", "4"}
    assert rows.toggle(rows.key_at(0))
    assert rows.left_out == set()


def test_nobody_without_steps_can_be_left_out() -> None:
    rows = PlanRows(groups_of([], [Result(ANN, Outcome.CONFLICT, "two rows")]))

    assert not rows.toggle(rows.key_at(0))
    assert not rows.toggle(rows.key_at(1))


def test_only_who_is_seen_becomes_a_row() -> None:
    rows = PlanRows(groups_of(made(100_000, Kind.GENERATE), []))
    assert len(rows) == 5

    rows.toggle_open(rows.key_at(0))

    assert len(rows) == 100_001
    assert rows.row_of(rows.key_at(100_000)) is not None


# ── permission and words ─────────────────────────────────────────────────────────────────────────


def test_what_is_unlocked_locks_itself_again() -> None:
    clock = [NOW]
    permission = Permission(protected=True, now=lambda: clock[0])
    assert permission.word == "read-only"

    permission.unlock()
    assert permission.writable
    clock[0] += timedelta(minutes=15)

    assert permission.word == "read-only"


def test_an_unprotected_profile_can_be_locked() -> None:
    permission = Permission(protected=False, now=lambda: NOW)
    assert permission.word == "writable"

    permission.lock()

    assert not permission.writable


@pytest.mark.parametrize(
    ("number", "protected", "word"), [(1, False, ""), (10, False, ""), (11, False, "11"), (1, True, "prod")]
)
def test_what_must_be_typed_grows_with_what_is_lost(number: int, *, protected: bool, word: str) -> None:
    assert word_to_type(number, profile="prod", protected=protected) == word


@pytest.mark.parametrize(("seconds", "words"), [(4, "0:04"), (581, "9:41"), (7_390, "2:03:10")])
def test_spans_are_told_as_a_clock_tells_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_title_counts_down() -> None:
    assert undo_words(Undo(1, NOW + timedelta(seconds=581)), NOW, "u") == "undo 9:41 u"
    assert undo_words(None, NOW, "u") == ""


def test_a_bar_is_never_longer_than_its_place() -> None:
    assert bar_of(5, 10, 10) == "█████░░░░░"
    assert bar_of(20, 10, 4) == "████"
    assert bar_of(3, None, 4) == "░░░░"
