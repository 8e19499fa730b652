"""A sync that is killed at any step, and whose job another process goes on with."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.database import JobState
from mmconsole.errors import JobEnded, JobUnknown
from mmconsole.services.applying import Watching
from mmconsole.services.resumption import Again
from mmconsole.services.summary import Silent, always

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World
    from tests.faults.services.conftest import Killer, Prepare

    from mmconsole.services.summary import Summary


async def two_newcomers(world: World) -> list[str]:
    return [world.add("ann@x.test", verified=True), world.add("bo@x.test")]


async def a_link(world: World) -> list[str]:
    world.server.add("ann@x.test", "annie", email_verified=True)
    return [world.add("ann@x.test", verified=True)]


async def a_change_and_a_leaver(world: World) -> list[str]:
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    world.rename(ann, "Anna", "Leigh")
    world.leave(bo)
    return [ann]


async def resumed(world: World, job_id: int) -> Summary:
    async with world.core() as core:
        watching = Watching(always, Silent(), asyncio.Event())
        return await core.resumption.resume(job_id, Again(), watching)


async def job_ended(world: World, job_id: int) -> bool:
    async with world.core() as core:
        return (await core.jobs.show(job_id)).job.state is JobState.DONE


@pytest.mark.parametrize("prepare", [two_newcomers, a_link, a_change_and_a_leaver])
async def test_killed_at_any_step_the_job_is_resumed_and_nothing_is_done_twice(
    killer: Killer, new_world: Callable[..., Any], prepare: Prepare
) -> None:
    async def goes_on(world: World, ids: list[str]) -> None:
        job_id = world.sql("SELECT COALESCE(MAX(id), 0) FROM mmconsole_jobs")[0][0]
        before = world.sql("SELECT COUNT(*) FROM mmconsole_job_items WHERE job_id = ?", job_id)[0][0]
        # A job that was not yet planned, or came to its end, has nothing to go on with.
        with suppress(JobUnknown, JobEnded):
            await resumed(world, job_id)
            assert await job_ended(world, job_id)
        assert world.sql("SELECT COUNT(*) FROM mmconsole_job_items WHERE job_id = ?", job_id)[0][0] == before
        people = len(world.server.people)
        world.later(400)
        await world.recover()
        await world.sync(full=True)
        world.assert_in_step(*ids)
        assert len(world.server.people) == max(people, len(ids))

    steps = await killer.at_every_step(new_world, prepare, goes_on)

    assert steps > 20


async def test_a_job_that_was_resumed_to_its_end_leaves_nothing_for_the_next_sync(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(30)]
    world.set(mattermost__max_concurrency=2)
    stop = asyncio.Event()
    world.server.faults.add(world.stale(0, "POST", "/users/{id}/tokens"))

    async def watch() -> None:
        await world.until(lambda: len(world.server.marked) >= 5)
        stop.set()

    _, first = await asyncio.gather(watch(), world.sync(stop=stop))
    assert first.job_id is not None
    made = len(world.server.marked)
    summary = await resumed(world, first.job_id)

    assert 5 <= made < 30
    assert summary.counts == {"created": 30 - made}
    assert summary.users == 30 - made
    world.assert_in_step(*ids)
    assert (await world.sync()).counts == {"unchanged": 30}
    with pytest.raises(JobEnded):
        await resumed(world, first.job_id)
