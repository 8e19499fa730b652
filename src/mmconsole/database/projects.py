"""Projects: the application's rows, which are only read, and which channel is whose, which we keep."""

# ruff: noqa: S608 - names come from the settings and are quoted; values are always parameters

from typing import Final

from mmconsole.database.connection import Connection, Row
from mmconsole.database.layout import ProjectsLayout
from mmconsole.database.times import moment_of, stored
from mmconsole.domain.channels import ChannelId, Project, ProjectChannel, ProjectId

_LINKS: Final = "SELECT project_id, channel_id, linked_at, archived_with_project FROM mmconsole_projects"


class ProjectRepository:
    __slots__ = ("_connection", "_layout", "_save")

    def __init__(self, connection: Connection, layout: ProjectsLayout | None) -> None:
        self._connection = connection
        self._layout = layout
        columns = ("channel_id", "linked_at", "archived_with_project")
        self._save = connection.dialect.upsert("mmconsole_projects", ("project_id",), columns)

    # ── the application's ────────────────────────────────────────────────────────────────────────

    @property
    def mapped(self) -> bool:
        """Whether the settings name a projects table."""
        return self._layout is not None

    def find(self, project_id: ProjectId) -> Project | None:
        """A project; None when there is no such row, or no such table."""
        native = self._layout.native(project_id) if self._layout else None
        if native is None:
            return None
        row = self._connection.row(f"{self._select()} WHERE {self._column('id')} = ?", (native,))
        return _project_of(row) if row else None

    def page(self, after: ProjectId | None, limit: int) -> list[Project]:
        """The next projects in the order of the primary key; none when there is no such table."""
        if self._layout is None:
            return []
        condition, values = ("", ()) if after is None else (" WHERE {id} > ?", (self._layout.native(after),))
        key = self._column("id")
        statement = f"{self._select()}{condition.replace('{id}', key)} ORDER BY {key} LIMIT ?"
        return [_project_of(row) for row in self._connection.rows(statement, (*values, limit))]

    def _select(self) -> str:
        columns = ", ".join(map(self._column, ("id", "name", "team", "archived_at")))
        return f"SELECT {columns} FROM {self._connection.dialect.quote(self._mapped.table)}"

    def _column(self, field: str) -> str:
        name = getattr(self._mapped.names, field)
        return self._connection.dialect.quote(name) if name else "NULL"

    @property
    def _mapped(self) -> ProjectsLayout:
        if self._layout is None:
            message = "no projects table is mapped"
            raise ValueError(message)
        return self._layout

    # ── ours ─────────────────────────────────────────────────────────────────────────────────────

    def channel_of(self, project_id: ProjectId) -> ProjectChannel | None:
        """The channel that was made for a project."""
        row = self._connection.row(f"{_LINKS} WHERE project_id = ?", (project_id,))
        return _link_of(row) if row else None

    def of_channel(self, channel_id: ChannelId) -> ProjectChannel | None:
        """The project that a channel was made for."""
        row = self._connection.row(f"{_LINKS} WHERE channel_id = ?", (channel_id,))
        return _link_of(row) if row else None

    def save(self, link: ProjectChannel) -> None:
        self._connection.run(
            self._save, (link.project_id, link.channel_id, stored(link.linked_at), link.archived_with_project)
        )


def _project_of(row: Row) -> Project:
    key, name, team, archived_at = row
    return Project(ProjectId(str(key)), str(name or ""), str(team) if team else None, archived_at is not None)


def _link_of(row: Row) -> ProjectChannel:
    return ProjectChannel(ProjectId(row[0]), ChannelId(row[1]), moment_of(row[2]), archived_with_project=bool(row[3]))
