"""Quick and deep checks: what they find, what they remember, and what they leave alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.domain.filters import parse
from mmconsole.domain.tokens import Health
from mmconsole.errors import NoSuchTeam, UserUnknown
from mmconsole.services.checks.checks import CheckRequest, CheckSummary
from mmconsole.simulator import Fault
from mmconsole.simulator.entities import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.conftest import World

BOTH = pytest.mark.parametrize("deep", [False, True], ids=["quick", "deep"])
NEVER_WRITTEN = ("activity", "intents", "jobs", "job_items", "meta", "leases", "projects")


async def check(world: World, *names: str, stop: asyncio.Event | None = None, **request: Any) -> CheckSummary:
    """One check in a process of its own."""
    async with world.core() as core:
        return await core.checks.run(CheckRequest(names=names, **request), stop=stop)


def said(summary: CheckSummary) -> dict[str, str]:
    return {one.user.id: f"{one.status} {one.cause}".strip() for one in summary.broken}


def healths(world: World) -> dict[str, str]:
    return {record["user_id"]: record["health"] for record in world.records()}


def told(world: World) -> list[str]:
    rows = world.sql("SELECT user_id, detail FROM mmconsole_activity WHERE verb = 'token checked' ORDER BY id")
    return [f"{user_id}: {detail}" for user_id, detail in rows]


async def synced(world: World, number: int = 3) -> list[str]:
    ids: list[str] = [world.add(f"p{place}@x.test") for place in range(number)]
    await world.sync()
    return ids


# ── what is found ────────────────────────────────────────────────────────────────────────────────


@BOTH
async def test_tokens_that_work_are_ok_and_only_the_time_of_the_check_is_new(any_world: World, *, deep: bool) -> None:
    world = any_world
    ids = await synced(world)
    before = world.records()
    world.sql("UPDATE mmconsole_tokens SET checked_at = 1")

    summary = await check(world, deep=deep)

    assert dict(summary.counts) == {(Health.OK, ""): 3}
    assert (summary.users, summary.changed, summary.troubled, summary.broken) == (3, 0, 0, [])
    assert all(world.record(user)["checked_at"] > 1 for user in ids)
    assert [one | {"checked_at": 0} for one in world.records()] == [one | {"checked_at": 0} for one in before]
    assert told(world) == []


def _revoke(world: World, user: str) -> None:
    world.server.state.remove_token(world.token(user))


def _disable(world: World, user: str) -> None:
    world.server.disable(world.token(user))


def _expire(world: World, user: str) -> None:
    token = world.token(user)
    token.expires_at, token.encoded = 1, None
    world.server.state.end_session(token.secret)


def _deactivate(world: World, user: str) -> None:
    account = world.server.state.users[world.token(user).user_id]
    world.server.state.set_active(account, active=False)


def _promote(world: World, user: str) -> None:
    account = world.server.state.users[world.token(user).user_id]
    world.server.change(account, roles="system_user system_admin")


def _remove(world: World, user: str) -> None:
    world.server.state.remove_user(world.server.state.users[world.token(user).user_id])


BREAKS: dict[str, Callable[[World, str], None]] = {
    "revoked revoked": _revoke,
    "disabled disabled": _disable,
    "expired expired": _expire,
    "inactive account inactive": _deactivate,
    "denied account has administrator rights": _promote,
    "conflict account gone": _remove,
}


@pytest.fixture
async def recent(new_world: Callable[..., Any]) -> AsyncIterator[World]:
    """A server on which tokens can end."""
    async with new_world(version="11.10.0") as made:
        yield made


@BOTH
@pytest.mark.parametrize("by_name", [False, True], ids=["all", "named"])
@pytest.mark.parametrize("expected", BREAKS)
async def test_each_cause_is_named_and_remembered(recent: World, expected: str, *, by_name: bool, deep: bool) -> None:
    world = recent
    ann, bo, _ = await synced(world)
    BREAKS[expected](world, ann)

    summary = await check(world, *((ann, bo) if by_name else ()), deep=deep)

    assert said(summary) == {ann: expected}
    assert summary.counts[Health.OK, ""] == (1 if by_name else 2)
    assert summary.changed == 1
    health, _, cause = expected.partition(" ")
    assert (world.record(ann)["health"], world.record(ann)["cause"]) == (health, cause)
    why = "" if cause == health else f": {cause}"
    assert told(world) == [f"{ann}: ok is now {health}{why}"]


@BOTH
@pytest.mark.parametrize("expected", [name for name in BREAKS if "denied" not in name])
async def test_a_second_check_finds_the_same_and_writes_it_once(recent: World, expected: str, *, deep: bool) -> None:
    world = recent
    ann, *_ = await synced(world)
    BREAKS[expected](world, ann)
    await check(world, deep=deep)

    summary = await check(world, deep=deep)

    assert said(summary) == {ann: expected}
    assert summary.changed == 0
    assert len(told(world)) == 1


@BOTH
async def test_what_works_again_is_ok_again(world: World, *, deep: bool) -> None:
    ann, bo, cy = await synced(world)
    token = world.token(ann)
    _disable(world, ann)
    _deactivate(world, bo)
    _promote(world, cy)
    await check(world)
    assert healths(world) == {ann: "disabled", bo: "inactive", cy: "denied"}
    token.is_active, token.encoded = True, None
    world.server.state.set_active(world.server.state.users[world.token(bo).user_id], active=True)
    world.server.change(world.server.state.users[world.token(cy).user_id], roles="system_user")

    summary = await check(world, deep=deep)

    assert dict(summary.counts) == {(Health.OK, ""): 3}
    assert healths(world) == {ann: "ok", bo: "ok", cy: "ok"}
    assert world.record(ann)["withheld"] == 0
    assert (await world.sync()).counts == {"unchanged": 3}


async def test_who_has_no_token_no_account_or_has_left_is_told_apart(any_world: World) -> None:
    world = any_world
    ann, bo, cy = await synced(world)
    new = world.add("new@x.test")
    world.edit(ann, mattermost_token=None)
    world.leave(bo)
    await world.sync(bo)
    asked = world.server.calls["GET /users/tokens/{token_id}"]

    summary = await check(world)

    assert said(summary) == {ann: "missing", new: "noaccount"}
    assert (summary.users, summary.left_out) == (3, 1)
    assert summary.counts[Health.OK, ""] == 1
    assert world.server.calls["GET /users/tokens/{token_id}"] == asked
    assert world.record(cy)["health"] == "ok"


async def test_a_token_that_the_list_does_not_show_is_asked_for_before_it_is_called_revoked(world: World) -> None:
    await synced(world)
    world.server.faults.add(world.stale(1e6, "GET", "/users/tokens", times=None))

    summary = await check(world)

    assert dict(summary.counts) == {(Health.OK, ""): 3}
    assert world.server.calls["GET /users/tokens/{token_id}"] >= 3


async def test_the_deep_check_sees_that_multi_factor_authentication_is_demanded(world: World) -> None:
    ids = await synced(world)
    world.server.state.licensed = True
    service = world.server.state.config.sections["ServiceSettings"]
    service["EnableMultifactorAuthentication"] = service["EnforceMultifactorAuthentication"] = True
    admin = world.server.state.users[world.server.state.by_secret[world.admin_token].user_id]
    admin.mfa_active = True

    quick = await check(world)
    deep = await check(world, deep=True)
    again = await check(world)

    assert dict(quick.counts) == {(Health.OK, ""): 3}
    assert said(deep) == dict.fromkeys(ids, "denied MFA demanded")
    assert said(again) == said(deep), "a look from outside refutes nothing"
    service["EnforceMultifactorAuthentication"] = False
    assert dict((await check(world, deep=True)).counts) == {(Health.OK, ""): 3}


async def test_the_deep_check_sees_another_accounts_secret_and_one_that_never_existed(world: World) -> None:
    ann, bo, cy = await synced(world)
    world.set(tokens__accept=["plain"])
    world.edit(ann, mattermost_token=world.secret(bo))
    world.edit(cy, mattermost_token="a" * 26)

    deep = await check(world, deep=True)
    quick = await check(world)

    assert said(deep) == {
        ann: "conflict belongs to another account",
        cy: "revoked stored secret is not this token's",
    }
    assert said(quick)[cy] == "revoked stored secret is not this token's"


@pytest.mark.parametrize("act", ["sync", "full sync", "repair", "repair all"])
async def test_a_secret_that_is_not_its_tokens_is_replaced_and_not_called_ok(world: World, act: str) -> None:
    (ann,) = await synced(world, 1)
    token = world.token(ann)
    world.set(tokens__accept=["plain"])
    world.edit(ann, mattermost_token="a" * 26)
    await check(world, deep=True)

    if act.endswith("sync"):
        done = await world.sync(full=act.startswith("full"))
    else:
        done = await world.ask("repair", *([ann] if act == "repair" else []), wanted=parse(""))

    assert done.counts == {"token generated": 1}
    assert token.id not in world.server.state.tokens
    world.assert_in_step(ann)


async def test_a_sync_does_not_refute_what_only_a_trial_of_the_secret_can_see(world: World) -> None:
    (ann,) = await synced(world, 1)
    world.sql("UPDATE mmconsole_tokens SET health = 'denied', cause = 'MFA demanded'")

    summary = await world.sync(full=True)

    assert summary.counts == {"unchanged": 1}
    assert (world.record(ann)["health"], world.record(ann)["cause"]) == ("denied", "MFA demanded")


async def test_a_secret_that_does_not_open_is_unknown_and_says_why(world: World) -> None:
    ann, bo, _ = await synced(world)
    world.edit(ann, mattermost_token=world.row(bo)["mattermost_token"])
    before = world.record(ann)

    summary = await check(world, deep=True)

    (one,) = summary.broken
    assert (one.user.id, one.status) == (ann, Health.UNKNOWN)
    assert one.cause.startswith("cannot be opened: it was changed, or it was sealed for another row")
    assert world.record(ann) == before
    assert summary.counts[Health.OK, ""] == 2


# ── tokens of the Laravel version ────────────────────────────────────────────────────────────────


@pytest.fixture
async def adopted(world: World) -> str:
    """A linked user with a plain secret whose id nobody knows."""
    world.set(tokens__accept=["plain"])
    (ann,) = await synced(world, 1)
    world.edit(ann, mattermost_token=world.secret(ann))
    world.server.state.end_session(world.secret(ann))
    world.sql("UPDATE mmconsole_tokens SET token_id = NULL, fingerprint = '', health = 'unknown'")
    return ann


@BOTH
async def test_a_secret_without_a_known_id_is_tried_and_gets_its_id(world: World, adopted: str, *, deep: bool) -> None:
    token = world.token(adopted)

    summary = await check(world, deep=deep)

    assert dict(summary.counts) == {(Health.OK, ""): 1}
    record = world.record(adopted)
    assert (record["token_id"], record["health"], len(record["fingerprint"])) == (token.id, "ok", 64)
    assert told(world) == [f"{adopted}: unknown is now ok"]


@BOTH
async def test_where_several_tokens_fit_none_is_taken(world: World, adopted: str, *, deep: bool) -> None:
    state = world.server.state
    account = state.users[world.token(adopted).user_id]
    other = state.add_token(account, "another")
    now = state.millis()
    state.add_session(Session(state.ids.new(), other.secret, account.id, now, now * 2, now, other.id))

    for _ in range(2):
        summary = await check(world, deep=deep)

        assert dict(summary.counts) == {(Health.OK, ""): 1}
        assert world.record(adopted)["token_id"] is None
        assert world.record(adopted)["cause"] == "its id is unknown: 2 tokens fit"
    assert len(told(world)) == 1


@BOTH
async def test_a_dead_secret_without_a_known_id_is_revoked_and_the_next_sync_replaces_it(
    world: World, adopted: str, *, deep: bool
) -> None:
    world.server.state.remove_token(world.token(adopted))

    summary = await check(world, deep=deep)

    assert said(summary) == {adopted: "revoked revoked"}
    assert world.record(adopted)["token_id"] is None
    await world.sync()
    world.assert_in_step(adopted)


@BOTH
async def test_a_refused_secret_without_a_known_id_may_be_that_of_a_disabled_token(
    world: World, adopted: str, *, deep: bool
) -> None:
    """Then nothing automatic makes another one, as of any token that somebody disabled."""
    token = world.token(adopted)
    world.server.disable(token)

    summary = await check(world, deep=deep)

    assert said(summary) == {adopted: "disabled perhaps disabled: its id is not known"}
    assert (world.record(adopted)["token_id"], world.record(adopted)["withheld"]) == (None, 1)
    assert (await world.ask("repair", wanted=parse(""))).counts == {"left alone": 1}
    assert (await world.sync()).counts == {"left alone": 1}
    assert world.server.marked == [token]

    token.is_active, token.encoded = True, None
    assert dict((await check(world, deep=deep)).counts) == {(Health.OK, ""): 1}
    assert (world.record(adopted)["token_id"], world.record(adopted)["withheld"]) == (token.id, 0)


async def test_an_id_is_not_kept_when_the_column_changed_meanwhile(world: World, adopted: str) -> None:
    before = world.record(adopted)
    held = world.server.faults.add(Fault("hold_answer", "GET", "/users/{id}/sessions"))

    checking = asyncio.create_task(check(world))
    await world.until(lambda: held.holding)
    world.edit(adopted, mattermost_token="b" * 26)
    held.let_go()
    summary = await checking

    assert summary.changed == 0
    assert world.record(adopted) == before


# ── who is checked ───────────────────────────────────────────────────────────────────────────────


async def test_named_users_and_those_of_a_filter_are_checked_and_nobody_else(world: World) -> None:
    ann, bo, cy = await synced(world)
    for user in (ann, bo, cy):
        _revoke(world, user)
    pages = world.server.calls["GET /users/tokens"]

    named = await check(world, "p0@x.test", ann)
    filtered = await check(world, wanted=parse("status:ok p2"))

    assert said(named) == {ann: "revoked revoked"}
    assert said(filtered) == {cy: "revoked revoked"}
    assert healths(world) == {ann: "revoked", bo: "ok", cy: "revoked"}
    assert world.server.calls["GET /users/tokens"] == pages, "a few users do not cost the whole list"


async def test_who_is_in_a_team_is_asked_of_the_server(world: World) -> None:
    ann, bo, _ = await synced(world)
    team = world.server.add_team("ops")
    world.server.state.join_team(team, world.server.account("p1@x.test"))
    for user in (ann, bo):
        _revoke(world, user)

    summary = await check(world, wanted=parse("team:OPS"))
    others = await check(world, wanted=parse("-team:ops team:main"))

    assert said(summary) == {bo: "revoked revoked"}
    assert others.users == 2


async def test_unknown_names_and_teams_are_refused(world: World) -> None:
    await synced(world, 1)

    with pytest.raises(UserUnknown):
        await check(world, "nobody@x.test")
    with pytest.raises(NoSuchTeam):
        await check(world, wanted=parse("team:nowhere"))


async def test_a_quick_check_of_many_takes_a_call_for_hundreds(world: World) -> None:
    ids = await synced(world, 210)
    calls = sum(world.server.calls.values())

    summary = await check(world)

    assert summary.counts[Health.OK, ""] == len(ids)
    # Who am I, two of facts, the list of tokens (two pages, and the rest of eight at once), accounts by ids.
    assert sum(world.server.calls.values()) - calls <= 3 + 9 + 1


# ── outages ──────────────────────────────────────────────────────────────────────────────────────

OUTAGES: list[tuple[str, dict[str, Any], str]] = [
    ("status", {"status": 500}, "no answer"),
    ("status", {"status": 502}, "no answer"),
    ("status", {"status": 429, "retry_after": 400}, "server asks to slow down"),
    ("drop_before", {}, "no answer"),
    ("drop_after", {}, "no answer"),
    ("login_page", {}, "answer not understood"),
    ("redirect", {}, "answer not understood"),
    ("cut_json", {"honest": True}, "answer not understood"),
]
QUICK_CALLS = [("GET", "/users/tokens"), ("POST", "/users/ids")]
DEEP_CALLS = [("GET", "/users/{id}"), ("GET", "/users/{id}/teams")]


async def assert_unknown(world: World, why: str, *, deep: bool) -> None:
    before, dumped = world.records(), world.dump()

    summary = await check(world, deep=deep)

    assert dict(summary.counts) == {(Health.UNKNOWN, why): 3}
    assert summary.changed == 0
    assert world.records() == before
    assert world.dump() == dumped


@pytest.mark.parametrize(("kind", "more", "why"), OUTAGES, ids=str)
@pytest.mark.parametrize("call", QUICK_CALLS, ids=" ".join)
async def test_an_outage_makes_nobody_broken_in_a_quick_check(
    world: World, call: tuple[str, str], kind: Any, more: dict[str, Any], why: str
) -> None:
    await synced(world)
    world.server.faults.add(Fault(kind, *call, times=None, **more))

    await assert_unknown(world, why, deep=False)


@pytest.mark.parametrize(("kind", "more", "why"), OUTAGES, ids=str)
@pytest.mark.parametrize("call", DEEP_CALLS, ids=" ".join)
async def test_an_outage_makes_nobody_broken_in_a_deep_check(
    world: World, call: tuple[str, str], kind: Any, more: dict[str, Any], why: str
) -> None:
    await synced(world)
    # The first `GET /users/{id}` is the administrator's own.
    world.server.faults.add(Fault(kind, *call, times=None, after=call == DEEP_CALLS[0], **more))

    await assert_unknown(world, why, deep=True)


@pytest.mark.parametrize("call", [("GET", "/users/tokens/{token_id}"), ("GET", "/users/{id}")], ids=" ".join)
async def test_who_is_refused_stays_unknown_when_the_reason_cannot_be_asked_for(
    world: World, call: tuple[str, str]
) -> None:
    ann, *_ = await synced(world)
    _revoke(world, ann)
    before = world.record(ann)
    # Three users and the administrator ask for themselves before the administrator asks for one of them.
    world.server.faults.add(Fault("status", *call, times=None, after=4 if call[1] == "/users/{id}" else 0, status=500))

    summary = await check(world, deep=True)

    assert said(summary) == {ann: "unknown no answer"}
    assert world.record(ann) == before


@BOTH
async def test_an_administrators_token_that_dies_meanwhile_makes_nobody_broken(world: World, *, deep: bool) -> None:
    ids = await synced(world)
    before = world.records()
    state = world.server.state
    admin = state.by_secret[world.admin_token]
    async with world.core() as core:
        await core.server.client()
        for user in ids:
            _revoke(world, user)
        world.server.disable(admin)

        summary = await core.checks.run(CheckRequest(deep=deep))

    why = "administrator's token refused: it is dead, or tokens are switched off"
    assert dict(summary.counts) == {(Health.UNKNOWN, why): 3}
    assert world.records() == before


async def test_tokens_that_are_switched_off_are_no_broken_tokens(world: World) -> None:
    """A bot's token goes on working and can say so."""
    await synced(world)
    world.admin_token = world.server.simulator.bot_token
    before = world.records()
    async with world.core() as core:
        await core.server.client()
        world.server.state.config["ServiceSettings", "EnableUserAccessTokens"] = False

        summary = await core.checks.run(CheckRequest(deep=True))

    assert dict(summary.counts) == {(Health.UNKNOWN, "tokens switched off"): 3}
    assert world.records() == before


