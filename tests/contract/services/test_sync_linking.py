"""Who is linked to an account that is there already, and who is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.domain.users import UserId
from mmconsole.errors import Declined, LinksUnnamed
from mmconsole.services.summary import Link, Summary, SyncRequest

if TYPE_CHECKING:
    from tests.conftest import World


async def test_verified_on_both_sides_is_linked_and_gets_a_token(any_world: World) -> None:
    world = any_world
    account = world.server.add("ann@x.test", "somebody", email_verified=True)
    ann = world.add("Ann@X.test", verified=True)

    summary = await world.sync()

    assert summary.counts == {"linked": 1}
    assert world.record(ann)["account_id"] == world.row(ann)["mattermost_user_id"] == account.id
    assert account.username == "somebody"
    assert account.first_name == "Ann"
    world.assert_in_step(ann)
    assert (await world.sync()).counts == {"unchanged": 1}


@pytest.mark.parametrize(("ours", "theirs"), [(True, False), (False, True), (False, False)])
async def test_unverified_on_either_side_is_a_conflict_and_touches_nothing(
    world: World, *, ours: bool, theirs: bool
) -> None:
    account = world.server.add("ann@x.test", email_verified=theirs)
    ann = world.add("ann@x.test", "Other", verified=ours)

    for _ in range(3):
        summary = await world.sync(full=True)
        assert summary.counts == {"conflict": 1}
        assert "--link-existing" in summary.listed[0].note

    assert (account.first_name, account.tokens) == ("", ())
    assert world.row(ann)["mattermost_user_id"] is None
    assert world.record(ann)["account_id"] is None


async def test_refused_link_is_not_asked_again_until_a_side_changes(world: World) -> None:
    account = world.server.add("ann@x.test")
    world.add("ann@x.test", verified=True)
    await world.sync()
    patches = world.server.calls["PUT /users/{id}/patch"]

    assert (await world.sync(full=True)).counts == {"conflict": 1}

    assert world.server.calls["PUT /users/{id}/patch"] == patches
    world.server.change(account, email_verified=True)
    assert (await world.sync()).counts == {"linked": 1}


async def test_single_sign_on_vouches_for_an_address(world: World) -> None:
    world.server.add("ann@x.test", auth_service="gitlab", auth_data="1")
    ann = world.add("ann@x.test", verified=True)

    assert (await world.sync()).counts == {"linked": 1}
    world.assert_in_step(ann)


@pytest.mark.parametrize("verified", [True, False])
async def test_operator_confirms_a_link_for_named_users(world: World, *, verified: bool) -> None:
    account = world.server.add("ann@x.test", email_verified=False)
    ann, other = world.add("ann@x.test", verified=verified), world.add("bo@x.test", verified=verified)
    world.server.add("bo@x.test")

    summary = await world.sync(ann, link_existing=True)

    assert summary.counts == {"linked": 1}
    assert world.record(ann)["account_id"] == account.id
    world.assert_in_step(ann)
    assert world.record(other) == {}


async def test_username_never_links(world: World) -> None:
    stranger = world.server.add("stranger@x.test", "ann", email_verified=True)
    ann = world.add("ann@x.test", username="ann", verified=True)

    summary = await world.sync()

    assert summary.counts == {"created": 1}
    assert world.record(ann)["account_id"] != stranger.id
    assert stranger.tokens == ()


UNTOUCHABLE: list[dict[str, Any]] = [
    {"is_bot": True},
    {"remote_id": "r" * 26},
    {"roles": "system_user system_admin"},
    {"roles": "system_user system_manager"},
    {"delete_at": 1_700_000_000_000},
]


@pytest.mark.parametrize("fields", UNTOUCHABLE, ids=lambda fields: next(iter(fields.items()))[0])
@pytest.mark.parametrize("confirmed", [False, True])
async def test_bots_remote_privileged_and_deactivated_accounts_are_never_linked(
    world: World, fields: dict[str, Any], *, confirmed: bool
) -> None:
    account = world.server.add("ann@x.test", first_name="Own", email_verified=True, **fields)
    ann = world.add("ann@x.test", verified=True)

    summary = await world.sync(ann, link_existing=True) if confirmed else await world.sync()

    assert summary.counts == {"conflict": 1}
    assert (account.first_name, account.tokens) == ("Own", ())
    assert world.record(ann)["account_id"] is None


TAKEN = "UPDATE mmconsole_tokens SET account_id = ? WHERE user_id = (SELECT id FROM users WHERE email = 'bo@x.test')"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (lambda world, account, _: world.server.change(account, roles="system_user system_admin"), "conflict"),
        (lambda world, account, _: world.server.change(account, is_bot=True), "conflict"),
        (lambda world, account, _: world.server.state.set_active(account, active=False), "conflict"),
        (lambda world, account, _: world.server.change(account, email_verified=False), "conflict"),
        (lambda world, account, _: world.sql(TAKEN, account.id), "conflict"),
        (lambda world, _, ann: world.edit(ann, email_verified_at=None), "skipped"),
    ],
    ids=["admin", "bot", "deactivated", "unverified", "taken", "row"],
)
async def test_what_changes_between_look_and_step_links_nobody(world: World, change: Any, outcome: str) -> None:
    """Each rule is looked at again right before the step."""
    world.add("bo@x.test")
    # Whoever leaves makes the run ask first.
    cy = world.add("cy@x.test")
    await world.sync()
    world.leave(cy)
    account = world.server.add("ann@x.test", first_name="Own", email_verified=True)
    ann = world.add("ann@x.test", verified=True)
    async with world.core() as core:

        async def meanwhile(_forecast: object) -> bool:
            change(world, account, ann)
            return True

        summary = await core.sync.run(SyncRequest(), confirm=meanwhile)

    assert summary.counts[outcome] == 1
    assert (account.first_name, account.tokens) == ("Own", ())
    assert not world.record(ann).get("account_id")


@pytest.mark.parametrize("confirmed", [False, True])
async def test_account_linked_to_another_user_is_a_conflict(world: World, *, confirmed: bool) -> None:
    first = world.add("ann@x.test", verified=True)
    await world.sync()
    world.edit(first, email="moved@x.test", email_verified_at=None)
    second = world.add("ann@x.test", verified=True)

    summary = await world.sync(second, link_existing=True) if confirmed else await world.sync()

    assert summary.counts["conflict"] == 1
    assert f"the user {first}" in summary.listed[0].note
    assert world.record(second)["account_id"] is None
    world.assert_in_step(first)


async def test_row_that_names_another_account_is_a_conflict_until_confirmed(any_world: World) -> None:
    world = any_world
    account = world.server.add("old@x.test", email_verified=True)
    ann = world.add("ann@x.test", verified=True, account_id=account.id)

    first = await world.sync()
    assert (first.counts, account.tokens) == ({"conflict": 1}, ())
    second = await world.sync(ann, link_existing=True)

    assert second.counts == {"linked": 1}
    assert account.email == "ann@x.test"
    world.assert_in_step(ann)


async def test_row_that_names_an_account_which_does_not_exist_gets_one_when_confirmed(world: World) -> None:
    ann = world.add("ann@x.test", account_id="x" * 26)

    first, second = await world.sync(), await world.sync(ann, link_existing=True)

    assert (first.counts, second.counts) == ({"conflict": 1}, {"created": 1})
    world.assert_in_step(ann)


async def test_row_that_names_the_account_of_its_address_is_linked(world: World) -> None:
    account = world.server.add("ann@x.test", email_verified=True)
    ann = world.add("ann@x.test", verified=True, account_id=account.id)

    assert (await world.sync()).counts == {"linked": 1}
    world.assert_in_step(ann)


async def test_account_that_two_records_name_makes_both_conflicts(world: World) -> None:
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    shared = world.record(ann)["account_id"]
    world.sql("UPDATE mmconsole_tokens SET account_id = ? WHERE user_id = ?", shared, bo)
    world.rename(ann, "New", "Name")

    summary = await world.sync()

    assert summary.counts == {"conflict": 2}
    assert world.server.account("ann@x.test").first_name == "Ann"


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("fields", [{"roles": "system_user system_admin"}, {"is_bot": True}], ids=["admin", "bot"])
async def test_linked_account_that_became_privileged_or_a_bot_stays_a_conflict_and_gets_nothing(
    world: World, fields: dict[str, Any], *, full: bool
) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    account = world.server.account("ann@x.test")
    world.server.state.remove_token(account.tokens[0])
    world.server.change(account, **fields)
    world.rename(ann, "New", "Name")

    for _ in range(3):
        summary = await world.sync(full=full)
        assert summary.counts == {"conflict": 1}
        world.later(60)

    assert (account.first_name, account.tokens) == ("Ann", ())
    assert world.record(ann)["health"] in {"denied", "conflict"}


async def test_account_that_is_gone_is_a_conflict_until_a_new_one_is_confirmed(world: World) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.server.state.remove_user(world.server.account("ann@x.test"))

    for _ in range(2):
        assert (await world.sync(full=True)).counts == {"conflict": 1}
        world.later(60)
        assert (await world.sync()).counts == {"conflict": 1}
    summary = await world.sync(ann, link_existing=True, full=True)

    assert summary.counts == {"created": 1}
    world.assert_in_step(ann)


async def test_withheld_user_whose_account_is_gone_gets_no_token_with_the_new_one(world: World) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.withhold(ann)
    world.server.state.remove_user(world.server.account("ann@x.test"))

    summary = await world.sync(ann, link_existing=True, full=True)

    assert summary.counts == {"created": 1}
    assert world.server.account("ann@x.test").tokens == ()


async def test_address_of_a_gone_account_that_another_one_has_names_it_and_links_it_when_confirmed(
    world: World,
) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.server.state.remove_user(world.server.account("ann@x.test"))
    successor = world.server.add("ann@x.test", "ann.new")

    first = await world.sync(full=True)
    planned = await world.plan(ann, link_existing=True, full=True)
    second = await world.sync(ann, link_existing=True, full=True)

    assert first.counts == {"conflict": 1}
    assert "@ann.new has its address" in first.listed[0].note
    assert "--link-existing" in first.listed[0].note
    assert [(link.user_id, link.email, link.username) for link in planned.links] == [(ann, "ann@x.test", "ann.new")]
    assert second.counts == {"linked": 1}
    assert world.record(ann)["account_id"] == successor.id
    world.assert_in_step(ann)


@pytest.mark.parametrize("fields", UNTOUCHABLE, ids=lambda fields: next(iter(fields.items()))[0])
async def test_gone_account_is_not_replaced_by_one_that_is_never_linked(world: World, fields: dict[str, Any]) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    world.server.state.remove_user(world.server.account("ann@x.test"))
    successor = world.server.add("ann@x.test", "ann.new", **fields)

    summary = await world.sync(ann, link_existing=True, full=True)

    assert summary.counts == {"conflict": 1}
    assert successor.tokens == ()


async def test_gone_account_is_not_replaced_by_one_of_another_user(world: World) -> None:
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test", verified=True)
    await world.sync()
    world.server.state.remove_user(world.server.account("ann@x.test"))
    world.server.state.readdress(world.server.account("bo@x.test"), "ann@x.test")

    summary = await world.sync(ann, link_existing=True, full=True)

    assert summary.counts == {"conflict": 1}
    assert f"the user {bo}" in summary.listed[0].note


# ── seeing who ───────────────────────────────────────────────────────────────────────────────────


async def test_confirmed_links_are_shown_before_anything_happens(world: World) -> None:
    account = world.server.add("ann@x.test", "somebody")
    ann, bo = world.add("Ann@x.test"), world.add("bo@x.test")
    shown = []

    async def refuse(summary: Summary) -> bool:
        shown.extend(summary.links)
        return False

    async with world.core() as core:
        with pytest.raises(Declined):
            await core.sync.run(SyncRequest(names=(ann, bo), link_existing=True), confirm=refuse)

    assert shown == [Link(UserId(ann), "Ann@x.test", "somebody")]
    assert (account.tokens, world.server.people) == ((), [account])
    assert world.sql("SELECT state FROM mmconsole_jobs") == [("stopped",)]


async def test_links_that_nobody_confirms_are_not_asked_about(world: World) -> None:
    world.server.add("ann@x.test", email_verified=True)
    world.add("ann@x.test", verified=True)

    async def refuse(_summary: Summary) -> bool:
        return False

    async with world.core() as core:
        summary = await core.sync.run(SyncRequest(), confirm=refuse)

    assert (summary.counts, summary.links) == ({"linked": 1}, [])


async def test_links_are_not_confirmed_for_everybody(world: World) -> None:
    account = world.server.add("ann@x.test")
    world.add("ann@x.test")

    for attempt in (world.sync, world.plan):
        with pytest.raises(LinksUnnamed):
            await attempt(link_existing=True)

    assert account.tokens == ()
