"""Channels: found, listed, made, archived, restored; users added to them; and those that belong to projects."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from mmconsole.config import Settings
from mmconsole.database import Database
from mmconsole.domain.channels import (
    Channel,
    ChannelChange,
    ChannelId,
    Did,
    NewChannel,
    OnTaken,
    ProjectId,
    legal_channel_name,
)
from mmconsole.domain.plans import Result
from mmconsole.domain.text import fitting_name
from mmconsole.errors import ChannelNameUnfit, ChannelTaken
from mmconsole.services.channels import adding, archive, runs
from mmconsole.services.channels.adding import Added, ChannelAdding, ConfirmAdding
from mmconsole.services.channels.archive import ChannelArchive
from mmconsole.services.channels.finder import ChannelFinder
from mmconsole.services.channels.making import ChannelMaking
from mmconsole.services.channels.members import demand_open
from mmconsole.services.channels.projects import ProjectChannels
from mmconsole.services.channels.runs import (
    ChannelPlan,
    ChannelResult,
    ChannelRun,
    ChannelRuns,
    Watched,
    look_at,
)
from mmconsole.services.jobs import Journal, end_left
from mmconsole.services.leases import Unleased, hold
from mmconsole.services.runs import Run, acting
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage
from mmconsole.services.summary import Progress, Silent, always
from mmconsole.services.users import Users


class Channels:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        server: Server,
        storage: Storage,
        users: Users,
        *,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._server = server
        self._actor = actor
        self._now = now
        self._finder = ChannelFinder(settings, server)
        self._making = ChannelMaking(database, server)
        self._archive = ChannelArchive(settings, server)
        self._projects = ProjectChannels(settings, database, self._finder, self._making, self._archive, now=now)
        self._runs = ChannelRuns(settings, database, now=now)
        self._adding = ChannelAdding(settings, database, server, storage, users)
        # Within this process nobody need ask the database every second whether it is their turn.
        self._turn = asyncio.Lock()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    async def find(self, channel: str) -> Channel:
        """A channel, archived or not, by its name, `team/name`, id or link.

        Raises ChannelUnknown, ChannelAmbiguous, ChannelTeamMissing, NoSuchTeam.
        """
        return await self._finder.find(channel)

    async def list(self, *, team: str | None = None, archived: bool = False) -> AsyncIterator[Channel]:
        """The public and private channels of a team, or of the configured ones; or instead the archived ones.

        Raises ChannelTeamMissing, NoSuchTeam.
        """
        for one in await self._finder.teams(team):
            async for channel in self._finder.of_team(one, archived=archived):
                yield channel

    # ── one channel ──────────────────────────────────────────────────────────────────────────────

    async def create(
        self,
        name: str,
        *,
        team: str | None = None,
        private: bool = False,
        purpose: str = "",
        on_taken: OnTaken = OnTaken.REFUSE,
    ) -> ChannelChange:
        """Make a channel that people see under this name; the one in its address is derived from it.

        Raises ChannelNameUnfit, ChannelTaken, ChannelTeamMissing, NoSuchTeam, TooManyChannels.
        """
        legal = legal_channel_name(name)
        if not legal:
            raise ChannelNameUnfit(name=name)
        async with self._run() as run:
            found_team = await self._finder.team_for(name, named=team)
            new = NewChannel(found_team.id, legal, fitting_name(name), private=private, purpose=purpose)
            taken = await self._finder.in_team(found_team, legal)
            if taken is not None and on_taken is not OnTaken.NUMBER:
                return await self._instead(taken, on_taken, run)
            made = await self._making.make(new, run, numbered=on_taken is OnTaken.NUMBER)
            channel = replace(made.channel, team=found_team.name)
            await self._making.link_made(replace(made, channel=channel), run)
            return ChannelChange(channel, Did.CREATED)

    async def _instead(self, taken: Channel, on_taken: OnTaken, run: Run) -> ChannelChange:
        """Restore the channel that has the wanted name, if it is archived and that is wanted. Raises ChannelTaken."""
        if taken.archived and on_taken is OnTaken.RESTORE:
            return await self._archive.restore(taken, run)
        state, ways = (" in the archive", "--restore or --number") if taken.archived else ("", "--number")
        raise ChannelTaken(channel=taken.address, state=state, ways=f", or say {ways}")

    async def archive(self, channel: str, *, allow_removals: int | None = None) -> ChannelChange:
        """Archive a channel. One that is archived already is success. Its webhooks are gone for good.

        Raises GuardTripped, DefaultChannel, and what `find` raises.
        """
        async with self._run() as run:
            return await self._archive.archive(await self._finder.find(channel), run, confirmed=allow_removals)

    async def plan_archiving(self, channels: Sequence[str], *, allow_removals: int | None = None) -> ChannelRun:
        """What `archive_all` would do and what would stop it; nothing is changed."""
        return await self._runs.foretell(await self._to_archive(channels), allow_removals=allow_removals)

    async def archive_all(
        self, channels: Sequence[str], *, allow_removals: int | None = None, watched: Watched | None = None
    ) -> ChannelRun:
        """Archive several channels, each of them tried and told of; the guard counts them together.

        Raises GuardTripped and Declined before the first, and what everybody would meet.
        """
        run = await self._to_archive(channels)

        async def archive(plan: ChannelPlan) -> ChannelChange:
            # The guard has let the whole run pass.
            return await self.archive(plan.id or plan.subject, allow_removals=1)

        return await self._runs.apply(run, archive, watched or Watched(), allow_removals=allow_removals)

    async def _to_archive(self, channels: Sequence[str]) -> ChannelRun:
        seen: set[ChannelId] = set()

        async def look(name: str) -> ChannelPlan | ChannelResult:
            channel = await self._finder.find(name)
            if channel.archived or channel.id in seen:
                return ChannelResult(name, Did.UNCHANGED, channel.address)
            seen.add(channel.id)
            return ChannelPlan(name, Did.ARCHIVED, channel.address, channel.id)

        return await look_at(list(dict.fromkeys(channels)), look)

    async def restore(self, channel: str) -> ChannelChange:
        """Take a channel out of the archive. One that is not in it is success."""
        async with self._run() as run:
            return await self._archive.restore(await self._finder.find(channel), run)

    # ── its users ────────────────────────────────────────────────────────────────────────────────

    async def add_user(self, channel: str, user: str, *, as_admin: bool = False) -> Result:
        """Add one user with their own token; with the administrator's only where none is stored, or as asked.

        Raises ChannelInArchive, ChannelPrivate, UserUnknown, AmbiguousName, and what `find` raises.
        """
        await self._server.bind()
        found = await self._open_for_adding(channel, as_admin=as_admin)
        run = Run(Unleased(self._database), acting(self._actor), self._now)
        return await self._adding.add(found, user, run, as_admin=as_admin)

    async def plan_adding(self, channel: str, users: Sequence[str], *, as_admin: bool = False) -> Added:
        """Who would be added and who would not; nothing is done. Raises what `add_users` raises, but Busy."""
        found = await self._open_for_adding(channel, as_admin=as_admin)
        run = Run(Unleased(self._database), self._actor, self._now)
        return await self._adding.plan(found, users, run, as_admin=as_admin)

    async def add_users(  # noqa: PLR0913 - a job needs to be watched and stopped
        self,
        channel: str,
        users: Sequence[str],
        *,
        as_admin: bool = False,
        wait: bool = False,
        confirm: ConfirmAdding = always,
        progress: Progress | None = None,
        stop: asyncio.Event | None = None,
    ) -> Added:
        """Add users as a job, each of them tried and told of. `stop` ends it after those under way.

        Raises Busy, Declined, ChannelInArchive, ChannelPrivate, and what `find` raises.
        """
        async with hold(self._database, adding.LEASE, holder=self._actor, wait=wait) as lease:
            await self._server.bind()
            found = await self._open_for_adding(channel, as_admin=as_admin)
            return await self._adding.add_many(
                found,
                users,
                lease,
                Run(lease, self._actor, self._now),
                as_admin=as_admin,
                confirm=confirm,
                progress=progress or Silent(),
                stop=stop or asyncio.Event(),
            )

    async def _open_for_adding(self, channel: str, *, as_admin: bool) -> Channel:
        found = await self._finder.find(channel)
        demand_open(found, as_admin=as_admin)
        return found

    # ── projects ─────────────────────────────────────────────────────────────────────────────────

    async def create_for_project(
        self, project_id: ProjectId, *, name: str | None = None, team: str | None = None
    ) -> ChannelChange:
        """Make sure that a project has its channel, however often and by how many this is asked for.

        The name and the team are the projects table's unless they are given.
        Raises ProjectUnknown, ChannelInArchive for one that was archived by hand, ChannelTeamMissing, NoSuchTeam.
        """
        if (channel := await self._projects.find_open(project_id)) is not None:
            return ChannelChange(channel, Did.UNCHANGED)
        project = await self._projects.project(project_id, name=name, team=team)
        async with self._run() as run:
            return await self._projects.open(project, run)

    async def archive_for_project(
        self, project_id: ProjectId, *, allow_removals: int | None = None
    ) -> ChannelChange | None:
        """Archive a project's channel; None when it has none. One that is archived already is success.

        Raises GuardTripped.
        """
        async with self._run() as run:
            return await self._projects.close(project_id, run, confirmed=allow_removals)

    async def follow_project(self, project_id: ProjectId, *, allow_removals: int | None = None) -> ChannelChange | None:
        """Do what the projects table says of a project now: a channel, or an archived one, or nothing to do.

        Without a projects table nothing is known, so nothing is done. Raises what the two above raise.
        """
        mapped, row = await self._database.read(lambda db: (db.projects.mapped, db.projects.find(project_id)))
        if not mapped:
            return None
        if row is None or row.archived:
            return await self.archive_for_project(project_id, allow_removals=allow_removals)
        return await self.create_for_project(project_id)

    async def plan_projects(self, *, archived: bool, allow_removals: int | None = None) -> ChannelRun:
        """What `follow_projects` would do and what would stop it; nothing is changed. Raises ProjectsUnmapped."""
        return await self._runs.foretell(await self._projects.plan(archived=archived), allow_removals=allow_removals)

    async def follow_projects(
        self, *, archived: bool, allow_removals: int | None = None, wait: bool = False, watched: Watched | None = None
    ) -> ChannelRun:
        """Do what all rows of the projects table ask for that are archived, or that are not.

        Raises Busy, ProjectsUnmapped, and GuardTripped and Declined before the first.
        """

        async def follow(plan: ChannelPlan) -> ChannelChange | None:
            project_id = ProjectId(plan.subject)
            if not await self._projects.is_still(project_id, archived=archived):
                return None
            # The guard has let the whole run pass.
            return await self.follow_project(project_id, allow_removals=1)

        async with hold(self._database, runs.LEASE, holder=self._actor, wait=wait) as lease:
            await end_left(lease, runs.KIND, at=self._now())
            run = await self._projects.plan(archived=archived)
            title = f"{'archive' if archived else 'open'} {len(run.planned)} channels of projects"
            job = Journal(lease, kind=runs.KIND, title=title, actor=self._actor, now=self._now)
            return await self._runs.apply(run, follow, watched or Watched(), allow_removals=allow_removals, job=job)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[Run]:
        """The right to make and archive channels, which nobody else has meanwhile."""
        async with self._turn, hold(self._database, archive.LEASE, holder=self._actor, wait=True) as lease:
            await self._server.bind()
            run = Run(lease, acting(self._actor), self._now)
            await self._archive.close_left(run)
            yield run
