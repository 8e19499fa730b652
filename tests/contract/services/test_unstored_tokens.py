"""Tokens with our marker that nobody here stores: shown, and revoked only when that is asked for."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.errors import Declined, GuardTripped
from mmconsole.services.tokens.unstored import Swept
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import World

    from mmconsole.domain.tokens import Token


async def yes(_: Sequence[Token]) -> bool:
    return True


async def find(world: World) -> list[str]:
    async with world.core() as core:
        return [token.id for token in await core.unstored_tokens.find()]


async def sweep(world: World, **more: Any) -> Swept:
    async with world.core() as core:
        return await core.unstored_tokens.revoke(**{"confirm": yes, **more})


async def synced(world: World, number: int = 3) -> list[str]:
    ids: list[str] = [world.add(f"p{place}@x.test", verified=True) for place in range(number)]
    await world.sync()
    return ids


async def test_where_every_token_is_stored_there_is_nothing_to_show(any_world: World) -> None:
    world = any_world
    ids = await synced(world)
    world.server.state.add_token(world.server.account("p0@x.test"), "somebody's own")

    assert await find(world) == []
    assert await sweep(world) == Swept(())
    world.assert_in_step(*ids)


async def test_what_a_restored_backup_has_forgotten_is_shown_and_revoked_when_asked_for(world: World) -> None:
    ids = await synced(world)
    backup = world.file.with_suffix(".backup")
    world.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copyfile(world.file, backup)
    await world.ask("rotate", *ids)
    forgotten = {token.id for token in world.server.marked}
    for left in world.file.parent.glob(f"{world.file.name}-*"):
        left.unlink()
    shutil.copyfile(backup, world.file)

    assert set(await find(world)) == forgotten
    await world.recover()
    assert {token.id for token in world.server.marked} == forgotten, "recover alone revokes nothing of these"
    swept = await sweep(world)

    assert set(swept.revoked) == forgotten
    assert (swept.left, swept.failed, world.server.marked) == ((), (), [])
    await world.sync()
    world.assert_in_step(*ids)


async def test_a_staging_copys_tokens_are_shown_and_nobody_elses_are_touched(world: World) -> None:
    (ann, *_) = await synced(world)
    account = world.server.account("p1@x.test")
    theirs = world.server.state.add_token(account, "mmconsole:v1:another:2:op")
    own = world.server.state.add_token(account, "by hand")

    swept = await sweep(world)

    assert swept.revoked == (theirs.id,)
    assert own.id in world.server.state.tokens
    world.assert_in_step(ann)
    rows = world.sql("SELECT job_id, detail, request_id <> '' FROM mmconsole_activity WHERE verb = 'token revoked'")
    why = f"token {theirs.id} of the account {account.id}: it carries our marker, and nobody here stores it"
    assert rows == [(swept.job_id, why, 1)]
    async with world.core() as core:
        assert (await core.jobs.show(swept.job_id or 0)).job.state == "done"


async def test_what_an_open_note_announces_is_not_shown(world: World) -> None:
    """A run beside us is about to store it."""
    await synced(world, 1)
    account = world.server.account("p0@x.test")
    made = world.server.state.add_token(account, "mmconsole:v1:x:1:op")
    world.sql(
        "INSERT INTO mmconsole_intents (operation_id, user_id, kind, account_id, description, opened_at)"
        " VALUES ('op', '1', 'token', ?, ?, ?)",
        *(account.id, made.description, 1),
    )

    assert await find(world) == []


async def test_the_guard_and_the_operator_stand_before_the_first(world: World) -> None:
    await synced(world)
    world.set(guard__removals=1, guard__percent=0)
    for number in range(2):
        world.server.state.add_token(world.server.account("p1@x.test"), f"mmconsole:v1:another:{number}:op")

    async def no(found: Sequence[Token]) -> bool:
        assert len(found) == 2
        return False

    with pytest.raises(GuardTripped):
        await sweep(world)
    with pytest.raises(Declined):
        await sweep(world, allow_removals=2, confirm=no)
    assert len(await find(world)) == 2
    assert len((await sweep(world, allow_removals=2)).revoked) == 2
    with pytest.raises(GuardTripped):
        await world.ask("revoke", "1", at_once=True)


async def test_one_that_the_server_does_not_revoke_is_told_and_one_that_is_gone_is_left(world: World) -> None:
    await synced(world)
    tokens = [
        world.server.state.add_token(world.server.account("p1@x.test"), f"mmconsole:v1:another:{number}:op")
        for number in range(2)
    ]
    world.server.faults.add(Fault("status", "POST", "/users/tokens/revoke", status=500, times=9))

    async def meanwhile(_: Sequence[Token]) -> bool:
        world.server.state.remove_token(tokens[0])
        return True

    swept = await sweep(world, confirm=meanwhile)

    assert (swept.revoked, swept.left) == ((), (tokens[0].id,))
    assert [token_id for token_id, _ in swept.failed] == [tokens[1].id]
