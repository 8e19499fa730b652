"""All stored tokens into one form: over both shapes of the users table, whatever form they had."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.services.conftest import StopsWhenRewriting

from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId
from mmconsole.errors import Busy, ColumnUnfit, LaravelKeyWrong, OtherForm
from mmconsole.secrets import Form, form_of, laravel_keys
from mmconsole.services.rewrite import Kept

if TYPE_CHECKING:
    from tests.conftest import World

    from mmconsole.core import Core
    from mmconsole.secrets import Vault

FORMS = [(one, other) for one in Form for other in Form if one is not other]
OTHER_KEY = Secret("base64:" + base64.b64encode(bytes([9]) * 32).decode())

pytestmark = pytest.mark.usefixtures("small_items")


def vault_of(world: World) -> Vault:
    (installation,) = world.sql("SELECT value FROM mmconsole_meta WHERE name = 'installation_id'")[0]
    return world.vault(world.load(), installation)


def held(world: World, user_id: str) -> str:
    return str(world.row(user_id)["mattermost_token"])


def jobs(world: World) -> list[tuple[Any, ...]]:
    return world.sql("SELECT kind, state FROM mmconsole_jobs WHERE kind = 'restorage' ORDER BY id")


async def synced(world: World, number: int, storage: Form = Form.SEALED) -> list[UserId]:
    world.set(tokens__storage=storage.value)
    ids = [world.add(f"user{n}@x.test") for n in range(number)]
    await world.sync()
    return ids


@pytest.mark.parametrize(("old", "new"), FORMS)
async def test_every_token_is_moved_and_still_opens(any_world: World, old: Form, new: Form) -> None:
    world = any_world
    ids = await synced(world, 5, old)
    secrets = [world.secret(user_id) for user_id in ids]

    async with world.core() as core:
        restored = await core.restorage.run(new)

    assert (restored.done.due, restored.done.moved, restored.done.refused) == (5, 5, 0)
    assert [kept.form for kept in restored.before] == [old]
    assert sum(restored.after.values()) == 5 if restored.after else False
    assert {form_of(held(world, user_id)) for user_id in ids} == {new}
    world.set(tokens__storage=new.value)
    assert [world.secret(user_id) for user_id in ids] == secrets
    assert [world.record(user_id)["fingerprint"] for user_id in ids] == [
        vault_of(world).fingerprint(Secret(secret)) for secret in secrets
    ]
    assert jobs(world) == [("restorage", "done")]
    assert (await world.sync()).counts == {"unchanged": 5}
    world.assert_in_step(*ids)


async def test_a_second_time_there_is_nothing_to_do(world: World) -> None:
    await synced(world, 3)
    async with world.core() as core:
        await core.restorage.run(Form.LARAVEL)
        before = world.dump("leases")

        restored = await core.restorage.run(Form.LARAVEL)

    assert (restored.done.due, restored.done.moved, restored.done.job_id) == (0, 0, None)
    assert world.dump("leases") == before


async def test_a_plan_counts_and_tries_and_writes_nothing(world: World) -> None:
    ids = await synced(world, 3)
    world.edit(ids[1], mattermost_token=held(world, ids[0]))
    before = world.dump()

    async with world.core() as core:
        planned = await core.restorage.plan(Form.LARAVEL)

    assert planned.before == {Kept("sealed", world.seal_keys.current.id): 3}
    assert planned.after is None
    assert (planned.done.due, planned.done.refused) == (3, 1)
    assert world.dump() == before


async def test_what_does_not_open_stays_and_is_told_of_without_the_secret(world: World) -> None:
    ids = await synced(world, 4)
    secret = world.secret(ids[0])
    copied, broken = held(world, ids[0]), "what is this?"
    world.edit(ids[1], mattermost_token=copied)
    world.edit(ids[2], mattermost_token=broken)

    async with world.core() as core:
        restored = await core.restorage.run(Form.PLAIN)

    assert (restored.done.moved, restored.done.refused) == (2, 2)
    assert [refusal.user_id for refusal in restored.done.refusals] == [ids[1], ids[2]]
    assert "another row" in restored.done.refusals[0].why
    assert "no form that mmconsole knows" in restored.done.refusals[1].why
    assert (held(world, ids[1]), held(world, ids[2])) == (copied, broken)
    assert secret[:8] not in repr(restored)
    assert secret[:8] not in json.dumps(world.dump("meta")["activity"] + world.dump()["job_items"])


async def test_a_value_that_was_changed_meanwhile_is_not_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await synced(world, 3)
    fresh = "n3wq9jc9ab8kzfm1jd6m7w5ype"
    from mmconsole.services.rewrite import Rewrite  # noqa: PLC0415 - patched below

    exchanges = Rewrite._exchanges

    def overtaken(rewrite: Rewrite, stored: Any) -> Any:
        """The application writes between our reading and our writing."""
        found = exchanges(rewrite, stored)
        if any(one.user_id == ids[0] for one in stored):
            world.edit(ids[0], mattermost_token=fresh)
        return found

    monkeypatch.setattr(Rewrite, "_exchanges", overtaken)

    async with world.core() as core:
        restored = await core.restorage.run(Form.LARAVEL)

    assert (restored.done.moved, restored.done.overtaken) == (2, 1)
    assert held(world, ids[0]) == fresh
    assert restored.after is not None
    assert {(kept.form, count) for kept, count in restored.after.items()} == {("plain", 1), ("laravel", 2)}


async def test_a_stop_ends_it_between_two_items_and_the_next_run_does_the_rest(world: World) -> None:
    ids = await synced(world, 5)
    stop = asyncio.Event()

    async with world.core() as core:
        stopped = await core.restorage.run(Form.LARAVEL, progress=StopsWhenRewriting(stop), stop=stop)
        rest = await core.restorage.run(Form.LARAVEL)

    assert (stopped.done.due, stopped.done.moved) == (5, 2)
    assert (rest.done.due, rest.done.moved) == (3, 3)
    assert jobs(world) == [("restorage", "stopped"), ("restorage", "done")]
    assert {form_of(held(world, user_id)) for user_id in ids} == {Form.LARAVEL}


async def test_a_column_that_is_too_narrow_is_seen_before_anything_is_written(world: World) -> None:
    await synced(world, 2)
    before = world.dump("leases")

    async with world.core() as core:
        narrow(core, 200)
        with pytest.raises(ColumnUnfit, match="holds 200 characters, and a token as `laravel` has up to 228"):
            await core.restorage.run(Form.LARAVEL)
        assert (await core.restorage.plan(Form.PLAIN)).done.due == 2

    assert world.dump("leases") == before


def narrow(core: Core, width: int) -> None:
    """SQLite has no width that counts; other databases say it."""
    database = core.restorage._database
    layout = database.layout
    object.__setattr__(layout, "token_width", width)


async def test_while_a_sync_runs_it_waits_or_is_busy(world: World) -> None:
    await synced(world, 1)
    in_an_hour = time.time_ns() // 1_000 + 3_600_000_000
    world.sql("UPDATE mmconsole_leases SET holder = 'ann', expires_at = ?, acquired_at = 0", in_an_hour)

    async with world.core() as core:
        with pytest.raises(Busy, match="ann"):
            await core.restorage.run(Form.PLAIN)


# ── laravel ──────────────────────────────────────────────────────────────────────────────────────


async def test_after_a_new_app_key_everything_is_written_with_it(world: World) -> None:
    ids = await synced(world, 3, Form.LARAVEL)
    old = world.laravel_keys
    new = laravel_keys.from_text(OTHER_KEY, cipher=old.cipher, source="test")
    world.laravel_keys = laravel_keys.LaravelKeys(old.cipher, (*new.keys, *old.keys), "test")

    async with world.core() as core:
        restored = await core.restorage.run(Form.LARAVEL)

    assert restored.before == {Kept("laravel", old.current.id): 3}
    assert restored.after == {Kept("laravel", new.current.id): 3}
    world.laravel_keys = new
    world.assert_in_step(*ids)


async def test_keys_that_open_nothing_are_the_wrong_ones_and_nothing_is_written(world: World) -> None:
    await synced(world, 3, Form.LARAVEL)
    right = world.laravel_keys
    world.laravel_keys = laravel_keys.from_text(OTHER_KEY, cipher=right.cipher, source="test")
    world.add("new@x.test")
    before = world.sql("SELECT * FROM users")

    for storage in (Form.LARAVEL, Form.SEALED):
        async with world.core() as core:
            with pytest.raises(LaravelKeyWrong, match=r"None of 3 tokens in `users.mattermost_token` opens"):
                await core.restorage.run(storage)
    with pytest.raises(LaravelKeyWrong):
        await world.sync()

    assert world.sql("SELECT * FROM users") == before


async def test_one_damaged_value_does_not_make_the_keys_wrong(world: World) -> None:
    ids = await synced(world, 3, Form.LARAVEL)
    parts = json.loads(base64.b64decode(held(world, ids[0])))
    changed = base64.b64encode(json.dumps(parts | {"mac": "0" * 64}).encode()).decode()
    world.edit(ids[0], mattermost_token=changed)

    async with world.core() as core:
        restored = await core.restorage.run(Form.SEALED)

    assert (restored.done.moved, restored.done.refused) == (2, 1)
    assert "it was changed, or it was written with a key that is not in the test" in restored.done.refusals[0].why
    assert held(world, ids[0]) == changed


# ── the column and the settings ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("there", "configured"), FORMS)
async def test_another_form_in_the_column_stops_writes_with_both_ways_out(
    world: World, there: Form, configured: Form
) -> None:
    await synced(world, 1, there)
    world.set(tokens__storage=configured.value)
    world.add("new@x.test")

    with pytest.raises(OtherForm) as caught:
        await world.sync()

    assert f"`mmconsole tokens restorage --to {configured}`" in str(caught.value)
    assert f"`tokens.storage: {there}`" in str(caught.value)


@pytest.mark.parametrize("storage", list(Form))
async def test_a_new_token_is_stored_in_the_configured_form_and_others_are_read(world: World, storage: Form) -> None:
    for form in Form:
        world.set(tokens__storage=form.value, tokens__accept=[other.value for other in Form])
        world.add(f"{form}@x.test")
        await world.sync()
    world.set(tokens__storage=storage.value)

    ids = [UserId(str(user_id)) for (user_id,) in world.sql("SELECT id FROM users ORDER BY id")]

    assert [form_of(held(world, user_id)) for user_id in ids] == list(Form)
    world.assert_in_step(*ids)
