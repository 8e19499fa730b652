"""The application's projects as they are read, and the channels that are remembered for them."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mmconsole.config import Settings, load_settings
from mmconsole.database import Database, migrate, open_database
from mmconsole.domain.channels import ChannelId, Project, ProjectChannel, ProjectId

Attach = Callable[..., Settings]
NOW = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)
ONE, TWO = ChannelId("c" * 26), ChannelId("d" * 26)


def mapped(attached: Settings, **names: str | None) -> Settings:
    flags = {f"database.projects.{field}": ("test", name) for field, name in names.items()}
    return load_settings(environment={}, flags=flags | {"database.url": ("test", attached.values.database.url)})


async def test_a_link_comes_back_as_it_was_saved(database: Database) -> None:
    link = ProjectChannel(ProjectId("7"), ONE, NOW, archived_with_project=True)
    await database.write(lambda tx: tx.projects.save(ProjectChannel(ProjectId("7"), TWO, NOW)))

    await database.write(lambda tx: tx.projects.save(link))

    assert await database.read(lambda db: db.projects.channel_of(ProjectId("7"))) == link
    assert await database.read(lambda db: db.projects.of_channel(ONE)) == link
    assert await database.read(lambda db: db.projects.of_channel(TWO)) is None
    assert await database.read(lambda db: db.projects.channel_of(ProjectId("8"))) is None


async def test_projects_of_an_application_are_read_by_their_own_names(attach: Attach) -> None:
    attached = attach(
        more="""
        CREATE TABLE "the projects" (no integer primary key, title text, ended datetime, "team {x}" text);
        INSERT INTO "the projects" VALUES (3, 'Bridge', NULL, 'main'), (1, NULL, '2024-01-01 00:00:00', '');
        """
    )
    settings = mapped(attached, table="the projects", id="no", name="title", archived_at="ended", team="team {x}")
    migrate(settings)
    bridge, over = Project(ProjectId("3"), "Bridge", "main"), Project(ProjectId("1"), "", None, archived=True)
    async with open_database(settings) as database:
        assert await database.read(lambda db: db.projects.mapped)
        assert await database.read(lambda db: db.projects.find(ProjectId("3"))) == bridge
        assert await database.read(lambda db: db.projects.page(None, 1)) == [over]
        assert await database.read(lambda db: db.projects.page(ProjectId("1"), 5)) == [bridge]


@pytest.mark.parametrize("project_id", ["03", " 3", "x", "9" * 30, "3; DROP TABLE projects", ""])
async def test_an_id_that_no_row_can_have_finds_none(database: Database, project_id: str) -> None:
    assert await database.read(lambda db: db.projects.find(ProjectId(project_id))) is None


async def test_columns_that_are_not_there_say_nothing(attach: Attach) -> None:
    attached = attach(
        more="CREATE TABLE projects (id text primary key, name text); INSERT INTO projects VALUES ('ä', 'B');"
    )
    settings = mapped(attached, table="projects", archived_at=None)
    migrate(settings)
    async with open_database(settings) as database:
        found = await database.read(lambda db: db.projects.find(ProjectId("ä")))

    assert found == Project(ProjectId("ä"), "B")


async def test_without_a_projects_table_there_are_none(laravel: Database) -> None:
    assert not await laravel.read(lambda db: db.projects.mapped)
    assert await laravel.read(lambda db: db.projects.find(ProjectId("1"))) is None
    assert await laravel.read(lambda db: db.projects.page(None, 5)) == []


async def test_the_embedded_database_has_projects_of_its_own(database: Database) -> None:
    assert await database.read(lambda db: db.projects.mapped)
    assert await database.read(lambda db: db.projects.page(None, 5)) == []
