"""A server of the application's database whose disk is full, for real: all its files lie on a small one in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.services.test_faults_disk import Filler, mounted, nothing_is_lost
from tests.servers.fixtures import demand

from mmconsole.errors import DatabaseError, DatabaseFull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.server import Server

ROOM = 400 * 1024 * 1024
"""Both servers take a fifth of it before there is a row."""


@pytest.fixture
def disk() -> Iterator[Path]:
    """Where the account that runs the server may go, too."""
    with tempfile.TemporaryDirectory(prefix="mmconsole-disk-") as folder:
        Path(folder).chmod(0o755)
        with mounted(Path(folder), ROOM) as disk:
            yield disk


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest, disk: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    kind = demand(request.param)
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(disk))
        server = kind.new()
    server.start()
    server.create("app")
    yield server
    server.remove()


async def test_a_database_server_whose_disk_fills_up_ends_a_sync_and_loses_nothing(
    server: Server, disk: Path, new_world: Callable[..., Any]
) -> None:
    async with new_world(laravel=True, url=server.url("app")) as world:
        ids = [world.add(f"p{number}@x.test", verified=True) for number in range(60)]
        filler = Filler(disk)
        filler.leave(0)

        try:
            fault: BaseException | None = (await world.sync()).fault
        except DatabaseError as refused:
            fault = refused

        assert isinstance(fault, DatabaseFull), "it is told, and told what it is"
        filler.go()
        await nothing_is_lost(world, ids)
