"""What is asked for tokens, decided for one user."""

from datetime import UTC, datetime, timedelta

import pytest

from mmconsole.domain.accounts import AccountId
from mmconsole.domain.health import AsOf
from mmconsole.domain.plans import Finding, Kind, UserPlan
from mmconsole.domain.token_plans import Act, TokenRules, plan_token
from mmconsole.domain.tokens import Health, Intent, OperationId, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANN = UserId("1")
AS_OF = AsOf(NOW, lifetime=timedelta(days=90))
REVOCATION = Intent(OperationId("op"), ANN, "revoke", AccountId("a"), "t", NOW + timedelta(minutes=10))


def user(*, active: bool = True, stored: bool = True) -> User:
    return User(ANN, "ann@x.test", True, None, "Ann", "Lee", None, active, "a", stored)


def record(health: Health = Health.OK, **fields: object) -> TokenRecord:
    known = {"account_id": AccountId("a"), "token_id": TokenId("t"), "created_at": NOW - timedelta(days=1)}
    return TokenRecord(ANN, health=health, **(known | fields))  # type: ignore[arg-type]


def plan(act: Act, known: TokenRecord | None, *, of: User | None = None, **rules: object) -> UserPlan:
    revocation = rules.pop("revocation", None)
    return plan_token(of or user(), known, TokenRules(act, AS_OF, **rules), revocation)  # type: ignore[arg-type]


@pytest.mark.parametrize("act", [Act.GENERATE, Act.REPAIR])
@pytest.mark.parametrize("health", [Health.REVOKED, Health.EXPIRED, Health.UNKNOWN])
def test_a_broken_token_is_generated_anew(act: Act, health: Health) -> None:
    assert plan(act, record(health)).steps == (Kind.GENERATE,)


def test_a_stored_secret_without_a_known_id_is_tried_first() -> None:
    assert plan(Act.REPAIR, record(Health.UNKNOWN, token_id=None)).steps == (Kind.ADOPT,)


@pytest.mark.parametrize(
    "known",
    [
        record(Health.INACTIVE),
        record(Health.DENIED, cause="MFA demanded"),
        record(Health.CONFLICT, cause="account gone"),
        None,
    ],
)
def test_what_no_token_cures_is_a_conflict_that_says_what_does(known: TokenRecord | None) -> None:
    for act in (Act.GENERATE, Act.REPAIR, Act.ROTATE):
        said = plan(act, known, force=True, named=True)

        assert said.finding is Finding.CONFLICT
        assert said.why
        assert "USER" not in said.why


def test_who_is_inactive_in_the_application_gets_no_token_but_can_lose_one() -> None:
    gone = user(active=False)

    assert plan(Act.GENERATE, record(Health.MISSING), of=gone, force=True).finding is Finding.LEFT
    assert plan(Act.REVOKE, record(), of=gone).steps == (Kind.DISABLE,)


@pytest.mark.parametrize("withheld", [record(Health.DISABLED, withheld=True), record(Health.WITHHELD, withheld=True)])
def test_a_withheld_token_needs_naming_and_is_asked_about(withheld: TokenRecord) -> None:
    assert plan(Act.REPAIR, withheld).finding is Finding.LEFT
    named = plan(Act.REPAIR, withheld, named=True)

    assert named.steps == (Kind.GENERATE,)
    assert named.asks


def test_a_token_that_works_is_left_unless_forced_and_one_that_ends_soon_is_repaired() -> None:
    soon, old = record(expires_at=NOW + timedelta(days=3)), record(created_at=NOW - timedelta(days=91))

    assert plan(Act.REPAIR, record()).finding is Finding.LEFT
    assert plan(Act.REPAIR, record(), force=True).steps == (Kind.REPLACE,)
    assert plan(Act.REPAIR, soon).steps == (Kind.REPLACE,)
    assert plan(Act.REPAIR, old).steps == (Kind.REPLACE,)
    assert plan(Act.GENERATE, soon).finding is Finding.LEFT


@pytest.mark.parametrize(
    ("known", "due"),
    [
        (record(created_at=NOW - timedelta(days=30)), True),
        (record(created_at=NOW - timedelta(days=29)), False),
        (record(created_at=None), True),
        (record(expires_at=NOW + timedelta(days=14)), True),
        (record(expires_at=NOW + timedelta(days=15)), False),
    ],
)
def test_rotate_goes_by_age_and_by_end(known: TokenRecord, *, due: bool) -> None:
    said = plan(Act.ROTATE, known, older_than=timedelta(days=30), expiring_within=timedelta(days=14))

    assert (said.steps == (Kind.REPLACE,)) is due
    assert due or said.finding is Finding.UNCHANGED
    assert plan(Act.ROTATE, known).steps == (Kind.REPLACE,), "without a limit all that work"


def test_a_revocation_leaves_time_unless_it_is_asked_to_be_at_once_or_there_is_nothing_to_undo() -> None:
    assert plan(Act.REVOKE, record()).steps == (Kind.DISABLE,)
    assert plan(Act.REVOKE, record(), at_once=True).steps == (Kind.REVOKE,)
    assert plan(Act.REVOKE, record(token_id=None), of=user(stored=False)).steps == (Kind.REVOKE,)


def test_a_revocation_under_way_is_left_ended_or_undone() -> None:
    disabled = record(Health.WITHHELD, withheld=True)

    assert "2026-03-01 00:10:00 UTC" in plan(Act.REVOKE, disabled, revocation=REVOCATION).why
    assert plan(Act.REVOKE, disabled, revocation=REVOCATION, at_once=True).steps == (Kind.REVOKE,)
    assert plan(Act.UNDO, disabled, revocation=REVOCATION).steps == (Kind.ENABLE,)
    assert plan(Act.REVOKE, record(), revocation=REVOCATION).steps == (Kind.DISABLE,), "it was never disabled"


def test_undo_of_nothing_says_so_and_of_what_is_gone_says_what_to_do() -> None:
    gone = record(Health.WITHHELD, withheld=True, token_id=None)

    assert plan(Act.UNDO, record()).finding is Finding.LEFT
    assert plan(Act.UNDO, gone, of=user(stored=False)).finding is Finding.CONFLICT
    assert plan(Act.REVOKE, gone, of=user(stored=False)).finding is Finding.LEFT


def test_only_what_takes_a_token_away_counts_as_a_removal() -> None:
    removing = {kind for kind in Kind if UserPlan(ANN, steps=(kind,)).removes}

    assert removing == {Kind.DISABLE, Kind.REVOKE, Kind.DEACTIVATE, Kind.ARCHIVE}
