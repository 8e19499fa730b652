"""One thread writes, in groups."""

import asyncio
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from tests.servers.application import add_users, ask

from mmconsole.config import Settings
from mmconsole.database import Database, EmbeddedUser, Snapshot, Transaction, address, migrate, open_database
from mmconsole.domain.activity import Activity
from mmconsole.errors import DatabaseBusy, DatabaseError, DatabaseFull, DatabaseReadOnly

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def happened(verb: str) -> Activity:
    return Activity(NOW, "me@test", verb)


def adds(verb: object) -> Callable[[Transaction], int]:
    return lambda tx: tx.activity.add(happened(str(verb)))


async def verbs(database: Database) -> list[str]:
    return [one.verb for one in await database.read(lambda db: db.activity.page(limit=1000, after_id=0))]


async def test_sixty_four_changes_at_once_are_one_commit(database: Database) -> None:
    await database.write(adds("opened"))
    before = database.commits

    numbers = await asyncio.gather(*(database.write(adds(f"change {n}")) for n in range(64)))

    assert database.commits - before == 1
    assert numbers == sorted(numbers)


async def test_more_changes_than_a_group_holds_are_all_made_in_order(database: Database) -> None:
    before = database.commits

    await asyncio.gather(*(database.write(adds(n)) for n in range(200)))

    assert await verbs(database) == [str(n) for n in range(200)]
    assert database.commits - before == 4


async def test_what_comes_during_a_commit_waits_for_the_next_one(database: Database) -> None:
    async def worker(name: int) -> None:
        for n in range(20):
            await database.write(adds(f"{name}.{n}"))

    before = database.commits
    await asyncio.gather(*(worker(name) for name in range(16)))

    assert len(await verbs(database)) == 320
    assert database.commits - before <= 60


async def test_the_loop_is_woken_once_for_a_group(database: Database) -> None:
    loop = asyncio.get_running_loop()
    woken = 0
    wake = loop.call_soon_threadsafe

    def counted(callback: Callable[..., object], *values: object) -> asyncio.Handle:
        nonlocal woken
        woken += 1
        return wake(callback, *values)

    loop.call_soon_threadsafe = counted  # type: ignore[method-assign, assignment]

    await asyncio.gather(*(database.write(adds("x")) for _ in range(64)))

    loop.call_soon_threadsafe = wake  # type: ignore[method-assign]
    assert woken == 1


async def test_a_change_that_fails_leaves_the_others_of_its_group_alone(database: Database) -> None:
    def fails(tx: Transaction) -> None:
        tx.activity.add(happened("undone"))
        message = "no"
        raise KeyError(message)

    results = await asyncio.gather(
        database.write(adds("first")),
        database.write(fails),
        database.write(lambda tx: tx.activity._connection.run("INSERT INTO mmconsole_meta VALUES (NULL, NULL)")),
        database.write(adds("last")),
        return_exceptions=True,
    )

    assert isinstance(results[1], KeyError)
    assert type(results[2]) is DatabaseError
    assert "null" in str(results[2]).lower()
    assert await verbs(database) == ["first", "last"]


async def test_several_statements_of_one_change_are_stored_together_or_not_at_all(database: Database) -> None:
    def half(tx: Transaction) -> None:
        tx.meta.set("half", "yes")
        tx.activity._connection.run("nonsense")

    with pytest.raises(DatabaseError):
        await database.write(half)

    assert await database.read(lambda db: db.meta.get("half")) is None


async def test_a_caller_is_told_after_its_change_is_in_the_file(database: Database) -> None:
    await database.write(lambda tx: tx.meta.set("told", "yes"))

    assert ask(database, "SELECT value FROM mmconsole_meta WHERE name = 'told'") == [("yes",)]


async def test_a_caller_who_gives_up_does_not_disturb_the_group(database: Database) -> None:
    gone = asyncio.create_task(database.write(adds("given up")))
    stays = asyncio.create_task(database.write(adds("stays")))
    await asyncio.sleep(0)
    gone.cancel()

    await stays

    assert "stays" in await verbs(database)
    assert gone.cancelled() or ((await asyncio.wait([gone])) and gone.cancelled())


async def test_closing_makes_the_changes_that_wait(settings: Settings) -> None:
    async with open_database(settings) as database:
        waiting = [asyncio.create_task(database.write(adds(n))) for n in range(100)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)

    async with open_database(settings) as database:
        assert len(await verbs(database)) == 100
    with pytest.raises(DatabaseError, match="writer has stopped"):
        await database.write(adds("late"))
    with pytest.raises(DatabaseError, match="closed"):
        await database.read(lambda db: db.roster.count())


async def test_everybody_who_waits_is_failed_when_the_writer_dies(database: Database) -> None:
    def die(_tx: Transaction) -> None:
        raise SystemExit

    results = await asyncio.wait_for(
        asyncio.gather(
            *(database.write(adds(n)) for n in range(3)),
            database.write(die),
            *(database.write(adds(n)) for n in range(100)),
            return_exceptions=True,
        ),
        timeout=60,
    )

    assert all(isinstance(result, DatabaseError) for result in results)
    assert await verbs(database) == []
    with pytest.raises(DatabaseError, match="writer has stopped"):
        await database.write(adds("late"))


