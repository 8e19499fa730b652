"""Generate, repair and rotate: a token for who has none that works, and another one for who asks for it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.domain.accounts import moment_of
from mmconsole.domain.filters import parse
from mmconsole.domain.token_plans import Act
from mmconsole.domain.tokens import Health
from mmconsole.errors import Declined, TooManyMails, UsageError, UserUnknown
from mmconsole.services.tokens.tokens import ALL_BROKEN, TokenRequest, title_of
from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

    from mmconsole.services.summary import Summary


async def test_generate_makes_a_token_for_who_has_none(any_world: World) -> None:
    world = any_world
    ann, bo = await world.synced("ann@x.test", "bo@x.test")
    old = world.token(ann)
    world.edit(ann, mattermost_token=None)

    summary = await world.ask("generate", ann)

    assert summary.counts == {"token generated": 1}
    assert old.id not in world.server.state.tokens
    world.assert_in_step(ann, bo)


async def test_generate_leaves_a_token_that_works_unless_it_is_forced(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    old = world.token(ann)

    left = await world.ask("generate", ann)
    forced = await world.ask("generate", ann, force=True)

    assert left.counts == {"left alone": 1}
    assert "--force" in left.listed[0].note
    assert left.job_id is None
    assert forced.counts == {"token replaced": 1}
    assert world.token(ann).id != old.id
    world.assert_in_step(ann)


@pytest.mark.parametrize("act", ["generate", "repair"])
async def test_a_token_that_is_gone_from_the_server_is_replaced(world: World, act: str) -> None:
    (ann,) = await world.synced("ann@x.test")
    world.server.state.remove_token(world.token(ann))
    world.sql("UPDATE mmconsole_tokens SET health = 'revoked'")

    summary = await world.ask(act, ann)

    assert summary.counts == {"token generated": 1}
    world.assert_in_step(ann)


async def test_a_token_that_was_thought_dead_and_works_is_kept(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    old = world.token(ann)
    world.sql("UPDATE mmconsole_tokens SET health = 'revoked', cause = 'revoked'")

    summary = await world.ask("repair", ann)

    assert summary.counts == {"kept": 1}
    assert world.token(ann) is old
    assert world.record(ann)["cause"] == ""
    world.assert_in_step(ann)


async def test_unknown_health_is_looked_at_before_anything_is_made(new_world: Callable[..., Any]) -> None:
    """A secret of the Laravel version whose token is not known by its id."""
    async with new_world(laravel=True) as world:
        world.set(tokens__accept=["plain"])
        (ann, bo) = await world.synced("ann@x.test", "bo@x.test")
        for user, alive in ((ann, True), (bo, False)):
            world.edit(user, mattermost_token=world.secret(user))
            if not alive:
                world.server.state.remove_token(world.server.state.by_secret[world.row(user)["mattermost_token"]])
        world.sql("UPDATE mmconsole_tokens SET token_id = NULL, health = 'unknown'")

        summary = await world.ask("repair", ann, bo)

        assert summary.counts == {"kept": 1, "token generated": 1}
        assert world.record(ann)["token_id"] is not None
        world.assert_in_step(ann, bo)


async def test_a_disabled_token_without_a_known_id_needs_naming_the_user(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    token, account = world.token(ann), world.server.account("ann@x.test")
    world.sql("UPDATE mmconsole_tokens SET token_id = NULL, health = 'unknown'")
    world.server.disable(token)

    not_named = await world.ask("repair", wanted=parse("status:unknown"))

    assert not_named.counts == {"conflict": 1}
    assert token.id in not_named.listed[0].note
    assert account.tokens == (token,)
    assert (world.record(ann)["health"], world.record(ann)["withheld"]) == ("disabled", 1)
    assert token.id in world.record(ann)["cause"]
    assert (await world.sync()).counts == {"left alone": 1}
    assert account.tokens == (token,)

    assert (await world.ask("repair", ann)).counts == {"token generated": 1}
    assert world.token(ann).is_active


async def test_a_secret_that_cannot_be_opened_is_replaced_by_force(world: World) -> None:
    """As its cure says."""
    (ann,) = await world.synced("ann@x.test")
    old = world.token(ann)
    world.edit(ann, mattermost_token=world.row(ann)["mattermost_token"][:-4] + "AAAA")

    forced = await world.ask("repair", ann, force=True)

    assert forced.counts == {"token replaced": 1}
    assert old.id not in world.server.state.tokens
    world.assert_in_step(ann)


@pytest.mark.parametrize(
    ("spoil", "health", "why"),
    [
        (lambda world, account: world.server.state.set_active(account, active=False), "inactive", "reactivate"),
        (lambda world, account: world.server.change(account, roles="system_user system_admin"), "denied", "rights"),
        (lambda world, account: world.server.change(account, is_bot=True), "conflict", "bot"),
    ],
)
async def test_what_a_new_token_does_not_cure_is_told_and_no_token_is_made(
    world: World, spoil: Callable[[World, Any], None], health: str, why: str
) -> None:
    """Also when nobody knew of it before: the account is read right before a token is made."""
    (ann,) = await world.synced("ann@x.test")
    world.edit(ann, mattermost_token=None)
    spoil(world, world.server.account("ann@x.test"))
    made = world.server.calls["POST /users/{id}/tokens"]

    first = await world.ask("repair", ann)
    again = await world.ask("repair", wanted=parse(ALL_BROKEN))

    for summary in (first, again):
        assert summary.counts == {"conflict": 1}
        assert why in summary.listed[0].note
    assert again.job_id is None, "the second time it is known"
    assert world.record(ann)["health"] == health
    assert world.server.calls["POST /users/{id}/tokens"] == made


async def test_all_broken_repairs_everybody_whom_a_new_token_helps(world: World) -> None:
    ann, bo, cy, di, eve = await world.synced(*(f"{name}@x.test" for name in ("ann", "bo", "cy", "di", "eve")))
    world.edit(ann, mattermost_token=None)
    world.server.state.remove_token(world.token(bo))
    world.sql("UPDATE mmconsole_tokens SET health = 'revoked' WHERE user_id = ?", bo)
    world.server.disable(world.token(cy))
    world.sql("UPDATE mmconsole_tokens SET health = 'disabled', withheld = 1 WHERE user_id = ?", cy)
    world.leave(eve)
    fay = world.add("fay@x.test")

    summary = await world.ask("repair", wanted=parse(ALL_BROKEN))

    assert summary.counts == {"token generated": 2, "left alone": 1, "conflict": 1}
    notes = {result.user_id: result.note for result in summary.listed}
    assert "somebody disabled the token on the server; name the user" in notes[cy]
    assert f"`mmconsole sync {fay}`" in notes[fay]
    world.assert_in_step(ann, bo, di)


async def test_a_withheld_token_needs_naming_the_user_and_asks_first(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    world.server.disable(world.token(ann))
    world.sql("UPDATE mmconsole_tokens SET health = 'disabled', withheld = 1")
    asked: list[Summary] = []

    async def no(summary: Summary) -> bool:
        asked.append(summary)
        return False

    async with world.core() as core:
        with pytest.raises(Declined):
            await core.tokens.run(TokenRequest(Act.REPAIR, (ann,)), confirm=no)
    summary = await world.ask("repair", ann)

    assert asked[0].asks == {"somebody disabled the token on the server": 1}
    assert summary.counts == {"token generated": 1}
    assert world.record(ann)["withheld"] == 0
    world.assert_in_step(ann)


async def test_an_unknown_name_is_refused_and_keeps_nobody_else_waiting(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    world.edit(ann, mattermost_token=None)

    with pytest.raises(UserUnknown):
        await world.ask("generate", "nobody@x.test")
    summary = await world.ask("generate", ann, "nobody@x.test")

    assert summary.counts == {"token generated": 1, "refused": 1}
    assert [one.user_id for one in summary.listed] == ["nobody@x.test"]
    assert world.row(ann)["mattermost_token"] is not None


async def test_a_plan_says_what_would_be_done_and_does_nothing(world: World) -> None:
    world.server.state.config["EmailSettings", "SMTPServer"] = "mail.x.test"
    ids = await world.synced("ann@x.test", "bo@x.test")
    for user in ids:
        world.edit(user, mattermost_token=None)
    before = world.dump()

    async with world.core() as core:
        summary = await core.tokens.plan(TokenRequest(Act.GENERATE, tuple(ids)))

    assert summary.planned == 2
    assert summary.forecast.mails == 2
    assert world.dump() == before


async def test_the_limit_of_mails_holds_for_tokens_too(world: World) -> None:
    world.server.state.config["EmailSettings", "SMTPServer"] = "mail.x.test"
    ids = await world.synced("ann@x.test", "bo@x.test")
    world.set(sync__max_mails=1)

    with pytest.raises(TooManyMails):
        await world.ask("rotate", *ids)

    world.assert_in_step(*ids)


# ── rotate ───────────────────────────────────────────────────────────────────────────────────────


async def test_rotate_makes_before_it_breaks(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    old = world.token(ann)
    order = ("POST /users/{id}/tokens", "POST /users/tokens/disable", "POST /users/tokens/revoke")
    before = {call: world.server.calls[call] for call in order}

    summary = await world.ask("rotate", ann)

    assert summary.counts == {"token replaced": 1}
    assert {call: world.server.calls[call] - before[call] for call in order} == dict.fromkeys(order, 1)
    assert old.id not in world.server.state.tokens
    world.assert_in_step(ann)


async def test_rotate_replaces_old_tokens_and_those_that_end_soon(world: World) -> None:
    ann, bo, cy, di = await world.synced("ann@x.test", "bo@x.test", "cy@x.test", "di@x.test")
    tokens = {user: world.token(user).id for user in (ann, bo, cy, di)}
    day = 86_400_000_000
    world.sql("UPDATE mmconsole_tokens SET created_at = created_at - ? WHERE user_id = ?", 100 * day, ann)
    world.sql("UPDATE mmconsole_tokens SET expires_at = created_at + ? WHERE user_id = ?", 5 * day, bo)
    world.sql("UPDATE mmconsole_tokens SET created_at = NULL WHERE user_id = ?", cy)

    summary = await world.ask("rotate", older_than=timedelta(days=90), expiring_within=timedelta(days=14))

    assert summary.counts == {"token replaced": 3, "unchanged": 1}
    assert {user for user, token in tokens.items() if world.token(user).id != token} == {ann, bo, cy}
    world.assert_in_step(ann, bo, cy, di)


async def test_when_the_new_token_does_not_work_the_old_one_stays(world: World) -> None:
    (ann,) = await world.synced("ann@x.test")
    old = world.token(ann)
    world.server.faults.add(Fault("status", "GET", "/users/{id}/teams", status=500, times=10))

    summary = await world.ask("rotate", ann)

    assert summary.counts == {"failed": 1}
    assert world.token(ann) is old
    world.assert_in_order()


async def test_a_lost_token_keeps_a_third_one_from_being_made(world: World) -> None:
    """A token whose answer was lost may be there although a replica does not show it."""
    (ann,) = await world.synced("ann@x.test")
    world.server.faults.add(Fault("drop_after", "POST", "/users/{id}/tokens"))
    world.server.faults.add(world.stale(60, "GET", "/users/{id}/tokens", times=None))
    await world.ask("rotate", ann)
    account = world.server.account("ann@x.test")
    assert len(account.tokens) == 2

    summary = await world.ask("rotate", ann)

    assert len(account.tokens) == 2
    assert summary.counts == {"conflict": 1}
    assert "try again in a few minutes" in summary.listed[0].note
    world.server.faults.clear()
    await world.recover()
    world.assert_in_step(ann)


# ── lifetimes ────────────────────────────────────────────────────────────────────────────────────


async def test_without_a_wish_or_a_policy_a_token_has_no_end(new_world: Callable[..., Any]) -> None:
    async with new_world(version="11.10.0") as world:
        (ann,) = await world.synced("ann@x.test")

        assert world.token(ann).expires_at == 0
        assert world.record(ann)["expires_at"] is None


async def test_a_lifetime_is_set_read_back_and_spread(new_world: Callable[..., Any]) -> None:
    async with new_world(version="11.10.0") as world:
        world.set(tokens__lifetime="90d")
        ids = await world.synced(*(f"p{number}@x.test" for number in range(8)))

        days = [(world.token(user).expires_at / 1000 - world.server.clock.now()) / 86_400 for user in ids]

        assert all(80.9 < one <= 90 for one in days), days
        assert len({round(one) for one in days}) > 3
        for user in ids:
            assert world.record(user)["expires_at"] == world.token(user).expires_at * 1000


async def test_the_servers_limit_less_a_day_is_kept(new_world: Callable[..., Any]) -> None:
    async with new_world(version="11.10.0") as world:
        world.server.state.config["ServiceSettings", "MaximumPersonalAccessTokenLifetimeDays"] = 30
        world.set(tokens__lifetime="90d")
        (ann,) = await world.synced("ann@x.test")

        days = (world.token(ann).expires_at / 1000 - world.server.clock.now()) / 86_400

        assert 26 < days <= 29


async def test_an_older_server_ends_nothing_so_a_passed_lifetime_is_overdue(world: World) -> None:
    world.set(tokens__lifetime="90d")
    (ann,) = await world.synced("ann@x.test")
    assert world.record(ann)["expires_at"] is None
    world.sql("UPDATE mmconsole_tokens SET created_at = created_at - ?", 91 * 86_400_000_000)

    async with world.core() as core:
        glance = await core.overview.glance()
    summary = await world.ask("repair", ann)

    assert glance.by_status[Health.OVERDUE] == 1
    assert summary.counts == {"token replaced": 1}
    world.assert_in_step(ann)


@pytest.mark.parametrize(
    ("request_", "title"),
    [
        (TokenRequest(Act.REPAIR, wanted=parse(ALL_BROKEN)), "tokens repair --all-broken"),
        (TokenRequest(Act.ROTATE, older_than=timedelta(days=90)), "tokens rotate --older-than 90d"),
        (
            TokenRequest(Act.ROTATE, wanted=parse("status:ok -ann"), expiring_within=timedelta(days=14)),
            "tokens rotate status:ok -ann --expiring-within 14d",
        ),
        (TokenRequest(Act.REVOKE, ("7",)), "tokens revoke 7"),
        (TokenRequest(Act.REVOKE, ("7", "8")), "tokens revoke 2 users"),
        (TokenRequest(Act.UNDO, job_id=3), "tokens undo --job 3"),
    ],
)
def test_a_job_is_called_like_the_command_that_made_it(request_: TokenRequest, title: str) -> None:
    assert title_of(request_) == title


@pytest.mark.parametrize("act", Act)
def test_nobody_named_is_never_everybody(act: Act) -> None:
    with pytest.raises(UsageError, match="Nobody was named"):
        TokenRequest(act, ())


def test_an_end_beyond_every_calendar_is_no_end() -> None:
    assert moment_of(2**63 - 1) is None
