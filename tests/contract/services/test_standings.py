"""What is looked up for one user alone: where the token is kept, who made it, and what only the server knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mmconsole.domain.accounts import AccountId
from mmconsole.errors import MattermostError, NotFound
from mmconsole.services.overview import Origin
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.conftest import World


async def test_who_made_a_token_and_where_it_is_kept_is_told_without_the_token(any_world: World) -> None:
    world = any_world
    ann = world.add("ann@x.test", verified=True)
    await world.sync()

    async with world.core() as core:
        origin = await core.overview.origin(ann)

    assert origin.form == world.load().values.tokens.storage
    assert (origin.key_id != "") is (origin.form == "sealed")
    assert origin.made is not None
    assert origin.job is not None
    assert origin.job.kind == "sync"
    assert str(world.row(ann)["mattermost_token"]) not in repr(origin)
    assert world.secret(ann) not in repr(origin)


async def test_of_a_token_that_was_not_made_here_nobody_is_named(world: World) -> None:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    world.sql("UPDATE mmconsole_tokens SET token_id = 'another'")

    async with world.core() as core:
        origin = await core.overview.origin(ann)

    assert (origin.made, origin.job) == (None, None)


async def test_of_who_has_no_token_there_is_nothing_to_tell(world: World) -> None:
    ann = world.add("ann@x.test", verified=True)

    async with world.core() as core:
        assert await core.overview.origin(ann) == Origin()


async def test_roles_and_teams_are_asked_for_once_and_remembered_with_their_time(world: World) -> None:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    account = world.token(ann).user_id

    async with world.core() as core:
        before = core.standings.find(AccountId(account))
        asked = await core.standings.ask(AccountId(account))
        known = core.standings.find(AccountId(account))

    assert before is None
    assert "system_user" in asked.roles
    assert asked.teams == ("main",)
    assert known is asked


async def test_an_account_that_is_gone_is_no_account_without_roles(world: World) -> None:
    async with world.core() as core:
        with pytest.raises(NotFound):
            await core.standings.ask(AccountId("x" * 26))


async def test_a_server_that_is_away_is_a_fault_and_no_answer(world: World) -> None:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    account = AccountId(world.token(ann).user_id)

    async with world.core() as core:
        await core.server.client()
        world.server.faults.add(Fault("status", "GET", "/users/{id}/teams", status=500, times=10))
        with pytest.raises(MattermostError):
            await core.standings.ask(account)
        assert core.standings.find(account) is None
