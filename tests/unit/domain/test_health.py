"""The status that is shown, by the table in the design."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mmconsole.domain.accounts import AccountId
from mmconsole.domain.health import GRAVEST_FIRST, AsOf, status_of
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.domain.users import User, UserId

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
AS_OF = AsOf(NOW, soon=timedelta(days=7), lifetime=timedelta(days=90))
MICROSECOND = timedelta(microseconds=1)

USER = User(UserId("7"), "a@x.org", True, None, "Ann", "Lee", None, True, None, True)
EMPTY = replace(USER, has_stored_token=False)
LINKED = TokenRecord(UserId("7"), AccountId("a" * 26), health=Health.OK)


def test_nothing_is_known_of_a_user_without_an_account() -> None:
    assert status_of(USER, None, AS_OF) is Health.NO_ACCOUNT
    assert status_of(USER, TokenRecord(USER.id), AS_OF) is Health.NO_ACCOUNT
    assert status_of(USER, replace(LINKED, account_id=None), AS_OF) is Health.NO_ACCOUNT


@pytest.mark.parametrize("health", [Health.CONFLICT, Health.DENIED, Health.INACTIVE, Health.WORKING])
@pytest.mark.parametrize("user", [USER, EMPTY])
@pytest.mark.parametrize("account_id", [None, "a" * 26])
@pytest.mark.parametrize("withheld", [False, True])
def test_what_no_token_would_change_is_shown_before_anything_else(
    health: Health, user: User, account_id: AccountId | None, *, withheld: bool
) -> None:
    record = TokenRecord(user.id, account_id, health=health, withheld=withheld)

    assert status_of(user, record, AS_OF) is health


@pytest.mark.parametrize("health", [Health.OK, Health.MISSING, Health.REVOKED, Health.EXPIRED, Health.UNKNOWN])
@pytest.mark.parametrize("user", [USER, EMPTY])
def test_a_withheld_token_is_shown_as_such_whatever_was_found(health: Health, user: User) -> None:
    assert status_of(user, replace(LINKED, health=health, withheld=True), AS_OF) is Health.WITHHELD


def test_a_token_that_somebody_disabled_is_withheld_too_and_shown_as_disabled() -> None:
    assert status_of(USER, replace(LINKED, health=Health.DISABLED, withheld=True), AS_OF) is Health.DISABLED


@pytest.mark.parametrize("health", [Health.REVOKED, Health.EXPIRED, Health.WITHHELD])
def test_why_nothing_is_stored_is_shown_where_it_is_known(health: Health) -> None:
    assert status_of(EMPTY, replace(LINKED, health=health), AS_OF) is health


@pytest.mark.parametrize("health", [Health.OK, Health.EXPIRING, Health.OVERDUE, Health.UNKNOWN, Health.MISSING])
def test_else_it_is_missing(health: Health) -> None:
    assert status_of(EMPTY, replace(LINKED, health=health), AS_OF) is Health.MISSING


@pytest.mark.parametrize("health", [Health.UNKNOWN, Health.MISSING])
def test_a_stored_token_that_nobody_asked_about_is_unknown(health: Health) -> None:
    record = replace(LINKED, health=health, expires_at=NOW - timedelta(days=1))

    assert status_of(USER, record, AS_OF) is Health.UNKNOWN


@pytest.mark.parametrize("health", [Health.OK, Health.EXPIRING, Health.OVERDUE])
@pytest.mark.parametrize(
    ("ends_in", "shown"),
    [
        (-timedelta(days=3), Health.EXPIRED),
        (timedelta(), Health.EXPIRED),
        (MICROSECOND, Health.EXPIRING),
        (timedelta(days=7), Health.EXPIRING),
        (timedelta(days=7) + MICROSECOND, Health.OK),
    ],
)
def test_time_alone_ends_a_token_that_worked(health: Health, ends_in: timedelta, shown: Health) -> None:
    # Old enough to be overdue: what has an end is judged by it.
    record = replace(LINKED, health=health, created_at=NOW - timedelta(days=400), expires_at=NOW + ends_in)

    assert status_of(USER, record, AS_OF) is shown


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (None, Health.OK),
        (timedelta(days=90) - MICROSECOND, Health.OK),
        (timedelta(days=90), Health.OVERDUE),
    ],
)
def test_a_token_without_an_end_is_overdue_past_its_wanted_life(age: timedelta | None, shown: Health) -> None:
    record = replace(LINKED, created_at=None if age is None else NOW - age)

    assert status_of(USER, record, AS_OF) is shown
    assert status_of(USER, record, AsOf(NOW)) is Health.OK


def test_every_status_has_its_place_in_a_sorted_list() -> None:
    assert sorted(GRAVEST_FIRST) == sorted(Health)
