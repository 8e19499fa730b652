"""Users added to channels: with whose token, who is refused and why, one at once and many as a job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.domain.plans import Outcome, Result
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    AdminTokenDead,
    Busy,
    ChannelInArchive,
    ChannelPrivate,
    DatabaseError,
    Declined,
    UserUnknown,
)
from mmconsole.services.channels.adding import LEASE as MEMBERS_LEASE
from mmconsole.services.leases import hold
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import World

    from mmconsole.core import Core
    from mmconsole.services.channels.adding import Added
    from mmconsole.simulator.entities import Channel as ServerChannel

ADD = ("POST", "/channels/{id}/members")


def channel_of(world: World, name: str = "project") -> ServerChannel:
    return next(one for one in world.server.state.channels.values() if one.name == name)


def is_in(world: World, email: str, name: str = "project") -> bool:
    return world.server.account(email).id in channel_of(world, name).members


def joins(world: World) -> list[Any]:
    rows = world.sql("SELECT user_id, detail FROM mmconsole_activity WHERE verb = 'channel joined' ORDER BY id")
    return [tuple(row) for row in rows]


def joined_by(world: World) -> list[str]:
    """Who made each call that added somebody, by the server's own audit."""
    audits = [one for one in world.server.state.audits if one.action.endswith("/members")]
    return [world.server.state.users[one.user_id].username for one in audits if "user_id=" in one.extra_info]


@pytest.fixture
async def core(world: World) -> AsyncIterator[Core]:
    async with world.core() as opened:
        await opened.channels.create("Project")
        await opened.channels.create("Secret", private=True)
        yield opened


async def ann_of(world: World) -> UserId:
    ann = world.add("ann@x.test")
    await world.sync()
    return ann


# ── whose token ──────────────────────────────────────────────────────────────────────────────────


async def test_a_user_joins_with_their_own_token_and_is_there_the_second_time(world: World, core: Core) -> None:
    ann = await ann_of(world)

    first = await core.channels.add_user("project", ann)
    second = await core.channels.add_user("main/project", "ann@x.test")

    assert (first, second) == (Result(ann, Outcome.ADDED), Result(ann, Outcome.THERE))
    assert is_in(world, "ann@x.test")
    assert joined_by(world) == ["ann"]
    assert joins(world) == [(ann, "main/project")]


async def test_without_a_stored_token_the_administrators_is_used_and_the_log_says_so(world: World, core: Core) -> None:
    ann = await ann_of(world)
    world.edit(ann, mattermost_token=None)

    result = await core.channels.add_user("project", ann)

    assert result == Result(ann, Outcome.ADDED)
    assert joined_by(world) == ["admin"]
    assert joins(world) == [(ann, "main/project with the administrator's token, since no token is stored")]


async def test_without_a_stored_token_and_without_fallback_nobody_is_added(world: World) -> None:
    world.set(tokens__fallback_to_admin=False)
    ann = await ann_of(world)
    world.edit(ann, mattermost_token=None)
    async with world.core() as core:
        await core.channels.create("Project")

        result = await core.channels.add_user("project", ann)

    assert result.outcome is Outcome.REFUSED
    assert f"mmconsole tokens repair {ann}" in result.note
    assert not is_in(world, "ann@x.test")


@pytest.mark.parametrize("how", ["revoked", "disabled", "withheld", "withheld and gone", "another's", "privileged"])
async def test_a_token_that_may_not_be_used_is_never_replaced_by_the_administrators(
    world: World, core: Core, how: str
) -> None:
    ann = await ann_of(world)
    bo = world.add("bo@x.test")
    await world.sync()
    if how == "revoked":
        world.server.state.remove_token(world.token(ann))
    elif how == "disabled":
        world.server.disable(world.token(ann))
    elif how == "another's":
        other = world.server.account("bo@x.test").id
        world.sql("UPDATE mmconsole_tokens SET account_id = NULL WHERE user_id = ?", bo)
        world.sql("UPDATE mmconsole_tokens SET account_id = ? WHERE user_id = ?", other, ann)
    elif how == "privileged":
        world.server.change(world.server.account("ann@x.test"), roles="system_user system_admin")
    else:
        world.withhold(ann)
        if how == "withheld and gone":
            world.edit(ann, mattermost_token=None)

    result = await core.channels.add_user("project", ann)

    assert result.outcome is Outcome.REFUSED
    assert result.note
    assert channel_of(world).members.keys() == {world.server.state.by_username["admin"].id}
    assert joins(world) == []


