"""kill -9 at every step: afterwards there is nothing that nobody knows of, and nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.secrets import seal_keys

if TYPE_CHECKING:
    from tests.conftest import World

Prepare = Callable[["World"], Awaitable[list[str]]]
MOST_STEPS = 200


class Killer:
    """The other program."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _ask(self, order: dict[str, Any]) -> str:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    async def sync(self, world: World, *, deadly: int) -> str:
        order = {
            "deadly": deadly,
            "profile": world.settings.profile,
            "flags": {key: value for key, (_, value) in world.flags.items()} | {"mattermost.max_concurrency": 1},
            "seal_keys": seal_keys.as_text(world.seal_keys).reveal(),
            "admin_token": world.admin_token,
        }
        return await asyncio.to_thread(self._ask, order)


@pytest.fixture
def killer(home: Path) -> Iterator[Killer]:
    program = Path(__file__).with_name("killed_sync.py")
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Killer(process)
        assert process.stdin
        process.stdin.close()


async def a_newcomer(world: World) -> list[str]:
    return [world.add("ann@x.test")]


async def a_link(world: World) -> list[str]:
    world.server.add("ann@x.test", "somebody", email_verified=True)
    return [world.add("ann@x.test", verified=True)]


async def a_replaced_token(world: World) -> list[str]:
    """The application emptied its column; the old token still lives."""
    ann = world.add("ann@x.test")
    await world.sync()
    world.edit(ann, mattermost_token=None)
    return [ann]


async def a_change(world: World) -> list[str]:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    world.rename(ann, "Anna", "Leigh")
    world.edit(ann, email="new@x.test")
    return [ann]


async def somebody_coming_back(world: World) -> list[str]:
    world.set(sync__deactivate=True)
    ann = world.add("ann@x.test")
    await world.sync()
    world.leave(ann)
    await world.sync()
    world.come_back(ann)
    return [ann]


async def killed_at_every_step(
    killer: Killer,
    new_world: Callable[..., Any],
    prepare: Prepare,
    check: Callable[[World, list[str]], Awaitable[None]],
) -> int:
    """Returns how many steps there were to be killed at."""
    for deadly in range(1, MOST_STEPS):
        async with new_world() as world:
            ids = await prepare(world)
            ending = await killer.sync(world, deadly=deadly)
            assert ending in {"killed", "finished"}, (deadly, ending)
            world.end_leases()
            try:
                await check(world, ids)
            except BaseException as fault:
                fault.add_note(f"killed at step {deadly}")
                raise
            if ending == "finished":
                return deadly - 1
    pytest.fail("it never came to its end")


async def comes_into_step(world: World, ids: list[str]) -> None:
    accounts = len(world.server.people)
    await world.recover()
    world.later(400)

    summary = await world.sync(full=True)

    assert summary.troubled == 0, summary.listed
    world.assert_in_step(*ids)
    assert len(world.server.people) == max(accounts, 1)
    assert (await world.sync()).counts == {"unchanged": len(ids)}


@pytest.mark.parametrize("prepare", [a_newcomer, a_link, a_replaced_token, a_change, somebody_coming_back])
async def test_killed_at_any_step_the_next_runs_bring_everything_into_step(
    killer: Killer, new_world: Callable[..., Any], prepare: Prepare
) -> None:
    steps = await killed_at_every_step(killer, new_world, prepare, comes_into_step)

    assert steps > 20


async def test_killed_while_somebody_is_removed_the_next_run_completes_it(
    killer: Killer, new_world: Callable[..., Any]
) -> None:
    async def leaving(world: World) -> list[str]:
        world.set(sync__deactivate=True)
        ann = world.add("ann@x.test")
        await world.sync()
        world.leave(ann)
        return [ann]

    async def is_removed_and_can_come_back(world: World, ids: list[str]) -> None:
        await world.sync()
        world.assert_in_order()
        account = world.server.account("ann@x.test")
        assert account.tokens == ()
        assert account.delete_at
        world.come_back(ids[0])
        assert (await world.sync()).counts == {"reactivated": 1}
        world.assert_in_step(*ids)

    steps = await killed_at_every_step(killer, new_world, leaving, is_removed_and_can_come_back)

    assert steps > 20


async def test_without_recover_and_without_waiting_the_next_sync_is_enough_once_the_server_has_settled(
    killer: Killer, new_world: Callable[..., Any]
) -> None:
    async def syncs_alone(world: World, ids: list[str]) -> None:
        summary = await world.sync()
        assert summary.troubled == 0, summary.listed
        world.later(400)
        await world.sync()
        world.assert_in_step(*ids)

    await killed_at_every_step(killer, new_world, a_newcomer, syncs_alone)
