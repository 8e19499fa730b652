"""kill -9 at every step: afterwards there is nothing that nobody knows of, and nothing is done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World
    from tests.faults.services.conftest import Killer, Prepare


async def a_newcomer(world: World) -> list[str]:
    return [world.add("ann@x.test")]


async def a_link(world: World) -> list[str]:
    world.server.add("ann@x.test", "somebody", email_verified=True)
    return [world.add("ann@x.test", verified=True)]


async def a_replaced_token(world: World) -> list[str]:
    """The application emptied its column; the old token still lives."""
    ann = world.add("ann@x.test")
    await world.sync()
    world.edit(ann, mattermost_token=None)
    return [ann]


async def a_change(world: World) -> list[str]:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    world.rename(ann, "Anna", "Leigh")
    world.edit(ann, email="new@x.test")
    return [ann]


async def somebody_coming_back(world: World) -> list[str]:
    world.set(sync__deactivate=True)
    ann = world.add("ann@x.test")
    await world.sync()
    world.leave(ann)
    await world.sync()
    world.come_back(ann)
    return [ann]


async def comes_into_step(world: World, ids: list[str]) -> None:
    accounts = len(world.server.people)
    await world.recover()
    world.later(400)

    summary = await world.sync(full=True)

    assert summary.troubled == 0, summary.listed
    world.assert_in_step(*ids)
    assert len(world.server.people) == max(accounts, 1)
    assert (await world.sync()).counts == {"unchanged": len(ids)}


@pytest.mark.parametrize("prepare", [a_newcomer, a_link, a_replaced_token, a_change, somebody_coming_back])
async def test_killed_at_any_step_the_next_runs_bring_everything_into_step(
    killer: Killer, new_world: Callable[..., Any], prepare: Prepare
) -> None:
    steps = await killer.at_every_step(new_world, prepare, comes_into_step)

    assert steps > 20


async def test_killed_while_somebody_is_removed_the_next_run_completes_it(
    killer: Killer, new_world: Callable[..., Any]
) -> None:
    async def leaving(world: World) -> list[str]:
        world.set(sync__deactivate=True)
        ann = world.add("ann@x.test")
        await world.sync()
        world.leave(ann)
        return [ann]

    async def is_removed_and_can_come_back(world: World, ids: list[str]) -> None:
        await world.sync()
        world.assert_in_order()
        account = world.server.account("ann@x.test")
        assert account.tokens == ()
        assert account.delete_at
        world.come_back(ids[0])
        assert (await world.sync()).counts == {"reactivated": 1}
        world.assert_in_step(*ids)

    steps = await killer.at_every_step(new_world, leaving, is_removed_and_can_come_back)

    assert steps > 20


async def test_without_recover_and_without_waiting_the_next_sync_is_enough_once_the_server_has_settled(
    killer: Killer, new_world: Callable[..., Any]
) -> None:
    async def syncs_alone(world: World, ids: list[str]) -> None:
        summary = await world.sync()
        assert summary.troubled == 0, summary.listed
        world.later(400)
        await world.sync()
        world.assert_in_step(*ids)

    await killer.at_every_step(new_world, a_newcomer, syncs_alone)
