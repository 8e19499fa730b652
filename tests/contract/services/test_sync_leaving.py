"""Users who leave, and come back: what removes, and what does not."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.errors import Declined, GuardTripped, MmconsoleError
from mmconsole.services.summary import SyncRequest
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.conftest import World

    from mmconsole.simulator.faults import FaultKind

LEAVING = ["deleted_at", "row"]
KINDS: tuple[FaultKind, ...] = ("stale_reads", "cut_json", "login_page")


def leave(world: World, user: str, how: str) -> None:
    if how == "row":
        world.delete(user)
    else:
        world.leave(user)


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("deactivate", [False, True])
async def test_who_leaves_loses_the_token_and_the_account_only_where_that_is_wanted(
    any_world: World, how: str, *, deactivate: bool
) -> None:
    world = any_world
    world.set(sync__deactivate=deactivate)
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    leave(world, ann, how)

    summary = await world.sync()

    assert summary.counts == {"revoked": 1, "unchanged": 1}
    account = world.server.account("ann@x.test")
    assert account.tokens == ()
    assert bool(account.delete_at) is deactivate
    assert world.record(ann)["token_id"] is None
    assert how == "row" or world.row(ann)["mattermost_token"] is None
    world.assert_in_step(bo)


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("deactivate", [False, True])
async def test_who_has_left_is_not_removed_again(world: World, how: str, *, deactivate: bool) -> None:
    world.set(sync__deactivate=deactivate)
    ann = world.add("ann@x.test")
    await world.sync()
    leave(world, ann, how)
    await world.sync()
    changes = world.server.calls["PUT /users/{id}/active"]

    for full in (False, True, False):
        summary = await world.sync(full=full)
        assert (summary.planned, summary.removals) == (0, 0)

    assert world.server.calls["PUT /users/{id}/active"] == changes


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("what", ["privileged", "inactive already", "bot", "gone"])
async def test_accounts_that_are_not_ours_to_deactivate_are_not_planned_again_and_again(
    world: World, how: str, what: str
) -> None:
    world.set(sync__deactivate=True)
    ann = world.add("ann@x.test")
    await world.sync()
    account = world.server.account("ann@x.test")
    if what == "privileged":
        world.server.change(account, roles="system_user system_admin")
    elif what == "bot":
        world.server.change(account, is_bot=True)
    elif what == "gone":
        world.server.state.remove_user(account)
    else:
        world.server.state.set_active(account, active=False)
    leave(world, ann, how)

    first = await world.sync()
    later = [await world.sync(full=full) for full in (False, True, False)]

    assert first.counts == {"revoked": 1}
    assert [summary.removals for summary in later] == [0, 0, 0]
    assert bool(account.delete_at) is (what in {"inactive already", "gone"})
    assert not world.record(ann)["deactivated_by_us"]


async def test_user_who_was_never_linked_leaves_without_a_trace(world: World) -> None:
    ann = world.add("ann@x.test")
    world.leave(ann)

    assert (await world.sync()).counts == {"unchanged": 1}
    assert world.server.people == []


async def test_only_what_we_deactivated_is_reactivated(world: World) -> None:
    world.set(sync__deactivate=True)
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    world.leave(ann)
    await world.sync()
    world.server.state.set_active(world.server.account("bo@x.test"), active=False)
    world.come_back(ann)
    world.rename(ann, "Anna", "Lee")

    summary = await world.sync()

    assert summary.counts == {"reactivated": 1, "left alone": 1}
    assert not world.server.account("ann@x.test").delete_at
    assert world.server.account("ann@x.test").first_name == "Anna"
    assert world.server.account("bo@x.test").delete_at
    assert world.record(bo)["health"] == "inactive"
    world.assert_in_step(ann)
    assert not world.record(ann)["deactivated_by_us"]


async def test_account_deactivated_on_the_server_stays_so_in_every_later_look(world: World) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.server.state.set_active(world.server.account("ann@x.test"), active=False)

    for _ in range(3):
        assert (await world.sync()).counts == {"left alone": 1}
        world.later(60)

    assert world.record(ann)["health"] == "inactive"
    world.server.state.set_active(world.server.account("ann@x.test"), active=True)
    assert (await world.sync()).counts == {"unchanged": 1}
    assert world.record(ann)["health"] == "ok"


async def test_account_that_somebody_reactivated_while_its_user_is_away_is_deactivated_again(world: World) -> None:
    world.set(sync__deactivate=True)
    ann = world.add("ann@x.test")
    await world.sync()
    world.leave(ann)
    await world.sync()
    world.server.state.set_active(world.server.account("ann@x.test"), active=True)

    await world.sync()

    assert world.server.account("ann@x.test").delete_at


async def test_user_who_comes_back_before_the_step_keeps_the_token(world: World) -> None:
    """The row is read again right before each removal."""
    ann = world.add("ann@x.test")
    await world.sync()
    world.leave(ann)
    async with world.core() as core:

        async def come_back(_forecast: object) -> bool:
            world.come_back(ann)
            return True

        summary = await core.sync.run(SyncRequest(), confirm=come_back)

    assert summary.counts == {"skipped": 1}
    world.assert_in_step(ann)


@pytest.mark.parametrize("fields", [{"roles": "system_user system_admin"}, {"is_bot": True}], ids=["admin", "bot"])
async def test_account_that_became_another_before_the_step_is_not_deactivated(
    world: World, fields: dict[str, Any]
) -> None:
    """The account is read again, too."""
    world.set(sync__deactivate=True)
    ann = world.add("ann@x.test")
    await world.sync()
    account = world.server.account("ann@x.test")
    world.leave(ann)
    async with world.core() as core:

        async def change(_forecast: object) -> bool:
            world.server.change(account, **fields)
            return True

        await core.sync.run(SyncRequest(), confirm=change)

    assert (account.delete_at, account.tokens) == (0, ())
    assert not world.record(ann)["deactivated_by_us"]


@pytest.mark.parametrize("back", [False, True])
async def test_account_that_became_an_administrators_before_the_step_is_not_changed(
    world: World,
    back: bool,  # noqa: FBT001
) -> None:
    world.set(sync__deactivate=True)
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    account = world.server.account("ann@x.test")
    if back:
        world.leave(ann)
        await world.sync()
        world.come_back(ann)
    else:
        world.rename(ann, "New", "Name")
    before = (account.first_name, bool(account.delete_at), account.tokens)
    world.leave(bo)
    async with world.core() as core:

        async def change(_forecast: object) -> bool:
            world.server.change(account, roles="system_user system_admin")
            return True

        summary = await core.sync.run(SyncRequest(), confirm=change)

    assert summary.counts == {"conflict": 1, "revoked": 1}
    assert (account.first_name, bool(account.delete_at), account.tokens) == before


async def test_operator_who_declines_removes_nothing(world: World) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.leave(ann)

    async def no(_forecast: object) -> bool:
        return False

    async with world.core() as core:
        with pytest.raises(Declined):
            await core.sync.run(SyncRequest(), confirm=no)

    assert len(world.server.marked) == 1
    assert world.sql("SELECT state FROM mmconsole_jobs ORDER BY id DESC LIMIT 1") == [("stopped",)]


# ── the guard ────────────────────────────────────────────────────────────────────────────────────


async def test_guard_stops_a_run_that_removes_too_much_before_anything_happens(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(30)]
    await world.sync()
    for user in ids[:11]:
        world.leave(user)
    new = world.add("new@x.test")

    with pytest.raises(GuardTripped) as stopped:
        await world.sync()

    assert stopped.value.exit_code == 4
    assert stopped.value.facts == {"removals": 11, "total": 11, "allowed": 10}
    assert len(world.server.marked) == 30
    assert world.record(new) == {}
    assert world.sql("SELECT state FROM mmconsole_jobs ORDER BY id DESC LIMIT 1") == [("stopped",)]
    with pytest.raises(GuardTripped):
        await world.sync(allow_removals=12)
    assert (await world.sync(allow_removals=11)).counts == {"revoked": 11, "created": 1, "unchanged": 19}
    assert len(world.server.marked) == 20


async def test_guard_counts_the_removals_of_the_last_24_hours(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(20)]
    await world.sync()
    for user in ids[:6]:
        world.leave(user)
    await world.sync()
    for user in ids[6:12]:
        world.delete(user)

    with pytest.raises(GuardTripped) as stopped:
        await world.sync()

    assert stopped.value.facts["total"] == 12
    world.sql("UPDATE mmconsole_job_items SET finished_at = finished_at - 86400000000")
    assert (await world.sync()).counts["revoked"] == 6


async def test_guard_allows_a_share_of_many_users(world: World) -> None:
    world.set(guard__removals=0, guard__percent=50.0)
    ids = [world.add(f"p{number}@x.test") for number in range(4)]
    await world.sync()
    for user in ids[:2]:
        world.leave(user)

    assert (await world.sync()).counts == {"revoked": 2, "unchanged": 2}


async def test_failed_or_incomplete_reads_never_remove(world: World) -> None:
    world.set(sync__deactivate=True)
    ids = [world.add(f"p{number}@x.test") for number in range(3)]
    await world.sync()
    server = world.server
    for path in ("/users/tokens", "/users/ids"):
        method = "GET" if path == "/users/tokens" else "POST"
        for kind in KINDS:
            server.faults.add(Fault(kind, method, path, times=None, seconds=1e9))
            removals = 0
            with suppress(MmconsoleError):
                removals = (await world.sync(full=True)).removals
            server.faults.clear()
            assert removals == 0
            assert len(server.marked) == 3
            assert not any(user.delete_at for user in server.people)

    await world.sync(full=True)
    world.assert_in_step(*ids)
