"""What a run covers, what stops it, and who may run at the same time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.core import Keys, open_core
from mmconsole.database import Roster
from mmconsole.domain.plans import Kind
from mmconsole.domain.secrets import Secret
from mmconsole.errors import (
    AdminTokenDead,
    AdminTokenTooWeak,
    Busy,
    GuardTripped,
    OtherServer,
    SealKeyMissing,
    TeamUnknown,
    TokensSwitchedOff,
    TooManyMails,
    Unreachable,
    UserUnknown,
)
from mmconsole.services.login import log_in
from mmconsole.services.summary import SyncRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

    from mmconsole.secrets.ciphers import Vault


# ── whom it covers ───────────────────────────────────────────────────────────────────────────────


async def test_limit_leaves_the_rest_for_the_next_run(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(7)]

    first, second = await world.sync(limit=4), await world.sync()

    assert first.counts == {"created": 4, "left for later": 3}
    assert second.counts == {"created": 3, "unchanged": 4}
    world.assert_in_step(*ids)


async def test_many_without_an_account_are_found_in_the_list_of_all_and_few_by_their_addresses(world: World) -> None:
    calls, listed, by_address = world.server.calls, "GET /users", "GET /users/email/{email}"
    ids = [world.add(f"p{number}@x.test") for number in range(7)]
    await world.sync()
    assert (calls[listed], calls[by_address]) == (0, 7)

    ids += [world.add(f"q{number}@x.test") for number in range(9)]
    await world.sync()
    assert (calls[listed], calls[by_address]) == (1, 7)
    world.assert_in_step(*ids)


async def test_nobody_is_counted_when_everybody_is_in_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add("ann@x.test")
    await world.sync()
    monkeypatch.delattr(Roster, "count_unlinked")

    assert (await world.sync()).counts == {"unchanged": 1}


async def test_named_users_are_the_only_ones_touched(any_world: World) -> None:
    world = any_world
    ann, bo, _ = [world.add(f"{name}@x.test") for name in ("ann", "bo", "cy")]

    summary = await world.sync(ann, " BO@x.test", ann)

    assert summary.counts == {"created": 2}
    world.assert_in_step(ann, bo)
    assert len(world.server.people) == 2
    with pytest.raises(UserUnknown):
        await world.sync("nobody@x.test")


async def test_named_users_do_not_move_the_time_of_the_last_look(world: World) -> None:
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    world.server.change(world.server.account("bo@x.test"), first_name="Mallory")
    world.later(60)

    assert (await world.sync(ann)).counts == {"unchanged": 1}
    assert (await world.sync()).counts == {"updated": 1, "unchanged": 1}
    world.assert_in_step(ann, bo)


async def test_missing_covers_only_users_without_a_token(any_world: World) -> None:
    world = any_world
    ann = world.add("ann@x.test")
    await world.sync()
    world.rename(ann, "Anna", "Leigh")
    bo = world.add("bo@x.test")
    calls = world.server.calls["GET /users/tokens"]

    summary = await world.sync(missing=True)

    assert summary.counts == {"created": 1}
    assert world.server.account("ann@x.test").first_name == "Ann"
    assert world.server.calls["GET /users/tokens"] == calls
    world.assert_in_step(bo)


async def test_full_look_finds_what_the_times_of_changes_do_not_tell(world: World) -> None:
    ann = world.add("ann@x.test", "Ann")
    await world.sync()
    world.later(60)
    await world.sync()
    account = world.server.account("ann@x.test")
    account.first_name, account.as_admin, account.as_self = "Old backup", None, None

    assert (await world.sync()).counts == {"unchanged": 1}
    assert (await world.sync(full=True)).counts == {"updated": 1}
    world.assert_in_step(ann)


async def test_a_day_later_a_look_is_full_by_itself(world: World) -> None:
    world.add("ann@x.test", "Ann")
    await world.sync()
    account = world.server.account("ann@x.test")
    account.first_name, account.update_at, account.as_admin = "Old backup", 1, None
    assert (await world.sync()).counts == {"unchanged": 1}
    world.sql("UPDATE mmconsole_meta SET value = '2020-01-01T00:00:00+00:00' WHERE name = 'server.last_full_look'")

    assert (await world.sync()).counts == {"updated": 1}


async def test_job_that_an_earlier_run_left_is_closed_by_the_next_one(world: World) -> None:
    stop = asyncio.Event()
    stop.set()
    ids = [world.add(f"p{number}@x.test") for number in range(3)]
    await world.sync(stop=stop)

    await world.sync()

    world.assert_in_step(*ids)
    assert [row[0] for row in world.sql("SELECT state FROM mmconsole_jobs ORDER BY id")] == ["stopped", "done"]


async def test_users_read_ahead_are_waiting_again_when_a_run_stops(world: World) -> None:
    for number in range(40):
        world.add(f"p{number}@x.test")
    world.set(mattermost__max_concurrency=2)
    stop = asyncio.Event()

    async def watch() -> None:
        await world.until(lambda: len(world.server.marked) >= 5)
        stop.set()

    _, summary = await asyncio.gather(watch(), world.sync(stop=stop))

    states = dict(world.sql("SELECT state, COUNT(*) FROM mmconsole_job_items GROUP BY state"))
    assert states == {"done": summary.counts["created"], "planned": 40 - summary.counts["created"]}
    begun = "SELECT COUNT(*) FROM mmconsole_job_items WHERE started_at IS NOT NULL AND finished_at IS NULL"
    assert world.sql(begun) == [(0,)]


async def test_what_is_older_than_the_settings_keep_is_forgotten(world: World) -> None:
    world.set(activity__keep_days=1)
    world.add("ann@x.test")
    await world.sync()
    world.sql("UPDATE mmconsole_activity SET at = at - 2 * 86400 * 1000000")
    world.sql("UPDATE mmconsole_jobs SET finished_at = finished_at - 2 * 86400 * 1000000")
    world.add("bo@x.test")

    await world.sync()

    assert world.sql("SELECT COUNT(*) FROM mmconsole_jobs") == [(1,)]
    assert {row[0] for row in world.sql("SELECT user_id FROM mmconsole_activity")} == {"2"}


async def test_who_left_a_team_is_put_back_only_on_request(world: World) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    server, account = world.server, world.server.account("ann@x.test")
    server.state.leave_team(server.team, account, account.teams[0])
    world.rename(ann, "Anna", "Lee")

    first = await world.sync()
    assert (first.counts, server.joined(account)) == ({"updated": 1}, False)
    second = await world.sync(teams=True)

    assert second.counts == {"team joined": 1}
    world.assert_in_step(ann)


async def test_all_configured_teams_are_joined(world: World) -> None:
    other = world.server.add_team("other")
    world.set(sync__teams=["main", "other"])
    world.add("ann@x.test")

    await world.sync()

    assert world.server.joined(world.server.account("ann@x.test"), other)


async def test_team_that_does_not_exist_stops_before_anything_is_made(world: World) -> None:
    world.set(sync__teams=["main", "nowhere"])
    world.add("ann@x.test")

    with pytest.raises(TeamUnknown, match="`nowhere`"):
        await world.sync()

    assert world.server.people == []


async def test_full_team_costs_nobody_the_token_and_is_tried_again(world: World) -> None:
    world.server.state.config["TeamSettings", "MaxUsersPerTeam"] = 2
    ids = [world.add(f"p{number}@x.test") for number in range(3)]

    first = await world.sync()

    assert first.counts == {"created": 1, "failed": 2}
    assert all("MaxUsersPerTeam" in result.note for result in first.listed)
    assert all(world.token(user).is_active for user in ids)
    assert (await world.sync()).counts == {"unchanged": 1, "failed": 2}
    world.server.state.config["TeamSettings", "MaxUsersPerTeam"] = 50
    assert (await world.sync()).counts == {"unchanged": 1, "team joined": 2}
    world.assert_in_step(*ids)


async def test_user_cap_stops_newcomers_and_nobody_else(new_world: Callable[..., Any]) -> None:
    async with new_world(user_cap=3) as world:
        ids = [world.add(f"p{number}@x.test") for number in range(2)]
        await world.sync()
        world.rename(ids[0], "New", "Name")
        late = [world.add(f"late{number}@x.test") for number in range(3)]

        summary = await world.sync()

        assert summary.forecast.no_room == 3
        assert summary.counts == {"failed": 3, "updated": 1, "unchanged": 1}
        assert all("licence" in result.note for result in summary.listed)
        world.assert_in_step(*ids)
        assert all(world.record(user).get("account_id") is None for user in late)
        assert (await world.sync()).counts == {"failed": 3, "unchanged": 2}


# ── forecast ─────────────────────────────────────────────────────────────────────────────────────


async def test_plan_tells_what_a_run_will_do_and_does_nothing(any_world: World) -> None:
    world = any_world
    for number in range(3):
        world.add(f"p{number}@x.test")
    before = world.dump()

    summary = await world.plan()

    assert (summary.users, summary.planned) == (3, 3)
    assert summary.forecast.steps == {Kind.CREATE: 3, Kind.JOIN: 3, Kind.GENERATE: 3}
    assert summary.forecast.calls == 15
    assert world.dump() == before
    assert world.server.people == []


async def test_applying_a_plan_leaves_nothing_to_plan(any_world: World) -> None:
    world = any_world
    for number in range(3):
        world.add(f"p{number}@x.test")
    await world.sync()

    assert (await world.plan(full=True)).planned == 0


async def test_more_mails_than_allowed_stop_a_run(world: World) -> None:
    world.server.state.config["EmailSettings", "SMTPServer"] = "mail.x.test"
    world.set(sync__max_mails=2)
    for number in range(3):
        world.add(f"p{number}@x.test")

    with pytest.raises(TooManyMails):
        await world.sync()

    assert world.server.people == []
    assert (await world.sync(limit=2)).counts == {"created": 2, "left for later": 1}
    assert (await world.sync()).counts == {"created": 1, "unchanged": 2}


async def test_server_that_mails_nobody_is_not_limited(world: World) -> None:
    world.set(sync__max_mails=0)
    world.add("ann@x.test")

    assert (await world.sync()).counts == {"created": 1}


async def test_changed_addresses_and_usernames_are_forecast_as_mails(world: World) -> None:
    world.set(sync__update_username=True)
    ids = [world.add(f"p{number}@x.test", username=f"p{number}", verified=True) for number in range(3)]
    await world.sync()
    world.server.state.config["EmailSettings", "SMTPServer"] = "mail.x.test"
    world.edit(ids[0], email="new@x.test", username="new")
    world.edit(ids[1], username="other")
    world.rename(ids[2], "New", "Name")

    planned = await world.plan()
    await world.sync()

    assert planned.forecast.mails == 3 == sum(world.server.state.mails.values())


async def test_stored_token_that_may_be_dead_is_forecast_as_a_mail(world: World) -> None:
    world.set(tokens__accept=["plain"])
    account = world.server.add("ann@x.test", email_verified=True)
    world.server.state.config["EmailSettings", "SMTPServer"] = "mail.x.test"
    world.add("ann@x.test", "", "", verified=True, token="x" * 26, account_id=account.id)

    planned = await world.plan()
    await world.sync()

    assert planned.forecast.mails == 1 == sum(world.server.state.mails.values())


async def test_plan_tells_everything_that_would_stop_a_run(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(30)]
    await world.sync()
    for user in ids[:11]:
        world.leave(user)
    world.add("new@x.test")
    world.server.state.config["EmailSettings", "SMTPServer"] = "mail.x.test"
    world.set(sync__max_mails=0)
    before = world.dump()

    def keyless(_settings: object, _installation: str) -> Vault:
        raise SealKeyMissing(which="", source="keyring")

    keys = Keys(admin_token=lambda _: Secret(world.admin_token), vault=keyless)
    async with open_core(world.load(), face="test", keys=keys) as core:
        summary = await core.sync.plan(SyncRequest())
        with pytest.raises(GuardTripped):
            await core.sync.run(SyncRequest())

    assert [type(fault) for fault in summary.would_stop] == [GuardTripped, TooManyMails, SealKeyMissing]
    assert world.dump("jobs", "job_items", "leases", "meta") == {
        name: rows for name, rows in before.items() if name not in {"jobs", "job_items", "leases", "meta"}
    }


async def test_plan_that_nothing_would_stop_says_nothing(world: World) -> None:
    world.add("ann@x.test")

    assert (await world.plan()).would_stop == []


# ── usernames that the application changes ───────────────────────────────────────────────────────


async def test_username_that_two_rows_want_is_numbered_once_and_never_changed_back_and_forth(world: World) -> None:
    world.set(sync__update_username=True)
    ann, bo = world.add("ann@x.test", username="Boss"), world.add("bo@x.test", username="boss")
    await world.sync()
    names = {world.server.account(f"{name}@x.test").username for name in ("ann", "bo")}
    patches = world.server.calls["PUT /users/{id}/patch"]

    for full in (True, False, True):
        assert (await world.sync(full=full)).counts == {"unchanged": 2}

    assert names == {"boss", "boss-2"}
    assert world.server.calls["PUT /users/{id}/patch"] == patches
    world.assert_in_step(ann, bo)


async def test_username_that_another_row_wants_too_is_a_conflict_until_one_of_them_changes(world: World) -> None:
    world.set(sync__update_username=True)
    ann, bo = world.add("ann@x.test", username="ann"), world.add("bo@x.test", username="bo")
    await world.sync()
    world.edit(bo, username="ANN")

    for full in (False, True):
        summary = await world.sync(full=full)
        assert summary.counts == {"unchanged": 1, "conflict": 1}
        assert "username ANN" in summary.listed[0].note

    assert world.server.account("bo@x.test").username == "bo"
    assert world.record(bo)["health"] == "ok"
    world.edit(bo, username="Bob Ross")
    assert (await world.sync()).counts == {"unchanged": 1, "updated": 1}
    assert world.server.account("bo@x.test").username == "bob-ross"
    world.assert_in_step(ann, bo)


async def test_username_that_somebody_else_has_is_a_conflict_that_stops_no_other_change(world: World) -> None:
    world.set(sync__update_username=True)
    ann = world.add("ann@x.test", username="ann")
    await world.sync()
    stranger = world.server.add("stranger@x.test", "boss")
    world.edit(ann, username="boss")
    world.rename(ann, "Anna", "Leigh")

    for _ in range(2):
        summary = await world.sync()
        assert summary.counts == {"conflict": 1}
        assert "username boss is taken" in summary.listed[0].note

    account = world.server.account("ann@x.test")
    assert (account.first_name, account.username) == ("Anna", "ann")
    assert world.record(ann)["health"] == "ok"
    assert world.sql("SELECT COUNT(*) FROM mmconsole_activity WHERE verb = 'conflict found'") == [(1,)]
    world.server.state.rename(stranger, "other")
    assert (await world.sync()).counts == {"updated": 1}
    assert account.username == "boss"
    assert (await world.sync()).counts == {"unchanged": 1}


# ── who may run ──────────────────────────────────────────────────────────────────────────────────


async def test_second_run_is_told_that_another_is_at_work(world: World) -> None:
    world.add("ann@x.test")
    entered, leave = asyncio.Event(), asyncio.Event()
    world.server.state.config["EmailSettings", "SMTPServer"] = "mail.x.test"

    async def hesitate(_forecast: object) -> bool:
        entered.set()
        await leave.wait()
        return True

    async with world.core() as core:
        first = asyncio.create_task(core.sync.run(SyncRequest(), confirm=hesitate))
        await entered.wait()
        with pytest.raises(Busy) as told:
            await world.sync()
        with pytest.raises(Busy):
            await world.recover()
        waiting = asyncio.create_task(world.sync(wait=True))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        leave.set()
        assert (await first).counts == {"created": 1}
        assert (await waiting).counts == {"unchanged": 1}

    assert told.value.exit_code == 75
    assert len(world.server.marked) == 1


async def test_two_runs_at_once_do_nothing_twice(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(10)]

    runs = await asyncio.gather(*(world.sync(wait=True) for _ in range(2)))

    assert sorted(run.counts["created"] for run in runs) == [0, 10]
    world.assert_in_step(*ids)


async def test_database_of_another_server_is_not_touched(world: World) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.add("bo@x.test")
    world.server.state.config.diagnostic_id = "another"
    world.server.state.config.refresh()
    before, people = world.dump("leases"), len(world.server.people)

    for attempt in (world.sync, world.recover, world.plan):
        with pytest.raises(OtherServer):
            await attempt()

    assert world.dump("leases") == before
    assert (len(world.server.people), len(world.server.marked)) == (people, 1)
    assert ann


async def test_token_of_somebody_who_is_no_administrator_is_refused(world: World) -> None:
    user = world.server.add("weak@x.test")
    world.admin_token = world.server.state.add_token(user, "weak").secret
    world.add("ann@x.test")

    with pytest.raises(AdminTokenTooWeak):
        await world.sync()


async def test_dead_administrators_token_says_so(world: World) -> None:
    world.admin_token = "x" * 26
    with pytest.raises(AdminTokenDead):
        await world.sync()


async def test_administrators_token_that_dies_during_a_run_ends_it_and_the_next_run_does_the_rest(world: World) -> None:
    ids = [world.add(f"p{number}@x.test") for number in range(40)]
    world.set(mattermost__max_concurrency=2)
    world.server.faults.add(world.stale(0, "POST", "/users/{id}/tokens"))
    token = world.server.state.by_secret[world.admin_token]

    async def watch() -> None:
        await world.until(lambda: len(world.server.marked) >= 10)
        world.server.disable(token)

    _, summary = await asyncio.gather(watch(), world.sync())

    assert isinstance(summary.fault, AdminTokenDead)
    assert summary.counts["created"] < 40
    token.is_active, token.encoded = True, None
    world.later(400)
    assert (await world.sync()).troubled == 0
    world.assert_in_step(*ids)


async def test_switched_off_tokens_are_named_by_an_administrators_bot(world: World) -> None:
    world.server.state.config["ServiceSettings", "EnableUserAccessTokens"] = False
    world.admin_token = world.server.simulator.bot_token
    world.add("ann@x.test")

    with pytest.raises(TokensSwitchedOff):
        await world.sync()
    with pytest.raises(TokensSwitchedOff):
        # A token that works is not stored either, since nothing could be done with it.
        await log_in(world.load(), Secret(world.admin_token))

    assert world.server.people == []


async def test_server_that_is_not_there_is_a_plain_error_and_leaves_no_lease(world: World) -> None:
    await world.stop()
    with pytest.raises(Unreachable):
        await world.sync()

    assert world.sql("SELECT holder FROM mmconsole_leases WHERE holder IS NOT NULL") == []
    await world.start()
