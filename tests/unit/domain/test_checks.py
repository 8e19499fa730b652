"""Verdicts of a check: what follows from what is seen, and what of it is remembered."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.accounts import Account, AccountId
from mmconsole.domain.checks import (
    WORKING,
    Cause,
    Verdict,
    assess,
    cure_of,
    is_broken,
    is_left_out,
    remembered,
    verdict_of,
)
from mmconsole.domain.health import AsOf, status_of
from mmconsole.domain.tokens import Health, Token, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId

NOW = datetime(2026, 7, 1, tzinfo=UTC)
ANN = UserId("7")
A, T = AccountId("a" * 26), TokenId("t" * 26)
USER = User(ANN, "ann@x.test", True, None, "Ann", "Lee", None, True, None, True)
RECORD = TokenRecord(ANN, A, T, health=Health.OK)
ACCOUNT = Account(A, "ann", "ann@x.test")
TOKEN = Token(T, A)
PAST, FUTURE = 1, int((NOW + timedelta(days=1)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("account", "token", "expected"),
    [
        (ACCOUNT, TOKEN, WORKING),
        (ACCOUNT, Token(T, A, expires_at=FUTURE), WORKING),
        (None, TOKEN, verdict_of(Cause.GONE)),
        (replace(ACCOUNT, delete_at=5), TOKEN, verdict_of(Cause.INACTIVE)),
        (replace(ACCOUNT, delete_at=5), None, verdict_of(Cause.INACTIVE)),
        (replace(ACCOUNT, roles="system_user system_admin"), TOKEN, verdict_of(Cause.PRIVILEGED)),
        (ACCOUNT, None, verdict_of(Cause.REVOKED)),
        (ACCOUNT, Token(T, A, active=False), verdict_of(Cause.DISABLED)),
        (ACCOUNT, Token(T, A, expires_at=PAST), verdict_of(Cause.EXPIRED)),
        (ACCOUNT, Token(T, AccountId("b" * 26)), verdict_of(Cause.ANOTHERS)),
    ],
)
def test_what_an_administrator_sees(account: Account | None, token: Token | None, expected: Verdict) -> None:
    assert assess(USER, RECORD, account, token, now=NOW) == expected


def test_a_token_that_is_gone_after_its_end_has_expired() -> None:
    ended = replace(RECORD, expires_at=NOW - timedelta(hours=2))

    assert assess(USER, ended, ACCOUNT, None, now=NOW) == verdict_of(Cause.EXPIRED)


def test_who_has_no_stored_token_misses_one_whatever_the_server_has() -> None:
    empty = replace(USER, has_stored_token=False)

    assert assess(empty, RECORD, ACCOUNT, TOKEN, now=NOW).health is Health.MISSING
    assert assess(empty, RECORD, ACCOUNT, None, now=NOW).health is Health.MISSING


@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize("cause", [cause for cause in Cause if verdict_of(cause).definite])
def test_each_cause_is_remembered_in_its_words(cause: Cause, *, probed: bool) -> None:
    verdict = verdict_of(cause)

    found = remembered(RECORD, verdict, probed=probed)

    assert (found.health, found.cause) == (verdict.health, cause)
    assert is_broken(status_of(USER, found, AsOf(NOW)))
    assert cure_of(found.health, found.cause)


@pytest.mark.parametrize(
    ("health", "cause", "quick", "deep"),
    [
        (Health.OK, "its id is unknown: 2 tokens fit", Health.OK, Health.OK),
        (Health.EXPIRING, "", Health.EXPIRING, Health.EXPIRING),
        (Health.REVOKED, Cause.REVOKED, Health.OK, Health.OK),
        (Health.REVOKED, Cause.OTHER_SECRET, Health.REVOKED, Health.OK),
        (Health.INACTIVE, Cause.INACTIVE, Health.OK, Health.OK),
        (Health.DENIED, Cause.MFA, Health.DENIED, Health.OK),
        (Health.DENIED, Cause.PRIVILEGED, Health.OK, Health.OK),
        (Health.CONFLICT, Cause.GONE, Health.OK, Health.OK),
        (Health.CONFLICT, "another row names this account", Health.CONFLICT, Health.CONFLICT),
        (Health.UNKNOWN, "", Health.OK, Health.OK),
        (Health.MISSING, "", Health.OK, Health.OK),
    ],
)
def test_what_a_working_token_refutes(health: Health, cause: str, quick: Health, deep: Health) -> None:
    record = replace(RECORD, health=health, cause=cause)

    found = [remembered(record, WORKING, probed=probed) for probed in (False, True)]

    assert [one.health for one in found] == [quick, deep]
    assert all(one == record for one in found if one.health is health)
    assert all(not one.cause for one in found if one.health is not health)


def test_words_that_a_sync_found_for_the_same_stay() -> None:
    record = replace(RECORD, health=Health.INACTIVE, cause="the account is deactivated on the server: reactivate it")

    assert remembered(record, verdict_of(Cause.INACTIVE), probed=False) is record


def test_another_cause_of_the_same_status_is_remembered() -> None:
    record = remembered(RECORD, verdict_of(Cause.OTHER_SECRET), probed=True)

    assert remembered(record, verdict_of(Cause.REVOKED), probed=False).cause == Cause.REVOKED


def test_disabled_is_withheld_until_it_is_enabled() -> None:
    disabled = remembered(RECORD, verdict_of(Cause.DISABLED), probed=False)
    deleted = remembered(disabled, verdict_of(Cause.REVOKED), probed=False)
    enabled = remembered(disabled, WORKING, probed=False)

    assert disabled.withheld
    assert deleted is disabled
    assert (enabled.health, enabled.withheld) == (Health.OK, False)


HEALTHS = st.sampled_from(list(Health))
RECORDS = st.builds(
    TokenRecord,
    user_id=st.just(ANN),
    account_id=st.just(A),
    token_id=st.sampled_from([T, None]),
    health=HEALTHS,
    cause=st.sampled_from(["", "somebody's words", *Cause]),
    withheld=st.booleans(),
)
VERDICTS = st.sampled_from([WORKING, Verdict(Health.MISSING), *(verdict_of(cause) for cause in Cause)]).filter(
    lambda verdict: verdict.definite
)


@given(record=RECORDS, verdict=VERDICTS, probed=st.booleans())
def test_the_same_verdict_twice_says_nothing_new(record: TokenRecord, verdict: Verdict, *, probed: bool) -> None:
    once = remembered(record, verdict, probed=probed)

    assert remembered(once, verdict, probed=probed) is once


_OF_THEIR_OWN = {Cause.MFA, Cause.OTHER_SECRET, Cause.SWITCHED_OFF, Cause.ADMIN_REFUSED}
"""Causes that say what to do whatever the status is."""


@given(record=RECORDS, verdict=VERDICTS, probed=st.booleans())
def test_only_health_cause_and_what_was_disabled_change(record: TokenRecord, verdict: Verdict, *, probed: bool) -> None:
    found = remembered(record, verdict, probed=probed)

    assert replace(found, health=record.health, cause=record.cause, withheld=record.withheld) == record


@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize("cause", [None, *Cause])
def test_a_revocation_that_can_be_undone_stays_as_it_is(cause: Cause | None, *, probed: bool) -> None:
    """Its token is only disabled on the server for a while."""
    record = replace(RECORD, health=Health.WITHHELD, cause="revoked by an operator", withheld=True)

    assert remembered(record, verdict_of(cause) if cause else WORKING, probed=probed) is record


def test_who_is_withheld_is_so_again_when_the_account_is_back() -> None:
    record = remembered(replace(RECORD, withheld=True), verdict_of(Cause.INACTIVE), probed=False)

    found = remembered(record, WORKING, probed=False)

    assert (record.health, found.health, found.withheld) == (Health.INACTIVE, Health.WITHHELD, True)


@given(record=RECORDS, verdict=VERDICTS, probed=st.booleans())
def test_what_an_operator_withheld_is_never_given_back(record: TokenRecord, verdict: Verdict, *, probed: bool) -> None:
    found = remembered(record, verdict, probed=probed)

    assert found.withheld or not record.withheld or record.health is Health.DISABLED


def test_an_unknown_verdict_is_not_definite() -> None:
    assert not verdict_of(Cause.SWITCHED_OFF).definite
    assert not Verdict(Health.UNKNOWN, "no answer").definite


@pytest.mark.parametrize(
    ("user", "record", "expected"),
    [
        (replace(USER, active=False, has_stored_token=False), None, True),
        (replace(USER, active=False, has_stored_token=False), replace(RECORD, token_id=None), True),
        (replace(USER, active=False, has_stored_token=False), RECORD, False),
        (replace(USER, active=False), None, False),
        (replace(USER, has_stored_token=False), None, False),
    ],
)
def test_who_has_left_without_a_token_is_left_out(user: User, record: TokenRecord | None, *, expected: bool) -> None:
    assert is_left_out(user, record) is expected


def test_only_what_works_is_not_broken() -> None:
    assert {health for health in Health if not is_broken(health)} == {Health.OK, Health.EXPIRING, Health.OVERDUE}


@pytest.mark.parametrize("cause", ["", *Cause])
@pytest.mark.parametrize("status", [health for health in Health if is_broken(health) and health is not Health.WORKING])
def test_what_a_new_token_cures_is_cured_by_repair(status: Health, cause: str) -> None:
    """A sync decides about accounts; a token alone is repaired."""
    cure = cure_of(status, cause)

    assert ("mmconsole sync" in cure) is (status in {Health.NO_ACCOUNT, Health.CONFLICT} and cause not in _OF_THEIR_OWN)
    if status in {Health.MISSING, Health.REVOKED, Health.EXPIRED, Health.DISABLED, Health.WITHHELD}:
        assert "`mmconsole tokens repair USER`" in cure or cause in _OF_THEIR_OWN
