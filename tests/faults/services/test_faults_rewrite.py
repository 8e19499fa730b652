"""kill -9 at every step of a rotation or restorage: every token still opens, and the next run does the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.services.killing import Program, started

from mmconsole.core import Keys, open_core
from mmconsole.domain.secrets import Secret
from mmconsole.secrets import Form, form_of, laravel_keys, open_vault, seal_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import World

    from mmconsole.domain.users import UserId

MOST_STEPS = 100
USERS = 5
ANY = [form.value for form in Form]
OLD_APP_KEY, NEW_APP_KEY = "base64:" + "A" * 43 + "=", "base64:" + "B" * 42 + "A="


class Killer:
    """The other program."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def run(self, what: str, world: World, *, deadly: int) -> str:
        flags = {key: value for key, (_, value) in world.flags.items()}
        order = {"what": what, "deadly": deadly, "profile": world.settings.profile, "flags": flags}
        return await self._program.tell(order)


@pytest.fixture
def killer(home: Path) -> Iterator[Killer]:
    with started("killed_rewrite") as program:
        yield Killer(program)


async def prepared(world: World, home: Path) -> dict[UserId, str]:
    """Users with sealed tokens, and keys in files. Returns the secrets."""
    places = {"seal": home / f"{world.settings.profile}.seal", "laravel": home / f"{world.settings.profile}.laravel"}
    for section, file in places.items():
        world.set(**{f"{section}__source": "file", f"{section}__file": str(file)})
    settings = world.load()
    seal_keys.place(settings).write(seal_keys.as_text(world.seal_keys))
    laravel_keys.store(settings, Secret(NEW_APP_KEY))
    ids = [world.add(f"user{n}@x.test") for n in range(USERS)]
    await world.sync()
    return {user_id: world.secret(user_id) for user_id in ids}


def assert_all_open(world: World, secrets: dict[UserId, str]) -> None:
    """With the keys as they are in their places now."""
    (installation,) = world.sql("SELECT value FROM mmconsole_meta WHERE name = 'installation_id'")[0]
    world.set(tokens__accept=ANY)
    vault = open_vault(world.load(), installation_id=installation)
    world.set(tokens__accept=[])
    for user_id, secret in secrets.items():
        assert vault.open(world.row(user_id)["mattermost_token"], user_id) == Secret(secret)
        fingerprint = world.record(user_id)["fingerprint"]
        assert fingerprint in {*vault.fingerprints(Secret(secret)), ""}


async def finish(world: World, what: str) -> None:
    async with open_core(world.load(), face="test", keys=Keys()) as core:
        if what == "rotate":
            rotated = await core.rotation.rotate()
            assert rotated.done.refused == rotated.done.overtaken == 0
        else:
            restored = await core.restorage.run(Form(what))
            assert restored.done.refused == restored.done.overtaken == 0


@pytest.mark.parametrize("what", ["rotate", "laravel", "plain"])
async def test_killed_at_any_step_everything_opens_and_the_next_run_does_the_rest(
    killer: Killer, new_world: Callable[..., Any], home: Path, what: str
) -> None:
    for deadly in range(1, MOST_STEPS):
        async with new_world() as world:
            secrets = await prepared(world, home)
            old = world.seal_keys.current.id
            ending = await killer.run(what, world, deadly=deadly)
            assert ending in {"killed", "finished"}, (deadly, ending)
            world.end_leases()
            try:
                assert_all_open(world, secrets)
                await finish(world, what)
                assert_all_open(world, secrets)
                assert_done(world, what, secrets, old)
            except BaseException as fault:
                fault.add_note(f"killed at step {deadly}")
                raise
            if ending == "finished":
                assert deadly > 15
                return
    pytest.fail("it never came to its end")


def assert_done(world: World, what: str, secrets: dict[UserId, str], old: str) -> None:
    texts = {world.row(user_id)["mattermost_token"] for user_id in secrets}
    assert {form_of(text) for text in texts} == {Form.SEALED if what == "rotate" else Form(what)}
    assert world.sql("SELECT state FROM mmconsole_jobs WHERE state NOT IN ('done', 'stopped')") == []
    if what == "rotate":
        keys = seal_keys.load(world.load())
        assert {text.split("$")[1] for text in texts} == {keys.current.id}
        assert (len(keys.keys), keys.current.id == old) == (1, False)
