"""Jobs and their items, fenced."""

from datetime import UTC, datetime, timedelta

import pytest

from mmconsole.database import Database, ItemState, JobCounts, JobState, NewItem
from mmconsole.domain.users import UserId
from mmconsole.errors import LeaseLost

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


async def new_job(database: Database, items: int) -> int:
    job_id = await database.write(lambda tx: tx.jobs.create(kind="sync", title="sync --all", actor="me@cli", at=NOW))
    planned = [NewItem(UserId(str(n)), f'["step {n}"]', f"digest {n}") for n in range(items)]
    assert await database.write(lambda tx: tx.jobs.items.add(job_id, planned)) == items
    return job_id


async def start(database: Database, job_id: int) -> None:
    await database.write(lambda tx: tx.jobs.start(job_id, fence=1, at=NOW))


async def finish(
    database: Database,
    job_id: int,
    position: int,
    state: ItemState = ItemState.DONE,
    *,
    fence: int = 1,
    removals: int = 0,
) -> None:
    await database.write(lambda tx: tx.jobs.items.start(job_id, position, fence=fence, at=NOW))
    await database.write(
        lambda tx: tx.jobs.items.finish(
            job_id, position, state, fence=fence, at=NOW, outcome="did it", note="so it was", removals=removals
        )
    )


async def test_items_are_numbered_in_the_order_they_come(database: Database) -> None:
    job_id = await new_job(database, 3)
    await database.write(lambda tx: tx.jobs.items.add(job_id, [NewItem(UserId("late"), "[]")]))

    items = await database.read(lambda db: db.jobs.items.page(job_id, limit=10))

    assert [(item.position, item.user_id) for item in items] == [(1, "0"), (2, "1"), (3, "2"), (4, "late")]
    assert items[0].steps == '["step 0"]'
    assert items[0].digest == "digest 0"
    assert {item.state for item in items} == {ItemState.PLANNED}


async def test_a_job_goes_from_planned_to_done(database: Database) -> None:
    job_id = await new_job(database, 3)
    await database.write(lambda tx: tx.jobs.start(job_id, fence=1, at=NOW))
    await finish(database, job_id, 1)
    await finish(database, job_id, 2, ItemState.FAILED)
    running = await database.read(lambda db: db.jobs.find(job_id))
    await finish(database, job_id, 3, ItemState.SKIPPED)

    await database.write(lambda tx: tx.jobs.finish(job_id, JobState.DONE, fence=1, at=NOW + timedelta(minutes=1)))

    job = await database.read(lambda db: db.jobs.find(job_id))
    assert running
    assert (running.state, running.counts) == (JobState.RUNNING, JobCounts(planned=1, done=1, failed=1))
    assert job
    assert (job.state, job.started_at, job.finished_at) == (JobState.DONE, NOW, NOW + timedelta(minutes=1))
    assert job.counts == JobCounts(done=1, failed=1, skipped=1)
    assert job.counts.total == 3
    assert await database.read(lambda db: db.jobs.items.outcomes(job_id)) == {"did it": 3}
    item = await database.read(lambda db: db.jobs.items.page(job_id, limit=3)[1])
    assert (item.state, item.note, item.started_at, item.finished_at) == (ItemState.FAILED, "so it was", NOW, NOW)


async def test_what_was_running_when_a_process_died_is_found_first(database: Database) -> None:
    job_id = await new_job(database, 10)
    await database.write(lambda tx: tx.jobs.start(job_id, fence=1, at=NOW))
    await finish(database, job_id, 1)
    await database.write(lambda tx: tx.jobs.items.start(job_id, 2, fence=1, at=NOW))

    left = await database.read(lambda db: db.jobs.items.page(job_id, limit=10, state=ItemState.RUNNING))
    rest = await database.read(
        lambda db: db.jobs.items.page(job_id, limit=3, state=ItemState.PLANNED, after_position=4)
    )

    assert [item.position for item in left] == [2]
    assert [item.position for item in rest] == [5, 6, 7]
    assert [job.id for job in await database.read(lambda db: db.jobs.resumable())] == [job_id]


async def test_a_process_that_lost_its_lease_changes_nothing(database: Database) -> None:
    job_id = await new_job(database, 2)
    await database.write(lambda tx: tx.jobs.start(job_id, fence=1, at=NOW))
    await database.write(lambda tx: tx.jobs.start(job_id, fence=2, at=NOW))

    for late in (
        lambda tx: tx.jobs.items.start(job_id, 1, fence=1, at=NOW),
        lambda tx: tx.jobs.items.finish(job_id, 1, ItemState.DONE, fence=1, at=NOW),
        lambda tx: tx.jobs.finish(job_id, JobState.DONE, fence=1, at=NOW),
        lambda tx: tx.jobs.pause(job_id, fence=1),
        lambda tx: tx.jobs.start(job_id, fence=1, at=NOW),
    ):
        with pytest.raises(LeaseLost):
            await database.write(late)

    assert await database.read(lambda db: db.jobs.counts(job_id)) == JobCounts(planned=2)
    await finish(database, job_id, 1, fence=2)


