"""Something between us and the server spoils one call of an act, and then the next, until each of them was spoilt once.

What is left is read in the server's own memory and in the rows of the file.
"""

from __future__ import annotations

import os
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.services.proxy import Spoil, between

from mmconsole.domain.filters import parse
from mmconsole.errors import MmconsoleError
from mmconsole.services.checks.checks import CheckRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conftest import World

    Act = Callable[[World], Awaitable[Any]]
    Prepare = Callable[[World], Awaitable[None]]

EVERY = 1 if os.environ.get("MMCONSOLE_TEST_FAULTS") == "all" else 6
"""`make faults` spoils every call of an act, `make test` every sixth."""
PATIENCE = 0.3
MOST_CALLS = 60
GRACE = 600


async def nothing(world: World) -> None:
    """The user is new."""


async def a_token(world: World) -> None:
    await world.sync()


async def no_token(world: World) -> None:
    await world.sync()
    world.edit("1", mattermost_token=None)


async def a_dead_token(world: World) -> None:
    await world.sync()
    world.server.state.remove_token(world.token("1"))
    world.sql("UPDATE mmconsole_tokens SET health = 'revoked', cause = 'revoked'")


async def a_disabled_token(world: World) -> None:
    await world.sync()
    await world.ask("revoke", "1")


async def a_revocation_in_time(world: World) -> None:
    await a_disabled_token(world)
    world.later(GRACE + 10)


ACTS: dict[str, tuple[Prepare, Act]] = {
    "sync": (nothing, lambda world: world.sync()),
    "generate": (no_token, lambda world: world.ask("generate", "1")),
    "repair": (a_dead_token, lambda world: world.ask("repair", "1")),
    "rotate": (a_token, lambda world: world.ask("rotate", "1")),
    "revoke": (a_token, lambda world: world.ask("revoke", "1")),
    "revoke now": (a_token, lambda world: world.ask("revoke", "1", at_once=True)),
    "undo": (a_disabled_token, lambda world: world.ask("undo", "1")),
    "end a revocation": (a_revocation_in_time, lambda world: world.recover()),
}


def live(world: World) -> list[Any]:
    return [token for token in world.server.marked if token.is_active]


async def put_right(world: World, act: str) -> None:
    """The network is whole again: what an operator would do next, some minutes later."""
    await world.recover()
    world.later(400)
    await world.recover()
    with suppress(MmconsoleError):
        await ACTS[act][1](world)
    world.later(GRACE + 10)
    await world.recover()


def assert_as_asked(world: World, act: str) -> None:
    world.assert_in_order()
    assert world.sql("SELECT kind FROM mmconsole_intents") == []
    if act in {"revoke", "revoke now", "end a revocation"}:
        assert world.server.marked == []
        assert (world.record("1")["withheld"], world.row("1")["mattermost_token"]) == (1, None)
    else:
        world.assert_in_step("1")
        assert len(live(world)) == 1


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("how", Spoil)
async def test_whichever_call_is_spoilt_nothing_is_lost_and_nothing_done_twice(
    new_world: Callable[..., Any], act: str, how: Spoil
) -> None:
    prepare, do = ACTS[act]
    for chosen in range(1, MOST_CALLS, EVERY):
        async with new_world() as world, between(world.url, patience=PATIENCE) as proxy:
            world.add("ann@x.test", verified=True)
            await prepare(world)
            before, secret = world.url, world.secret("1") if world.row("1").get("mattermost_token") else None

            world.url = proxy.url
            world.set(mattermost__timeout=PATIENCE)
            proxy.spoil(lambda call, chosen=chosen: how if call == chosen else None)  # type: ignore[misc]
            with suppress(MmconsoleError):
                await do(world)
            world.url = before
            world.set(mattermost__timeout=30)

            try:
                assert len(live(world)) <= 2, "never more than two live tokens"
                assert_nothing_lost(world, secret)
                world.end_leases()
                await put_right(world, act)
                assert_as_asked(world, act)
            except BaseException as fault:
                fault.add_note(f"call {chosen} was spoilt: {proxy.spoilt}")
                raise
            if not proxy.spoilt:
                assert chosen > 1, "nothing was ever spoilt"
                return
    pytest.fail("it never came to its end")


def assert_nothing_lost(world: World, secret: str | None) -> None:
    """A token that we know and that lives is the one whose secret is stored."""
    stored = world.secret("1") if world.row("1").get("mattermost_token") else None
    token_id = world.record("1").get("token_id")
    if stored and token_id in world.server.state.tokens:
        assert world.server.state.by_secret[stored].id == token_id
    old = world.server.state.by_secret.get(secret or "")
    if old is not None and old.is_active and stored != secret:
        assert stored is not None, "a secret that worked was lost"


@pytest.mark.parametrize("seed", range(max(1, 8 // EVERY)))
async def test_a_line_that_spoils_calls_at_random_costs_tries_and_nothing_else(world: World, seed: int) -> None:
    """One call in fifteen, in every way there is; what a run did not come to is left to the next."""
    chance = random.Random(seed)
    ids = [world.add(f"p{number}@x.test", verified=True) for number in range(20)]
    world.set(mattermost__timeout=PATIENCE, guard__removals=1000)

    def choose(_: int) -> Spoil | None:
        return chance.choice(list(Spoil)) if chance.random() < 1 / 15 else None

    async with between(world.url, patience=PATIENCE) as proxy:
        straight, world.url = world.url, proxy.url
        proxy.spoil(choose)
        for act in ("sync", "rotate", "repair", "revoke", "undo", "check", "sync"):
            await _under_fire(world, act)
            world.end_leases()
            assert all(len(user.tokens) <= 2 for user in world.server.people), "never more than two live tokens"
        world.url = straight
    world.set(mattermost__timeout=30)

    assert len(proxy.spoilt) > 10
    world.later(400)
    await world.recover()
    await world.ask("undo", wanted=parse(""))
    await world.ask("repair", *ids)
    world.later(GRACE + 10)
    summary = await world.sync(full=True)
    assert summary.counts == {"unchanged": 20}, summary.listed
    world.assert_in_step(*ids)


async def _under_fire(world: World, act: str) -> None:
    with suppress(MmconsoleError):
        if act == "sync":
            await world.sync(full=True)
        elif act == "check":
            async with world.core() as core:
                await core.checks.run(CheckRequest(deep=True))
        else:
            await world.ask(act, wanted=parse(""))
