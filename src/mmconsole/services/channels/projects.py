"""The channels of the application's projects: one each, made when it is first asked for, archived with its project."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from mmconsole.config import Settings
from mmconsole.database import Database, Snapshot
from mmconsole.domain.accounts import Team
from mmconsole.domain.channels import (
    Channel,
    ChannelChange,
    ChannelId,
    Did,
    NewChannel,
    Project,
    ProjectChannel,
    ProjectId,
    name_for,
)
from mmconsole.domain.text import fitting_name
from mmconsole.errors import (
    ChannelHidden,
    ChannelInArchive,
    ChannelTeamMissing,
    ProjectsUnmapped,
    ProjectUnknown,
    TeamUnknown,
)
from mmconsole.services.channels.archive import ChannelArchive
from mmconsole.services.channels.finder import ChannelFinder
from mmconsole.services.channels.making import ChannelMaking
from mmconsole.services.channels.runs import ChannelPlan, ChannelResult, ChannelRun, look_at
from mmconsole.services.intents import SETTLED_AFTER
from mmconsole.services.runs import Run

_PAGE = 500

Row = tuple[Project, ProjectChannel | None]
"""A row of the projects table, and which channel we remember as its."""
Seen = Mapping[ChannelId, Channel]
"""Channels as the server listed them."""


class ProjectChannels:
    def __init__(  # noqa: PLR0913 - the parts meet in channels.py
        self,
        settings: Settings,
        database: Database,
        finder: ChannelFinder,
        making: ChannelMaking,
        archive: ChannelArchive,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._database = database
        self._finder = finder
        self._making = making
        self._archive = archive
        self._now = now

    async def project(self, project_id: ProjectId, *, name: str | None, team: str | None) -> Project:
        """A project as it is told, else as the projects table has it. Raises ProjectUnknown."""
        row = await self._database.read(lambda db: db.projects.find(project_id))
        known_name = name or (row.name if row else "")
        if not known_name:
            table = self._settings.projects_table.table or "none is mapped"
            raise ProjectUnknown(project=project_id, table=table)
        return Project(project_id, known_name, team or (row.team if row else None))

    async def find_open(self, project_id: ProjectId) -> Channel | None:
        """The project's channel, if it has one that is not archived."""
        channel = await self._find(await self._link(project_id))
        return None if channel is None or channel.archived else channel

    async def open(self, project: Project, run: Run) -> ChannelChange:
        """Make sure that a project has a channel: the one it has, the one archived with it, or a new one.

        Raises ChannelInArchive for one that somebody archived by hand, and what making a channel can raise.
        """
        link = await self._link(project.id)
        channel = await self._find(link)
        if link is None or channel is None:
            return await self._make(project, run)
        if channel.archived and not link.archived_with_project:
            raise ChannelInArchive(channel=channel.address)
        return await self._archive.restore(channel, run)

    async def close(self, project_id: ProjectId, run: Run, *, confirmed: int | None) -> ChannelChange | None:
        """Archive a project's channel; None when it has none. Raises GuardTripped."""
        await self._making.link_left(project_id, run)
        link = await self._link(project_id)
        channel = await self._find(link)
        if channel is None:
            return None
        return await self._archive.archive(channel, run, confirmed=confirmed, of=link)

    # ── all of the table ─────────────────────────────────────────────────────────────────────────

    async def plan(self, *, archived: bool) -> ChannelRun:
        """What the rows that are archived, or those that are not, ask for; nothing is changed.

        A channel whose row is gone is left alone: a table that cannot be read whole must not archive anything.
        Raises ProjectsUnmapped.
        """
        rows = await self._rows(archived=archived)
        seen = await self._seen(list(rows.values()))

        async def look(project_id: str) -> ChannelPlan | ChannelResult:
            project, link = rows[ProjectId(project_id)]
            channel = seen.get(link.channel_id) if link else None
            return await self._foresee(project, link, channel or await self._find(link))

        return await look_at(list(rows), look)

    async def is_still(self, project_id: ProjectId, *, archived: bool) -> bool:
        """Whether there is such a row, and it says so now."""
        row = await self._database.read(lambda db: db.projects.find(project_id))
        return row is not None and row.archived is archived

    async def _rows(self, *, archived: bool) -> dict[ProjectId, Row]:
        if not await self._database.read(lambda db: db.projects.mapped):
            raise ProjectsUnmapped
        rows: dict[ProjectId, Row] = {}
        after: ProjectId | None = None
        while page := await self._database.read(partial(_page, after=after)):
            rows |= {project.id: (project, link) for project, link in page if project.archived is archived}
            after = page[-1][0].id
        return rows

    async def _seen(self, rows: list[Row]) -> Seen:
        """The channels of these projects' teams, in a few lists instead of a question for each."""
        seen: dict[ChannelId, Channel] = {}
        for team in await self._teams({project.team for project, link in rows if link}):
            for archived in (False, True):
                seen |= {one.id: one async for one in self._finder.of_team(team, archived=archived)}
        return seen

    async def _teams(self, names: set[str | None]) -> set[Team]:
        """Those that there are; None is the configured one."""
        found = set()
        for name in names:
            with suppress(ChannelTeamMissing, TeamUnknown):
                found.add(await self._finder.team_for("", named=name))
        return found

    async def _foresee(
        self, project: Project, link: ProjectChannel | None, channel: Channel | None
    ) -> ChannelPlan | ChannelResult:
        """What `open` or `close` would do. Raises what they raise, as far as it is known before."""
        if channel is not None and channel.archived is project.archived:
            return ChannelResult(project.id, Did.UNCHANGED, channel.address)
        if project.archived:
            if channel is None:
                return ChannelResult(project.id, Did.UNCHANGED)
            return ChannelPlan(project.id, Did.ARCHIVED, channel.address)
        if link is None or channel is None:
            named = await self.project(project.id, name=None, team=None)
            name = name_for(named)
            team = await self._finder.team_for(name, named=named.team)
            return ChannelPlan(project.id, Did.CREATED, f"{team.name}/{name}")
        if not link.archived_with_project:
            raise ChannelInArchive(channel=channel.address)
        return ChannelPlan(project.id, Did.RESTORED, channel.address)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    async def _make(self, project: Project, run: Run) -> ChannelChange:
        name = name_for(project)
        team = await self._finder.team_for(name, named=project.team)
        display_name = fitting_name(project.name) or name
        new = NewChannel(team.id, name, display_name, private=self._settings.values.channels.private)
        made = await self._making.make_for_project(new, project.id, run)
        # An earlier run may have announced it for another team.
        channel = await self._finder.named(made.channel)
        await self._making.link_made(replace(made, channel=channel), run)
        return ChannelChange(channel, Did.CREATED)

    async def _link(self, project_id: ProjectId) -> ProjectChannel | None:
        return await self._database.read(lambda db: db.projects.channel_of(project_id))

    async def _find(self, link: ProjectChannel | None) -> Channel | None:
        """The linked channel; None when there is none, or the server says that it is gone for good.

        Raises ChannelHidden when it was made so lately that a lagging replica may say the same.
        """
        if link is None:
            return None
        channel = await self._finder.by_id(link.channel_id)
        if channel is None and abs(self._now() - link.linked_at) < SETTLED_AFTER:
            raise ChannelHidden(channel=link.channel_id)
        return channel


def _page(db: Snapshot, after: ProjectId | None) -> list[Row]:
    return [(project, db.projects.channel_of(project.id)) for project in db.projects.page(after, _PAGE)]
