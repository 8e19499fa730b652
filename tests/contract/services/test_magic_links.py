"""Magic links as services: issued, redeemed once, repaired if need be, and refused where somebody decided so."""

import asyncio
import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.core import Core
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    AdminTokenDead,
    LinkRefused,
    RepairedLately,
    ServerFault,
    TicketExpired,
    TicketSpent,
    TicketUnknown,
    Unreachable,
    UserUnknown,
)
from mmconsole.services.link_tokens import Held
from mmconsole.services.magic_links import IssuedLink
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.conftest import World


async def linked(world: "World", email: str = "ann@example.org") -> UserId:
    """A user with an account and a token that worked when it was looked at, which is some time ago."""
    user_id = world.add(email, verified=True)
    await world.sync()
    look_again(world)
    return user_id


def look_again(world: "World") -> None:
    """Let the checks so far be too old to be trusted."""
    world.sql("UPDATE mmconsole_tokens SET checked_at = checked_at - 90000000000")


async def issued(core: Core, user_id: str) -> IssuedLink:
    return await core.gateway.links.issue(UserId(user_id), by="key test")


def verbs(world: "World", user_id: str) -> list[str]:
    rows = world.sql("SELECT verb, level FROM mmconsole_activity WHERE user_id = ? ORDER BY id", user_id)
    return [f"{verb} {level}" for verb, level in rows if "link" in verb]


async def test_a_link_signs_in_with_the_users_own_token(world: "World") -> None:
    user_id = await linked(world)

    async with world.core() as core:
        link = await issued(core, user_id)
        entered = await core.gateway.links.redeem(link.code, at="192.0.2.1")

    assert entered.token.reveal() == link.token.reveal() == world.secret(user_id)
    assert entered.account_id == world.token(user_id).user_id
    assert verbs(world, user_id) == ["link issued info", "link redeemed info"]


async def test_of_a_ticket_only_the_digest_is_stored(world: "World") -> None:
    user_id = await linked(world)

    async with world.core() as core:
        code = (await issued(core, user_id)).code.reveal()

    assert len(code) == 43
    everything = repr(world.dump())
    assert not any(code[at : at + 8] in everything for at in range(len(code) - 8))


def held() -> int:
    return sum(isinstance(one, Held) for one in gc.get_objects())


async def test_what_could_not_be_redeemed_leaves_no_secret_to_the_collector(world: "World") -> None:
    user_id = await linked(world)

    async with world.core() as core:
        code = (await issued(core, user_id)).code
        await world.stop()
        gc.collect()
        gc.disable()
        try:
            before = held()
            with suppress(Unreachable):
                await core.gateway.links.redeem(code, at="192.0.2.1")
            # This turn of the loop still holds what has woken us.
            await asyncio.sleep(0)
            left = held() - before
        finally:
            gc.enable()

    assert left == 0


async def test_a_second_use_is_refused_and_warned_of_once(world: "World") -> None:
    user_id = await linked(world)

    async with world.core() as core:
        link = await issued(core, user_id)
        await core.gateway.links.redeem(link.code, at="")
        for _ in range(3):
            with pytest.raises(TicketSpent):
                await core.gateway.links.redeem(link.code, at="192.0.2.9")

    assert verbs(world, user_id)[2:] == ["link used again warning"]


async def test_of_a_thousand_who_come_at_once_one_gets_in(world: "World") -> None:
    user_id = await linked(world)
    before = len(world.server.marked)

    async with world.core() as core:
        link = await issued(core, user_id)
        world.server.calls.clear()
        tries = [core.gateway.links.redeem(link.code, at="") for _ in range(1_000)]
        ends = await asyncio.gather(*tries, return_exceptions=True)

    assert sum(not isinstance(end, BaseException) for end in ends) == 1
    assert {type(end) for end in ends if isinstance(end, BaseException)} == {TicketSpent}
    assert len(world.server.marked) == before


async def test_two_processes_spend_a_ticket_once(world: "World") -> None:
    user_id = await linked(world)

    async with world.core() as one, world.core() as other:
        link = await issued(one, user_id)
        both = [core.gateway.links.redeem(link.code, at="") for core in (one, other)]
        ends = await asyncio.gather(*both, return_exceptions=True)

    assert sorted(type(end).__name__ for end in ends) == ["SignIn", "TicketSpent"]


async def test_a_ticket_ends(world: "World") -> None:
    user_id = await linked(world)

    async with world.core() as core:
        link = await issued(core, user_id)
        world.sql("UPDATE mmconsole_tickets SET expires_at = issued_at")
        with pytest.raises(TicketExpired):
            await core.gateway.links.redeem(link.code, at="")


@pytest.mark.parametrize("code", ["", "x", "x" * 43, "x" * 5_000, "ü" * 43])
async def test_a_code_that_is_none_is_not_known(world: "World", code: str) -> None:
    async with world.core() as core:
        with pytest.raises(TicketUnknown):
            await core.gateway.links.redeem(Secret(code), at="")


async def test_an_outage_burns_no_ticket(world: "World") -> None:
    user_id = await linked(world)

    async with world.core() as core:
        link = await issued(core, user_id)
        world.server.faults.add(Fault("status", path="/users/{id}", times=None))
        with pytest.raises(ServerFault):
            await core.gateway.links.redeem(link.code, at="")
        world.server.faults.clear()
        entered = await core.gateway.links.redeem(link.code, at="")

    assert entered.token.reveal() == world.secret(user_id)