async def test_a_paused_job_is_resumed_under_a_newer_number(database: Database) -> None:
    job_id = await new_job(database, 2)
    await database.write(lambda tx: tx.jobs.start(job_id, fence=1, at=NOW))
    await database.write(lambda tx: tx.jobs.pause(job_id, fence=1))
    with pytest.raises(LeaseLost):
        await database.write(lambda tx: tx.jobs.items.start(job_id, 1, fence=1, at=NOW))

    await database.write(lambda tx: tx.jobs.start(job_id, fence=2, at=NOW + timedelta(hours=1)))

    job = await database.read(lambda db: db.jobs.find(job_id))
    assert job
    assert (job.state, job.started_at, job.fence) == (JobState.RUNNING, NOW, 2)


async def test_an_operator_stops_a_job_that_somebody_works_on(database: Database) -> None:
    job_id = await new_job(database, 2)
    await database.write(lambda tx: tx.jobs.start(job_id, fence=1, at=NOW))

    assert await database.write(lambda tx: tx.jobs.stop(job_id, at=NOW))

    assert not await database.write(lambda tx: tx.jobs.stop(job_id, at=NOW))
    with pytest.raises(LeaseLost):
        await database.write(lambda tx: tx.jobs.items.start(job_id, 1, fence=1, at=NOW))
    with pytest.raises(LeaseLost):
        await database.write(lambda tx: tx.jobs.start(job_id, fence=9, at=NOW))
    assert await database.read(lambda db: db.jobs.resumable()) == []


async def test_removals_of_all_jobs_are_counted_since_a_moment(database: Database) -> None:
    for removals in (0, 1, 2):
        job_id = await new_job(database, 1)
        await start(database, job_id)
        await finish(database, job_id, 1, removals=removals)

    assert await database.read(lambda db: db.jobs.items.removals_since(NOW - timedelta(days=1))) == 3
    assert await database.read(lambda db: db.jobs.items.removals_since(NOW + timedelta(seconds=1))) == 0


async def test_jobs_are_listed_newest_first_and_pruned_when_they_ended(database: Database) -> None:
    ids = [await new_job(database, 1) for _ in range(3)]
    await database.write(lambda tx: tx.jobs.stop(ids[0], at=NOW))

    assert [job.id for job in await database.read(lambda db: db.jobs.page(limit=2))] == [ids[2], ids[1]]
    assert [job.id for job in await database.read(lambda db: db.jobs.page(limit=2, before_id=ids[1]))] == [ids[0]]
    assert await database.write(lambda tx: tx.jobs.prune(NOW)) == 0
    assert await database.write(lambda tx: tx.jobs.prune(NOW + timedelta(days=1))) == 1
    assert await database.read(lambda db: db.jobs.find(ids[0])) is None
    assert await database.read(lambda db: db.jobs.items.page(ids[0], limit=9)) == []
    assert await new_job(database, 0) == ids[2] + 1


async def test_thousands_of_items_are_added_at_once(database: Database) -> None:
    job_id = await new_job(database, 20_000)

    assert await database.read(lambda db: db.jobs.counts(job_id)) == JobCounts(planned=20_000)


# ── asked from outside ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "left"), [(JobState.STOPPING, JobState.STOPPED), (JobState.PAUSING, JobState.PAUSED)], ids=str
)
async def test_whoever_works_on_a_job_is_asked_and_may_bring_items_to_their_end(
    database: Database, asked: JobState, left: JobState
) -> None:
    job_id = await new_job(database, 2)
    await start(database, job_id)
    assert await database.write(lambda tx: tx.jobs.ask(job_id, asked))

    await finish(database, job_id, 1)
    await database.write(lambda tx: tx.jobs.leave(job_id, fence=1, at=NOW))

    job = await database.read(lambda db: db.jobs.find(job_id))
    assert job is not None
    assert (job.state, job.counts) == (left, JobCounts(planned=1, done=1))


async def test_a_job_that_ended_or_paused_is_not_asked(database: Database) -> None:
    ended, paused = await new_job(database, 1), await new_job(database, 1)
    await start(database, paused)
    await database.write(lambda tx: tx.jobs.pause(paused, fence=1))
    await database.write(lambda tx: tx.jobs.stop(ended, at=NOW))

    for job_id in (ended, paused):
        assert not await database.write(lambda tx, n=job_id: tx.jobs.ask(n, JobState.STOPPING))  # type: ignore[misc]


async def test_a_job_that_was_asked_to_stop_is_resumed_under_a_newer_number(database: Database) -> None:
    job_id = await new_job(database, 1)
    await start(database, job_id)
    await database.write(lambda tx: tx.jobs.ask(job_id, JobState.STOPPING))

    await database.write(lambda tx: tx.jobs.start(job_id, fence=2, at=NOW))

    assert await database.read(lambda db: db.jobs.state(job_id)) is JobState.RUNNING
    with pytest.raises(LeaseLost):
        await database.write(lambda tx: tx.jobs.leave(job_id, fence=1, at=NOW))


async def test_an_item_is_revised_only_under_the_number_of_its_job(database: Database) -> None:
    job_id = await new_job(database, 1)
    await start(database, job_id)

    await database.write(lambda tx: tx.jobs.items.revise(job_id, 1, steps="less", digest="d", fence=1))

    item = await database.read(lambda db: db.jobs.items.page(job_id, limit=1)[0])
    assert (item.steps, item.digest, item.state) == ("less", "d", ItemState.PLANNED)
    with pytest.raises(LeaseLost):
        await database.write(lambda tx: tx.jobs.items.revise(job_id, 1, steps="more", digest="d", fence=2))
