"""Channels found, made, archived and restored, and what stands in the way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.domain.channels import Did, OnTaken
from mmconsole.domain.plans import Outcome
from mmconsole.errors import (
    AnswerLost,
    ChannelAmbiguous,
    ChannelNameUnfit,
    ChannelTaken,
    ChannelTeamMissing,
    ChannelUnknown,
    DefaultChannel,
    GuardTripped,
    MattermostError,
    NoSuchTeam,
    TooManyChannels,
)
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.conftest import World

    from mmconsole.services.channels.channels import Channels
    from mmconsole.simulator.entities import Channel as ServerChannel

CREATE = ("POST", "/channels")


def channels_of(world: World) -> dict[str, ServerChannel]:
    """What the server has beside the two channels that every team has."""
    ordinary = {"town-square", "off-topic"}
    return {one.name: one for one in world.server.state.channels.values() if one.name not in ordinary}


def activity(world: World, verb: str) -> list[Any]:
    return [row[0] for row in world.sql("SELECT detail FROM mmconsole_activity WHERE verb = ? ORDER BY id", verb)]


def intents(world: World) -> list[Any]:
    return world.sql("SELECT * FROM mmconsole_intents")


async def listed(channels: Channels, **more: Any) -> list[str]:
    return [channel.address async for channel in channels.list(**more)]


# ── create ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_channel_gets_a_legal_name_and_keeps_the_one_for_people(world: World) -> None:
    async with world.core() as core:
        change = await core.channels.create("Über uns & Co.", purpose="talk")

    assert (change.did, change.channel.address, change.channel.display_name) == (
        Did.CREATED,
        "main/uber-uns-co",
        "Über uns & Co.",
    )
    made = channels_of(world)["uber-uns-co"]
    assert (made.type, made.purpose) == ("O", "talk")
    assert activity(world, "channel created") == ["main/uber-uns-co"]
    assert world.sql("SELECT request_id FROM mmconsole_activity WHERE verb = 'channel created'") != [("",)]
    assert intents(world) == []


async def test_a_private_channel_is_made_where_it_is_wanted(world: World) -> None:
    world.server.add_team("staff")
    async with world.core() as core:
        change = await core.channels.create("Secret", team="staff", private=True)

    assert change.channel.address == "staff/secret"
    assert channels_of(world)["secret"].type == "P"


@pytest.mark.parametrize("archived", [False, True])
async def test_a_taken_name_is_refused_with_the_ways_out(world: World, *, archived: bool) -> None:
    async with world.core() as core:
        await core.channels.create("Project 1")
        if archived:
            await core.channels.archive("project-1")

        with pytest.raises(ChannelTaken, match="say --restore or --number" if archived else "say --number"):
            await core.channels.create("Project 1")

    assert len(channels_of(world)) == 1
    assert intents(world) == []


async def test_a_taken_name_gets_a_number_if_that_is_wanted(world: World) -> None:
    async with world.core() as core:
        made = [await core.channels.create("Project", on_taken=OnTaken.NUMBER) for _ in range(12)]

    names = [change.channel.name for change in made]
    assert names[:3] == ["project", "project-2", "project-3"]
    assert len(set(names)) == len(channels_of(world)) == 12
    assert activity(world, "channel created") == [f"main/{name}" for name in names]


async def test_an_archived_channel_of_the_name_is_restored_if_that_is_wanted(world: World) -> None:
    async with world.core() as core:
        first = await core.channels.create("Project")
        with pytest.raises(ChannelTaken):
            await core.channels.create("Project", on_taken=OnTaken.RESTORE)
        await core.channels.archive("project")

        change = await core.channels.create("Project", on_taken=OnTaken.RESTORE)

    assert (change.did, change.channel.id, change.channel.archived) == (Did.RESTORED, first.channel.id, False)
    assert channels_of(world)["project"].delete_at == 0
    assert activity(world, "channel restored") == ["main/project"]
    assert intents(world) == []


@pytest.mark.parametrize("name", ["", "  ", "!!!", "…"])
async def test_a_name_without_letters_is_refused_before_the_server_is_asked(world: World, name: str) -> None:
    async with world.core() as core:
        with pytest.raises(ChannelNameUnfit):
            await core.channels.create(name)

    assert world.server.calls["POST /channels"] == 0


async def test_without_one_configured_team_the_team_must_be_said(world: World) -> None:
    world.set(sync__teams=["main", "staff"])
    world.server.add_team("staff")
    async with world.core() as core:
        with pytest.raises(ChannelTeamMissing, match=r"channels\.team"):
            await core.channels.create("Project")
        with pytest.raises(NoSuchTeam):
            await core.channels.create("Project", team="nowhere")
    world.set(channels__team="staff")

    async with world.core() as core:
        assert (await core.channels.create("Project")).channel.address == "staff/project"


async def test_a_full_team_is_told_and_leaves_nothing_open(world: World) -> None:
    world.server.state.config["TeamSettings", "MaxChannelsPerTeam"] = 2
    async with world.core() as core:
        with pytest.raises(TooManyChannels):
            await core.channels.create("Project")

    assert intents(world) == []


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "cut_json", "login_page"])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_lost_answer_makes_one_channel(world: World, kind: Any, times: int) -> None:
    world.server.faults.add(Fault(kind, *CREATE, times=times))

    async with world.core() as core:
        with suppress(MattermostError):
            await core.channels.create("Project")
        with suppress(ChannelTaken):
            await core.channels.create("Project")
        world.later(400)
        recovered = await core.sync.recover()

    assert list(channels_of(world)) == ["project"]
    assert recovered.young == 0
    assert activity(world, "channel created") in (["main/project"], ["project"])
    assert intents(world) == []


async def test_a_create_that_may_still_arrive_leaves_its_intent(world: World) -> None:
    world.server.faults.add(Fault("drop_after", *CREATE, times=2))
    world.server.faults.add(world.stale(60, "GET", "/teams/{team_id}/channels/name/{channel_name}", times=1))
    async with world.core() as core:
        with suppress(AnswerLost, ChannelTaken):
            await core.channels.create("Project")

        await core.sync.recover()

    assert len(channels_of(world)) == 1


async def test_many_at_once_make_one_channel_of_a_name(world: World) -> None:
    async with world.core() as core:
        found = await asyncio.gather(*(core.channels.create("Project") for _ in range(5)), return_exceptions=True)

    assert len([one for one in found if isinstance(one, ChannelTaken)]) == 4
    assert list(channels_of(world)) == ["project"]


# ── find and list ────────────────────────────────────────────────────────────────────────────────


async def test_a_channel_is_found_by_name_team_and_name_id_and_link(world: World) -> None:
    async with world.core() as core:
        made = (await core.channels.create("Project 1")).channel
        ways = ["project-1", " Main/Project-1 ", made.id, f"{world.url}/main/channels/project-1"]

        found = [await core.channels.find(way) for way in ways]

    assert {channel.id for channel in found} == {made.id}
    assert {channel.address for channel in found} == {"main/project-1"}


async def test_a_name_that_looks_like_an_id_is_found_all_the_same(world: World) -> None:
    async with world.core() as core:
        made = (await core.channels.create("abcdefghijklmnopqrstuvwxyz")).channel

        assert (await core.channels.find("abcdefghijklmnopqrstuvwxyz")).id == made.id


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "main/nothing",
        "a" * 26,
        "https://elsewhere.test/main/channels/town-square",
        "{url}/main/messages/@ann",
        "a/b/c",
        "/",
        "",
        "../../users/me",
        "what?",
    ],
)
async def test_what_is_no_channel_is_unknown(world: World, text: str) -> None:
    async with world.core() as core:
        with pytest.raises(ChannelUnknown):
            await core.channels.find(text.replace("{url}", world.url))


async def test_a_conversation_is_no_channel(world: World) -> None:
    town = world.server.state.channels_by_name[world.server.team.id, "town-square"]
    town.type = "D"
    async with world.core() as core:
        with pytest.raises(ChannelUnknown):
            await core.channels.find(town.id)


async def test_a_name_in_several_teams_must_be_said_with_the_team(world: World) -> None:
    world.set(sync__teams=["main", "staff"])
    world.server.add_team("staff")
    async with world.core() as core:
        with pytest.raises(ChannelAmbiguous, match="main/town-square, staff/town-square"):
            await core.channels.find("town-square")

        assert (await core.channels.find("staff/town-square")).address == "staff/town-square"


async def test_the_channels_of_a_team_are_listed_over_all_pages(world: World) -> None:
    async with world.core() as core:
        for number in range(201):
            await core.channels.create(f"p{number}")
        await core.channels.create("secret", private=True)
        await core.channels.archive("p7")

        names, archived = await listed(core.channels), await listed(core.channels, archived=True)

    assert len(names) == 201 + 2
    assert {"main/secret", "main/town-square"} <= set(names)
    assert archived == ["main/p7"]


# ── archive and restore ──────────────────────────────────────────────────────────────────────────


async def test_archived_twice_is_archived_and_restored_twice_is_restored(world: World) -> None:
    async with world.core() as core:
        await core.channels.create("Project")
        did = [
            (await change("project")).did
            for change in (core.channels.archive, core.channels.archive, core.channels.restore, core.channels.restore)
        ]

    assert did == [Did.ARCHIVED, Did.UNCHANGED, Did.RESTORED, Did.UNCHANGED]
    assert activity(world, "channel archived") == activity(world, "channel restored") == ["main/project"]
    assert world.sql("SELECT state, title FROM mmconsole_jobs") == [("done", "archive main/project")]


async def test_the_channel_of_everybody_is_not_archived(world: World) -> None:
    async with world.core() as core:
        with pytest.raises(DefaultChannel):
            await core.channels.archive("town-square")

    assert world.sql("SELECT state, removals FROM mmconsole_job_items") == [("failed", 0)]
    assert world.sql("SELECT state FROM mmconsole_jobs") == [("failed",)]


async def test_the_guard_counts_archives_and_lets_the_exact_number_pass(world: World) -> None:
    world.set(guard__removals=2, guard__percent=0)
    async with world.core() as core:
        for number in range(4):
            await core.channels.create(f"p{number}")
        for number in range(2):
            await core.channels.archive(f"p{number}")

        with pytest.raises(GuardTripped, match="--allow-removals 1"):
            await core.channels.archive("p2")
        with pytest.raises(GuardTripped):
            await core.channels.archive("p2", allow_removals=2)
        assert channels_of(world)["p2"].delete_at == 0
        await core.channels.archive("p2", allow_removals=1)

    assert channels_of(world)["p2"].delete_at


async def test_archives_and_leavers_share_one_guard(world: World) -> None:
    world.set(guard__removals=1, guard__percent=0)
    ann = world.add("ann@x.test")
    await world.sync()
    async with world.core() as core:
        await core.channels.create("Project")
        await core.channels.archive("project")
    world.leave(ann)

    with pytest.raises(GuardTripped):
        await world.sync()


@pytest.mark.parametrize("kind", ["drop_after", "cut_json"])
async def test_a_lost_answer_to_archiving_is_asked_for_again(world: World, kind: Any) -> None:
    async with world.core() as core:
        await core.channels.create("Project")
        world.server.faults.add(Fault(kind, "DELETE", "/channels/{id}"))

        change = await core.channels.archive("project")

    assert change.did is Did.ARCHIVED
    assert channels_of(world)["project"].delete_at
    assert world.sql("SELECT SUM(removals) FROM mmconsole_job_items") == [(1,)]


async def test_an_archive_whose_outcome_is_unknown_counts_for_the_guard(world: World) -> None:
    async with world.core() as core:
        await core.channels.create("Project")
        world.server.faults.add(Fault("drop_after", "DELETE", "/channels/{id}", times=None))

        with pytest.raises(MattermostError):
            await core.channels.archive("project")

    assert world.sql("SELECT state, removals FROM mmconsole_job_items") == [("failed", 1)]


# ── several at once ──────────────────────────────────────────────────────────────────────────────


async def test_several_are_archived_and_each_is_told_of(world: World) -> None:
    async with world.core() as core:
        for name in ("Bridge", "Tunnel"):
            await core.channels.create(name)
        names = ["bridge", "main/tunnel", "nowhere", "town-square", "main/bridge", "bridge"]

        run = await core.channels.archive_all(names)

    outcomes = {one.subject: one.outcome for one in run.results}
    assert outcomes == {
        "bridge": Did.ARCHIVED,
        "main/tunnel": Did.ARCHIVED,
        "nowhere": Outcome.REFUSED,
        "town-square": Outcome.REFUSED,
        "main/bridge": Did.UNCHANGED,
    }
    assert run.named == len(run.results) == 5
    assert all(one.delete_at for one in channels_of(world).values())


async def test_the_guard_counts_several_together(world: World) -> None:
    world.set(guard__removals=1, guard__percent=0)
    async with world.core() as core:
        for name in ("Bridge", "Tunnel"):
            await core.channels.create(name)

        with pytest.raises(GuardTripped):
            await core.channels.archive_all(["bridge", "tunnel"])
        plan = await core.channels.plan_archiving(["bridge", "tunnel"])
        assert not any(one.delete_at for one in channels_of(world).values())
        run = await core.channels.archive_all(["bridge", "tunnel"], allow_removals=2)

    assert isinstance(plan.would_stop, GuardTripped)
    assert run.counts == {Did.ARCHIVED: 2}
