"""kill -9 at every step of what is done to tokens: no secret is lost, and no token lives that nobody knows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World
    from tests.faults.services.conftest import Killer

GRACE = 600


async def in_step(world: World) -> list[str]:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    return [ann]


async def without_a_token(world: World) -> list[str]:
    ids = await in_step(world)
    world.edit(ids[0], mattermost_token=None)
    return ids


async def with_a_dead_token(world: World) -> list[str]:
    ids = await in_step(world)
    world.server.state.remove_token(world.token(ids[0]))
    world.sql("UPDATE mmconsole_tokens SET health = 'revoked', cause = 'revoked'")
    return ids


async def with_a_secret_of_another(world: World) -> list[str]:
    """As a deep check finds it: what is stored is not the secret of the token that we know."""
    ids = await with_a_dead_token(world)
    account = world.server.account("ann@x.test")
    other = world.server.state.add_token(account, world.record(ids[0])["description"])
    cause = "stored secret is not this token's"
    world.sql("UPDATE mmconsole_tokens SET token_id = ?, cause = ?", other.id, cause)
    return ids


async def with_a_disabled_token(world: World) -> list[str]:
    ids = await in_step(world)
    world.server.disable(world.token(ids[0]))
    await world.sync()
    return ids


async def about_to_be_revoked(world: World) -> list[str]:
    ids = await in_step(world)
    await world.ask("revoke", *ids)
    return ids


async def ends_with_one_token(world: World, ids: list[str], *, act: str) -> None:
    (ann,) = ids
    assert len(world.server.marked) <= 2, "never more than two live tokens"
    before = world.secret(ann) if world.row(ann)["mattermost_token"] else None
    token = world.server.state.by_secret.get(before or "")
    alive = token is not None and token.is_active

    await world.recover()
    if alive:
        assert world.secret(ann) == before, "a secret that worked was lost"
        assert world.token(ann).is_active
    world.later(400)
    await world.recover()
    await world.ask(act, ann)

    world.assert_in_step(ann)
    assert len(world.server.marked) == 1


@pytest.mark.parametrize(
    ("act", "prepare"),
    [
        ("generate", without_a_token),
        ("repair", with_a_dead_token),
        ("repair", with_a_secret_of_another),
        ("repair", with_a_disabled_token),
        ("rotate", in_step),
        ("generate", about_to_be_revoked),
    ],
)
async def test_killed_while_a_token_is_made_the_next_runs_leave_one_that_works(
    killer: Killer, new_world: Callable[..., Any], act: str, prepare: Callable[[World], Any]
) -> None:
    check = partial(ends_with_one_token, act=act)

    steps = await killer.at_every_step(new_world, prepare, check, act=("tokens", act, "ann@x.test"))

    assert steps > 20


async def is_revoked_in_time_unless_it_never_began(world: World, ids: list[str]) -> None:
    (ann,) = ids
    begun = world.sql("SELECT kind FROM mmconsole_intents") == [("revoke",)]
    token = world.token(ann)
    await world.recover()
    assert token.is_active is not begun
    if begun:
        assert world.record(ann)["withheld"] == 1
    world.later(GRACE + 10)

    recovered = await world.recover()

    assert recovered.ended == ((token.id,) if begun else ())
    assert (token.id in world.server.state.tokens) is not begun
    world.assert_in_order()
    assert (await world.sync()).counts == ({"left alone": 1} if begun else {"unchanged": 1})


async def is_disabled_as_before(world: World, ids: list[str]) -> None:
    """Whether the revocation was taken back or not, nobody enables what was disabled before."""
    (ann,) = ids
    token = world.token(ann)
    await world.recover()
    await world.ask("undo", ann)

    assert not token.is_active
    assert (world.record(ann)["health"], world.record(ann)["withheld"]) == ("disabled", 1)
    assert world.sql("SELECT kind FROM mmconsole_intents") == []
    world.later(GRACE + 10)
    await world.recover()
    assert token.id in world.server.state.tokens


async def disabled_and_about_to_be_revoked(world: World) -> list[str]:
    ids = await with_a_disabled_token(world)
    await world.ask("revoke", *ids)
    return ids


async def is_revoked_for_good(world: World, ids: list[str]) -> None:
    (ann,) = ids
    begun = bool(world.sql("SELECT 1 FROM mmconsole_intents")) or world.record(ann)["withheld"]

    await world.recover()

    assert (world.server.marked == []) is bool(begun)
    assert (world.row(ann)["mattermost_token"] is None) is bool(begun)
    assert world.sql("SELECT kind FROM mmconsole_intents") == []
    await world.sync()
    assert (world.server.marked == []) is bool(begun), "a sync makes no token for who is withheld"


async def works_again_unless_it_never_began(world: World, ids: list[str]) -> None:
    (ann,) = ids
    begun = world.sql("SELECT kind FROM mmconsole_intents") != [("revoke",)]

    await world.recover()

    assert world.token(ann).is_active is begun
    if not begun:
        await world.ask("undo", ann)
    world.later(GRACE + 10)
    assert (await world.sync()).counts == {"unchanged": 1}
    world.assert_in_step(ann)


@pytest.mark.parametrize(
    ("words", "prepare", "check"),
    [
        (("revoke",), in_step, is_revoked_in_time_unless_it_never_began),
        (("revoke now",), in_step, is_revoked_for_good),
        (("undo",), about_to_be_revoked, works_again_unless_it_never_began),
        (("revoke",), with_a_disabled_token, is_disabled_as_before),
        (("undo",), disabled_and_about_to_be_revoked, is_disabled_as_before),
    ],
)
async def test_killed_while_a_token_is_revoked_or_brought_back_the_next_run_completes_it(
    killer: Killer, new_world: Callable[..., Any], words: tuple[str], prepare: Any, check: Any
) -> None:
    steps = await killer.at_every_step(new_world, prepare, check, act=("tokens", *words, "ann@x.test"))

    assert steps > 10


async def test_killed_while_a_revocation_ends_the_next_run_ends_it(
    killer: Killer, new_world: Callable[..., Any]
) -> None:
    async def due(world: World) -> list[str]:
        ids = await about_to_be_revoked(world)
        world.later(GRACE + 10)
        return ids

    await killer.at_every_step(new_world, due, is_revoked_for_good, act=("sync",))
