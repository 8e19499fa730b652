"""A disk that is full, for real: the database lies on a small file system in memory, and something else fills it."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from mmconsole.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import World

    from mmconsole.domain.users import UserId

ROOM = 8 * 1024 * 1024


@contextmanager
def mounted(folder: Path, room: int) -> Iterator[Path]:
    """An empty file system of so many bytes in this folder."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(folder)]
    done = shutil.which("mount") and not subprocess.run(command, capture_output=True, check=False).returncode
    if not done:
        if os.environ.get("CI"):
            pytest.fail("a file system in memory could not be mounted; run it as root")
        pytest.skip("mounting a file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, ROOM) as disk:
        yield disk


@pytest.fixture
def home(disk: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The databases lie on that disk."""
    monkeypatch.setenv("XDG_DATA_HOME", str(disk))
    return disk


class Filler:
    """Somebody's big file."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "filler"

    def leave(self, room: int) -> None:
        """Take everything but so many bytes."""
        self._file.write_bytes(b"")
        free = shutil.disk_usage(self._file.parent).free
        self._file.write_bytes(b"\0" * max(0, free - room))

    def go(self) -> None:
        self._file.unlink()


async def nothing_is_lost(world: World, ids: list[UserId]) -> None:
    """After a first sync that was broken off."""
    world.end_leases()
    await world.recover()
    known = {record["token_id"] for record in world.records()}
    assert {token.id for token in world.server.marked} <= known, "a live token that nobody stores"
    world.later(400)
    await world.recover()
    await world.sync(full=True)
    world.assert_in_step(*ids)
    assert len(world.server.people) == len(ids), "nobody has two accounts"


@pytest.mark.parametrize("room", [0, 64 * 1024, 192 * 1024, 448 * 1024])
async def test_a_disk_that_fills_up_ends_a_sync_and_loses_nothing(world: World, disk: Path, room: int) -> None:
    ids = [world.add(f"p{number}@x.test", verified=True) for number in range(60)]
    filler = Filler(disk)
    filler.leave(room)

    try:
        fault: BaseException | None = (await world.sync()).fault
    except DatabaseError as refused:
        fault = refused

    assert isinstance(fault, DatabaseError), "it is told, and not passed over"
    made = len(world.server.marked)
    assert made < 60
    filler.go()
    await nothing_is_lost(world, ids)


@pytest.mark.parametrize("act", ["rotate", "revoke"])
@pytest.mark.parametrize("room", [0, 48 * 1024, 128 * 1024])
async def test_a_disk_that_fills_up_ends_what_is_done_to_tokens_and_loses_nothing(
    world: World, disk: Path, act: str, room: int
) -> None:
    ids = [world.add(f"p{number}@x.test", verified=True) for number in range(40)]
    world.set(guard__removals=100)
    await world.sync()
    filler = Filler(disk)
    filler.leave(room)

    try:
        fault: BaseException | None = (await world.ask(act, *ids)).fault
    except DatabaseError as refused:
        fault = refused

    assert isinstance(fault, DatabaseError)
    filler.go()
    world.end_leases()
    assert all(len(user.tokens) <= 2 for user in world.server.people), "never more than two live tokens"
    world.later(400)
    await world.recover()
    await world.ask("undo", *ids)
    await world.ask("repair", *ids)
    world.assert_in_step(*ids)