async def test_a_change_may_raise_what_no_future_can_carry(database: Database) -> None:
    with pytest.raises(RuntimeError, match="ran out"):
        await database.write(lambda _tx: next(iter([])))

    await database.write(adds("goes on"))


@pytest.mark.kinds("sqlite")
async def test_a_full_disk_fails_the_change_and_heals(database: Database) -> None:
    def limit(tx: Transaction, pages: int) -> None:
        tx.activity._connection.run(f"PRAGMA max_page_count = {pages}")

    await database.write(lambda tx: limit(tx, 1))  # SQLite never goes below what there is
    big = Activity(NOW, "me@test", "too much", detail="x" * 1_000_000)

    results = await asyncio.gather(
        *(database.write(lambda tx: tx.activity.add(big)) for _ in range(3)), return_exceptions=True
    )

    assert [type(result) for result in results] == [DatabaseFull] * 3
    await database.write(lambda tx: limit(tx, 1_000_000))
    await database.write(lambda tx: tx.activity.add(big))
    assert await verbs(database) == ["too much"]


@pytest.mark.kinds("sqlite")
async def test_a_database_locked_by_another_program_is_busy_for_the_whole_group(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(embedded)
    monkeypatch.setattr(address, "BUSY_TIMEOUT", 0.2)
    async with open_database(embedded) as database:
        with closing(sqlite3.connect(database.name, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")

            results = await asyncio.gather(*(database.write(adds("x")) for _ in range(3)), return_exceptions=True)

        assert [type(result) for result in results] == [DatabaseBusy] * 3
        await database.write(adds("later"))
        assert await verbs(database) == ["later"]


@pytest.mark.kinds("sqlite")
async def test_a_short_lock_of_another_program_is_waited_for(database: Database) -> None:
    with closing(sqlite3.connect(database.name, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.write(adds("waited")))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        other.execute("COMMIT")

    await asyncio.wait_for(waiting, timeout=60)


async def test_two_open_databases_write_to_one_file(database: Database, settings: Settings) -> None:
    async with open_database(settings) as second:
        await asyncio.gather(*(one.write(adds("x")) for one in (database, second) for _ in range(100)))

    assert len(await verbs(database)) == 200


async def test_a_query_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseReadOnly):
        await database.read(lambda db: db.activity.add(happened("x")))

    assert await verbs(database) == []


async def test_a_query_sees_one_moment_although_a_change_comes_in_between(database: Database) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def twice(db: Snapshot) -> tuple[list[Activity], list[Activity]]:
        first = db.activity.page(limit=1)
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        return first, db.activity.page(limit=1)

    asking = asyncio.create_task(database.read(twice))
    await started.wait()
    await database.write(adds("in between"))
    go_on.set()

    assert await asking == ([], [])


async def test_many_queries_at_once_are_all_answered(database: Database) -> None:
    await database.write(lambda tx: add_users(tx, [EmbeddedUser(f"{n}@x.org") for n in range(50)]))

    counts = await asyncio.gather(*(database.read(lambda db: db.roster.count()) for _ in range(200)))

    assert set(counts) == {50}


async def test_a_query_that_fails_leaves_its_thread_usable(database: Database) -> None:
    def fail(_db: Snapshot) -> None:
        message = "x"
        raise ValueError(message)

    def die(_db: Snapshot) -> None:
        raise SystemExit

    for _ in range(6):
        with pytest.raises(ValueError, match="x"):
            await database.read(fail)
        with pytest.raises(DatabaseError):
            await database.read(die)

    assert await database.read(lambda db: db.activity.page(limit=1)) == []


async def test_moments_come_back_exactly(database: Database) -> None:
    moments = [NOW + timedelta(microseconds=n * 7919) for n in range(200)]
    await database.write(lambda tx: tx.activity.add_many(Activity(at, "me@test", "x") for at in moments))

    found = await database.read(lambda db: db.activity.page(limit=500, after_id=0))

    assert [one.at for one in found] == moments


async def test_reading_and_writing_go_together_in_an_applications_own_journal_mode(laravel: Database) -> None:
    async def read() -> int:
        return sum([len(await laravel.read(lambda db: db.roster.page(None, 10))) for _ in range(50)])

    async def write() -> int:
        return sum([bool(await laravel.write(adds(n))) for n in range(50)])

    counts = await asyncio.gather(read(), write(), read(), write())

    assert list(counts) == [150, 50, 150, 50]


@pytest.mark.kinds("sqlite")
async def test_every_file_of_the_embedded_database_is_for_our_eyes_only(database: Database, embedded: Settings) -> None:
    await database.write(adds("x"))

    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in embedded.embedded_file.parent.iterdir()}

    assert files.keys() >= {"default.sqlite3", "default.sqlite3-wal"}
    assert set(files.values()) == {0o600}


@pytest.mark.kinds("sqlite")
async def test_our_own_file_is_durable_with_every_commit(database: Database, laravel: Database) -> None:
    def durability(tx: Transaction) -> tuple[object, ...]:
        run = tx.activity._connection.row
        return (*(run("PRAGMA journal_mode") or ()), *(run("PRAGMA synchronous") or ()))

    assert await database.write(durability) == ("wal", 2)
    assert await laravel.write(durability) == ("delete", 2)
