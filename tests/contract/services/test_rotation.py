"""Rotation of the seal key: a new key, everything under it, then the old one goes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from tests.contract.services.conftest import StopsWhenRewriting

from mmconsole.core import Core, Keys, open_core
from mmconsole.domain.secrets import Secret
from mmconsole.errors import SecretError, UsageError
from mmconsole.secrets import open_vault, seal_keys
from mmconsole.services.rewrite import Kept
from mmconsole.services.summary import SyncRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.conftest import World

    from mmconsole.domain.users import UserId
    from mmconsole.secrets import Vault

pytestmark = pytest.mark.usefixtures("small_items")


@pytest.fixture
async def ids(world: World, home: Path) -> list[UserId]:
    """Five users with sealed tokens, and the keys in a file."""
    world.set(seal__source="file", seal__file=str(home / "keys"))
    seal_keys.place(world.load()).write(seal_keys.as_text(world.seal_keys))
    added = [world.add(f"user{n}@x.test") for n in range(5)]
    await world.sync()
    return added


@asynccontextmanager
async def core_of(world: World) -> AsyncIterator[Core]:
    """A core that reads the keys from their place."""
    async with open_core(world.load(), face="test", keys=Keys(admin_token=lambda _: Secret(world.admin_token))) as core:
        yield core


def vault_of(world: World) -> Vault:
    (installation,) = world.sql("SELECT value FROM mmconsole_meta WHERE name = 'installation_id'")[0]
    return open_vault(world.load(), installation_id=installation)


def key_of(world: World, user_id: str) -> str:
    return str(world.row(user_id)["mattermost_token"]).split("$")[1]


async def test_everything_is_sealed_anew_and_the_old_key_retired(world: World, ids: list[UserId]) -> None:
    old = world.seal_keys.current.id
    secrets = [world.secret(user_id) for user_id in ids]

    async with core_of(world) as core:
        rotated = await core.rotation.rotate()

    assert (rotated.retired, rotated.kept) == ((old,), ())
    assert rotated.before == {Kept("sealed", old): 5}
    assert rotated.after == {Kept("sealed", rotated.key): 5}
    keys = seal_keys.load(world.load())
    assert [key.id for key in keys.keys] == [rotated.key] != [old]
    vault = vault_of(world)
    for user_id, secret in zip(ids, secrets, strict=True):
        assert vault.open(world.row(user_id)["mattermost_token"], user_id) == Secret(secret)
        assert world.record(user_id)["fingerprint"] == vault.fingerprint(Secret(secret))
    world.seal_keys = keys
    world.assert_in_step(*ids)
    assert (await world.sync()).counts == {"unchanged": 5}


async def test_what_does_not_open_keeps_its_key(world: World, ids: list[UserId]) -> None:
    old = world.seal_keys.current.id
    world.edit(ids[0], mattermost_token=world.row(ids[1])["mattermost_token"])

    async with core_of(world) as core:
        rotated = await core.rotation.rotate()
        world.edit(ids[0], mattermost_token=None)
        again = await core.rotation.rotate()

    assert (rotated.retired, rotated.kept, rotated.done.refused) == ((), (old,), 1)
    assert (again.key, again.retired, again.done.due) == (rotated.key, (old,), 0)


async def test_a_stop_keeps_both_keys_and_the_next_run_goes_on_with_them(world: World, ids: list[UserId]) -> None:
    old = world.seal_keys.current.id
    stop = asyncio.Event()

    async with core_of(world) as core:
        stopped = await core.rotation.rotate(progress=StopsWhenRewriting(stop), stop=stop)
        between = {key_of(world, user_id) for user_id in ids}
        rotated = await core.rotation.rotate()

    assert (stopped.done.moved, stopped.kept) == (2, (old,))
    assert between == {old, stopped.key}
    assert (rotated.key, rotated.done.moved, rotated.retired) == (stopped.key, 3, (old,))


async def test_a_process_that_lives_through_a_rotation_seals_with_the_new_key(world: World, ids: list[UserId]) -> None:
    async with core_of(world) as old:
        world.add("before@x.test")
        await old.sync.run(SyncRequest())
        async with core_of(world) as core:
            rotated = await core.rotation.rotate()
        newcomer = world.add("after@x.test")
        summary = await old.sync.run(SyncRequest())

    assert summary.troubled == 0
    assert key_of(world, newcomer) == rotated.key
    assert {key_of(world, user_id) for user_id in ids} == {rotated.key}


@pytest.mark.usefixtures("ids")
async def test_only_sealed_storage_has_a_key_to_rotate(world: World) -> None:
    world.set(tokens__storage="plain", tokens__accept=["sealed"])
    before = seal_keys.load(world.load())

    async with core_of(world) as core:
        with pytest.raises(UsageError, match=r"`tokens.storage` is not `sealed`"):
            await core.rotation.rotate()

    assert seal_keys.load(world.load()) == before


@pytest.mark.usefixtures("ids")
async def test_where_only_others_write_keys_nothing_is_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCONSOLE_SEAL_KEYS", seal_keys.as_text(world.seal_keys).reveal())
    world.set(seal__source="environment")
    before = world.dump("leases")

    async with core_of(world) as core:
        with pytest.raises(SecretError, match="export MMCONSOLE_SEAL_KEYS"):
            await core.rotation.rotate()

    assert world.dump("leases") == before


async def test_a_rotation_that_others_began_by_hand_is_brought_to_its_end(
    world: World, ids: list[UserId], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who keeps the keys in the environment puts a new one before the old one there."""
    both = seal_keys.export(world.load(), with_new=True)
    monkeypatch.setenv("MMCONSOLE_SEAL_KEYS", both.reveal())
    world.set(seal__source="environment")
    new = seal_keys.load(world.load())

    async with core_of(world) as core:
        rotated = await core.rotation.rotate()

    assert (rotated.retired, rotated.kept, rotated.unused) == ((), (), (world.seal_keys.current.id,))
    assert {key_of(world, user_id) for user_id in ids} == {new.current.id}