async def test_a_dead_token_is_replaced_once_however_many_come(world: "World") -> None:
    user_id = await linked(world)
    world.server.state.remove_token(world.token(user_id))

    async with world.core() as core:
        links = await asyncio.gather(*(issued(core, user_id) for _ in range(20)))

    assert {link.token.reveal() for link in links} == {world.secret(user_id)}
    assert len(world.server.marked) == 1
    world.assert_in_step(user_id)


async def test_two_processes_replace_a_dead_token_once(world: "World") -> None:
    user_id = await linked(world)
    world.server.state.remove_token(world.token(user_id))

    async with world.core() as one, world.core() as other:
        links = await asyncio.gather(issued(one, user_id), issued(other, user_id))

    assert {link.token.reveal() for link in links} == {world.secret(user_id)}
    world.assert_in_step(user_id)


async def test_a_missing_token_is_made(world: "World") -> None:
    user_id = await linked(world)
    world.server.state.remove_token(world.token(user_id))
    world.edit(user_id, mattermost_token=None)

    async with world.core() as core:
        link = await issued(core, user_id)

    assert link.token.reveal() == world.secret(user_id)
    assert world.sql("SELECT actor FROM mmconsole_activity WHERE verb = 'token generated'")[-1] == ("key test",)
    world.assert_in_step(user_id)


async def test_a_link_has_one_token_replaced_a_day(world: "World") -> None:
    user_id = await linked(world)

    async with world.core() as core:
        world.server.state.remove_token(world.token(user_id))
        await issued(core, user_id)
        world.server.state.remove_token(world.token(user_id))
        look_again(world)
        with pytest.raises(RepairedLately):
            await issued(core, user_id)

    assert world.server.marked == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda world, user_id: world.withhold(user_id), "an operator revoked"),
        (lambda world, user_id: world.leave(user_id), "inactive in the application"),
        (lambda world, user_id: world.server.disable(world.token(user_id)), "somebody disabled"),
        (
            lambda world, user_id: world.server.change(account_of(world, user_id), roles="system_user system_admin"),
            "administrator rights",
        ),
        (
            lambda world, user_id: world.server.state.set_active(account_of(world, user_id), active=False),
            "account inactive",
        ),
    ],
)
async def test_who_must_not_have_a_token_gets_no_link(world: "World", change: Any, why: str) -> None:
    user_id = await linked(world)
    tokens = len(world.server.marked)
    change(world, user_id)

    async with world.core() as core:
        with pytest.raises(LinkRefused) as refused:
            await issued(core, user_id)
        with pytest.raises(LinkRefused):
            await issued(core, user_id)

    assert why in str(refused.value)
    assert refused.value.http_status == 409
    assert len(world.server.marked) <= tokens
    assert world.sql("SELECT * FROM mmconsole_tickets") == []


async def test_a_revocation_between_issuing_and_redeeming_closes_the_link(world: "World") -> None:
    user_id = await linked(world)

    async with world.core() as core:
        link = await issued(core, user_id)
        await world.ask("revoke", user_id)
        with pytest.raises(LinkRefused):
            await core.gateway.links.redeem(link.code, at="")

    assert world.sql("SELECT spent_at FROM mmconsole_tickets") == [(None,)]


async def test_a_user_without_account_and_one_without_row_get_no_link(world: "World") -> None:
    user_id = world.add("ann@example.org")

    async with world.core() as core:
        with pytest.raises(LinkRefused, match="no account yet"):
            await issued(core, user_id)
        with pytest.raises(UserUnknown):
            await issued(core, "999")


async def test_an_account_that_two_users_claim_signs_in_nobody(world: "World") -> None:
    ann, bo = await linked(world), await linked(world, "bo@example.org")
    world.sql("UPDATE mmconsole_tokens SET account_id = ? WHERE user_id = ?", world.record(ann)["account_id"], bo)

    async with world.core() as core:
        for user_id in (ann, bo):
            with pytest.raises(LinkRefused):
                await issued(core, user_id)


async def test_what_an_interrupted_call_left_is_settled_before_a_new_token_is_made(world: "World") -> None:
    user_id = await linked(world)
    account = account_of(world, user_id)
    world.server.state.remove_token(world.token(user_id))
    left = world.server.state.add_token(account, "mmconsole:v1:somewhere:1:left")
    world.sql(
        "INSERT INTO mmconsole_intents VALUES ('left', ?, 'token', ?, ?, 1)", user_id, account.id, left.description
    )

    async with world.core() as core:
        link = await issued(core, user_id)

    assert link.token.reveal() == world.secret(user_id)
    world.assert_in_step(user_id)


async def test_the_settings_say_how_long_a_link_lives(world: "World") -> None:
    world.set(web__link_life="7s")
    user_id = await linked(world)

    async with world.core() as core:
        await issued(core, user_id)

    ((life,),) = world.sql("SELECT expires_at - issued_at FROM mmconsole_tickets")
    assert life == 7_000_000


def account_of(world: "World", user_id: str) -> Any:
    return world.server.state.users[world.token(user_id).user_id]


async def test_a_dead_admin_token_keeps_nobody_out_whose_own_token_works(world: "World") -> None:
    user_id = await linked(world)
    state = world.server.state

    async with world.core() as core:
        client = await core.server.client()
        state.remove_token(state.by_secret[world.admin_token])
        with pytest.raises(AdminTokenDead):
            await client.whoami()
        link = await issued(core, user_id)
        entered = await core.gateway.links.redeem(link.code, at="192.0.2.1")

    assert entered.token.reveal() == world.secret(user_id)