async def test_as_administrator_even_a_withheld_user_is_added_and_the_log_says_so(world: World, core: Core) -> None:
    ann = await ann_of(world)
    world.withhold(ann)

    result = await core.channels.add_user("secret", ann, as_admin=True)

    assert result == Result(ann, Outcome.ADDED)
    assert is_in(world, "ann@x.test", "secret")
    assert joins(world) == [(ann, "main/secret with the administrator's token, as asked")]


# ── which channels ───────────────────────────────────────────────────────────────────────────────


async def test_a_private_channel_needs_the_administrator_and_says_how(world: World, core: Core) -> None:
    ann = await ann_of(world)
    world.edit(ann, mattermost_token=None)

    with pytest.raises(ChannelPrivate, match="--as-admin"):
        await core.channels.add_user("secret", ann)
    with pytest.raises(ChannelPrivate):
        await core.channels.add_users("secret", [ann])

    assert not is_in(world, "ann@x.test", "secret")


@pytest.mark.parametrize("as_admin", [False, True])
async def test_nobody_is_added_to_an_archived_channel(world: World, core: Core, *, as_admin: bool) -> None:
    ann = await ann_of(world)
    await core.channels.archive("project")

    with pytest.raises(ChannelInArchive, match="mmconsole channel restore main/project"):
        await core.channels.add_user("project", ann, as_admin=as_admin)

    assert not is_in(world, "ann@x.test")


