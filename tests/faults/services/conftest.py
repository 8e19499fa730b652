"""A program that does what it is told and is killed at its n-th step, for every n."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.services.killing import Program, started

from mmconsole.secrets import seal_keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from tests.conftest import World

    Prepare = Callable[[World], Awaitable[list[str]]]
    """Sets the scene, and answers with the users it is about."""
    Check = Callable[[World, list[str]], Awaitable[None]]

MOST_STEPS = 200


class Killer:
    """The other program."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def at_every_step(
        self, new_world: Callable[..., Any], prepare: Prepare, check: Check, *, act: tuple[Any, ...] = ("sync",)
    ) -> int:
        """Kill an act at each of its steps, each time in a new world, and check what is left.

        An act is a sync, `tokens` with what is asked for whom, or a verb of `core.channels` with what it is about.
        Returns how many steps there were.
        """
        for deadly in range(1, MOST_STEPS):
            async with new_world() as world:
                ids = await prepare(world)
                ending = await self._run(world, deadly, act)
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

    async def _run(self, world: World, deadly: int, act: tuple[Any, ...]) -> str:
        order = {
            "act": act,
            "deadly": deadly,
            "profile": world.settings.profile,
            "flags": {key: value for key, (_, value) in world.flags.items()} | {"mattermost.max_concurrency": 1},
            "seal_keys": seal_keys.as_text(world.seal_keys).reveal(),
            "admin_token": world.admin_token,
        }
        return await self._program.tell(order)


@pytest.fixture
def killer(home: Path) -> Iterator[Killer]:
    with started("killed_sync") as program:
        yield Killer(program)
