"""Revoke and undo: disabled at once, gone when the time to undo is over, whoever comes by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.domain.filters import parse
from mmconsole.domain.secrets import Secret
from mmconsole.domain.token_plans import Act
from mmconsole.errors import GuardTripped
from mmconsole.mattermost.client import MattermostClient
from mmconsole.services.checks.checks import CheckRequest
from mmconsole.services.tokens.tokens import TokenRequest
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest import MonkeyPatch  # noqa: PT013 - only its type
    from tests.conftest import World

    from mmconsole.domain.tokens import TokenId
    from mmconsole.simulator.entities import Token

GRACE = 600


def notes(world: World) -> list[Any]:
    return world.sql("SELECT kind FROM mmconsole_intents")


def is_gone(world: World, token: Token) -> bool:
    return token.id not in world.server.state.tokens and token.secret not in world.server.state.by_secret


async def test_a_revoked_token_stops_at_once_and_can_be_undone(any_world: World) -> None:
    world = any_world
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)

    revoked = await world.ask("revoke", ann)

    assert revoked.counts == {"token disabled": 1}
    assert revoked.undo_until is not None
    assert 590 < revoked.undo_until.timestamp() - world.server.clock.now() <= 601
    assert not token.is_active
    assert (world.record(ann)["withheld"], world.record(ann)["health"]) == (1, "withheld")

    undone = await world.ask("undo", ann)

    assert undone.counts == {"token enabled": 1}
    assert token.is_active
    assert notes(world) == []
    assert world.record(ann)["withheld"] == 0
    world.assert_in_step(ann)


async def test_after_the_time_to_undo_the_next_sync_revokes_for_good(any_world: World) -> None:
    world = any_world
    ann, bo = await world.synced("ann@x.test", "bo@x.test")
    token = world.token(ann)
    await world.ask("revoke", ann)

    early = await world.sync()
    assert (early.recovered.pending, early.recovered.ended) == (1, ())
    assert token.id in world.server.state.tokens
    world.later(GRACE + 5)
    late = await world.sync()

    assert late.recovered.ended == (token.id,)
    assert late.counts == {"left alone": 1, "unchanged": 1}
    assert is_gone(world, token)
    assert world.row(ann)["mattermost_token"] is None
    assert (world.record(ann)["token_id"], world.record(ann)["withheld"]) == (None, 1)
    assert notes(world) == []
    world.assert_in_step(bo)


async def test_recover_ends_it_too_and_undo_then_says_what_to_do(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)
    await world.ask("revoke", ann)
    world.later(GRACE + 5)

    recovered = await world.recover()
    too_late = await world.ask("undo", ann)

    assert recovered.ended == (token.id,)
    assert too_late.counts == {"conflict": 1}
    assert f"mmconsole tokens generate {ann}" in too_late.listed[0].note


async def test_now_leaves_no_time_to_undo(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)

    summary = await world.ask("revoke", ann, at_once=True)

    assert summary.counts == {"revoked": 1}
    assert is_gone(world, token)
    assert notes(world) == []
    assert world.record(ann)["withheld"] == 1


async def test_without_a_grace_every_revocation_is_at_once(world: World) -> None:
    world.set(tokens__grace="0")
    (ann,) = await world.synced("ann@x.test")

    assert (await world.ask("revoke", ann)).counts == {"revoked": 1}


async def test_now_ends_what_is_disabled_already_and_again_changes_nothing(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)
    await world.ask("revoke", ann)

    again = await world.ask("revoke", ann)
    ended = await world.ask("revoke", ann, at_once=True)
    once_more = await world.ask("revoke", ann)

    assert again.counts == {"left alone": 1}
    assert ended.counts == {"revoked": 1}
    assert is_gone(world, token)
    assert notes(world) == []
    assert once_more.counts == {"left alone": 1}


async def test_a_token_that_is_gone_already_counts_as_revoked(world: World) -> None:
    ann, bo = await world.synced("ann@x.test", "bo@x.test")
    world.server.state.remove_token(world.token(ann))
    world.server.state.remove_token(world.token(bo))
    world.sql("UPDATE mmconsole_tokens SET token_id = NULL WHERE user_id = ?", bo)
    world.edit(bo, mattermost_token=None)

    summary = await world.ask("revoke", ann, bo)

    assert summary.counts == {"revoked": 2}
    for user in (ann, bo):
        assert (world.record(user)["withheld"], world.row(user)["mattermost_token"]) == (1, None)
    assert (await world.sync()).counts == {"left alone": 2}


@pytest.mark.parametrize("act", ["generate", "repair"])
async def test_an_operator_ends_the_withholding_by_asking_for_a_token(world: World, act: str) -> None:
    ann, bo = await world.synced("ann@x.test", "bo@x.test")
    old = world.token(ann)
    await world.ask("revoke", ann)
    await world.ask("revoke", bo, at_once=True)

    not_named = await world.ask(act, wanted=parse("status:withheld"))
    named = await world.ask(act, ann, bo)

    assert not_named.counts == {"left alone": 2}
    assert named.counts == {"token generated": 2}
    assert is_gone(world, old)
    assert notes(world) == []
    world.assert_in_step(ann, bo)


async def test_undo_of_a_job_takes_back_what_that_job_did(world: World) -> None:
    ann, bo, cy = await world.synced("ann@x.test", "bo@x.test", "cy@x.test")
    first = await world.ask("revoke", ann, bo)
    await world.ask("revoke", cy)

    undone = await world.ask("undo", job_id=first.job_id)

    assert undone.counts == {"token enabled": 2}
    world.assert_in_step(ann, bo)
    assert world.record(cy)["withheld"] == 1


async def test_a_token_revoked_by_somebody_meanwhile_cannot_be_undone(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    await world.ask("revoke", ann)
    world.server.state.remove_token(world.token(ann))

    summary = await world.ask("undo", ann)

    assert summary.counts == {"conflict": 1}
    assert notes(world) == []
    assert world.row(ann)["mattermost_token"] is None
    assert world.record(ann)["withheld"] == 1


async def test_the_guard_counts_revocations_over_a_day_and_lets_the_exact_number_pass(world: World) -> None:
    world.set(guard__removals=2, guard__percent=0)
    ann, bo, cy, di = await world.synced("ann@x.test", "bo@x.test", "cy@x.test", "di@x.test")
    await world.ask("revoke", ann, bo)

    with pytest.raises(GuardTripped):
        await world.ask("revoke", cy, at_once=True)
    passed = await world.ask("revoke", cy, at_once=True, allow_removals=1)

    assert passed.counts == {"revoked": 1}
    async with world.core() as core:
        plan = await core.tokens.plan(TokenRequest(Act.REVOKE, (di,)))
    assert [type(fault) for fault in plan.would_stop] == [GuardTripped]


async def test_a_server_that_goes_away_leaves_a_note_that_the_next_run_obeys(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)
    world.server.faults.add(Fault("status", "POST", "/users/tokens/disable", status=500, times=10))

    failed = await world.ask("revoke", ann)
    assert failed.counts["token disabled"] == 0
    assert token.is_active
    world.server.faults.clear()
    await world.recover()

    assert not token.is_active
    assert world.record(ann)["withheld"] == 1
    assert notes(world) == [("revoke",)]


async def test_a_server_that_keeps_a_revoked_token_is_not_believed(world: World, monkeypatch: MonkeyPatch) -> None:
    """It says OK and does nothing, as a node of a cluster may seem to for a while."""
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)

    with monkeypatch.context() as patch:
        patch.setattr(type(world.server.state), "remove_token", lambda *_: None)
        first = await world.ask("revoke", ann, at_once=True)
        meanwhile = await world.sync()
    recovered = await world.recover()

    assert first.counts == {"failed": 1}
    assert meanwhile.recovered.young == 1
    assert "still knows it" in first.listed[0].note
    assert recovered.ended == (token.id,)
    assert notes(world) == []


async def test_an_administrators_token_can_be_revoked_though_none_may_be_made(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)
    world.server.change(world.server.account("ann@x.test"), roles="system_user system_admin")
    await world.sync(full=True)

    assert (await world.ask("generate", ann, force=True)).counts == {"conflict": 1}
    assert (await world.ask("revoke", ann, at_once=True)).counts == {"revoked": 1}
    assert is_gone(world, token)


async def test_a_check_within_the_time_to_undo_does_not_call_it_disabled_by_somebody(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    await world.ask("revoke", ann)

    async with world.core() as core:
        await core.checks.run(CheckRequest())

    assert world.record(ann)["health"] == "withheld"


async def test_where_several_tokens_fit_revoke_refuses_and_lists_them(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    account, token = world.server.account("ann@x.test"), world.token(ann)
    other = world.server.state.add_token(account, "by hand")
    world.sql("UPDATE mmconsole_tokens SET token_id = NULL")
    async with world.core() as core:
        await (await core.server.client()).me(Secret(other.secret))

    summary = await world.ask("revoke", ann)

    assert summary.counts == {"conflict": 1}
    assert token.id in summary.listed[0].note
    assert other.id in summary.listed[0].note
    assert token.is_active


@pytest.mark.parametrize(
    "spoil",
    [
        lambda world, account, _: world.server.state.set_active(account, active=False),
        lambda world, _, token: world.server.disable(token),
    ],
    ids=["deactivated account", "disabled token"],
)
async def test_a_refused_token_without_a_known_id_is_not_called_gone_while_it_may_live(
    world: World, spoil: Callable[[World, Any, Token], None]
) -> None:
    """The server refuses it with the same answer as one that is gone."""
    (ann,) = await world.synced("ann@x.test")
    token, stored = world.token(ann), world.row(ann)["mattermost_token"]
    world.sql("UPDATE mmconsole_tokens SET token_id = NULL, health = 'unknown'")
    spoil(world, world.server.account("ann@x.test"), token)

    refused = await world.ask("revoke", ann)

    assert refused.counts == {"conflict": 1}
    assert token.id in refused.listed[0].note
    assert world.row(ann)["mattermost_token"] == stored
    assert world.record(ann)["withheld"] == 0

    world.server.state.set_active(world.server.account("ann@x.test"), active=True)
    world.server.state.remove_token(token)
    assert (await world.ask("revoke", ann)).counts == {"revoked": 1}
    assert world.row(ann)["mattermost_token"] is None


async def test_undo_enables_no_token_of_an_account_that_became_privileged(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)
    await world.ask("revoke", ann)
    world.server.change(world.server.account("ann@x.test"), roles="system_user system_admin")

    undone = await world.ask("undo", ann)

    assert undone.counts == {"conflict": 1}
    assert "administrator rights" in undone.listed[0].note
    assert not token.is_active
    assert (world.record(ann)["withheld"], world.record(ann)["health"]) == (1, "withheld")
    assert notes(world) == [("revoke",)]


@pytest.mark.parametrize("checked", [True, False], ids=["as we know", "behind our back"])
async def test_undo_leaves_a_token_disabled_that_was_so_before(world: World, *, checked: bool) -> None:
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)
    world.server.disable(token)
    if checked:
        await world.sync()

    await world.ask("revoke", ann)
    undone = await world.ask("undo", ann)

    assert undone.counts == {"left alone": 1}
    assert "disabled before" in undone.listed[0].note
    assert not token.is_active
    assert (world.record(ann)["health"], world.record(ann)["withheld"]) == ("disabled", 1)
    assert notes(world) == []
    world.later(GRACE + 5)
    await world.sync()
    assert token.id in world.server.state.tokens


async def test_a_token_that_was_disabled_before_is_revoked_in_time_like_any_other(world: World) -> None:
    ann, bo = await world.synced("ann@x.test", "bo@x.test")
    first, second = world.token(ann), world.token(bo)
    world.server.disable(first)
    world.server.disable(second)
    await world.ask("revoke", ann, bo)

    again = await world.ask("revoke", ann)
    at_once = await world.ask("revoke", ann, at_once=True)
    world.later(GRACE + 5)
    late = await world.sync()

    assert (again.counts, at_once.counts) == ({"left alone": 1}, {"revoked": 1})
    assert late.recovered.ended == (second.id,)
    assert is_gone(world, first)
    assert is_gone(world, second)
    assert notes(world) == []


async def test_a_token_that_was_disabled_before_and_is_gone_cannot_be_undone(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    world.server.disable(world.token(ann))
    await world.ask("revoke", ann)
    world.server.state.remove_token(world.token(ann))

    undone = await world.ask("undo", ann)

    assert undone.counts == {"conflict": 1}
    assert notes(world) == []
    assert world.row(ann)["mattermost_token"] is None


@pytest.mark.parametrize(
    "bar",
    [
        lambda world, account: world.server.change(account, roles="system_user system_admin"),
        lambda world, account: world.server.change(account, is_bot=True),
        lambda world, account: world.server.state.set_active(account, active=False),
    ],
    ids=["privileged", "bot", "deactivated"],
)
@pytest.mark.parametrize("enabled", [False, True], ids=["before the call", "after it"])
async def test_an_undo_that_a_crash_broke_off_asks_about_the_account_too(
    world: World, bar: Callable[[World, Any], None], *, enabled: bool
) -> None:
    (ann,) = await world.synced("ann@x.test")
    token = world.token(ann)
    await world.ask("revoke", ann)
    world.sql("UPDATE mmconsole_intents SET kind = 'enable'")
    token.is_active = enabled
    bar(world, world.server.account("ann@x.test"))

    recovered = await world.recover()

    assert recovered.pending == 1
    assert not token.is_active
    assert (world.record(ann)["withheld"], world.record(ann)["health"]) == (1, "withheld")
    assert notes(world) == [("revoke",)]
    world.later(GRACE + 5)
    assert (await world.recover()).ended == (token.id,)


async def test_revocations_whose_time_is_over_end_side_by_side_but_not_all_at_once(
    world: World, monkeypatch: MonkeyPatch
) -> None:
    ids = await world.synced(*(f"p{number}@x.test" for number in range(30)))
    world.set(guard__removals=100)
    await world.ask("revoke", *ids)
    world.later(GRACE + 5)
    under_way, most, revoke = 0, 0, MattermostClient.revoke_token

    async def counted(client: MattermostClient, token_id: TokenId) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await revoke(client, token_id)
        under_way -= 1

    monkeypatch.setattr(MattermostClient, "revoke_token", counted)
    recovered = await world.recover()

    assert len(recovered.ended) == 30
    assert 2 <= most <= 16
    assert notes(world) == []


async def test_notes_of_one_user_are_ended_one_after_another(world: World) -> None:
    """The token that an earlier run made is revoked before the one it was to replace."""
    (ann,) = await world.synced("ann@x.test")
    account, stored = world.server.account("ann@x.test"), world.token(ann)
    made = world.server.state.add_token(account, "mmconsole:v1:x:1:op")
    for operation, kind, description, opened_at in (
        ("a", "token", made.description, 1),
        ("b", "revoke", stored.id, 2),
    ):
        world.sql(
            "INSERT INTO mmconsole_intents (operation_id, user_id, kind, account_id, description, opened_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            *(operation, ann, kind, account.id, description, opened_at),
        )

    recovered = await world.recover()

    assert (recovered.revoked, recovered.ended) == ((made.id,), (stored.id,))
    verbs = world.sql("SELECT verb FROM mmconsole_activity ORDER BY id DESC LIMIT 2")
    assert verbs == [("token revoked",), ("token recovered",)]


async def test_every_change_has_its_row_in_the_log(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    first = await world.ask("revoke", ann)
    await world.ask("undo", ann)
    await world.ask("revoke", ann, at_once=True)

    rows = world.sql("SELECT verb, user_id, job_id, request_id <> '' FROM mmconsole_activity WHERE verb LIKE 'token %'")

    verbs = [row[0] for row in rows if row[0] != "token generated"]
    assert verbs == ["token disabled", "token enabled", "token revoked"]
    assert rows[1] == ("token disabled", ann, first.job_id, 1)
