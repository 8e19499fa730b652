"""The way to the server: one client for the whole process, and none that is left behind."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from mmconsole.errors import Unreachable
from mmconsole.mattermost.transport import AiohttpTransport

if TYPE_CHECKING:
    from tests.conftest import World


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
        left = transports() - others
        await world.start()
        await core.server.client()

        assert left == 0
        assert transports() - others == 1