async def test_a_channel_archived_in_the_middle_of_a_job_lets_nobody_in_any_more(
    world: World, core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.services.channels.members._LOOK_AGAIN_AFTER", 0.0)
    ids = [world.add(f"p{number}@x.test") for number in range(80)]
    await world.sync()
    adding = asyncio.create_task(core.channels.add_users("project", ids))
    await world.until(lambda: len(channel_of(world).members) > 3)
    channel_of(world).delete_at = 1

    added = await adding

    assert added.counts.keys() == {Outcome.ADDED, Outcome.REFUSED}
    assert all("archived" in result.note for result in added.results if result.outcome is Outcome.REFUSED)


# ── the team ─────────────────────────────────────────────────────────────────────────────────────


async def test_who_is_not_in_the_team_is_put_into_it_first(world: World, core: Core) -> None:
    staff = world.server.add_team("staff")
    await core.channels.create("Talk", team="staff")
    ann = await ann_of(world)

    result = await core.channels.add_user("staff/talk", ann)

    assert result.outcome is Outcome.ADDED
    assert world.server.joined(world.server.account("ann@x.test"), staff)
    assert world.sql("SELECT detail FROM mmconsole_activity WHERE verb = 'team joined' AND detail = 'staff'")


async def test_a_full_team_is_the_reason(world: World, core: Core) -> None:
    world.server.add_team("staff")
    await core.channels.create("Talk", team="staff")
    ann = await ann_of(world)
    world.server.state.config["TeamSettings", "MaxUsersPerTeam"] = 0

    result = await core.channels.add_user("staff/talk", ann)

    assert result.outcome is Outcome.REFUSED
    assert "MaxUsersPerTeam" in result.note


async def test_who_is_refused_is_not_put_into_the_team(world: World, core: Core) -> None:
    staff = world.server.add_team("staff")
    await core.channels.create("Talk", team="staff")
    ann = await ann_of(world)
    world.withhold(ann)

    await core.channels.add_user("staff/talk", ann)

    assert not world.server.joined(world.server.account("ann@x.test"), staff)


# ── whom ─────────────────────────────────────────────────────────────────────────────────────────


async def test_every_user_of_many_has_a_result_with_its_reason(world: World, core: Core) -> None:
    ann, bo, cy, dan = [world.add(f"{name}@x.test") for name in ("ann", "bo", "cy", "dan")]
    await world.sync()
    newcomer = world.add("new@x.test")
    await core.channels.add_user("project", bo)
    world.server.change(world.server.account("cy@x.test"), delete_at=world.server.state.millis())
    world.edit(cy, mattermost_token=None)
    world.leave(dan)
    names = [ann, bo, cy, dan, newcomer, "nobody@x.test", "ann@x.test"]

    added = await core.channels.add_users("project", names)

    outcomes = {result.user_id: result.outcome for result in added.results}
    refused = Outcome.REFUSED
    assert outcomes == {
        ann: Outcome.ADDED,
        bo: Outcome.THERE,
        cy: refused,
        dan: refused,
        newcomer: refused,
        UserId("nobody@x.test"): refused,
    }
    notes = {result.user_id: result.note for result in added.results}
    assert "deactivated" in notes[cy]
    assert "inactive" in notes[dan]
    assert f"mmconsole sync {newcomer}" in notes[newcomer]
    assert "nobody@x.test" in notes[UserId("nobody@x.test")]
    assert len(added.results) == 6
    states = dict(world.sql("SELECT user_id, state FROM mmconsole_job_items WHERE job_id = ?", added.job_id))
    assert states == {ann: "done", cy: "failed", dan: "failed", newcomer: "failed"}


async def test_one_unknown_user_is_an_error(core: Core) -> None:
    with pytest.raises(UserUnknown):
        await core.channels.add_user("project", "nobody@x.test")


async def test_nobody_to_add_makes_no_job(world: World, core: Core) -> None:
    ann = await ann_of(world)
    await core.channels.add_user("project", ann)
    jobs = world.sql("SELECT COUNT(*) FROM mmconsole_jobs")

    assert (await core.channels.add_users("project", [])).results == []
    assert (await core.channels.add_users("project", [ann])).counts == {Outcome.THERE: 1}
    assert world.sql("SELECT COUNT(*) FROM mmconsole_jobs") == jobs


# ── many ─────────────────────────────────────────────────────────────────────────────────────────


class Watched:
    """Progress that counts."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.done = 0

    def stage(self, name: str, total: int | None) -> None:
        self.stages.append((name, total))

    def advance(self, done: int = 1) -> None:
        self.done += done

    def planned(self, planned: Any) -> None:
        raise AssertionError(planned)


async def many(world: World, count: int) -> list[UserId]:
    ids = [world.add(f"p{number}@x.test") for number in range(count)]
    await world.sync()
    return ids


async def test_many_are_added_as_a_job_with_progress(world: World, core: Core) -> None:
    ids = await many(world, 150)
    watched = Watched()

    added = await core.channels.add_users("project", ids, progress=watched)

    assert added.counts == {Outcome.ADDED: 150}
    assert added.fault is None
    assert (watched.stages, watched.done) == ([("adding", 150)], 150)
    assert len(channel_of(world).members) == 151
    job = world.sql("SELECT kind, title, state FROM mmconsole_jobs WHERE id = ?", added.job_id)
    assert job == [("channel members", "add 150 users to main/project", "done")]
    assert world.sql("SELECT COUNT(*) FROM mmconsole_activity WHERE job_id = ?", added.job_id) == [(150,)]
    assert world.server.calls["POST /channels/{id}/members/ids"] == 1


async def test_a_stopped_job_is_finished_by_the_next_one(world: World, core: Core) -> None:
    ids = await many(world, 60)
    stop = asyncio.Event()

    class StopsSoon(Watched):
        def advance(self, done: int = 1) -> None:
            super().advance(done)
            stop.set()

    first = await core.channels.add_users("project", ids, progress=StopsSoon(), stop=stop)
    second = await core.channels.add_users("project", ids)

    assert 0 < len(first.results) < 60
    assert second.counts == {Outcome.THERE: len(first.results), Outcome.ADDED: 60 - len(first.results)}
    jobs = world.sql("SELECT state FROM mmconsole_jobs WHERE kind = 'channel members' ORDER BY id")
    assert [row[0] for row in jobs] == ["stopped", "done"]
    assert len(joins(world)) == 60


async def test_one_job_at_a_time_adds_many(world: World, core: Core) -> None:
    ids = await many(world, 2)
    database = core.channels._database
    async with hold(database, MEMBERS_LEASE, holder="somebody else", wait=False):
        with pytest.raises(Busy, match="somebody else"):
            await core.channels.add_users("project", ids)

    assert (await core.channels.add_users("project", ids)).counts == {Outcome.ADDED: 2}


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "cut_json", "slow_body"])
async def test_a_lost_answer_is_asked_for_again(world: World, core: Core, kind: Any) -> None:
    ids = await many(world, 3)
    world.server.faults.add(Fault(kind, *ADD, times=2, seconds=0.1))

    added: Added = await core.channels.add_users("project", ids)

    assert added.counts == {Outcome.ADDED: 3}
    assert len(channel_of(world).members) == 4


async def test_a_dead_admin_token_ends_the_job_for_everybody(world: World, core: Core) -> None:
    ids = await many(world, 3)
    for user_id in ids:
        world.edit(user_id, mattermost_token=None)
    world.server.faults.add(Fault("status", *ADD, status=500, times=1))
    await core.channels.find("project")
    admin = world.server.state.by_secret[world.admin_token]
    world.server.disable(admin)

    with pytest.raises(AdminTokenDead):
        await core.channels.add_users("project", ids)

    assert len(channel_of(world).members) == 1


async def test_no_part_of_a_secret_is_in_results_or_tables(world: World, core: Core) -> None:
    ann = await ann_of(world)
    secret = world.secret(ann)
    world.server.disable(world.token(ann))

    result = await core.channels.add_user("project", ann)

    assert secret[:8] not in repr(result)
    assert secret[:8] not in repr(world.dump())


# ── the note before the call ─────────────────────────────────────────────────────────────────────


def intents(world: World) -> list[Any]:
    return world.sql("SELECT user_id, kind FROM mmconsole_intents")


async def test_the_note_stands_before_the_call_and_is_gone_after_it(world: World, core: Core) -> None:
    ann = await ann_of(world)
    held = world.server.faults.add(Fault("hold_answer", *ADD))

    adding = asyncio.create_task(core.channels.add_user("project", ann))
    await world.until(lambda: is_in(world, "ann@x.test"))
    during = intents(world)
    held.let_go()
    await adding

    assert during == [(ann, "member")]
    assert intents(world) == []
    assert len(joins(world)) == 1


async def test_a_note_that_cannot_be_written_means_no_call(world: World, core: Core) -> None:
    ann = await ann_of(world)
    world.sql("CREATE TRIGGER no BEFORE INSERT ON mmconsole_intents BEGIN SELECT RAISE(ABORT, 'no'); END")
    calls = world.server.calls["POST /channels/{id}/members"]

    with pytest.raises(DatabaseError):
        await core.channels.add_user("project", ann)

    assert world.server.calls["POST /channels/{id}/members"] == calls


async def test_a_refusal_leaves_no_note(world: World, core: Core) -> None:
    ann = await ann_of(world)
    world.edit(ann, mattermost_token=None)
    world.server.change(world.server.account("ann@x.test"), delete_at=world.server.state.millis())

    assert (await core.channels.add_user("project", ann)).outcome is Outcome.REFUSED

    assert intents(world) == []


@pytest.mark.parametrize("there", [True, False])
async def test_recover_writes_down_what_an_interrupted_call_did(world: World, core: Core, *, there: bool) -> None:
    ann = await ann_of(world)
    world.server.faults.add(Fault("drop_after" if there else "drop_before", *ADD, times=None))
    assert (await core.channels.add_user("project", ann)).outcome is Outcome.FAILED
    world.server.faults.clear()
    assert intents(world) == [(ann, "member")]

    world.later(3_600)
    recovered = await core.sync.recover()

    assert intents(world) == []
    assert is_in(world, "ann@x.test") is there
    assert [detail for _, detail in joins(world)] == (["main/project, found after an interrupted run"] if there else [])
    assert recovered.closed == (0 if there else 1)


async def test_a_note_about_a_channel_that_is_gone_is_closed(world: World, core: Core) -> None:
    ann = await ann_of(world)
    world.server.faults.add(Fault("drop_before", *ADD, times=None))
    await core.channels.add_user("project", ann)
    world.server.faults.clear()
    gone = world.server.state.channels.pop(channel_of(world).id)
    del world.server.state.channels_by_name[gone.team_id, gone.name]

    world.later(3_600)
    await core.sync.recover()

    assert intents(world) == []


async def test_a_job_needs_no_notes_beside_its_items(world: World, core: Core) -> None:
    ids = await many(world, 2)
    world.sql("CREATE TRIGGER no BEFORE INSERT ON mmconsole_intents BEGIN SELECT RAISE(ABORT, 'no'); END")

    assert (await core.channels.add_users("project", ids)).counts == {Outcome.ADDED: 2}


# ── plans ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_plan_ends_as_the_run_does_as_far_as_it_can_be_known(world: World, core: Core) -> None:
    ann, bo, cy, dan, eve = [world.add(f"{name}@x.test") for name in ("ann", "bo", "cy", "dan", "eve")]
    await world.sync()
    newcomer = world.add("new@x.test")
    await core.channels.add_user("project", bo)
    world.withhold(cy)
    world.leave(dan)
    world.edit(eve, mattermost_token=None)
    names = [ann, bo, cy, dan, eve, newcomer, "nobody@x.test"]
    before = world.dump()

    plan = await core.channels.plan_adding("project", names)
    untouched = world.dump()
    added = await core.channels.add_users("project", names)

    assert untouched == before
    assert sorted(plan.results, key=str) == sorted(added.results, key=str)
    assert plan.users == added.users == len(names)
    assert plan.counts == {Outcome.ADDED: 2, Outcome.THERE: 1, Outcome.REFUSED: 4}


async def test_who_declines_adds_nobody(world: World, core: Core) -> None:
    ann = await ann_of(world)

    async def no(added: Added) -> bool:
        assert added.planned == 1
        return False

    with pytest.raises(Declined):
        await core.channels.add_users("project", [ann], confirm=no)

    assert not is_in(world, "ann@x.test")
