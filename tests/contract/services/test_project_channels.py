"""The channels of projects: one each, whoever asks, and archived with the project."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.domain.channels import Did, ProjectId
from mmconsole.domain.plans import Outcome
from mmconsole.errors import (
    Busy,
    ChannelHidden,
    ChannelInArchive,
    Declined,
    GuardTripped,
    JobPaused,
    JobStopped,
    MattermostError,
    NotMattermost,
    ProjectsUnmapped,
    ProjectUnknown,
)
from mmconsole.services.channels.runs import ChannelRun, Watched
from mmconsole.services.job_desk import Told
from mmconsole.services.leases import hold
from mmconsole.services.summary import Silent
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World


CREATE = ("POST", "/channels")
BY_NAME = "/teams/{team_id}/channels/name/{channel_name}"
SEVEN = ProjectId("7")


def links(world: World) -> list[Any]:
    return world.sql("SELECT project_id, channel_id, archived_with_project FROM mmconsole_projects ORDER BY project_id")


def add_project(world: World, name: str, team: str | None = None) -> ProjectId:
    statement = "INSERT INTO projects (name, team) VALUES (?, ?) RETURNING id"
    return ProjectId(str(world.sql(statement, name, team)[0][0]))


async def test_a_project_gets_one_channel_however_often_it_is_asked_for(world: World) -> None:
    project = add_project(world, "Brücke Süd")
    async with world.core() as core:
        first = await core.channels.create_for_project(project)
        second = await core.channels.create_for_project(project)

    made = world.server.made_channels["brucke-sud"]
    assert (first.did, second.did) == (Did.CREATED, Did.UNCHANGED)
    assert first.channel.id == second.channel.id == made.id
    assert (first.channel.address, made.display_name, made.type) == ("main/brucke-sud", "Brücke Süd", "O")
    assert links(world) == [(project, made.id, 0)]
    details = world.sql("SELECT detail FROM mmconsole_activity WHERE verb = 'channel created'")
    assert details == [(f"main/brucke-sud for the project {project}",)]
    assert world.sql("SELECT * FROM mmconsole_intents") == []


async def test_the_channel_carries_the_marker_of_this_installation(world: World) -> None:
    async with world.core() as core:
        await core.channels.create_for_project(SEVEN, name="Bridge")

    (installation,) = world.sql("SELECT value FROM mmconsole_meta WHERE name = 'installation_id'")[0]
    assert world.server.made_channels["bridge"].purpose.startswith(f"mmconsole:v1:{installation}:project:7:")


async def test_what_is_told_goes_before_what_the_table_says(world: World) -> None:
    world.server.add_team("staff")
    project = add_project(world, "Table", "nowhere")
    async with world.core() as core:
        change = await core.channels.create_for_project(project, name="Told", team="staff")

    assert change.channel.address == "staff/told"


async def test_the_table_may_say_the_team(world: World) -> None:
    world.server.add_team("staff")
    project = add_project(world, "Bridge", "staff")
    async with world.core() as core:
        assert (await core.channels.create_for_project(project)).channel.address == "staff/bridge"


async def test_a_private_one_is_made_if_the_settings_say_so(world: World) -> None:
    world.set(channels__private=True)
    async with world.core() as core:
        await core.channels.create_for_project(SEVEN, name="Bridge")

    assert world.server.made_channels["bridge"].type == "P"


async def test_an_unknown_project_needs_a_name(any_world: World) -> None:
    async with any_world.core() as core:
        with pytest.raises(ProjectUnknown):
            await core.channels.create_for_project(SEVEN)

        change = await core.channels.create_for_project(SEVEN, name="…")

    assert change.channel.name == "project-7"


async def test_an_applications_own_table_is_read_by_its_own_names(new_world: Callable[..., Any]) -> None:
    async with new_world(laravel=True) as world:
        world.sql('CREATE TABLE "the projects" (no integer primary key, title varchar, closed datetime, grp varchar)')
        world.sql("""INSERT INTO "the projects" VALUES (7, 'Bridge', NULL, 'main')""")
        names = {"table": "the projects", "id": "no", "name": "title", "archived_at": "closed", "team": "grp"}
        world.set(**{f"database__projects__{field}": name for field, name in names.items()})
        async with world.core() as core:
            change = await core.channels.create_for_project(SEVEN)

        assert change.channel.address == "main/bridge"


async def test_projects_of_one_name_get_numbers(world: World) -> None:
    async with world.core() as core:
        names = [
            (await core.channels.create_for_project(ProjectId(str(number)), name="Website")).channel.name
            for number in range(3)
        ]

    assert names == ["website", "website-2", "website-3"]
    assert len(links(world)) == 3


async def test_somebody_elses_channel_of_the_name_is_never_taken_over(world: World) -> None:
    async with world.core() as core:
        own = await core.channels.create("Bridge")
        await core.channels.archive("bridge")

        change = await core.channels.create_for_project(SEVEN, name="Bridge")

    assert change.channel.name == "bridge-2"
    assert world.server.made_channels["bridge"].id == own.channel.id


async def test_many_at_once_in_several_processes_make_one_channel(world: World) -> None:
    async with world.core() as one, world.core() as other:
        changes = await asyncio.gather(
            *(core.channels.create_for_project(SEVEN, name="Bridge") for core in (one, other) for _ in range(5))
        )

    assert list(world.server.made_channels) == ["bridge"]
    assert [change.did for change in changes].count(Did.CREATED) == 1
    assert len({change.channel.id for change in changes}) == 1


# ── with the project ─────────────────────────────────────────────────────────────────────────────


async def test_a_channel_is_archived_and_restored_with_its_project(world: World) -> None:
    async with world.core() as core:
        made = await core.channels.create_for_project(SEVEN, name="Bridge")

        archived = await core.channels.archive_for_project(SEVEN)
        again = await core.channels.archive_for_project(SEVEN)
        assert world.server.made_channels["bridge"].delete_at
        assert links(world) == [("7", made.channel.id, 1)]
        restored = await core.channels.create_for_project(SEVEN, name="Bridge")

    assert archived is not None
    assert again is not None
    assert (archived.did, again.did, restored.did) == (Did.ARCHIVED, Did.UNCHANGED, Did.RESTORED)
    assert restored.channel.id == made.channel.id
    assert links(world) == [("7", made.channel.id, 0)]


async def test_what_somebody_archived_by_hand_stays_in_the_archive(world: World) -> None:
    async with world.core() as core:
        await core.channels.create_for_project(SEVEN, name="Bridge")
        await core.channels.archive("bridge")

        with pytest.raises(ChannelInArchive, match="mmconsole channel restore main/bridge"):
            await core.channels.create_for_project(SEVEN, name="Bridge")
        await core.channels.archive_for_project(SEVEN)
        with pytest.raises(ChannelInArchive):
            await core.channels.create_for_project(SEVEN, name="Bridge")
        await core.channels.restore("bridge")

        assert (await core.channels.create_for_project(SEVEN, name="Bridge")).did is Did.UNCHANGED


async def test_a_project_without_a_channel_has_nothing_to_archive(world: World) -> None:
    async with world.core() as core:
        assert await core.channels.archive_for_project(SEVEN) is None

    assert world.sql("SELECT * FROM mmconsole_jobs") == []


async def test_the_guard_counts_the_channels_of_projects(world: World) -> None:
    world.set(guard__removals=1, guard__percent=0)
    async with world.core() as core:
        for number in ("1", "2"):
            await core.channels.create_for_project(ProjectId(number), name=f"p{number}")
        await core.channels.archive_for_project(ProjectId("1"))

        with pytest.raises(GuardTripped):
            await core.channels.archive_for_project(ProjectId("2"))
        assert links(world)[1][2] == 0
        await core.channels.archive_for_project(ProjectId("2"), allow_removals=1)

    assert all(one.delete_at for one in world.server.made_channels.values())


async def test_a_refused_archive_leaves_no_trace_in_the_link(world: World) -> None:
    town = world.server.state.channels_by_name[world.server.team.id, "town-square"]
    world.sql("INSERT INTO mmconsole_projects VALUES ('7', ?, 0, 0)", town.id)
    async with world.core() as core:
        with pytest.raises(MattermostError):
            await core.channels.archive_for_project(SEVEN)

    assert links(world) == [("7", town.id, 0)]


async def test_a_channel_that_is_gone_for_good_is_made_anew(world: World) -> None:
    state = world.server.state
    async with world.core() as core:
        first = await core.channels.create_for_project(SEVEN, name="Bridge")
        gone = state.channels.pop(first.channel.id)
        del state.channels_by_name[gone.team_id, gone.name]
        with pytest.raises(ChannelHidden):
            await core.channels.create_for_project(SEVEN, name="Bridge")
        world.sql("UPDATE mmconsole_projects SET linked_at = 0")

        second = await core.channels.create_for_project(SEVEN, name="Bridge")

    assert (second.did, second.channel.name) == (Did.CREATED, "bridge")
    assert links(world) == [("7", second.channel.id, 0)]


async def test_a_server_that_does_not_answer_never_makes_a_second_channel(world: World) -> None:
    async with world.core() as core:
        await core.channels.create_for_project(SEVEN, name="Bridge")
        world.server.faults.add(Fault("status", "GET", "/channels/{id}", status=502, times=30))
        with pytest.raises(MattermostError):
            await core.channels.create_for_project(SEVEN, name="Bridge")

    assert list(world.server.made_channels) == ["bridge"]


@pytest.mark.parametrize("how", ["archived", "deleted"])
async def test_a_project_that_is_followed_has_what_its_row_says(world: World, how: str) -> None:
    project = add_project(world, "Bridge")
    async with world.core() as core:
        first = await core.channels.follow_project(project)
        again = await core.channels.follow_project(project)
        if how == "archived":
            world.sql("UPDATE projects SET archived_at = '2024-01-01 00:00:00'")
        else:
            world.sql("DELETE FROM projects")
        over = await core.channels.follow_project(project)

    assert [change and change.did for change in (first, again, over)] == [Did.CREATED, Did.UNCHANGED, Did.ARCHIVED]


async def test_without_a_projects_table_nothing_is_followed(new_world: Callable[..., Any]) -> None:
    async with new_world(laravel=True) as world, world.core() as core:
        await core.channels.create_for_project(SEVEN, name="Bridge")

        assert await core.channels.follow_project(SEVEN) is None
        assert not world.server.made_channels["bridge"].delete_at


# ── all of the table ─────────────────────────────────────────────────────────────────────────────


def end(world: World, *ids: ProjectId) -> None:
    for project_id in ids:
        world.sql("UPDATE projects SET archived_at = '2025-01-01 00:00:00' WHERE id = ?", project_id)


async def test_each_row_gets_what_it_asks_for(world: World) -> None:
    ids = [add_project(world, name) for name in ("Bridge", "Tunnel", "Tower")]
    async with world.core() as core:
        made = await core.channels.follow_projects(archived=False)
        end(world, ids[2])
        over = await core.channels.follow_projects(archived=True)
        world.sql("UPDATE projects SET archived_at = NULL")
        back = await core.channels.follow_projects(archived=False)

    assert (made.named, made.counts) == (3, {Did.CREATED: 3})
    assert [(one.subject, one.outcome, one.address) for one in over.results] == [(ids[2], Did.ARCHIVED, "main/tower")]
    assert back.counts == {Did.UNCHANGED: 2, Did.RESTORED: 1}
    assert set(world.server.made_channels) == {"bridge", "tunnel", "tower"}


async def test_projects_in_step_cost_a_few_lists_and_no_write(world: World) -> None:
    for number in range(30):
        add_project(world, f"Project {number}")
    async with world.core() as core:
        await core.channels.follow_projects(archived=False)
        before, calls = world.dump("leases"), world.server.calls.total()

        again = await core.channels.follow_projects(archived=False)

    assert again.counts == {Did.UNCHANGED: 30}
    assert world.server.calls.total() - calls <= 5
    assert world.dump("leases") == before


async def test_a_plan_says_what_would_be_done_and_does_nothing(world: World) -> None:
    open_one, over, nameless = add_project(world, "Bridge"), add_project(world, "Tower"), add_project(world, "")
    async with world.core() as core:
        await core.channels.create_for_project(over)
        end(world, over)
        opening = await core.channels.plan_projects(archived=False)
        closing = await core.channels.plan_projects(archived=True)

    assert [(one.subject, one.did, one.address) for one in opening.planned] == [(open_one, Did.CREATED, "main/bridge")]
    assert [(one.subject, one.outcome) for one in opening.results] == [(nameless, Outcome.REFUSED)]
    assert [(one.subject, one.did, one.address) for one in closing.planned] == [(over, Did.ARCHIVED, "main/tower")]
    assert list(world.server.made_channels) == ["tower"]
    assert not world.server.made_channels["tower"].delete_at


async def test_the_guard_counts_a_run_before_its_first_step(world: World) -> None:
    world.set(guard__removals=2, guard__percent=0)
    ids = [add_project(world, f"p{number}") for number in range(3)]
    async with world.core() as core:
        await core.channels.follow_projects(archived=False)
        end(world, *ids)

        with pytest.raises(GuardTripped):
            await core.channels.follow_projects(archived=True)
        assert not any(one.delete_at for one in world.server.made_channels.values())
        assert (await core.channels.plan_projects(archived=True)).would_stop is not None
        allowed = await core.channels.follow_projects(archived=True, allow_removals=3)

    assert allowed.counts == {Did.ARCHIVED: 3}


async def test_a_row_that_is_gone_archives_nothing(world: World) -> None:
    project = add_project(world, "Bridge")
    async with world.core() as core:
        await core.channels.create_for_project(project)
        world.sql("DELETE FROM projects")

        run = await core.channels.follow_projects(archived=True)

    assert run.named == 0
    assert not world.server.made_channels["bridge"].delete_at


async def test_what_was_archived_by_hand_and_what_has_no_team_is_refused_and_the_rest_is_done(world: World) -> None:
    by_hand, lost, fine = add_project(world, "Bridge"), add_project(world, "Lost", "nowhere"), add_project(world, "Ok")
    async with world.core() as core:
        await core.channels.create_for_project(by_hand)
        await core.channels.archive("bridge")

        run = await core.channels.follow_projects(archived=False)

    assert {one.subject: one.outcome for one in run.results} == {
        by_hand: Outcome.REFUSED,
        lost: Outcome.REFUSED,
        fine: Did.CREATED,
    }
    assert {one.subject: one.note for one in run.results}[by_hand].endswith("`mmconsole channel restore main/bridge`.")


async def test_a_row_that_says_something_else_by_now_is_skipped(world: World) -> None:
    first, second = add_project(world, "Bridge"), add_project(world, "Tower")

    class EndsTheSecond(Silent):
        def advance(self, done: int = 1) -> None:
            end(world, second)

    async with world.core() as core:
        run = await core.channels.follow_projects(archived=False, watched=Watched(progress=EndsTheSecond()))

    assert {one.subject: one.outcome for one in run.results} == {first: Did.CREATED, second: Outcome.SKIPPED}
    assert list(world.server.made_channels) == ["bridge"]


async def test_a_stopped_run_is_finished_by_the_next(world: World) -> None:
    for number in range(4):
        add_project(world, f"p{number}")
    stop = asyncio.Event()

    class StopsSoon(Silent):
        def advance(self, done: int = 1) -> None:
            stop.set()

    async with world.core() as core:
        first = await core.channels.follow_projects(archived=False, watched=Watched(progress=StopsSoon(), stop=stop))
        second = await core.channels.follow_projects(archived=False)

    assert (first.named, len(first.planned), first.counts) == (4, 4, {Did.CREATED: 1})
    assert second.counts == {Did.UNCHANGED: 1, Did.CREATED: 3}


async def test_a_run_over_the_table_is_a_job_with_an_item_for_each_project(world: World) -> None:
    ids = [add_project(world, name) for name in ("Bridge", "Tunnel", "Tower")]
    world.server.faults.add(Fault("status", "POST", "/channels", status=500, after=2, times=9))
    async with world.core() as core:
        run = await core.channels.follow_projects(archived=False)
        assert run.job_id is not None
        known = await core.jobs.show(run.job_id)
        items = [(str(item.user_id), item.outcome, bool(item.note)) async for item in core.jobs.items(run.job_id)]
        in_step = await core.channels.follow_projects(archived=True)

    assert (known.job.title, known.job.state, known.alive) == ("open 3 channels of projects", "done", False)
    assert items == [(ids[0], "created", False), (ids[1], "created", False), (ids[2], "failed", True)]
    assert in_step.job_id is None, "where nothing is to be done there is no job"


@pytest.mark.parametrize(("verb", "fault"), [("stop", JobStopped), ("pause", JobPaused)])
async def test_a_run_over_the_table_is_ended_from_elsewhere(world: World, verb: str, fault: type[Exception]) -> None:
    for number in range(4):
        add_project(world, f"p{number}")

    class Interferes(Silent):
        told: asyncio.Task[Any] | None = None

        def advance(self, done: int = 1) -> None:
            self.told = self.told or asyncio.create_task(interfere())

    async def interfere() -> Told:
        told: Told = await getattr(other.jobs, verb)(1)
        held.let_go()
        return told

    async with world.core() as core, world.core() as other:
        asked = Interferes()
        held = world.server.faults.add(Fault("hold", "POST", "/channels", after=1))
        first = await core.channels.follow_projects(archived=False, watched=Watched(progress=asked))
        assert asked.told is not None
        assert await asked.told is Told.ASKED
        second = await core.channels.follow_projects(archived=False)
        left = (await core.jobs.show(1)).job.state

    assert isinstance(first.fault, fault)
    assert first.counts[Did.CREATED] == 2
    assert second.counts[Did.CREATED] + first.counts[Did.CREATED] == 4
    assert left == "stopped", "what was paused is closed by the run that does the rest"


async def test_a_job_over_the_table_whose_process_died_is_interrupted(world: World) -> None:
    for number in range(2):
        add_project(world, f"p{number}")
    async with world.core() as core:
        await core.channels.follow_projects(archived=False)
        world.sql("UPDATE mmconsole_jobs SET state = 'running', finished_at = NULL, counts = NULL")
        assert (await core.jobs.show(1)).interrupted
        await core.channels.follow_projects(archived=False)

        assert (await core.jobs.show(1)).job.state == "stopped"


async def test_nobody_who_declines_has_archived_anything(world: World) -> None:
    project = add_project(world, "Bridge")

    async def no(run: ChannelRun) -> bool:
        assert [plan.address for plan in run.planned] == ["main/bridge"]
        return False

    async with world.core() as core:
        await core.channels.create_for_project(project)
        end(world, project)
        with pytest.raises(Declined):
            await core.channels.follow_projects(archived=True, watched=Watched(confirm=no))

    assert not world.server.made_channels["bridge"].delete_at


async def test_a_fault_that_all_would_meet_ends_the_run(world: World) -> None:
    for number in range(3):
        add_project(world, f"p{number}")
    world.server.faults.add(Fault("login_page", "GET", BY_NAME, times=None))
    async with world.core() as core:
        run = await core.channels.follow_projects(archived=False)

    assert isinstance(run.fault, NotMattermost)
    assert (len(run.planned), run.results) == (3, [])


async def test_one_run_over_the_projects_at_a_time(world: World) -> None:
    async with world.core() as core, hold(core.channels._database, "channels of projects", holder="x", wait=False):
        with pytest.raises(Busy):
            await core.channels.follow_projects(archived=False)


async def test_without_a_projects_table_there_is_nothing_to_read(new_world: Callable[..., Any]) -> None:
    async with new_world(laravel=True) as world, world.core() as core:
        with pytest.raises(ProjectsUnmapped, match=r"database\.projects\.table"):
            await core.channels.follow_projects(archived=False)


# ── answers that are lost ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "cut_json", "status", "login_page"])
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_lost_answer_makes_one_channel(world: World, kind: Any, times: int) -> None:
    world.server.faults.add(Fault(kind, *CREATE, times=times, status=504))
    async with world.core() as core:
        for _ in range(3):
            try:
                await core.channels.create_for_project(SEVEN, name="Bridge")
            except MattermostError:
                continue
            break

    assert list(world.server.made_channels) == ["bridge"]
    assert links(world) == [("7", world.server.made_channels["bridge"].id, 0)]
    assert world.sql("SELECT * FROM mmconsole_intents") == []


@pytest.mark.parametrize("times", [2, 3, 4, 5, 6])
async def test_what_a_lagging_replica_hides_is_found_later(world: World, times: int) -> None:
    world.server.faults.add(Fault("drop_after", *CREATE))
    world.server.faults.add(world.stale(60, "GET", BY_NAME, times=times))
    async with world.core() as core:
        for _ in range(5):
            try:
                change = await core.channels.create_for_project(SEVEN, name="Bridge")
            except ChannelHidden:
                continue
            break

    assert list(world.server.made_channels) == ["bridge"]
    assert change.channel.id == world.server.made_channels["bridge"].id
    assert world.sql("SELECT * FROM mmconsole_intents") == []


async def test_a_lagging_replica_never_makes_a_second_channel(world: World) -> None:
    async with world.core() as core:
        await core.channels.create_for_project(SEVEN, name="Bridge")
        world.server.faults.add(Fault("stale_reads", "GET", times=None, seconds=60))
        with pytest.raises(ChannelHidden):
            await core.channels.create_for_project(SEVEN, name="Bridge")
        with pytest.raises(ChannelHidden):
            await core.channels.archive_for_project(SEVEN)

    assert list(world.server.made_channels) == ["bridge"]
    assert not world.server.made_channels["bridge"].delete_at


async def test_an_intent_that_a_recovery_closed_meanwhile_does_not_cost_the_link(world: World) -> None:
    held = world.server.faults.add(Fault("hold_answer", *CREATE))
    async with world.core() as core:
        making = asyncio.create_task(core.channels.create_for_project(SEVEN, name="Bridge"))
        await world.until(lambda: held.holding)
        world.sql("DELETE FROM mmconsole_intents")
        held.let_go()

        change = await making

    assert links(world) == [("7", change.channel.id, 0)]
    assert world.sql("SELECT COUNT(*) FROM mmconsole_activity WHERE verb = 'channel created'") == [(1,)]


async def test_recover_links_what_an_interrupted_run_made(world: World) -> None:
    world.server.faults.add(Fault("drop_after", *CREATE))
    world.server.faults.add(Fault("drop_before", "GET", BY_NAME, after=1, times=9))
    async with world.core() as core:
        with pytest.raises(MattermostError):
            await core.channels.create_for_project(SEVEN, name="Bridge")
        world.server.faults.clear()
        assert links(world) == []

        recovered = await core.sync.recover()

    made = world.server.made_channels["bridge"]
    assert recovered.channels == (made.id,)
    assert recovered.revoked == ()
    assert links(world) == [("7", made.id, 0)]


async def test_archiving_a_project_also_archives_what_an_interrupted_run_made_for_it(world: World) -> None:
    world.server.faults.add(Fault("drop_after", *CREATE))
    world.server.faults.add(Fault("drop_before", "GET", BY_NAME, after=1, times=9))
    async with world.core() as core:
        with pytest.raises(MattermostError):
            await core.channels.create_for_project(SEVEN, name="Bridge")
        world.server.faults.clear()

        await core.channels.archive_for_project(SEVEN)

    assert world.server.made_channels["bridge"].delete_at
    assert world.sql("SELECT * FROM mmconsole_intents") == []
