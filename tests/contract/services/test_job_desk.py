"""Jobs seen and ended by others than the one who works on them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from mmconsole.database import ItemState, JobState
from mmconsole.errors import GuardTripped, JobPaused, JobStopped, JobUnknown
from mmconsole.secrets import Form
from mmconsole.services.applying import Watching
from mmconsole.services.job_desk import Told
from mmconsole.services.resumption import Again
from mmconsole.services.summary import Silent, SyncRequest, always
from mmconsole.services.undoing import Undoing
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.conftest import World


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever works looks more often whether somebody asked for an end."""
    monkeypatch.setattr("mmconsole.services.jobs._HEED_EVERY", 0.01)


def watching() -> Watching:
    return Watching(always, Silent(), asyncio.Event())


@pytest.mark.parametrize(
    ("verb", "fault", "state"), [("stop", JobStopped, JobState.STOPPED), ("pause", JobPaused, JobState.PAUSED)]
)
async def test_job_is_ended_from_another_process_after_the_users_under_way(
    world: World, verb: str, fault: type[Exception], state: JobState
) -> None:
    for number in range(80):
        world.add(f"p{number}@x.test")
    world.set(mattermost__max_concurrency=1)
    held = world.server.faults.add(Fault("hold", "POST", "/users/{id}/tokens", after=3))

    async def interfere() -> Told:
        await world.until(lambda: held.holding)
        async with world.core() as other:
            known = await other.jobs.show(1)
            assert (known.alive, known.interrupted) == (True, False)
            told: Told = await getattr(other.jobs, verb)(1)
            held.let_go()
            return told

    async with world.core() as core:
        summary, told = await asyncio.gather(core.sync.run(SyncRequest()), interfere())
        known = await core.jobs.show(1)

    assert told is Told.ASKED
    assert isinstance(summary.fault, fault)
    assert (known.job.state, known.alive) == (state, False)
    assert 3 <= len(world.server.marked) < 80
    assert known.job.counts.running == 0
    assert known.job.counts.done == len(world.server.marked) == summary.counts["created"]
    world.assert_in_order()


async def test_job_of_a_dead_process_is_interrupted_and_can_be_paused_or_stopped(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(3)]
    await world.sync()
    world.sql("UPDATE mmconsole_jobs SET state = 'running', finished_at = NULL")
    world.sql("UPDATE mmconsole_job_items SET state = 'running' WHERE position > 1")

    async with world.core() as core:
        (listed,) = await core.jobs.latest(limit=5)
        paused = await core.jobs.pause(1)
        items = [item.state async for item in core.jobs.items(1)]
        stopped, again = await core.jobs.stop(1), await core.jobs.stop(1)

    assert listed.interrupted
    assert (paused, stopped, again) == (Told.DONE, Told.DONE, Told.ENDED)
    assert items == [ItemState.DONE, ItemState.PLANNED, ItemState.PLANNED]
    verbs = [verb for (verb,) in world.sql("SELECT verb FROM mmconsole_activity WHERE job_id = 1 ORDER BY id DESC")]
    assert verbs[:2] == ["job stopped", "job paused"]
    world.assert_in_step(*ids)


async def test_job_that_nobody_knows_is_an_error(world: World) -> None:
    async with world.core() as core:
        for ask in (core.jobs.show, core.jobs.stop, core.jobs.pause):
            with pytest.raises(JobUnknown):
                await ask(7)
        with pytest.raises(JobUnknown):
            await core.resumption.resume(7, Again(), watching())


async def test_restorage_is_stopped_between_two_parts_and_what_stands_there_still_opens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.services.rewrite.AT_ONCE", 1)
    ids = [world.add(f"p{number}@x.test") for number in range(4)]
    await world.sync()
    world.set(tokens__accept=["laravel"])

    class Impatient(Silent):
        """Somebody who says stop after the first part."""

        def stage(self, name: str, total: int | None) -> None:
            self.name = name

        def advance(self, done: int = 1) -> None:
            if self.name == "rewriting":
                world.sql("UPDATE mmconsole_jobs SET state = 'stopping' WHERE kind = 'restorage'")

    async with world.core() as core:
        restored = await core.restorage.run(Form.LARAVEL, progress=Impatient())
        assert restored.done.job_id is not None
        known = await core.jobs.show(restored.done.job_id)

    assert (restored.done.moved, known.job.state) == (1, JobState.STOPPED)
    world.assert_in_step(*ids)


async def test_guard_counts_a_day_of_all_jobs_before_a_job_is_resumed(world: World) -> None:
    world.set(guard__removals=3, guard__percent=0)
    ids = [world.add(f"p{number}@x.test") for number in range(8)]
    await world.sync()
    for user_id in ids[:4]:
        world.leave(user_id)
    summary = await world.sync(allow_removals=4)
    world.sql("UPDATE mmconsole_jobs SET state = 'paused', finished_at = NULL, counts = NULL WHERE id = 2")
    world.sql(
        "INSERT INTO mmconsole_job_items (job_id, position, user_id, steps, digest, state, outcome, note, removals)"
        " SELECT 2, 9, user_id, steps, digest, 'planned', '', '', 0 FROM mmconsole_job_items"
        " WHERE job_id = 2 AND position = 1"
    )
    world.sql("UPDATE mmconsole_job_items SET user_id = ?, digest = ? WHERE position = 9", ids[5], "")
    world.delete(ids[5])

    async with world.core() as core:
        with pytest.raises(GuardTripped) as tripped:
            await core.resumption.resume(2, Again(), watching())
        state = (await core.jobs.show(2)).job.state
        resumed = await core.resumption.resume(2, Again(allow_removals=1), watching())

    assert summary.counts["revoked"] == 4
    assert tripped.value.facts == {"removals": 1, "total": 5, "allowed": 3}
    assert state is JobState.PAUSED
    assert resumed.counts == {"revoked": 1}
    assert len(world.server.marked) == 3


async def test_who_has_a_part_of_a_job_is_shown(world: World) -> None:
    world.add("ann@x.test")
    await world.sync()
    world.sql("UPDATE mmconsole_jobs SET state = 'running'")
    lease = "INSERT INTO mmconsole_leases VALUES ('job 1 chunk 101', 'root@two worker 7', 1, 0, ?)"
    world.sql(lease, time.time_ns() // 1_000 + 3_600_000_000)

    async with world.core() as core:
        known = await core.jobs.show(1)

    assert [(hand.name, hand.first) for hand in known.hands] == [("root@two worker 7", 101)]


async def test_a_revocation_says_until_when_it_can_be_undone_and_other_jobs_why_they_cannot(any_world: World) -> None:
    world = any_world
    ann, bo = (world.add(f"{name}@x.test", verified=True) for name in ("ann", "bo"))
    await world.sync()
    await world.ask("revoke", ann, bo)
    async with world.core() as core:
        revoked, synced = await core.jobs.latest(limit=9)

        assert revoked.undoing.users == 2
        assert revoked.undoing.until is not None
        assert revoked.undoing.why_not == ""
        assert synced.undoing == Undoing(why_not="the application decides")

        await world.ask("undo", ann)
        undo, revoked, _ = await core.jobs.latest(limit=9)

        assert (revoked.undoing.users, undo.undoing.users) == (1, 0)
        assert (await core.jobs.show(revoked.job.id)).undoing == revoked.undoing


async def test_whose_time_is_over_is_not_offered_an_undo(world: World) -> None:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    await world.ask("revoke", ann)
    world.sql("UPDATE mmconsole_intents SET opened_at = 0")

    async with world.core() as core:
        assert (await core.jobs.show(2)).undoing == Undoing(why_not="nothing of it is left to undo")
