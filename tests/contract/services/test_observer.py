"""The observer: what the application changes is done on the server, each change once, and none is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import pytest

from mmconsole.database import LeaseHeld, Subject, install_triggers
from mmconsole.errors import Busy, MattermostError
from mmconsole.services import leases
from mmconsole.services.following import LEASE
from mmconsole.services.leases import hold
from mmconsole.services.observer import HELD_BACK, Followed
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import World

    from mmconsole.core import Core
    from mmconsole.services.observer import Tally

BY_EMAIL = ("GET", "/users/email/{email}")
CREATE_TOKEN = ("POST", "/users/{user_id}/tokens")


class Heard:
    """What an observer told."""

    def __init__(self) -> None:
        self.all: list[Followed] = []
        self.lines: list[str] = []

    def followed(self, some: Sequence[Followed]) -> None:
        self.all += some

    def said(self, line: str) -> None:
        self.lines.append(line)

    @property
    def outcomes(self) -> dict[str, str]:
        return {one.subject_id: one.outcome for one in self.all}


@pytest.fixture
def followed(any_world: World) -> World:
    """A world whose changes are written down."""
    any_world.set(observer__poll_seconds=0.05)
    install_triggers(any_world.load())
    return any_world


async def drain(world: World) -> tuple[Heard, Tally]:
    """One observer in a process of its own, until nothing is due."""
    heard = Heard()
    async with world.core() as core:
        return heard, await core.observer.drain(heard, asyncio.Event())


class Watching:
    """An observer that goes on until it is told to stop."""

    def __init__(self, core: Core) -> None:
        self.heard, self.stop = Heard(), asyncio.Event()
        self.task = asyncio.create_task(core.observer.watch(self.heard, self.stop))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        await self.task


async def until(condition: Any) -> None:
    """Give way to the observer until it is so."""
    while not condition():  # noqa: ASYNC110 - what is waited for is in another database connection
        await asyncio.sleep(0.01)


def events(world: World) -> list[Any]:
    return world.sql(
        "SELECT subject, subject_id, attempts, aside_at IS NOT NULL FROM mmconsole_user_events ORDER BY id"
    )


def due_now(world: World) -> None:
    world.sql("UPDATE mmconsole_user_events SET due_at = 0")


async def test_a_new_user_gets_an_account_and_a_token(followed: World) -> None:
    user = followed.add("ann@example.org")

    heard, tally = await drain(followed)

    followed.assert_in_step(user)
    assert heard.outcomes == {user: "created"}
    assert (events(followed), tally.backlog.waiting) == ([], 0)


async def test_a_changed_user_is_changed_on_the_server_and_keeps_the_token(followed: World) -> None:
    user = followed.add("ann@example.org")
    await drain(followed)
    before = followed.secret(user)
    followed.rename(user, "Anna", "Lee")

    heard, _ = await drain(followed)

    assert heard.outcomes == {user: "updated"}
    assert followed.server.account("ann@example.org").first_name == "Anna"
    assert followed.secret(user) == before
    followed.assert_in_step(user)


async def test_what_is_in_step_costs_no_call_and_no_job(followed: World) -> None:
    user = followed.add("ann@example.org")
    await drain(followed)
    jobs = followed.sql("SELECT COUNT(*) FROM mmconsole_jobs")
    followed.rename(user, "Anna", "Lee")
    followed.rename(user, "Ann", "Lee")

    heard, _ = await drain(followed)

    assert heard.outcomes == {user: "unchanged"}
    assert followed.sql("SELECT COUNT(*) FROM mmconsole_jobs") == jobs


async def test_a_deleted_user_loses_the_token(followed: World) -> None:
    user = followed.add("ann@example.org")
    await drain(followed)
    followed.delete(user)

    heard, _ = await drain(followed)

    assert heard.outcomes == {user: "revoked"}
    assert followed.server.marked == []


async def test_a_soft_deleted_user_loses_the_token_and_gets_a_new_one_when_back(followed: World) -> None:
    user = followed.add("ann@example.org")
    await drain(followed)
    followed.leave(user)
    gone, _ = await drain(followed)
    assert followed.server.marked == []
    followed.come_back(user)

    await drain(followed)

    assert gone.outcomes == {user: "revoked"}
    followed.assert_in_step(user)


async def test_many_changes_of_a_user_are_one(followed: World) -> None:
    user = followed.add("ann@example.org")
    for name in ("A", "B", "C"):
        followed.rename(user, name, "Lee")

    heard, _ = await drain(followed)

    assert len(heard.all) == 1
    assert followed.server.account("ann@example.org").first_name == "C"


async def test_our_own_writes_do_not_wake_it(followed: World) -> None:
    followed.add("ann@example.org")
    await followed.sync()
    followed.sql("DELETE FROM mmconsole_user_events")

    await followed.ask("rotate", "ann@example.org")

    assert events(followed) == []


async def test_a_thousand_rows_are_looked_at_together(followed: World) -> None:
    ids = [followed.add(f"user{n}@example.org") for n in range(40)]
    await drain(followed)
    before = len(followed.server.calls)
    followed.sql("UPDATE users SET email_verified_at = '2025-01-01 00:00:00'")

    heard, _ = await drain(followed)

    assert set(heard.outcomes) == set(ids)
    assert len(followed.server.calls) - before < len(ids)


async def test_a_change_that_comes_while_its_user_is_worked_on_is_not_lost(followed: World) -> None:
    user = followed.add("ann@example.org")
    held = followed.server.faults.add(Fault("hold", *CREATE_TOKEN))
    async with followed.core() as core, Watching(core):
        await until(lambda: held.holding)
        followed.rename(user, "Later", "Lee")
        held.let_go()
        await until(lambda: followed.server.account("ann@example.org").first_name == "Later")
        await until(lambda: not events(followed))

    followed.assert_in_step(user)


async def test_it_follows_until_it_is_told_to_stop(followed: World) -> None:
    async with followed.core() as core, Watching(core) as watching:
        first = followed.add("ann@example.org")
        await until(lambda: watching.heard.all)
        second = followed.add("bo@example.org")
        await until(lambda: len(watching.heard.all) > 1)

    followed.assert_in_step(first, second)
    assert followed.sql("SELECT DISTINCT kind, state FROM mmconsole_jobs") == [("follow", "done")]
    assert followed.sql("SELECT COUNT(*) FROM mmconsole_jobs") == [(1,)]


# ── trouble ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_failure_is_tried_again_later_and_then_set_aside(followed: World) -> None:
    followed.set(observer__attempts=3)
    user = followed.add("ann@example.org")
    followed.server.faults.add(Fault("status", *CREATE_TOKEN, times=None, status=500))
    states = []
    for _ in range(4):
        await drain(followed)
        states.append(events(followed))
        due_now(followed)

    assert states[:3] == [[("user", user, 1, 0)], [("user", user, 2, 0)], [("user", user, 3, 1)]]
    assert states[3] == states[2]
    (row,) = followed.sql("SELECT user_id, level, detail FROM mmconsole_activity WHERE verb = 'change set aside'")
    assert row[:2] == (user, "warning")
    assert "mmconsole watch --retry" in row[2]


async def test_what_was_set_aside_is_shown_and_can_be_taken_up(followed: World) -> None:
    followed.set(observer__attempts=1)
    user = followed.add("ann@example.org")
    followed.server.faults.add(Fault("status", *CREATE_TOKEN, times=None, status=500))
    _, tally = await drain(followed)
    followed.server.faults.clear()
    async with followed.core() as core:
        waiting = [event async for event in core.observer.waiting()]
        assert await core.observer.take_up() == 1

    await drain(followed)

    assert (tally.backlog.aside, [event.subject_id for event in waiting]) == (1, [user])
    assert waiting[0].why
    assert followed.token(user).is_active


async def test_another_change_of_a_user_who_was_set_aside_is_a_new_start(followed: World) -> None:
    followed.set(observer__attempts=1)
    user = followed.add("ann@example.org")
    followed.server.faults.add(Fault("status", *CREATE_TOKEN, times=None, status=500))
    await drain(followed)
    followed.server.faults.clear()
    followed.rename(user, "Anna", "Lee")

    await drain(followed)

    assert followed.token(user).is_active
    assert events(followed) == []


async def test_a_server_that_is_away_loses_nothing_and_costs_nobody_a_try(followed: World) -> None:
    user = followed.add("ann@example.org")
    await followed.stop()
    with pytest.raises(MattermostError):
        await drain(followed)
    assert events(followed) == [("user", user, 0, 0)]
    await followed.start()

    await drain(followed)

    followed.assert_in_step(user)


async def test_one_that_watches_goes_on_when_the_server_is_back(
    followed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.services.observer._AWAY_FIRST", 0.01)
    monkeypatch.setattr("mmconsole.services.observer._AWAY_LONGEST", 0.05)
    await followed.stop()
    async with followed.core() as core, Watching(core) as watching:
        user = followed.add("ann@example.org")
        await until(lambda: watching.heard.lines)
        await followed.start()
        await until(lambda: watching.heard.all)

    followed.assert_in_step(user)
    waits = followed.sql("SELECT COUNT(*) FROM mmconsole_activity WHERE verb = 'observer waits'")
    assert waits[0][0] >= 1


async def test_one_user_who_breaks_the_look_does_not_keep_the_others(followed: World) -> None:
    good = followed.add("good@example.org")
    await drain(followed)
    bad = followed.add("bad@example.org")
    followed.rename(good, "Anna", "Lee")
    followed.server.faults.add(Fault("cut_json", *BY_EMAIL, times=None, honest=True))

    heard, tally = await drain(followed)

    assert heard.outcomes == {bad: "failed", good: "updated"}
    assert tally.backlog.later == 1


async def test_the_guard_holds_back_removals_and_nothing_else(followed: World) -> None:
    followed.set(guard__removals=1, guard__percent=0)
    ids = [followed.add(f"user{n}@example.org") for n in range(4)]
    await drain(followed)
    for user in ids[:2]:
        followed.leave(user)
    followed.rename(ids[2], "Anna", "Lee")

    heard, tally = await drain(followed)

    assert heard.outcomes == {ids[0]: HELD_BACK, ids[1]: HELD_BACK, ids[2]: "updated"}
    assert tally.backlog.aside == 2
    assert len(followed.server.marked) == 4


async def test_removals_one_by_one_trip_the_guard_too(followed: World) -> None:
    followed.set(guard__removals=2, guard__percent=0)
    ids = [followed.add(f"user{n}@example.org") for n in range(3)]
    await drain(followed)
    outcomes: list[str] = []
    for user in ids:
        followed.leave(user)
        heard, _ = await drain(followed)
        outcomes += heard.outcomes.values()

    assert outcomes == ["revoked", "revoked", HELD_BACK]


async def test_the_limit_of_mails_holds_for_users_one_by_one(followed: World) -> None:
    followed.server.state.config["EmailSettings", "SMTPServer"] = "mail.x.test"
    followed.set(sync__max_mails=2)
    outcomes: list[str] = []
    for n in range(3):
        followed.add(f"user{n}@example.org")
        heard, _ = await drain(followed)
        outcomes += heard.outcomes.values()

    assert outcomes == ["created", "created", HELD_BACK]


async def test_a_token_is_replaced_by_itself_once_a_day_at_most(followed: World) -> None:
    user = followed.add("ann@example.org")
    await drain(followed)
    held = []
    for n in range(2):
        followed.edit(user, mattermost_token=None)
        followed.rename(user, f"Anna{n}", "Lee")
        heard, _ = await drain(followed)
        assert heard.outcomes == {user: "updated"}
        held.append(followed.row(user)["mattermost_token"] is not None)

    assert held == [True, False]
    assert followed.server.account("ann@example.org").first_name == "Anna1"


async def test_nothing_automatic_makes_a_token_that_was_revoked(followed: World) -> None:
    user = followed.add("ann@example.org")
    await drain(followed)
    await followed.ask("revoke", user, at_once=True)
    followed.rename(user, "Anna", "Lee")

    await drain(followed)

    assert followed.server.marked == []
    assert followed.server.account("ann@example.org").first_name == "Anna"


# ── one at a time ────────────────────────────────────────────────────────────────────────────────


async def test_there_is_one_observer_for_a_database(followed: World) -> None:
    async with followed.core() as core, hold(core.observer._database, LEASE, holder="somebody", wait=False):
        with pytest.raises(Busy):
            await drain(followed)


async def test_a_second_one_takes_over_when_the_first_has_ended(
    followed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.services.observer._ASK_FOR_LEASE", 0.01)
    async with followed.core() as core, followed.core() as other, Watching(core) as first:
        await until(lambda: followed.sql("SELECT 1 FROM mmconsole_leases WHERE name = 'observer' AND fence = 1"))
        async with Watching(other) as second:
            await until(lambda: second.heard.lines)
            first.stop.set()
            user = followed.add("ann@example.org")
            await until(lambda: second.heard.all or first.heard.all)

    followed.assert_in_step(user)
    assert second.heard.all


async def test_who_lost_the_lease_takes_out_no_event(followed: World) -> None:
    user = followed.add("ann@example.org")
    held = followed.server.faults.add(Fault("hold", *CREATE_TOKEN))
    async with followed.core() as core, Watching(core):
        await until(lambda: held.holding)
        followed.sql("UPDATE mmconsole_leases SET fence = fence + 1, holder = 'somebody', expires_at = 0")
        held.let_go()
        await until(lambda: followed.sql("SELECT 1 FROM mmconsole_leases WHERE name = 'observer' AND fence > 2"))
        await until(lambda: not events(followed))

    # Who lost the lease revokes its token and may not close its note, which a sync does when it is old enough.
    followed.later(400)
    await followed.sync()
    followed.assert_in_step(user)


async def test_a_sync_waits_for_the_turn_of_an_observer(followed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[object] = []

    def take(*arguments: Any, **named: Any) -> Any:
        answers.append(taken(*arguments, **named))
        return answers[-1]

    taken = leases._taken
    monkeypatch.setattr(leases, "_taken", take)
    monkeypatch.setattr(leases, "_FOR_OBSERVERS", 600.0)
    ids = [followed.add(f"user{n}@example.org") for n in range(20)]
    held = followed.server.faults.add(Fault("hold", *CREATE_TOKEN, times=None))
    async with followed.core() as core, Watching(core):
        await until(lambda: held.holding)
        answers.clear()
        syncing = asyncio.create_task(followed.sync())
        await until(lambda: answers)
        held.let_go()
        summary = await syncing

    assert isinstance(answers[0], LeaseHeld)
    assert summary.users == 20
    followed.assert_in_step(*ids)


async def test_an_operator_can_stop_its_job(followed: World) -> None:
    for n in range(30):
        followed.add(f"user{n}@example.org")
    held = followed.server.faults.add(Fault("hold", *CREATE_TOKEN))
    # It looks twice a second what it shall do.
    followed.server.faults.add(Fault("delay", *CREATE_TOKEN, seconds=0.2, times=None))
    followed.set(mattermost__max_concurrency=1)
    async with followed.core() as core, Watching(core) as watching:
        await until(lambda: held.holding)
        (job,) = [known.job.id for known in await core.jobs.latest(limit=5)]
        assert (await core.jobs.show(job)).alive
        await core.jobs.stop(job)
        held.let_go()
        await until(lambda: watching.heard.all)

    assert HELD_BACK in watching.heard.outcomes.values()
    assert followed.sql("SELECT state FROM mmconsole_jobs WHERE id = ?", job) == [("stopped",)]


# ── what no trigger saw ──────────────────────────────────────────────────────────────────────────


async def test_what_no_trigger_saw_is_found_by_comparing(any_world: World) -> None:
    kept, gone = any_world.add("ann@example.org"), any_world.add("bo@example.org")
    await any_world.sync()
    any_world.rename(kept, "Anna", "Lee")
    any_world.delete(gone)
    new = any_world.add("cy@example.org")

    heard, _ = await drain(any_world)

    assert heard.outcomes == {kept: "updated", gone: "revoked", new: "created"}
    assert any("no triggers" in line for line in heard.lines)


async def test_comparing_a_second_time_finds_nothing(any_world: World) -> None:
    any_world.add("ann@example.org")
    gone = any_world.add("bo@example.org")
    await any_world.sync()
    any_world.delete(gone)
    await drain(any_world)
    any_world.sql("DELETE FROM mmconsole_meta WHERE name = 'observer.compared_at'")

    heard, _ = await drain(any_world)

    assert heard.all == []


async def test_who_only_follows_forgets_what_is_older_than_the_settings_keep(world: World) -> None:
    world.set(activity__keep_days=1)
    world.add("ann@example.org")
    await world.sync()
    world.sql("UPDATE mmconsole_activity SET at = at - 2 * 86400 * 1000000")
    world.sql("UPDATE mmconsole_jobs SET finished_at = finished_at - 2 * 86400 * 1000000")

    await drain(world)

    assert world.sql("SELECT verb FROM mmconsole_activity") == []
    assert world.sql("SELECT id FROM mmconsole_jobs UNION SELECT job_id FROM mmconsole_job_items") == []


async def test_before_the_first_sync_nobody_gets_an_account_by_comparing(any_world: World) -> None:
    any_world.add("ann@example.org")

    heard, _ = await drain(any_world)

    assert (heard.all, any_world.server.people) == ([], [])


# ── projects ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_project_gets_its_channel_and_an_archived_one_loses_it(world: World) -> None:
    install_triggers(world.load())
    world.sql("INSERT INTO projects (id, name) VALUES (7, 'Bridge')")
    made, _ = await drain(world)
    world.sql("UPDATE projects SET archived_at = '2026-01-01'")
    archived, _ = await drain(world)

    assert [(one.subject, one.outcome, one.note) for one in made.all] == [(Subject.PROJECT, "created", "main/bridge")]
    assert [one.outcome for one in archived.all] == ["archived"]
    (channel,) = [one for one in world.server.state.channels.values() if one.name == "bridge"]
    assert channel.delete_at


async def test_the_guard_holds_back_the_archiving_of_a_project(world: World) -> None:
    install_triggers(world.load())
    world.sql("INSERT INTO projects (id, name) VALUES (7, 'Bridge')")
    await drain(world)
    world.set(guard__removals=0, guard__percent=0)
    world.sql("UPDATE projects SET archived_at = '2026-01-01'")

    heard, tally = await drain(world)

    assert [one.outcome for one in heard.all] == [HELD_BACK]
    assert tally.backlog.aside == 1


async def test_a_round_that_was_broken_off_is_planned_anew(followed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmconsole.services.observer._AWAY_FIRST", 0.01)
    ids = [followed.add(f"user{n}@example.org") for n in range(30)]
    held = followed.server.faults.add(Fault("hold", *CREATE_TOKEN, after=3, times=None))
    async with followed.core() as core, Watching(core):
        await until(lambda: held.holding)
        await followed.stop()
        followed.server.faults.clear()
        await followed.start()
        while events(followed):
            # Who was under way is tried again later.
            due_now(followed)
            await asyncio.sleep(0.01)

    for user in ids:
        assert followed.token(user).is_active
    assert len({account.email for account in followed.server.people}) == len(followed.server.people) == 30
