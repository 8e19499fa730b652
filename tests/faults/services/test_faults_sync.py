"""A network, a server and a disk that fail in the middle of a sync: the next run does the rest, and nothing twice."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mmconsole.database import open_database
from mmconsole.errors import (
    BreakerOpen,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    LeaseLost,
    MattermostError,
    MmconsoleError,
)
from mmconsole.mattermost.transport import AiohttpTransport
from mmconsole.services import leases
from mmconsole.services.sync import LEASE
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

    from mmconsole.simulator.faults import FaultKind

CREATE = ("POST", "/users")
JOIN = ("POST", "/teams/{team_id}/members")
TOKEN = ("POST", "/users/{id}/tokens")
PATCH = ("PUT", "/users/{id}/patch")
ACTIVE = ("PUT", "/users/{id}/active")
REVOKE = ("POST", "/users/tokens/revoke")
ME = ("GET", "/users/{id}")
MY_TEAMS = ("GET", "/users/{id}/teams")


async def settles(world: World, *ids: str) -> None:
    """After at most one more sync everybody is in step, and then there is nothing to do."""
    world.server.faults.clear()
    world.later(400)
    summary = await world.sync()
    assert summary.troubled == 0, summary.listed
    world.assert_in_step(*ids)
    assert (await world.sync(full=True)).counts == {"unchanged": len(ids)}
    assert len(world.server.people) == len(ids)


# ── answers that are lost or spoiled ─────────────────────────────────────────────────────────────

SPOILED: list[tuple[FaultKind, dict[str, Any]]] = [
    ("drop_after", {}),
    ("drop_before", {}),
    ("cut_json", {}),
    ("cut_json", {"honest": True}),
    ("status", {"status": 502}),
    ("status", {"status": 504}),
    ("login_page", {}),
    ("redirect", {}),
    ("slow_body", {"seconds": 0.2}),
]


@pytest.mark.parametrize(("kind", "more"), SPOILED, ids=str)
@pytest.mark.parametrize("call", [CREATE, JOIN, TOKEN, ME, MY_TEAMS], ids=" ".join)
async def test_answer_lost_or_spoiled_makes_nothing_twice(
    world: World, call: tuple[str, str], kind: FaultKind, more: dict[str, Any]
) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(3)]
    # The first `GET /users/{id}` is the administrator's own.
    after = 1 if call == ME else 0
    world.server.faults.add(Fault(kind, *call, times=1, after=after, **more))

    await world.sync()

    assert len(world.server.people) <= 3
    await settles(world, *ids)


@pytest.mark.parametrize("create", ["/users", "/tokens"])
async def test_a_proxy_that_puts_its_own_refusal_in_the_place_of_an_answer_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, create: str
) -> None:
    ids = [world.add(f"p{number}@x.test", verified=True) for number in range(3)]
    send = AiohttpTransport.handle_async_request
    spoilt: list[httpx.Request] = []

    async def refuse_afterwards(self: AiohttpTransport, request: Any) -> httpx.Response:
        answer = await send(self, request)
        if spoilt or request.method != "POST" or not request.address.endswith(create):
            return answer
        spoilt.append(request)
        return httpx.Response(403, headers={"Content-Type": "text/html"}, content=b"<h1>Blocked</h1>")

    monkeypatch.setattr(AiohttpTransport, "handle_async_request", refuse_afterwards)
    await world.sync()

    assert len(spoilt) == 1
    await settles(world, *ids)


@pytest.mark.parametrize("times", [2, 3, 20])
async def test_answers_to_creating_tokens_are_lost_again_and_again(world: World, times: int) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(3)]
    world.server.faults.add(Fault("drop_after", *TOKEN, times=times))

    await world.sync()

    await settles(world, *ids)


@pytest.mark.parametrize("call", [PATCH, ACTIVE, REVOKE], ids=" ".join)
async def test_lost_answer_to_a_change_is_repeated(world: World, call: tuple[str, str]) -> None:
    world.set(sync__deactivate=True)
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    world.rename(ann, "Anna", "Leigh")
    world.leave(bo)
    world.server.faults.add(Fault("drop_after", *call))

    summary = await world.sync()

    assert summary.counts == {"updated": 1, "revoked": 1}
    assert world.server.account("ann@x.test").first_name == "Anna"
    assert world.server.account("bo@x.test").delete_at
    assert world.server.account("bo@x.test").tokens == ()
    world.assert_in_step(ann)


async def test_lost_answer_to_a_create_that_a_lagging_replica_hides_is_found_by_the_next_run(world: World) -> None:
    ann = world.add("ann@x.test")
    world.server.faults.add(Fault("drop_after", *CREATE))
    world.server.faults.add(world.stale(60, "GET", "/users/email/{email}", times=2))

    first = await world.sync()

    assert first.counts == {"failed": 1}
    await settles(world, ann)


async def test_hidden_account_of_our_own_is_found_although_the_next_look_misses_it_too(world: World) -> None:
    ann = world.add("ann@x.test")
    world.server.faults.add(Fault("drop_after", *CREATE))
    world.server.faults.add(world.stale(60, "GET", "/users/email/{email}", times=4))

    await world.sync()
    await world.sync()

    await settles(world, ann)


# ── the probe ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", [ME, MY_TEAMS], ids=" ".join)
@pytest.mark.parametrize("status", [500, 403, 404])
async def test_token_that_cannot_be_tried_is_revoked_and_nothing_stored_changes(
    world: World, call: tuple[str, str], status: int
) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.server.state.remove_token(world.token(ann))
    before = world.row(ann)
    # The administrator's own account is read first, then the one that gets the token.
    world.server.faults.add(Fault("status", *call, times=None, after=2 * (call == ME), status=status))

    summary = await world.sync()

    assert summary.counts == {"failed": 1}
    assert "revoked" in summary.listed[0].note
    assert world.server.marked == []
    assert world.row(ann) == before
    await settles(world, ann)


async def test_account_that_must_set_up_a_second_factor_gets_no_token_and_says_why(world: World) -> None:
    state = world.server.state
    world.admin_token = world.server.simulator.bot_token
    state.licensed = True
    settings = state.config.sections["ServiceSettings"]
    settings["EnableMultifactorAuthentication"] = settings["EnforceMultifactorAuthentication"] = True
    ann = world.add("ann@x.test")

    summary = await world.sync()

    assert summary.counts == {"conflict": 1}
    assert "multi-factor" in summary.listed[0].note
    assert world.server.marked == []
    made = world.server.simulator.calls["POST /users/{id}/tokens"]
    assert (await world.sync()).counts == {"left alone": 1}
    assert world.server.simulator.calls["POST /users/{id}/tokens"] == made
    state.licensed = False
    assert (await world.sync(ann)).counts == {"token generated": 1}
    await settles(world, ann)


@pytest.mark.parametrize("call", [ME, MY_TEAMS, TOKEN, CREATE, JOIN], ids=" ".join)
async def test_server_that_hangs_is_given_up_and_cleared_up_after(world: World, call: tuple[str, str]) -> None:
    world.set(mattermost__timeout=1)
    ann = world.add("ann@x.test")
    world.server.faults.add(Fault("hold_answer", *call, times=1, after=int(call == ME)))

    await world.sync()

    world.set(mattermost__timeout=30)
    await settles(world, ann)


async def test_replica_that_does_not_know_new_tokens_yet_fails_the_user_once(world: World) -> None:
    ann = world.add("ann@x.test")
    world.server.faults.add(Fault("stale_reads", *ME, after=1, seconds=60))

    first = await world.sync()

    assert first.counts == {"failed": 1}
    await settles(world, ann)


# ── the whole server ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("made", [0, 1, 20])
async def test_server_that_goes_away_in_the_middle_ends_the_run_and_the_next_completes_it(
    world: World, made: int
) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(90)]

    async def goes_away() -> None:
        await world.until(lambda: len(world.server.people) >= made and world.server.calls["POST /users/usernames"])
        await world.stop()

    _, summary = await asyncio.gather(goes_away(), world.sync())

    assert isinstance(summary.fault, MattermostError)
    assert len(world.server.people) < 90
    await world.start()
    await settles(world, *ids)


async def test_server_that_restarts_costs_some_users_a_try_and_not_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.services.waiting.PATIENCE", 300.0)
    # Each time the breaker trips, all who are under way fail: a few dozen.
    ids = [world.add(f"p{number}@x.test") for number in range(200)]
    for call in (CREATE, TOKEN, JOIN):
        world.server.faults.add(Fault("status", *call, times=12, status=502))

    summary = await world.sync()

    assert summary.fault is None
    assert summary.counts["created"] > 0
    assert summary.counts["created"] + summary.counts["failed"] == len(ids)
    await settles(world, *ids)


async def test_server_that_is_away_during_the_look_costs_some_time_and_not_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.services.waiting.PATIENCE", 300.0)
    monkeypatch.setattr("mmconsole.services.waiting._PAUSE", 0.01)
    monkeypatch.setattr("mmconsole.mattermost.breaker._FIRST_REST", 0.01)
    ids = [world.add(f"p{number}@x.test") for number in range(20)]
    await world.sync()
    new = world.add("new@x.test")
    for call in (("GET", "/users/tokens"), ("POST", "/users/ids"), ("GET", "/users/email/{email}")):
        world.server.faults.add(Fault("status", *call, times=15, status=502))

    summary = await world.sync(full=True)

    assert summary.fault is None
    assert summary.counts == {"created": 1, "unchanged": 20}
    world.assert_in_step(*ids, new)


async def test_server_that_stays_away_during_the_look_ends_the_run(world: World) -> None:
    world.add("ann@x.test")
    world.server.faults.add(Fault("status", "GET", "/users/tokens", times=None, status=502))

    with pytest.raises(MattermostError):
        await world.sync()

    assert world.server.people == []


async def test_stop_ends_the_waiting_for_a_server_that_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmconsole.services.waiting.PATIENCE", 300.0)
    world.add("ann@x.test")
    stop = asyncio.Event()
    world.server.faults.add(Fault("status", "GET", "/users/tokens", times=None, status=502))

    async def interrupt() -> None:
        await world.until(lambda: world.server.calls["GET /users/tokens"])
        stop.set()

    with pytest.raises(MattermostError):
        await asyncio.gather(world.sync(stop=stop), interrupt())


@pytest.mark.parametrize("status", [400, 500])
async def test_usernames_that_cannot_be_asked_for_are_found_out_by_each_create(world: World, status: int) -> None:
    ids = [world.add(f"ann@d{number}.test") for number in range(3)]
    world.server.add("somebody@x.test", "ann")
    world.server.faults.add(Fault("status", "POST", "/users/usernames", times=None, status=status))

    summary = await world.sync()

    assert summary.counts == {"created": 3}
    world.assert_in_step(*ids)


async def test_server_that_fails_everything_trips_the_breaker_and_ends_the_run(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(40)]
    for call in (CREATE, TOKEN, JOIN):
        world.server.faults.add(Fault("status", *call, times=None, status=500))

    summary = await world.sync()

    assert isinstance(summary.fault, BreakerOpen)
    assert summary.counts["created"] == 0
    await settles(world, *ids)


@pytest.mark.parametrize("retry_after", [0, None])
async def test_storm_of_429_slows_a_run_down_and_fails_nobody(
    world: World, retry_after: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.mattermost.patience._UNSAID_WAIT", 0.01)
    ids = [world.add(f"p{number}@x.test") for number in range(8)]
    for call in (CREATE, TOKEN, JOIN, ME):
        world.server.faults.add(Fault("status", *call, times=5, status=429, retry_after=retry_after))

    summary = await world.sync()

    assert summary.counts == {"created": 8}
    world.assert_in_step(*ids)


# ── being stopped ────────────────────────────────────────────────────────────────────────────────


async def test_stop_lets_users_under_way_finish_and_leaves_the_rest(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(60)]
    world.set(mattermost__max_concurrency=2)
    stop = asyncio.Event()

    async def watch() -> None:
        await world.until(lambda: len(world.server.marked) >= 5)
        stop.set()

    _, summary = await asyncio.gather(watch(), world.sync(stop=stop))

    done = summary.counts["created"]
    assert 4 <= done < 20
    assert summary.fault is None
    assert len(world.server.people) == len(world.server.marked) == done
    world.assert_in_order()
    assert (await world.sync()).counts == {"created": 60 - done, "unchanged": done}
    world.assert_in_step(*ids)


@pytest.mark.parametrize("made", [0, 1, 3, 10])
@pytest.mark.parametrize("what", ["people", "marked"])
async def test_cancelled_in_the_middle_recover_and_sync_bring_everything_into_step(
    world: World, made: int, what: str
) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(20)]
    running = asyncio.create_task(world.sync())
    await world.until(
        lambda: len(getattr(world.server, what)) >= made and world.sql("SELECT 1 FROM mmconsole_job_items")
    )

    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    await world.recover()
    await settles(world, *ids)


async def test_owner_of_a_lease_that_was_taken_over_changes_nothing_more(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(20)]
    world.set(mattermost__max_concurrency=2)

    async def take_over() -> None:
        await world.until(lambda: len(world.server.marked) >= 3)
        world.sql("UPDATE mmconsole_leases SET fence = fence + 1, holder = 'another'")
        self_records.extend(world.records())

    self_records: list[Any] = []
    _, summary = await asyncio.gather(take_over(), world.sync())

    assert isinstance(summary.fault, LeaseLost)
    assert world.records() == self_records
    assert world.sql("SELECT holder FROM mmconsole_leases") == [("another",)]
    await settles(world, *ids)


async def test_a_sleeper_whose_note_was_closed_meanwhile_leaves_no_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = world.add("ann@x.test", verified=True)
    send = AiohttpTransport.handle_async_request
    slept: list[httpx.Request] = []

    async def sleep_before(self: AiohttpTransport, request: Any) -> httpx.Response:
        if not slept and request.method == "POST" and request.address.endswith("/tokens"):
            slept.append(request)
            world.sql("UPDATE mmconsole_leases SET fence = fence + 1, holder = 'another'")
            world.sql("DELETE FROM mmconsole_intents")
        return await send(self, request)

    monkeypatch.setattr(AiohttpTransport, "handle_async_request", sleep_before)
    summary = await world.sync()

    assert isinstance(summary.fault, LeaseLost)
    assert list(world.server.marked) == []
    world.end_leases()
    await settles(world, ann)


async def test_sleeper_wakes_up_to_a_lost_lease(world: World) -> None:
    async with open_database(world.load()) as first, open_database(world.load()) as second:
        async with leases.hold(first, LEASE, holder="sleeper", wait=False) as old:
            world.end_leases()
            async with leases.hold(second, LEASE, holder="successor", wait=False) as new:
                with pytest.raises(LeaseLost):
                    await old.write(lambda tx: tx.meta.set("server.url", "stale"))
                await new.write(lambda tx: tx.meta.set("server.url", "fresh"))
        assert new.fence > old.fence

    assert world.sql("SELECT value FROM mmconsole_meta WHERE name = 'server.url'") == [("fresh",)]


async def test_lease_is_renewed_while_its_holder_lives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_RENEW_EVERY", 0.01)
    async with open_database(world.load()) as database, leases.hold(database, LEASE, holder="me", wait=False):
        world.end_leases()
        await world.until(lambda: world.sql("SELECT expires_at FROM mmconsole_leases") != [(0,)])


# ── the database ─────────────────────────────────────────────────────────────────────────────────


async def test_database_locked_for_too_long_ends_the_run_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.database.address.BUSY_TIMEOUT", 0.1)
    ids = [world.add(f"p{number}@x.test") for number in range(20)]

    async def lock() -> sqlite3.Connection:
        await world.until(lambda: len(world.server.marked) >= 3)
        connection = sqlite3.connect(world.file, timeout=60, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        return connection

    locking = asyncio.create_task(lock())
    fault: MmconsoleError | None = None
    try:
        fault = (await world.sync()).fault
    except DatabaseError as raised:
        fault = raised
    with closing(await locking) as connection:
        connection.execute("ROLLBACK")

    assert isinstance(fault, DatabaseBusy)
    await settles(world, *ids)


async def test_disk_that_is_full_ends_the_run_and_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(40)]
    pages = world.sql("PRAGMA page_count")[0][0]
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_to_full_disk(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.execute(f"PRAGMA max_page_count = {pages + 4}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect_to_full_disk)
        patch.setattr("sqlite3.dbapi2.connect", connect_to_full_disk)
        fault: MmconsoleError | None = None
        try:
            fault = (await world.sync()).fault
        except DatabaseError as raised:
            fault = raised

    assert isinstance(fault, DatabaseFull)
    await settles(world, *ids)


async def test_row_deleted_while_its_account_is_made_ends_nothing_and_leaves_no_token(world: World) -> None:
    gone, other = world.add("gone@x.test"), world.add("other@x.test")
    world.set(mattermost__max_concurrency=1)

    async def delete_row() -> None:
        await world.until(lambda: held.holding)
        world.delete(gone)
        held.let_go()

    held = world.server.faults.add(Fault("hold", *MY_TEAMS))
    _, summary = await asyncio.gather(delete_row(), world.sync())

    assert summary.fault is None
    assert summary.counts == {"skipped": 1, "created": 1}
    world.assert_in_order()
    world.assert_in_step(other)


async def test_row_deleted_after_a_crash_does_not_stand_in_the_way_of_recovery(world: World) -> None:
    gone, other = world.add("gone@x.test"), world.add("other@x.test")
    world.server.faults.add(Fault("drop_after", *CREATE, times=2))
    world.server.faults.add(world.stale(60, "GET", "/users/email/{email}", times=4))
    await world.sync()
    world.server.faults.clear()
    world.delete(gone)

    summary = await world.sync()

    assert set(summary.recovered.linked) == {gone, other}
    world.assert_in_step(other)
    assert world.server.account("gone@x.test").tokens == ()


async def test_young_intent_without_a_trace_is_closed_only_when_a_slow_server_cannot_act_any_more(
    world: World,
) -> None:
    world.add("ann@x.test")
    world.server.faults.add(Fault("drop_before", *CREATE))
    first = await world.sync()

    early = await world.recover()
    world.later(400)
    late = await world.recover()

    assert first.counts == {"failed": 1}
    assert (early.young, early.closed) == (1, 0)
    assert (late.young, late.closed) == (0, 1)


async def test_account_that_somebody_else_made_meanwhile_is_not_taken_for_our_own(world: World) -> None:
    """Another username, or another moment: the linking rules decide then."""
    ann = world.add("ann@x.test")
    world.server.faults.add(Fault("drop_before", *CREATE))
    await world.sync()
    stranger = world.server.add("ann@x.test", "ann.stranger")

    summary = await world.sync()

    assert summary.counts == {"conflict": 1}
    assert stranger.tokens == ()
    assert world.record(ann)["account_id"] is None
    world.later(500)
    world.server.state.remove_user(stranger)
    twin = world.server.add("ann@x.test", "ann")

    assert (await world.sync()).counts == {"conflict": 1}
    assert twin.tokens == ()


async def test_embedded_and_attached_databases_recover_alike(new_world: Callable[..., Any]) -> None:
    async with new_world(laravel=True) as world:
        ids = [world.add(f"p{number}@x.test") for number in range(5)]
        world.server.faults.add(Fault("drop_after", *TOKEN, times=3))
        world.server.faults.add(Fault("drop_after", *CREATE, times=3))

        await world.sync()

        await settles(world, *ids)
