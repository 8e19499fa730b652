"""kill -9 at every step of making, archiving and filling a channel: afterwards nothing is there twice or forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmconsole.domain.channels import Did, ProjectId
from mmconsole.domain.plans import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World
    from tests.faults.services.conftest import Killer


PROJECT = ProjectId("1")


def assert_linked_once(world: World, name: str = "bridge") -> None:
    """One channel, known as the project's, told once, and nothing left open."""
    assert list(world.server.made_channels) == [name]
    assert world.sql("SELECT project_id, channel_id FROM mmconsole_projects") == [
        (PROJECT, world.server.made_channels[name].id)
    ]
    assert world.sql("SELECT COUNT(*) FROM mmconsole_activity WHERE verb = 'channel created'") == [(1,)]
    assert world.sql("SELECT * FROM mmconsole_intents") == []


async def a_project(world: World) -> list[str]:
    world.sql("INSERT INTO projects (name) VALUES ('Bridge')")
    return []


async def test_killed_at_any_step_the_next_call_makes_or_finds_the_one_channel(
    killer: Killer, new_world: Callable[..., Any]
) -> None:
    async def is_asked_for_again(world: World, _ids: list[str]) -> None:
        async with world.core() as core:
            await core.channels.create_for_project(PROJECT)
        assert_linked_once(world)

    steps = await killer.at_every_step(new_world, a_project, is_asked_for_again, act=("create_for_project", PROJECT))

    assert steps > 20


async def test_killed_at_any_step_recover_links_what_was_made(killer: Killer, new_world: Callable[..., Any]) -> None:
    async def is_recovered(world: World, _ids: list[str]) -> None:
        world.later(400)
        await world.recover()
        assert world.sql("SELECT * FROM mmconsole_intents") == []
        links = [row[0] for row in world.sql("SELECT channel_id FROM mmconsole_projects")]
        assert links == [channel.id for channel in world.server.made_channels.values()]
        async with world.core() as core:
            await core.channels.create_for_project(PROJECT)
        assert_linked_once(world)

    await killer.at_every_step(new_world, a_project, is_recovered, act=("create_for_project", PROJECT))


async def test_killed_under_a_numbered_name_there_is_still_one_channel(
    killer: Killer, new_world: Callable[..., Any]
) -> None:
    async def a_project_whose_name_is_taken(world: World) -> list[str]:
        await a_project(world)
        async with world.core() as core:
            for name in ("Bridge", "Bridge 2"):
                await core.channels.create(name)
        for name in ("bridge", "bridge-2"):
            world.server.made_channels[name].purpose = "somebody else's"
        return []

    async def is_asked_for_again(world: World, _ids: list[str]) -> None:
        async with world.core() as core:
            await core.channels.create_for_project(PROJECT)
        assert list(world.server.made_channels) == ["bridge", "bridge-2", "bridge-3"]
        assert world.sql("SELECT channel_id FROM mmconsole_projects") == [(world.server.made_channels["bridge-3"].id,)]
        assert world.sql("SELECT * FROM mmconsole_intents") == []

    await killer.at_every_step(
        new_world, a_project_whose_name_is_taken, is_asked_for_again, act=("create_for_project", PROJECT)
    )


async def test_killed_while_it_archives_the_next_call_does_and_the_project_can_come_back(
    killer: Killer, new_world: Callable[..., Any]
) -> None:
    async def a_channel(world: World) -> list[str]:
        await a_project(world)
        async with world.core() as core:
            await core.channels.create_for_project(PROJECT)
        return []

    async def is_archived_and_restored(world: World, _ids: list[str]) -> None:
        async with world.core() as core:
            await core.channels.archive_for_project(PROJECT)
            assert world.server.made_channels["bridge"].delete_at
            jobs = world.sql("SELECT state FROM mmconsole_jobs WHERE state NOT IN ('done', 'failed')")
            assert jobs == [], "a job is still open"
            assert world.sql("SELECT SUM(removals) >= 1 FROM mmconsole_job_items") == [(1,)]
            change = await core.channels.create_for_project(PROJECT)
        assert change.did is Did.RESTORED
        assert_linked_once(world)

    steps = await killer.at_every_step(
        new_world, a_channel, is_archived_and_restored, act=("archive_for_project", PROJECT)
    )

    assert steps > 15


async def test_killed_while_it_restores_the_next_call_does(killer: Killer, new_world: Callable[..., Any]) -> None:
    async def an_archived_channel(world: World) -> list[str]:
        await a_project(world)
        async with world.core() as core:
            await core.channels.create_for_project(PROJECT)
            await core.channels.archive_for_project(PROJECT)
        return []

    async def is_restored(world: World, _ids: list[str]) -> None:
        async with world.core() as core:
            await core.channels.create_for_project(PROJECT)
            assert not world.server.made_channels["bridge"].delete_at
            await core.channels.archive_for_project(PROJECT)
            assert (await core.channels.create_for_project(PROJECT)).did is Did.RESTORED
        assert_linked_once(world)

    await killer.at_every_step(new_world, an_archived_channel, is_restored, act=("create_for_project", PROJECT))


async def test_killed_while_users_are_added_the_next_job_does_the_rest(
    killer: Killer, new_world: Callable[..., Any]
) -> None:
    async def a_channel_and_users(world: World) -> list[str]:
        ids: list[str] = [world.add("ann@x.test"), world.add("bo@x.test")]
        await world.sync()
        async with world.core() as core:
            await core.channels.create("Bridge")
        return ids

    async def everybody_is_in(world: World, ids: list[str]) -> None:
        async with world.core() as core:
            added = await core.channels.add_users("bridge", ids)
        assert {result.outcome for result in added.results} <= {Outcome.ADDED, Outcome.THERE}
        assert len(world.server.made_channels["bridge"].members) == 3
        assert world.sql("SELECT 1 FROM mmconsole_jobs WHERE state IN ('planned', 'running', 'paused')") == []

    await killer.at_every_step(new_world, a_channel_and_users, everybody_is_in, act=("add_users", "bridge", ["1", "2"]))