async def test_a_server_that_comes_back_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmconsole.services.waiting.PATIENCE", 300.0)
    monkeypatch.setattr("mmconsole.services.waiting._PAUSE", 0.01)
    monkeypatch.setattr("mmconsole.mattermost.breaker._FIRST_REST", 0.05)
    await synced(world, 30)
    world.server.faults.add(Fault("drop_before", "GET", "/users/{id}/teams", times=20))

    summary = await check(world, deep=True)

    assert dict(summary.counts) == {(Health.OK, ""): 30}


async def test_one_user_at_whom_the_server_fails_holds_up_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmconsole.services.waiting.PATIENCE", 300.0)
    monkeypatch.setattr("mmconsole.services.waiting._PAUSE", 0.01)
    ids = await synced(world, 3)
    _revoke(world, ids[0])
    world.server.faults.add(Fault("status", "GET", "/users/tokens/{token_id}", times=None, status=500))

    summary = await check(world, deep=True)

    assert said(summary) == {ids[0]: "unknown no answer"}


# ── beside others ────────────────────────────────────────────────────────────────────────────────


@BOTH
async def test_a_token_that_is_replaced_meanwhile_keeps_what_the_sync_wrote(world: World, *, deep: bool) -> None:
    ann, *_ = await synced(world)
    _revoke(world, ann)
    held = world.server.faults.add(Fault("hold_answer", "GET", "/users/tokens/{token_id}"))

    checking = asyncio.create_task(check(world, deep=deep))
    await world.until(lambda: held.holding)
    await world.sync(ann)
    new = world.record(ann)
    held.let_go()
    summary = await checking

    assert summary.changed == 0
    assert world.record(ann) == new
    world.assert_in_step(ann)
    assert told(world) == []


