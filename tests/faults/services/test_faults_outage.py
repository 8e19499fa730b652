"""A server of the application's database that goes away in the middle, and a user who may do only what is needed."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import make_url
from tests.servers.fixtures import demand
from tests.servers.server import Server

from mmconsole.database import grants

ADDS_SOMEBODY = {
    "postgresql": "CREATE ROLE {name} LOGIN PASSWORD 'geheim'",
    "mariadb": "CREATE USER {name} IDENTIFIED BY 'geheim'",
}


@pytest.fixture(params=["postgresql", "mariadb"])
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that nobody else uses, so that it may be stopped and may know other users."""
    server = demand(request.param).new()
    server.start()
    server.create("app")
    yield server
    server.remove()


async def test_a_restart_of_the_database_in_the_middle_of_a_sync_loses_nothing(
    own_server: Server, new_world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.database.outage.PATIENCE", 600.0)
    async with new_world(laravel=True, url=own_server.url("app")) as world:
        users = [world.add(f"u{number}@x.org", verified=True) for number in range(20)]

        running = asyncio.create_task(world.sync())
        await world.until(lambda: len(world.server.people) >= 5)
        await asyncio.to_thread(own_server.stop)
        await asyncio.to_thread(own_server.start)
        await asyncio.wait([running])

        # A commit under way when the server went is not known to be stored: its run ends, and the next one goes on.
        world.later(600)
        await world.recover()
        await world.sync()
        world.assert_in_step(*users)
        assert len(world.server.people) == 20


async def test_the_whole_of_a_sync_runs_with_just_the_grants(own_server: Server, new_world: Callable[..., Any]) -> None:
    async with new_world(laravel=True, url=own_server.url("app")) as world:
        users = [world.add(f"u{number}@x.org", verified=True) for number in range(5)]
        world.sql(ADDS_SOMEBODY[own_server.kind].format(name="mm"))
        restricted = make_url(world.database).set(username="mm", password="geheim")
        world.set(database__url=restricted.render_as_string(hide_password=False))
        for statement in grants(world.load()).running:
            world.sql(statement.rstrip(";"))

        await world.sync()
        world.assert_in_step(*users)
        world.rename(users[0], "Other", "Name")
        world.leave(users[1])
        await world.ask("repair", users[2], force=True)
        await world.ask("revoke", users[3], at_once=True)
        summary = await world.sync()

    assert summary.counts
    assert world.record(users[1])["token_id"] is None
    assert world.row(users[3])["mattermost_token"] is None
