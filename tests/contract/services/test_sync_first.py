"""The first sync, and the second that finds nothing to do."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mmconsole.services.look import BATCH

if TYPE_CHECKING:
    from tests.conftest import World


async def test_first_sync_gives_each_user_account_team_and_a_token_that_works(any_world: World) -> None:
    world = any_world
    ids = [world.add(f"p{number}@x.test", "Ann", f"L{number}") for number in range(20)]

    summary = await world.sync()

    assert (summary.users, summary.counts) == (20, {"created": 20})
    world.assert_in_step(*ids)
    assert len(world.server.people) == len(world.server.marked) == 20
    account = world.server.account("p3@x.test")
    assert (account.first_name, account.last_name, account.username) == ("Ann", "L3", "p3")