@BOTH
async def test_a_check_beside_a_running_sync_does_no_harm(world: World, *, deep: bool) -> None:
    ids = await synced(world, 20)
    for user in ids[:10]:
        _revoke(world, user)
    ids += [world.add(f"new{number}@x.test") for number in range(10)]

    await asyncio.gather(world.sync(), check(world, deep=deep), check(world, deep=not deep))

    await world.sync()
    world.assert_in_step(*ids)
    assert dict((await check(world, deep=deep)).counts) == {(Health.OK, ""): 30}


async def test_what_an_operator_withheld_stays_withheld(world: World) -> None:
    ann, bo, _ = await synced(world)
    world.withhold(ann)
    world.withhold(bo)
    _revoke(world, bo)

    for deep in (False, True):
        summary = await check(world, deep=deep)

        assert {one.status for one in summary.broken} == {Health.WITHHELD}
        assert (world.record(ann)["withheld"], world.record(bo)["withheld"]) == (1, 1)
    assert (await world.sync()).counts == {"left alone": 2, "unchanged": 1}


async def test_what_somebody_disabled_stays_withheld_when_it_is_deleted_later(world: World) -> None:
    ann, *_ = await synced(world)
    _disable(world, ann)
    await check(world)
    _revoke(world, ann)
    await check(world)

    await world.sync()

    assert len(world.server.marked) == 2


