"""Tokens that stay, tokens that are replaced, and tokens that the Laravel version left behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.errors import OtherForm
from mmconsole.services.summary import SyncRequest
from mmconsole.simulator import Fault
from mmconsole.simulator.entities import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

    from mmconsole.simulator.entities import Token


@pytest.mark.parametrize("full", [False, True])
async def test_token_revoked_on_the_server_is_replaced(any_world: World, *, full: bool) -> None:
    world = any_world
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    old = world.token(ann)
    world.server.state.remove_token(old)

    summary = await world.sync(full=full)

    assert summary.counts == {"token generated": 1, "unchanged": 1}
    world.assert_in_step(ann, bo)
    assert world.token(ann).id != old.id


async def test_column_that_the_application_emptied_gets_a_new_token_and_the_old_one_is_revoked(
    any_world: World,
) -> None:
    world = any_world
    ann = world.add("ann@x.test")
    await world.sync()
    old = world.token(ann)
    world.edit(ann, mattermost_token=None)

    for summary in (await world.sync(missing=True), await world.sync()):
        assert summary.troubled == 0

    assert old.id not in world.server.state.tokens
    world.assert_in_step(ann)


async def test_replaced_token_whose_revocation_fails_is_not_forgotten(world: World) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.edit(ann, mattermost_token=None)
    world.server.faults.add(Fault("status", "POST", "/users/tokens/revoke", times=5, status=500))

    first = await world.sync()
    assert world.token(ann).id == world.record(ann)["token_id"]
    second = await world.sync()

    assert first.counts == {"token generated": 1}
    assert second.counts == {"unchanged": 1}
    assert len(second.recovered.revoked) == 1
    world.assert_in_step(ann)


@pytest.mark.parametrize("full", [False, True])
async def test_disabled_token_stays_disabled_until_an_operator_asks(world: World, *, full: bool) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    token = world.token(ann)
    world.server.disable(token)

    for _ in range(2):
        assert (await world.sync(full=full)).counts == {"left alone": 1}

    assert world.server.marked == [token]
    assert world.record(ann)["health"] == "disabled"


@pytest.mark.parametrize("request_", [{}, {"full": True}, {"missing": True}])
async def test_withheld_user_gets_no_token(world: World, request_: dict[str, Any]) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.server.state.remove_token(world.token(ann))
    world.edit(ann, mattermost_token=None)
    world.withhold(ann)

    summary = await world.sync(**request_)

    assert summary.counts == {"left alone": 1}
    assert world.server.marked == []
    assert world.record(ann)["health"] == "withheld"


async def test_withheld_user_still_gets_the_changes_of_the_account(world: World) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.withhold(ann)
    world.rename(ann, "Anna", "Leigh")

    assert (await world.sync()).counts == {"updated": 1}
    assert world.server.account("ann@x.test").first_name == "Anna"


async def test_token_that_the_list_does_not_show_is_kept(world: World) -> None:
    """The list has no order: while tokens come and go, its pages can miss one."""
    ids = [world.add(f"p{number}@x.test") for number in range(3)]
    await world.sync()
    world.server.faults.add(world.stale(1e6, "GET", "/users/tokens"))
    before = [token.id for token in world.server.marked]

    summary = await world.sync()

    assert summary.counts == {"kept": 3}
    assert [token.id for token in world.server.marked] == before
    world.assert_in_step(*ids)


async def test_token_that_a_lagging_replica_hides_twice_leaves_no_second_one(world: World) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.server.faults.add(world.stale(1e6, "GET", "/users/tokens"))
    world.server.faults.add(world.stale(1e6, "GET", "/users/tokens/{token_id}"))

    await world.sync()

    world.assert_in_step(ann)


async def test_more_than_one_page_of_tokens_is_read(world: World) -> None:
    for number in range(450):
        user = world.server.add(f"s{number}@x.test")
        world.server.state.add_token(user, "somebody's own")
    ids = [world.add(f"p{number}@x.test") for number in range(30)]
    await world.sync()

    assert (await world.sync(full=True)).counts == {"unchanged": 30}
    world.assert_in_step(*ids)


async def test_record_whose_token_belongs_to_another_account_is_a_conflict(world: World) -> None:
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    world.sql("UPDATE mmconsole_tokens SET token_id = ? WHERE user_id = ?", world.record(bo)["token_id"], ann)

    for full in (False, True):
        summary = await world.sync(full=full)
        assert summary.counts == {"conflict": 1, "unchanged": 1}

    assert len(world.server.marked) == 2


async def test_new_tokens_end_within_the_servers_policy(new_world: Callable[..., Any]) -> None:
    async with new_world(version="11.10.0") as world:
        world.server.state.config["ServiceSettings", "MaximumPersonalAccessTokenLifetimeDays"] = 30
        ids = [world.add(f"p{number}@x.test") for number in range(5)]

        await world.sync()

        world.assert_in_step(*ids)
        now = world.server.state.millis()
        for token in world.server.marked:
            assert 25 <= (token.expires_at - now) / 86_400_000 <= 29
        assert all(world.record(user)["expires_at"] for user in ids)


# ── what the Laravel version left ────────────────────────────────────────────────────────────────


def left_by_laravel(world: World, email: str = "ann@x.test", *, tokens: int = 1) -> tuple[str, list[Token]]:
    """A user with account and token in the row, and nothing in our tables."""
    world.set(tokens__accept=["plain"])
    account = world.server.add(email, email_verified=True)
    made = [world.server.state.add_token(account, "Laravel") for _ in range(tokens)]
    return world.add(email, verified=True, token=made[0].secret, account_id=account.id), made


async def test_token_of_the_laravel_version_is_adopted_with_its_id(any_world: World) -> None:
    world = any_world
    ann, (token,) = left_by_laravel(world)

    summary = await world.sync()

    assert summary.counts == {"linked": 1}
    assert world.record(ann)["token_id"] == token.id
    assert world.row(ann)["mattermost_token"] == token.secret
    world.assert_in_step(ann)
    assert (await world.sync()).counts == {"unchanged": 1}
    assert len(world.server.state.users[token.user_id].tokens) == 1


async def test_token_among_several_is_kept_without_an_id(world: World) -> None:
    ann, (token, other) = left_by_laravel(world, tokens=2)
    state, now = world.server.state, world.server.state.millis()
    state.add_session(Session(state.ids.new(), other.secret, other.user_id, now, now + 10**9, now, other.id))

    first, second, third = await world.sync(), await world.sync(), await world.sync(missing=True)

    assert first.counts == {"linked": 1}
    assert (second.counts, third.counts) == ({"unchanged": 1}, {"unchanged": 1})
    assert world.record(ann)["token_id"] is None
    assert world.record(ann)["health"] == "ok"
    assert world.row(ann)["mattermost_token"] == token.secret
    assert len(world.server.state.tokens) == 4


async def test_dead_token_of_the_laravel_version_is_replaced(world: World) -> None:
    ann, (token,) = left_by_laravel(world)
    world.server.state.remove_token(token)

    await world.sync()

    assert world.row(ann)["mattermost_token"].startswith("mm1$")
    world.assert_in_step(ann)


async def test_stored_token_of_another_account_is_a_conflict_that_changes_nothing(world: World) -> None:
    ann, _ = left_by_laravel(world)
    bo, (token,) = left_by_laravel(world, "bo@x.test")
    world.edit(ann, mattermost_token=token.secret)

    summary = await world.sync()

    assert summary.counts == {"linked": 1, "conflict": 1}
    assert summary.listed[0].user_id == ann
    assert "another account" in summary.listed[0].note
    assert "revoked" not in summary.listed[0].note
    assert world.row(ann)["mattermost_token"] == token.secret
    assert len(world.server.state.users[token.user_id].tokens) == 1
    assert world.record(bo)["token_id"] == token.id


async def test_stored_token_of_an_account_that_must_set_up_a_second_factor_is_a_conflict(world: World) -> None:
    world.admin_token = world.server.simulator.bot_token
    ann, (token,) = left_by_laravel(world)
    world.server.state.licensed = True
    settings = world.server.state.config.sections["ServiceSettings"]
    settings["EnableMultifactorAuthentication"] = settings["EnforceMultifactorAuthentication"] = True

    for _ in range(2):
        summary = await world.sync()
        assert summary.counts == {"conflict": 1}
        assert "multi-factor" in summary.listed[0].note

    assert world.row(ann)["mattermost_token"] == token.secret
    assert world.server.marked == []
    assert world.record(ann)["health"] == "denied"
    world.server.state.licensed = False
    assert (await world.sync()).counts == {"token adopted": 1}
    world.assert_in_step(ann)


async def test_sealed_text_copied_to_another_row_fails_for_that_user_only(world: World) -> None:
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    world.edit(ann, mattermost_token=world.row(bo)["mattermost_token"])
    world.sql("UPDATE mmconsole_tokens SET token_id = NULL, health = 'unknown' WHERE user_id = ?", ann)
    new = world.add("new@x.test")

    summary = await world.sync()

    assert summary.fault is None
    assert summary.counts == {"failed": 1, "created": 1, "unchanged": 1}
    assert world.token(new).is_active


async def test_another_form_than_configured_stops_before_the_first_write(world: World) -> None:
    left_by_laravel(world)
    world.set(tokens__accept=[])
    world.add("new@x.test")

    with pytest.raises(OtherForm):
        await world.sync()

    assert world.server.people == [world.server.account("ann@x.test")]


async def test_plain_storage_works_like_the_laravel_version(any_world: World) -> None:
    world = any_world
    world.set(tokens__storage="plain")
    ann = world.add("ann@x.test")

    await world.sync()

    assert world.row(ann)["mattermost_token"] == world.token(ann).secret
    world.assert_in_step(ann)


# ── rules are checked again right before each step ───────────────────────────────────────────────


async def become_administrator(world: World, held: Fault) -> None:
    await world.until(lambda: held.holding)
    world.server.change(world.server.account("ann@x.test"), roles="system_user system_admin")
    held.let_go()


async def test_account_that_becomes_an_administrators_between_look_and_step_gets_no_token(world: World) -> None:
    world.add("ann@x.test")
    held = world.server.faults.add(Fault("hold", "POST", "/users/{id}/tokens"))

    _, summary = await asyncio.gather(become_administrator(world, held), world.sync())

    assert summary.counts == {"conflict": 1}
    assert "administrator" in summary.listed[0].note
    assert world.server.marked == []
    world.later(60)
    assert (await world.sync()).counts == {"conflict": 1}


@pytest.mark.parametrize("fields", [{"roles": "system_user system_admin"}, {"is_bot": True}], ids=["admin", "bot"])
async def test_linked_account_that_is_no_ordinary_one_any_more_has_no_token_made_for_it(
    world: World, fields: dict[str, Any]
) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.server.state.remove_token(world.token(ann))
    made = world.server.calls["POST /users/{id}/tokens"]
    # The look does not hear of it.
    world.server.faults.add(world.stale(1e9, "POST", "/users/ids"))
    for name, value in fields.items():
        setattr(world.server.account("ann@x.test"), name, value)

    summary = await world.sync()

    assert summary.counts == {"conflict": 1}
    assert world.server.calls["POST /users/{id}/tokens"] == made


async def test_first_sync_makes_five_calls_for_a_user_and_few_for_all(world: World) -> None:
    for number in range(20):
        world.add(f"p{number}@x.test")

    await world.sync()

    calls = world.server.calls
    assert {call: count for call, count in calls.items() if count >= 20} == {
        "POST /users": 20,
        "POST /teams/{id}/members": 20,
        "POST /users/{id}/tokens": 20,
        # One is the administrator's own.
        "GET /users/{id}": 21,
        "GET /users/{id}/teams": 20,
    }
    assert sum(count for count in calls.values() if count < 20) <= 8


async def test_account_that_becomes_an_administrators_is_not_reactivated(world: World) -> None:
    world.set(sync__deactivate=True)
    ann = world.add("ann@x.test")
    await world.sync()
    world.leave(ann)
    await world.sync()
    world.come_back(ann)
    async with world.core() as core:

        async def meanwhile(_forecast: object) -> bool:
            world.server.change(world.server.account("ann@x.test"), roles="system_user system_admin")
            return True

        world.server.state.config["EmailSettings", "SMTPServer"] = "mail.x.test"
        summary = await core.sync.run(SyncRequest(), confirm=meanwhile)

    assert summary.counts == {"conflict": 1}
    assert world.server.account("ann@x.test").delete_at
