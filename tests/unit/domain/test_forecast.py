"""What a plan will cause, and what the guard lets pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.forecast import allowed_removals, forecast_of
from mmconsole.domain.plans import Kind


@pytest.mark.parametrize(("users", "allowed"), [(0, 10), (500, 10), (501, 10), (1_000, 20), (100_000, 2_000)])
def test_guard_allows_the_larger_of_a_floor_and_a_share(users: int, allowed: int) -> None:
    assert allowed_removals(users, floor=10, percent=2) == allowed


def test_forecast_counts_steps_calls_and_mails() -> None:
    counts = {Kind.CREATE: 2, Kind.JOIN: 2, Kind.GENERATE: 2, Kind.REVOKE: 1, Kind.DEACTIVATE: 1}

    told = forecast_of(counts, users=3, removals=1, teams=2, mails=True)

    assert (told.users, told.removals, told.mails) == (3, 1, 2)
    assert told.steps == counts
    assert told.calls == 2 * 1 + 4 * 1 + 2 * 3 + 2 + 2


def test_account_that_is_there_already_is_looked_at_before_it_gets_a_token() -> None:
    assert forecast_of({Kind.GENERATE: 5}, users=5, removals=0, teams=1, mails=True).calls == 5 * 4
    assert (
        forecast_of({Kind.CREATE: 2, Kind.GENERATE: 5}, users=5, removals=0, teams=1, mails=True).calls == 2 + 5 * 3 + 3
    )


def test_server_that_mails_nobody_has_no_mails_in_its_forecast() -> None:
    assert forecast_of({Kind.GENERATE: 3}, users=3, removals=0, teams=1, mails=False).mails == 0


def test_token_that_may_be_dead_and_changed_addresses_may_cause_mails_too() -> None:
    counts = {Kind.GENERATE: 1, Kind.ADOPT: 2, Kind.UPDATE: 5}

    assert forecast_of(counts, users=8, removals=0, teams=1, notices=3, mails=True).mails == 6
    assert forecast_of(counts, users=8, removals=0, teams=1, notices=3, mails=False).mails == 0


@pytest.mark.parametrize(("room", "refused"), [(None, 0), (0, 5), (3, 2), (5, 0), (9, 0)])
def test_accounts_beyond_the_limit_of_the_server_are_foretold(room: int | None, refused: int) -> None:
    counts = {Kind.CREATE: 4, Kind.REACTIVATE: 1, Kind.GENERATE: 4}

    assert forecast_of(counts, users=5, removals=0, teams=1, mails=False, room=room).no_room == refused


@given(st.integers(0, 10**7), st.integers(0, 1000), st.floats(0, 100))
def test_law_guard_never_allows_less_than_its_floor_or_more_than_everybody(
    users: int, floor: int, percent: float
) -> None:
    assert floor <= allowed_removals(users, floor=floor, percent=percent) <= max(floor, users)
