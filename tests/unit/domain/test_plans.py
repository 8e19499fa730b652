"""What a sync decides for one user, case by case, and the laws that hold for every case there can be."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.accounts import Account, AccountId
from mmconsole.domain.checks import Cause
from mmconsole.domain.plans import (
    REMOVING,
    Finding,
    Kind,
    Rules,
    Seen,
    UserPlan,
    changes_for,
    is_address,
    locale_of,
    looks_settled,
    plan_removed,
    plan_successor,
    plan_user,
)
from mmconsole.domain.text import fitting_name, legal_username
from mmconsole.domain.tokens import Health, Token, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId

ANN = User(UserId("7"), "Ann@x.test", True, None, "Ann", "Lee", None, True, None, False, "a digest")
ACCOUNT = Account(AccountId("a"), "ann", "ann@x.test", "Ann", "Lee")
TOKEN = Token(TokenId("t"), AccountId("a"))
STORED = replace(ANN, has_stored_token=True)
RECORD = TokenRecord(UserId("7"), AccountId("a"), TokenId("t"), health=Health.OK, pushed_digest=STORED.digest)
CONFIRMED = Rules(confirmed=frozenset({UserId("7")}))


def seen(*accounts: Account, **more: Any) -> Seen:
    """A complete look at these accounts, with the token unless another is given."""
    by_address = {account.email: account for account in accounts}
    return Seen(
        **{"accounts": {one.id: one for one in accounts}, "by_address": by_address, "tokens": {"t": TOKEN}, **more}
    )


def steps(plan: UserPlan) -> tuple[Kind, ...]:
    assert plan.finding is None, plan
    return plan.steps


# ── newcomers ────────────────────────────────────────────────────────────────────────────────────


def test_user_whom_nobody_knows_gets_account_team_and_token() -> None:
    assert steps(plan_user(ANN, None, seen(), Rules())) == (Kind.CREATE, Kind.JOIN, Kind.GENERATE)


def test_unverified_newcomer_gets_an_account_too() -> None:
    assert Kind.CREATE in steps(plan_user(replace(ANN, email_verified=False), None, seen(), Rules()))


def test_verified_user_is_linked_to_the_account_of_that_address() -> None:
    assert steps(plan_user(ANN, None, seen(ACCOUNT), Rules())) == (Kind.LINK, Kind.JOIN, Kind.GENERATE)


def test_user_with_a_stored_token_is_linked_and_the_token_adopted() -> None:
    assert steps(plan_user(STORED, None, seen(ACCOUNT), Rules())) == (Kind.LINK, Kind.JOIN, Kind.ADOPT)


def test_stored_token_does_not_survive_a_new_account() -> None:
    assert steps(plan_user(STORED, None, seen(), Rules()))[-1] is Kind.GENERATE


def test_withheld_newcomer_gets_no_token() -> None:
    record = TokenRecord(UserId("7"), withheld=True)

    assert steps(plan_user(STORED, record, seen(), Rules())) == (Kind.CREATE, Kind.JOIN)
    assert steps(plan_user(STORED, record, seen(ACCOUNT), Rules())) == (Kind.LINK, Kind.JOIN)


NEVER_LINKED = [
    (replace(ACCOUNT, is_bot=True), "bot"),
    (replace(ACCOUNT, remote_id="r"), "remote"),
    (replace(ACCOUNT, roles="system_user system_admin"), "administrator"),
    (replace(ACCOUNT, delete_at=1), "deactivated"),
]


@pytest.mark.parametrize(("account", "why"), NEVER_LINKED, ids=[why for _, why in NEVER_LINKED])
@pytest.mark.parametrize("rules", [Rules(), CONFIRMED])
def test_accounts_that_are_not_ordinary_people_are_never_linked(account: Account, why: str, rules: Rules) -> None:
    plan = plan_user(ANN, None, seen(account), rules)

    assert plan.finding is Finding.CONFLICT
    assert why in plan.why


@pytest.mark.parametrize("rules", [Rules(), CONFIRMED])
def test_account_of_another_user_is_never_linked(rules: Rules) -> None:
    plan = plan_user(ANN, None, seen(ACCOUNT, claimed={"a": UserId("8")}), rules)

    assert "user 8" in plan.why


def test_address_that_the_application_did_not_verify_links_only_when_confirmed() -> None:
    user = replace(ANN, email_verified=False)

    assert "--link-existing" in plan_user(user, None, seen(ACCOUNT), Rules()).why
    assert Kind.LINK in steps(plan_user(user, None, seen(ACCOUNT), CONFIRMED))


def test_link_that_was_refused_is_tried_again_only_after_a_change() -> None:
    record = TokenRecord(UserId("7"), health=Health.CONFLICT, cause="x", pushed_digest=ANN.digest, account_update_at=5)
    account = replace(ACCOUNT, update_at=5)

    assert plan_user(ANN, record, seen(account), Rules()).why == "x"
    assert Kind.LINK in steps(plan_user(ANN, record, seen(replace(account, update_at=6)), Rules()))
    assert Kind.LINK in steps(plan_user(ANN, record, seen(account), CONFIRMED))


def test_row_that_names_another_account_is_a_conflict_until_confirmed() -> None:
    other = replace(ACCOUNT, id=AccountId("b"), email="other@x.test")
    user = replace(ANN, stored_account_id="b")

    assert "another one" in plan_user(user, None, seen(other), Rules()).why
    assert steps(plan_user(user, None, seen(other), CONFIRMED))[0] is Kind.LINK
    assert "bot" in plan_user(user, None, seen(replace(other, is_bot=True)), CONFIRMED).why


def test_row_that_names_an_account_nobody_knows_goes_by_the_address_when_confirmed() -> None:
    user = replace(ANN, stored_account_id="nowhere")

    assert "does not know" in plan_user(user, None, seen(ACCOUNT), Rules()).why
    assert steps(plan_user(user, None, seen(ACCOUNT), CONFIRMED))[0] is Kind.LINK
    assert steps(plan_user(user, None, seen(), CONFIRMED))[0] is Kind.CREATE


def test_row_that_names_the_account_of_its_address_is_linked() -> None:
    assert steps(plan_user(replace(ANN, stored_account_id="a"), None, seen(ACCOUNT), Rules()))[0] is Kind.LINK


@pytest.mark.parametrize("email", [None, "", " ", "ann", "a@b@c", "a b@x", "a/b@x.test", "a@x,b", "a" * 129])
def test_user_without_a_usable_address_is_a_conflict(email: str | None) -> None:
    assert plan_user(replace(ANN, email=email), None, seen(), Rules()).finding is Finding.CONFLICT


# ── linked users ─────────────────────────────────────────────────────────────────────────────────


def test_linked_user_in_step_is_unchanged() -> None:
    assert plan_user(STORED, RECORD, seen(ACCOUNT), Rules()).finding is Finding.UNCHANGED


def test_account_that_was_not_asked_for_has_not_changed() -> None:
    assert plan_user(STORED, RECORD, seen(), Rules()).finding is Finding.UNCHANGED


def test_difference_is_an_update() -> None:
    assert steps(plan_user(STORED, RECORD, seen(replace(ACCOUNT, first_name="X")), Rules())) == (Kind.UPDATE,)


@pytest.mark.parametrize(
    "account",
    [replace(ACCOUNT, roles="system_user x"), replace(ACCOUNT, is_bot=True), replace(ACCOUNT, remote_id="r")],
)
def test_linked_account_that_is_no_ordinary_one_any_more_gets_nothing(account: Account) -> None:
    plan = plan_user(ANN, RECORD, seen(replace(account, first_name="X"), tokens={}), Rules())

    assert plan.finding is Finding.CONFLICT
    assert plan.health in {Health.DENIED, Health.CONFLICT}


def test_account_that_two_users_are_linked_to_is_a_conflict() -> None:
    plan = plan_user(STORED, RECORD, seen(ACCOUNT, claimed_twice=frozenset({"a"})), Rules())

    assert plan.finding is Finding.CONFLICT


def test_account_that_is_gone_is_replaced_only_when_confirmed() -> None:
    gone = seen(gone=frozenset({AccountId("a")}))

    assert plan_user(STORED, RECORD, gone, Rules()).finding is Finding.CONFLICT
    assert steps(plan_user(STORED, RECORD, gone, CONFIRMED)) == (Kind.CREATE, Kind.JOIN, Kind.GENERATE)
    assert steps(plan_user(STORED, replace(RECORD, withheld=True), gone, CONFIRMED)) == (Kind.CREATE, Kind.JOIN)


def test_account_that_is_gone_is_replaced_by_the_one_that_has_its_address_only_when_confirmed() -> None:
    gone = seen(gone=frozenset({AccountId("a")}))
    other = replace(ACCOUNT, id=AccountId("b"), username="ann.new")

    unconfirmed = plan_successor(STORED, RECORD, other, gone, Rules())
    confirmed = plan_successor(STORED, RECORD, other, gone, CONFIRMED)

    assert "@ann.new has its address" in unconfirmed.why
    assert "--link-existing" in unconfirmed.why
    assert steps(confirmed) == (Kind.LINK, Kind.JOIN, Kind.ADOPT)
    assert confirmed.links == "ann.new"


@pytest.mark.parametrize(("account", "why"), NEVER_LINKED, ids=[why for _, why in NEVER_LINKED])
@pytest.mark.parametrize("rules", [Rules(), CONFIRMED])
def test_account_that_is_gone_is_never_replaced_by_one_that_is_no_ordinary_persons(
    account: Account, why: str, rules: Rules
) -> None:
    plan = plan_successor(STORED, RECORD, replace(account, id=AccountId("b")), seen(), rules)

    assert plan.finding is Finding.CONFLICT
    assert why in plan.why


def test_account_that_is_gone_is_marked_so_that_its_address_is_asked_for() -> None:
    gone = seen(gone=frozenset({AccountId("a")}))

    assert plan_user(STORED, RECORD, gone, Rules()).gone
    assert plan_user(STORED, RECORD, gone, CONFIRMED).gone
    assert not plan_user(STORED, RECORD, seen(ACCOUNT), Rules()).gone


@pytest.mark.parametrize(
    ("changes", "notices"),
    [({"first_name": "X"}, 0), ({"email": "new@x.test"}, 1), ({"email": "new@x.test", "username": "other"}, 2)],
)
def test_plan_counts_the_mails_that_a_change_causes(changes: dict[str, Any], notices: int) -> None:
    rules = Rules(update_username=True)

    assert plan_user(replace(STORED, **changes), RECORD, seen(ACCOUNT), rules).notices == notices
    assert (
        plan_user(
            replace(STORED, **changes),
            None,
            seen(ACCOUNT, by_address={"ann@x.test": ACCOUNT, "new@x.test": ACCOUNT}),
            rules,
        ).notices
        == notices
    )


def test_only_what_we_deactivated_is_reactivated() -> None:
    inactive = seen(replace(ACCOUNT, delete_at=1))
    ours = replace(RECORD, deactivated_by_us=True)

    left = plan_user(STORED, RECORD, inactive, Rules())
    assert (left.finding, left.health) == (Finding.LEFT, Health.INACTIVE)
    assert steps(plan_user(STORED, ours, inactive, Rules())) == (Kind.REACTIVATE,)
    assert plan_user(STORED, ours, inactive, Rules(reactivate=False)).finding is Finding.LEFT


def test_note_that_we_deactivated_an_account_is_corrected_when_it_is_active() -> None:
    assert steps(plan_user(STORED, replace(RECORD, deactivated_by_us=True), seen(ACCOUNT), Rules())) == (
        Kind.REACTIVATE,
    )


def test_account_outside_a_team_joins_it() -> None:
    outside = seen(ACCOUNT, outside_teams=frozenset({AccountId("a")}))

    assert steps(plan_user(STORED, RECORD, outside, Rules(teams=True))) == (Kind.JOIN,)


def test_address_that_waits_is_not_sent_again_and_forgotten_when_it_arrived_or_is_not_wanted_any_more() -> None:
    waiting = replace(RECORD, waiting_email="ann@x.test")
    old = replace(ACCOUNT, email="old@x.test")

    assert plan_user(STORED, waiting, seen(old), Rules()).finding is Finding.UNCHANGED
    assert steps(plan_user(STORED, waiting, seen(ACCOUNT), Rules())) == (Kind.UPDATE,)
    assert steps(plan_user(STORED, replace(RECORD, waiting_email="b@x.test"), seen(ACCOUNT), Rules())) == (Kind.UPDATE,)


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────


def test_user_without_a_stored_token_gets_one() -> None:
    assert steps(plan_user(ANN, RECORD, seen(ACCOUNT), Rules())) == (Kind.GENERATE,)


def test_token_that_a_complete_list_does_not_have_is_replaced() -> None:
    assert steps(plan_user(STORED, RECORD, seen(ACCOUNT, tokens={}), Rules())) == (Kind.GENERATE,)


def test_token_that_nobody_looked_for_is_left_as_it_is() -> None:
    assert plan_user(STORED, RECORD, seen(ACCOUNT, tokens=None), Rules()).finding is Finding.UNCHANGED


def test_disabled_token_is_left_alone() -> None:
    disabled = TOKEN._replace(active=False)

    plan = plan_user(STORED, RECORD, seen(ACCOUNT, tokens={"t": disabled}), Rules())

    assert (plan.finding, plan.health) == (Finding.LEFT, Health.DISABLED)


def test_token_of_another_account_is_a_conflict() -> None:
    other = TOKEN._replace(account_id=AccountId("b"))

    assert plan_user(STORED, RECORD, seen(ACCOUNT, tokens={"t": other}), Rules()).finding is Finding.CONFLICT


@pytest.mark.parametrize(("known", "shown"), [(Health.OK, Health.WITHHELD), (Health.DISABLED, Health.DISABLED)])
def test_withheld_token_is_left_alone_and_says_why(known: Health, shown: Health) -> None:
    disabled = TOKEN._replace(active=False)

    plan = plan_user(ANN, replace(RECORD, withheld=True, health=known), seen(ACCOUNT, tokens={"t": disabled}), Rules())

    assert (plan.finding, plan.health) == (Finding.LEFT, shown)
    assert "tokens repair USER" in plan.why


def test_newcomers_join_no_team_where_none_is_configured() -> None:
    new = replace(ANN, stored_account_id=None, has_stored_token=False)

    plan = plan_user(new, None, seen(), Rules(joins=False))

    assert plan.steps == (Kind.CREATE, Kind.GENERATE)


@pytest.mark.parametrize("tokens", [None, {"t": TOKEN}])
def test_token_whose_stored_secret_is_another_one_is_replaced_though_the_server_lists_it(tokens: Any) -> None:
    record = replace(RECORD, health=Health.REVOKED, cause=Cause.OTHER_SECRET)

    assert plan_user(STORED, record, seen(ACCOUNT, tokens=tokens), Rules()).steps == (Kind.GENERATE,)


def test_stored_token_without_an_id_is_adopted_once() -> None:
    record = replace(RECORD, token_id=None, health=Health.MISSING)

    assert steps(plan_user(STORED, record, seen(ACCOUNT), Rules())) == (Kind.ADOPT,)
    assert plan_user(STORED, replace(record, health=Health.OK), seen(ACCOUNT), Rules()).finding is Finding.UNCHANGED


def test_update_and_token_are_one_plan_in_the_order_of_their_kinds() -> None:
    plan = plan_user(ANN, RECORD, seen(replace(ACCOUNT, first_name="X")), Rules())

    assert steps(plan) == (Kind.UPDATE, Kind.GENERATE)


# ── leaving ──────────────────────────────────────────────────────────────────────────────────────

GONE = replace(STORED, active=False)


@pytest.mark.parametrize("deactivate", [False, True])
def test_who_leaves_loses_the_token_and_the_account_only_where_that_is_wanted(*, deactivate: bool) -> None:
    wanted = (Kind.REVOKE, Kind.DEACTIVATE) if deactivate else (Kind.REVOKE,)
    rules = Rules(deactivate=deactivate)

    assert steps(plan_user(GONE, RECORD, seen(ACCOUNT), rules)) == wanted
    assert steps(plan_removed(RECORD, ACCOUNT, rules)) == wanted


@pytest.mark.parametrize("record", [None, replace(RECORD, token_id=None)])
def test_who_leaves_a_token_without_a_known_id_is_named(record: TokenRecord | None) -> None:
    plan = plan_user(replace(GONE, has_stored_token=True), record, seen(ACCOUNT), Rules())

    assert plan.finding is Finding.LEFT
    assert "revoke it on the server" in plan.why


@pytest.mark.parametrize(
    "account",
    [
        None,
        replace(ACCOUNT, delete_at=1),
        replace(ACCOUNT, roles="system_admin"),
        replace(ACCOUNT, is_bot=True),
        replace(ACCOUNT, remote_id="r"),
    ],
)
def test_account_that_was_not_seen_to_be_active_and_ordinary_is_not_deactivated(account: Account | None) -> None:
    rules, look = Rules(deactivate=True), seen(*([account] if account else []))

    assert steps(plan_user(GONE, RECORD, look, rules)) == (Kind.REVOKE,)
    assert steps(plan_removed(RECORD, account, rules)) == (Kind.REVOKE,)


def test_who_left_without_link_or_token_needs_nothing() -> None:
    gone = replace(GONE, has_stored_token=False)
    assert plan_user(gone, None, seen(), Rules(deactivate=True)).finding is Finding.UNCHANGED
    assert plan_user(gone, replace(RECORD, token_id=None), seen(), Rules()).finding is Finding.UNCHANGED
    assert plan_removed(replace(RECORD, token_id=None), ACCOUNT, Rules()).finding is Finding.UNCHANGED


# ── small functions ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address", ["a@b", "a.b.c@x.y", "ümlaut@x.test", "a+b@x.test", "o'neil@x.test", "a" * 121 + "@x.test"]
)
def test_addresses_that_mattermost_takes(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *(None, "", "@", "a@", "@b", "a@b ", "a@b\n", "a;b@c", "<a@b>", "a@b@c", "a" * 128 + "@x", "a/b@c", "a@b/c"),
        *("a..b@x.test", ".a@x.test", "a.@x.test", "a@x..test", "a@.x", "a@x."),
    ],
)
def test_addresses_that_mattermost_does_not_take_or_cannot_be_asked_for(address: str | None) -> None:
    assert not is_address(address)


LOCALES = [
    ("de", "de"),
    ("pt_BR", "pt-BR"),
    (" fr ", "fr"),
    ("en_US.UTF-8", None),
    ("C", None),
    ("", None),
    (None, None),
]


@pytest.mark.parametrize(("ours", "theirs"), LOCALES)
def test_locale_in_mattermosts_spelling(ours: str | None, theirs: str | None) -> None:
    assert locale_of(replace(ANN, locale=ours)) == theirs


def test_changes_name_only_what_differs() -> None:
    assert changes_for(ANN, ACCOUNT, Rules()).named() == {}
    user = replace(ANN, first_name=" Anna\n", locale="de_AT", email="NEW@x.test ")
    assert changes_for(user, ACCOUNT, Rules()).named() == {
        "email": "new@x.test",
        "first_name": "Anna",
        "locale": "de-AT",
    }


def test_username_changes_only_where_that_is_wanted_and_legal() -> None:
    user, rules = replace(ANN, username="Anna"), Rules(update_username=True)

    assert changes_for(user, ACCOUNT, Rules()).username is None
    assert changes_for(user, ACCOUNT, rules).username == "anna"
    assert changes_for(replace(user, username="Jürgen Groß"), ACCOUNT, rules).username == "jurgen-gross"
    assert changes_for(replace(user, username="+++"), ACCOUNT, rules).username is None


def test_number_that_a_username_got_at_its_creation_stays() -> None:
    user, rules = replace(ANN, username="Ann"), Rules(update_username=True)

    assert changes_for(user, replace(ACCOUNT, username="ann-2"), rules).username is None
    assert changes_for(user, replace(ACCOUNT, username="ann-x"), rules).username == "ann"
    assert changes_for(user, replace(ACCOUNT, username="anna-2"), rules).username == "ann"


def test_username_that_two_rows_want_is_a_conflict_and_never_pushed() -> None:
    user = replace(STORED, username="boss")
    rules = Rules(update_username=True, shared_usernames=frozenset({user.id}))
    look, record = seen(ACCOUNT), replace(RECORD, pushed_digest=user.digest)

    plan = plan_user(user, record, look, rules)

    assert (plan.finding, plan.health) == (Finding.CONFLICT, None)
    assert "username boss" in plan.why
    assert steps(plan_user(replace(user, first_name="X"), record, look, rules)) == (Kind.UPDATE,)
    assert changes_for(user, ACCOUNT, rules).username is None
    assert plan_user(replace(user, username="ann"), record, look, rules).finding is Finding.UNCHANGED


def test_unverified_or_waiting_address_is_not_among_the_changes() -> None:
    user = replace(ANN, email="new@x.test")

    assert changes_for(replace(user, email_verified=False), ACCOUNT, Rules()).email is None
    assert changes_for(user, ACCOUNT, Rules(), waiting_email="new@x.test").email is None


def test_account_that_signs_in_elsewhere_keeps_its_names_and_address() -> None:
    account = replace(ACCOUNT, auth_service="saml", first_name="X", email="x@x.test")

    assert changes_for(replace(ANN, locale="de"), account, Rules(update_username=True)).named() == {"locale": "de"}


def test_disabled_token_that_is_enabled_again_is_in_order_again() -> None:
    record = replace(RECORD, withheld=True, health=Health.DISABLED)

    assert plan_user(STORED, record, seen(ACCOUNT), Rules()).finding is Finding.UNCHANGED


def test_withheld_user_whom_an_operator_names_gets_a_token() -> None:
    record = replace(RECORD, withheld=True, health=Health.DENIED, token_id=None)
    user = replace(ANN, has_stored_token=False)

    assert plan_user(user, record, seen(ACCOUNT), Rules()).finding is Finding.LEFT
    assert Kind.GENERATE in plan_user(user, record, seen(ACCOUNT), Rules(asked=frozenset({user.id}))).steps


def test_names_that_the_application_does_not_say_are_left_as_they_are() -> None:
    user = replace(ANN, first_name=None, last_name=None)

    assert changes_for(user, replace(ACCOUNT, first_name="Kept", last_name="Too"), Rules()).named() == {}


# ── laws ─────────────────────────────────────────────────────────────────────────────────────────

texts = st.sampled_from(["", "Ann", "田中", "a\x00b", "x" * 100, " Lee "]) | st.text(max_size=8)
addresses = st.sampled_from([None, "", "ann@x.test", " ANN@x.test", "b@x.test", "nobody", "a/b@x.test"])
locales = st.sampled_from([None, "de", "pt_BR", "C", "nonsense"])
ids = st.sampled_from(["a", "b", "c"])
roles = st.sampled_from(["system_user", "system_user system_admin", "system_user system_user_access_token", "custom"])
users = st.builds(
    User,
    id=st.just(UserId("7")),
    email=addresses,
    email_verified=st.booleans(),
    username=st.sampled_from([None, "ann", "Not Legal"]),
    first_name=texts,
    last_name=texts,
    locale=locales,
    active=st.booleans(),
    stored_account_id=st.none() | ids,
    has_stored_token=st.booleans(),
)
records = st.builds(
    TokenRecord,
    user_id=st.just(UserId("7")),
    account_id=st.none() | ids,
    token_id=st.none() | st.sampled_from(["t", "u"]),
    health=st.sampled_from(Health),
    pushed_digest=st.sampled_from(["", "x"]),
    account_update_at=st.sampled_from([0, 1]),
    waiting_email=st.sampled_from(["", "ann@x.test", "b@x.test"]),
    withheld=st.booleans(),
    deactivated_by_us=st.booleans(),
)
accounts = st.builds(
    Account,
    id=ids,
    username=st.just("ann"),
    email=st.sampled_from(["ann@x.test", "b@x.test", "c@x.test"]),
    first_name=texts,
    last_name=texts,
    locale=st.sampled_from(["", "en", "de"]),
    roles=roles,
    auth_service=st.sampled_from(["", "saml"]),
    is_bot=st.booleans(),
    remote_id=st.sampled_from(["", "r"]),
    update_at=st.sampled_from([0, 1]),
    delete_at=st.sampled_from([0, 1]),
)
tokens = st.builds(Token, id=st.sampled_from(["t", "u"]), account_id=ids, active=st.booleans())
looks = st.builds(
    Seen,
    accounts=st.lists(accounts, max_size=3).map(lambda found: {one.id: one for one in found}),
    gone=st.frozensets(ids, max_size=1),
    by_address=st.lists(accounts, max_size=2).map(lambda found: {one.email: one for one in found}),
    tokens=st.none() | st.lists(tokens, max_size=2).map(lambda found: {one.id: one for one in found}),
    shared_addresses=st.sampled_from([frozenset(), frozenset({UserId("7")})]),
    claimed=st.dictionaries(ids, st.sampled_from([UserId("7"), UserId("8")]), max_size=2),
    claimed_twice=st.frozensets(ids, max_size=1),
    outside_teams=st.frozensets(ids, max_size=2),
)
rules_ = st.builds(
    Rules,
    reactivate=st.booleans(),
    deactivate=st.booleans(),
    update_username=st.booleans(),
    teams=st.booleans(),
    confirmed=st.sampled_from([frozenset(), CONFIRMED.confirmed]),
)


@given(users, st.none() | records, looks, rules_)
def test_law_every_plan_has_either_steps_or_a_finding_and_a_finding_that_is_not_good_says_why(
    user: User, record: TokenRecord | None, look: Seen, rules: Rules
) -> None:
    plan = plan_user(user, record, look, rules)

    assert bool(plan.steps) == (plan.finding is None)
    assert plan.finding in {None, Finding.UNCHANGED} or plan.why
    assert list(plan.steps) == sorted(plan.steps, key=list(Kind).index)
    assert not plan.steps or plan.digest == user.digest


@given(users, st.none() | records, looks, rules_)
def test_law_active_users_lose_nothing_whatever_was_seen(
    user: User, record: TokenRecord | None, look: Seen, rules: Rules
) -> None:
    assert REMOVING.isdisjoint(plan_user(replace(user, active=True), record, look, rules).steps)


@given(users, records, rules_)
def test_law_incomplete_look_never_deactivates_anybody(user: User, record: TokenRecord, rules: Rules) -> None:
    assert Kind.DEACTIVATE not in plan_user(user, record, Seen(), rules).steps
    assert Kind.DEACTIVATE not in plan_removed(record, None, rules).steps


@given(users, records, looks, rules_, accounts)
def test_law_privileged_and_foreign_accounts_are_never_touched(
    user: User, record: TokenRecord, look: Seen, rules: Rules, account: Account
) -> None:
    untouchable = account if account.privileged or account.foreign else replace(account, roles="system_admin")
    linked = replace(record, account_id=untouchable.id)
    look = replace(look, accounts={**look.accounts, untouchable.id: untouchable}, gone=frozenset())

    assert set(plan_user(user, linked, look, rules).steps) <= {Kind.REVOKE}
    assert set(plan_removed(linked, untouchable, rules).steps) <= {Kind.REVOKE}


@given(users, looks, rules_, accounts)
def test_law_account_of_an_address_that_is_privileged_foreign_or_deactivated_is_never_linked(
    user: User, look: Seen, rules: Rules, account: Account
) -> None:
    if not (account.privileged or account.foreign or not account.active):
        account = replace(account, is_bot=True)
    user = replace(user, stored_account_id=None, active=True)
    look = replace(look, by_address={user.address or "": account})

    assert plan_user(user, None, look, rules).steps == ()


@given(users, st.none() | records, looks, rules_)
def test_law_nobody_is_linked_without_a_verified_address_or_a_confirmation(
    user: User, record: TokenRecord | None, look: Seen, rules: Rules
) -> None:
    user, rules = replace(user, email_verified=False), replace(rules, confirmed=frozenset())

    assert Kind.LINK not in plan_user(user, record, look, rules).steps


@given(users, records, looks, rules_)
def test_law_withheld_users_never_get_a_token(user: User, record: TokenRecord, look: Seen, rules: Rules) -> None:
    health = Health.WITHHELD if record.health is Health.DISABLED else record.health
    plan = plan_user(user, replace(record, withheld=True, health=health), look, rules)

    assert {Kind.GENERATE, Kind.ADOPT}.isdisjoint(plan.steps)


@given(users, st.none() | records, looks, rules_)
def test_law_users_with_a_shared_address_are_all_conflicts(
    user: User, record: TokenRecord | None, look: Seen, rules: Rules
) -> None:
    shared = replace(look, shared_addresses=frozenset({user.id}))

    assert plan_user(replace(user, active=True), record, shared, rules).finding is Finding.CONFLICT


@given(users, accounts, rules_, st.sampled_from(["", "ann@x.test"]))
def test_law_unverified_address_is_never_pushed(user: User, account: Account, rules: Rules, waiting: str) -> None:
    assert changes_for(replace(user, email_verified=False), account, rules, waiting_email=waiting).email is None


@given(users, accounts, rules_)
def test_law_applied_changes_leave_nothing_to_change(user: User, account: Account, rules: Rules) -> None:
    named: dict[str, Any] = dict(changes_for(user, account, rules).named())
    changed = replace(account, **named)

    assert changes_for(user, changed, rules).named() == {}


@given(users, rules_)
def test_law_user_in_step_plans_nothing(user: User, rules: Rules) -> None:
    user = replace(user, active=True, email="ann@x.test", has_stored_token=True)
    mirrored = replace(
        ACCOUNT, first_name=fitting_name(user.first_name or ""), last_name=fitting_name(user.last_name or "")
    )
    username = legal_username(user.username or "") if rules.update_username else ""
    mirrored = replace(mirrored, locale=locale_of(user) or "en", username=username or "ann")
    record = replace(RECORD, pushed_digest=user.digest)

    assert looks_settled(user, record)
    assert plan_user(user, record, seen(mirrored), rules).finding is Finding.UNCHANGED


@given(users, records, looks, rules_)
def test_law_who_looks_settled_and_is_listed_and_undisputed_needs_nothing(
    user: User, record: TokenRecord, look: Seen, rules: Rules
) -> None:
    """The short cut for the many may never spare a plan that had steps."""
    record = replace(record, account_id=AccountId("a"), token_id=TokenId("t"))
    user = replace(user, email="ann@x.test")
    look = replace(
        look,
        accounts={},
        gone=frozenset(),
        shared_addresses=frozenset(),
        claimed_twice=frozenset(),
        outside_teams=frozenset(),
        tokens={TokenId("t"): TOKEN},
    )
    if looks_settled(user, record):
        assert plan_user(user, record, look, rules).finding is Finding.UNCHANGED


@given(st.text(max_size=40))
def test_law_locale_is_one_the_server_takes(text: str) -> None:
    locale = locale_of(replace(ANN, locale=text))

    assert locale is None or re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z]{2})?", locale)