async def test_a_conflict_that_a_check_cannot_see_is_left_to_the_sync(world: World) -> None:
    ann, *_ = await synced(world)
    world.sql("UPDATE mmconsole_tokens SET health = 'conflict', cause = 'two rows' WHERE user_id = ?", ann)

    for deep in (False, True):
        summary = await check(world, deep=deep)

        assert said(summary) == {ann: "conflict two rows"}


async def test_a_stop_ends_a_check_and_what_was_found_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmconsole.services.checks.checks._PROBED_AT_ONCE", 2)
    ids = await synced(world, 6)
    for user in ids:
        _revoke(world, user)
    stop = asyncio.Event()
    held = world.server.faults.add(Fault("hold", "GET", "/users/tokens/{token_id}", after=2, times=None))

    checking = asyncio.create_task(check(world, deep=True, stop=stop))
    await world.until(lambda: held.holding)
    stop.set()
    held.let_go()
    summary = await checking

    assert 0 < summary.users < 6
    assert sorted(healths(world).values()).count("revoked") == summary.users


async def test_no_part_of_a_secret_leaves_through_a_summary(world: World) -> None:
    ids = await synced(world)
    secrets = [world.secret(user) for user in ids]
    for user in ids:
        _revoke(world, user) if user != ids[0] else _disable(world, user)

    text = repr(await check(world, deep=True)) + repr(world.dump("meta")["activity"])

    for secret in secrets:
        assert not [part for start in range(19) if (part := secret[start : start + 8]) in text]


@BOTH
async def test_a_page_is_one_commit(world: World, *, deep: bool) -> None:
    ids = await synced(world, 40)
    for user in ids[:20]:
        _revoke(world, user)
    async with world.core() as core:
        before = core.checks._database.commits

        await core.checks.run(CheckRequest(deep=deep))

        assert core.checks._database.commits - before == 1


@BOTH
async def test_a_revocation_that_can_be_undone_stays_one(world: World, *, deep: bool) -> None:
    ann, *_ = await synced(world)
    await world.ask("revoke", ann)
    before = world.record(ann)

    summary = await check(world, deep=deep)
    after = world.record(ann)
    await world.ask("undo", ann)

    assert [one.status for one in summary.broken] == [Health.WITHHELD]
    assert (after["health"], after["cause"], after["withheld"]) == (before["health"], before["cause"], 1)
    assert dict((await check(world, deep=deep)).counts) == {(Health.OK, ""): 3}
    world.assert_in_step(ann)
