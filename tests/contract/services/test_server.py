"""The way to the server: one client for the whole process, and none that is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING

import pytest

from mmconsole.core import Keys, open_core
from mmconsole.errors import AdminTokenDead, AdminTokenTooWeak, SecretError, Unreachable
from mmconsole.mattermost.transport import AiohttpTransport

if TYPE_CHECKING:
    from tests.conftest import World

    from mmconsole.config import Settings
    from mmconsole.domain.secrets import Secret


def transports() -> int:
    gc.collect()
    return sum(isinstance(one, AiohttpTransport) for one in gc.get_objects())


async def test_a_server_that_is_not_there_yet_leaves_no_client_behind_however_often_it_is_asked(world: World) -> None:
    others = transports()
    await world.stop()
    async with world.core() as core:
        for _ in range(3):
            with pytest.raises(Unreachable):
                await core.server.client()
        # This turn of the loop still holds what has woken us.
        await asyncio.sleep(0)
        left = transports() - others
        await world.start()
        await core.server.client()

        assert left == 0
        assert transports() - others == 1


async def test_a_service_goes_on_with_the_admin_token_that_was_stored_since(world: World) -> None:
    state = world.server.state
    old = state.by_secret[world.admin_token]
    weak = state.add_token(world.server.add("weak@x.test"), "weak").secret
    async with world.core() as core:
        client = await core.server.client()
        state.remove_token(old)
        world.admin_token = weak
        with pytest.raises(AdminTokenDead):
            await client.whoami()
        for _ in range(2):
            with pytest.raises(AdminTokenTooWeak):
                await core.server.client()
        with pytest.raises(AdminTokenDead):
            # What is under way did not get the weak one.
            await client.whoami()

        world.admin_token = state.add_token(state.users[old.user_id], "new").secret

        assert "system_admin" in (await (await core.server.client()).whoami()).roles


async def test_a_keyring_that_hangs_is_asked_once_for_all_who_wait(world: World) -> None:
    asked, over = [], threading.Event()

    def hanging(settings: Settings) -> Secret:
        asked.append(settings)
        over.wait()
        raise SecretError(why="the keyring does not answer")

    async with open_core(world.load(), face="test", keys=Keys(admin_token=hanging)) as core:
        waiting = [asyncio.create_task(core.server.client()) for _ in range(8)]
        await asyncio.sleep(0)
        over.set()
        heard = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(fault) for fault in heard] == [SecretError] * 8
    assert len(asked) == 1
