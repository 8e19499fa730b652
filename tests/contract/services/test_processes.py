"""Who held a lease and was killed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mmconsole.errors import Busy
from mmconsole.services.following import LEASE
from mmconsole.services.leases import hold
from mmconsole.services.processes import has_ended, this_process

if TYPE_CHECKING:
    from tests.conftest import World

SAYS_ITS_NAME = """
import sys
from mmconsole.services.processes import this_process
print(this_process(), flush=True)
sys.stdin.read()
"""


class Other:
    """Another process, until it is killed."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", SAYS_ITS_NAME]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.name = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()

    def end(self) -> None:
        self.kill()
        self.process.communicate()


async def held_by(world: World, process: str, *, name: str = LEASE) -> None:
    """Somebody has the lease for another hour."""
    now = datetime.now(UTC)
    async with world.core() as core:
        await core.observer._database.write(
            lambda tx: tx.leases.acquire(name, holder="other", now=now, ttl=timedelta(hours=1), process=process)
        )


def test_a_process_has_ended_when_it_was_killed_and_not_before() -> None:
    other = Other()
    try:
        before = has_ended(other.name)
        other.kill()
        other.process.wait()
        after = has_ended(other.name)
    finally:
        other.end()

    assert (before, after) == (False, True)
    assert not has_ended(this_process())


def test_one_that_nobody_has_buried_yet_has_ended() -> None:
    other = Other()
    try:
        other.kill()
        assert other.process.stdout is not None
        # Its end closes what it wrote to, while its parent has not asked for its exit code.
        other.process.stdout.read()
        while not has_ended(other.name):
            pass
        assert other.process.returncode is None
    finally:
        other.end()


@pytest.mark.parametrize("name", ["", "somebody", "another boot/pid:[1]/999999/1", "/1/1"])
def test_of_a_process_elsewhere_nothing_is_certain(name: str) -> None:
    assert not has_ended(name)


def test_a_number_that_was_given_to_another_process_is_not_the_old_one() -> None:
    machine, number, started = this_process().rsplit("/", 2)

    assert has_ended(f"{machine}/{number}/{int(started) - 1}")


async def test_an_observer_that_was_killed_is_followed_by_the_next_at_once(any_world: World) -> None:
    other = Other()
    try:
        await held_by(any_world, other.name)
        async with any_world.core() as core:
            database = core.observer._database
            with pytest.raises(Busy):
                async with hold(database, LEASE, holder="me", wait=False, inherit=True):
                    pass
            other.kill()
            other.process.wait()
            async with hold(database, LEASE, holder="me", wait=False, inherit=True) as lease:
                assert lease.fence == 2
    finally:
        other.end()


async def test_a_turn_that_was_cut_off_is_waited_out(any_world: World) -> None:
    other = Other()
    other.end()
    await held_by(any_world, other.name, name="sync")

    async with any_world.core() as core:
        with pytest.raises(Busy):
            async with hold(core.observer._database, "sync", holder="me", wait=False):
                pass
