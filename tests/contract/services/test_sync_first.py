"""The first sync, the second that finds nothing to do, and what follows from a change on either side."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from mmconsole.domain.text import numbered_username
from mmconsole.domain.users import User, UserId
from mmconsole.services.accounts import Accounts

if TYPE_CHECKING:
    from tests.conftest import World


def writes_of(world: World) -> int:
    """Calls that change something on the server."""
    harmless = {"POST /users/ids", "POST /users/usernames"}
    return sum(
        count
        for call, count in world.server.calls.items()
        if not call.startswith("GET") and call not in harmless and not call.endswith("/members/ids")
    )


async def test_first_sync_gives_each_user_account_team_and_a_token_that_works(any_world: World) -> None:
    world = any_world
    ids = [world.add(f"p{number}@x.test", "Ann", f"L{number}") for number in range(20)]

    summary = await world.sync()

    assert (summary.users, summary.counts) == (20, {"created": 20})
    world.assert_in_step(*ids)
    assert len(world.server.people) == len(world.server.marked) == 20
    account = world.server.account("p3@x.test")
    assert (account.first_name, account.last_name, account.username) == ("Ann", "L3", "p3")


async def test_secrets_are_stored_sealed_and_nowhere_else(any_world: World) -> None:
    world = any_world
    user = world.add("ann@x.test")

    await world.sync()

    secret = world.token(user).secret
    assert world.row(user)["mattermost_token"].startswith("mm1$")
    assert secret not in str(world.dump())
    assert hashlib.sha256(world.secret(user).encode()).digest() == hashlib.sha256(secret.encode()).digest()


async def test_second_sync_writes_nothing_on_either_side(any_world: World) -> None:
    world = any_world
    for number in range(10):
        world.add(f"p{number}@x.test", verified=number % 2 == 0)
    world.add("conflict@x.test")
    world.add("CONFLICT@x.test")
    await world.sync()
    before, writes = world.dump("meta", "leases"), writes_of(world)

    summary = await world.sync()

    assert summary.counts == {"unchanged": 10, "conflict": 2}
    assert summary.job_id is None
    assert world.dump("meta", "leases") == before
    assert writes_of(world) == writes


@pytest.mark.parametrize("full", [False, True])
async def test_calls_of_a_sync_without_changes_do_not_grow_with_the_users(world: World, *, full: bool) -> None:
    for number in range(60):
        world.add(f"p{number}@x.test")
    await world.sync()
    before = sum(world.server.calls.values())

    await world.sync(full=full)

    assert sum(world.server.calls.values()) - before <= 16


@pytest.mark.parametrize("full", [False, True])
async def test_name_changed_in_the_application_changes_the_account(any_world: World, *, full: bool) -> None:
    world = any_world
    ann, bo = world.add("ann@x.test"), world.add("bo@x.test")
    await world.sync()
    world.rename(ann, "Anna", "Leigh")
    before = world.server.account("bo@x.test").update_at

    summary = await world.sync(full=full)

    assert summary.counts == {"updated": 1, "unchanged": 1}
    account = world.server.account("ann@x.test")
    assert (account.first_name, account.last_name) == ("Anna", "Leigh")
    assert world.server.account("bo@x.test").update_at == before
    world.assert_in_step(ann, bo)


async def test_change_on_the_server_is_put_back(any_world: World) -> None:
    world = any_world
    ann = world.add("ann@x.test", "Ann", "Lee", verified=True)
    await world.sync()
    world.server.change(world.server.account("ann@x.test"), first_name="Mallory")
    world.server.state.readdress(world.server.account("ann@x.test"), "mallory@x.test")

    summary = await world.sync()

    assert summary.counts == {"updated": 1}
    account = world.server.account("ann@x.test")
    assert (account.first_name, account.email_verified) == ("Ann", True)
    assert (await world.sync()).counts == {"unchanged": 1}
    world.assert_in_step(ann)


async def test_verified_address_is_pushed_and_declared_verified(any_world: World) -> None:
    world = any_world
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    world.edit(ann, email="new@x.test")

    summary = await world.sync()

    assert summary.counts == {"updated": 1}
    account = world.server.state.users[world.record(ann)["account_id"]]
    assert (account.email, account.email_verified) == ("new@x.test", True)
    assert (await world.sync()).counts == {"unchanged": 1}


async def test_unverified_address_is_never_pushed(any_world: World) -> None:
    world = any_world
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    world.edit(ann, email="victim@x.test", email_verified_at=None)

    summary = await world.sync()

    assert summary.counts == {"unchanged": 1}
    assert world.server.state.users[world.record(ann)["account_id"]].email == "ann@x.test"


@pytest.mark.parametrize("full", [False, True])
async def test_address_that_waits_for_its_owner_is_not_sent_again(world: World, *, full: bool) -> None:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    world.server.state.config["EmailSettings", "RequireEmailVerification"] = True
    world.edit(ann, email="new@x.test")

    first = await world.sync()
    patches = world.server.calls["PUT /users/{id}/patch"]
    second = await world.sync(full=full)

    assert first.counts == {"waiting at the server": 1}
    assert second.counts == {"unchanged": 1}
    assert world.server.calls["PUT /users/{id}/patch"] == patches
    assert world.record(ann)["waiting_email"] == "new@x.test"


async def test_other_change_while_an_address_waits_does_not_send_it_again(world: World) -> None:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    world.server.state.config["EmailSettings", "RequireEmailVerification"] = True
    world.edit(ann, email="new@x.test")
    await world.sync()
    world.rename(ann, "Anna", "Lee")

    summary = await world.sync()

    assert summary.counts == {"updated": 1}
    assert world.record(ann)["waiting_email"] == "new@x.test"
    assert (await world.sync(full=True)).counts == {"unchanged": 1}


async def test_address_is_put_back_after_its_owner_verified_it_and_somebody_changed_it_again(world: World) -> None:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    world.server.state.config["EmailSettings", "RequireEmailVerification"] = True
    world.edit(ann, email="new@x.test")
    await world.sync()
    account = world.server.account("ann@x.test")
    world.server.state.readdress(account, "new@x.test")
    world.server.change(account, email_verified=True)
    await world.sync()
    world.server.state.config["EmailSettings", "RequireEmailVerification"] = False
    world.server.state.readdress(account, "odd@x.test")
    world.server.change(account)

    summary = await world.sync()

    assert summary.counts == {"updated": 1}
    assert account.email == "new@x.test"


async def test_address_taken_by_another_account_fails_for_that_user_only(world: World) -> None:
    ann, bo = world.add("ann@x.test", verified=True), world.add("bo@x.test", verified=True)
    await world.sync()
    world.server.add("taken@x.test", "somebody")
    world.edit(ann, email="taken@x.test")
    world.rename(bo, "Bob", "Lee")

    summary = await world.sync()

    assert summary.counts == {"failed": 1, "updated": 1}
    assert "address" in summary.listed[0].note
    assert world.server.account("bo@x.test").first_name == "Bob"


async def test_account_managed_by_single_sign_on_gets_a_token_and_keeps_its_names(world: World) -> None:
    world.server.add("ann@x.test", first_name="From", last_name="LDAP", auth_service="saml", auth_data="x")
    ann = world.add("ann@x.test", verified=True)

    first, second = await world.sync(), await world.sync(full=True)

    assert (first.counts, second.counts) == ({"linked": 1}, {"unchanged": 1})
    assert world.server.account("ann@x.test").first_name == "From"
    world.assert_in_step(ann)


# ── data as people really have it ────────────────────────────────────────────────────────────────


async def test_address_in_two_rows_in_any_case_makes_both_conflicts(any_world: World) -> None:
    world = any_world
    twins = [world.add("Ümlaut@x.test"), world.add(" ümlaut@x.test")]
    other = world.add("other@x.test")

    summary = await world.sync()

    assert summary.counts == {"conflict": 2, "created": 1}
    assert {result.user_id for result in summary.listed} == set(twins)
    world.assert_in_step(other)
    world.edit(twins[0], email="alone@x.test")
    assert (await world.sync()).counts == {"created": 2, "unchanged": 1}
    world.assert_in_step(*twins, other)


@pytest.mark.parametrize(
    "email", [None, "", "  ", "nobody", "a@", "a b@x.test", "a" * 130 + "@x.test", "a/b@x.test", "a..b@x.test"]
)
async def test_user_without_a_usable_address_is_a_conflict_and_stops_nobody(world: World, email: str | None) -> None:
    world.add(email)
    other = world.add("other@x.test")

    summary = await world.sync()

    assert summary.counts == {"conflict": 1, "created": 1}
    world.assert_in_step(other)
    assert (await world.sync()).counts == {"conflict": 1, "unchanged": 1}


NAMES = [
    ("A" * 10_000, "B" * 10_000),
    ("田中", "太郎"),
    ("Владимир", "Ильич"),
    ("محمد", "علي"),
    ("", ""),
    ("\x1b[31mred", "a\x00b\r\n"),
    ("Robert'; DROP TABLE users", "--"),
    ("👩‍👩‍👧‍👦", "e\u0301"),
    ("  spaces  ", "\t"),
]


async def test_names_in_every_shape_come_into_step_and_stay_there(world: World) -> None:
    ids = [world.add(f"n{number}@x.test", *name) for number, name in enumerate(NAMES)]

    summary = await world.sync()

    assert summary.counts == {"created": len(NAMES)}
    world.assert_in_step(*ids)
    assert (await world.sync(full=True)).counts == {"unchanged": len(NAMES)}
    assert world.server.account("n1@x.test").first_name == "田中"
    assert len(world.server.account("n0@x.test").first_name) == 64


async def test_locales_come_into_step_and_stay_there(world: World) -> None:
    wanted = ["de", "pt_BR", "C", "POSIX", "en_US.UTF-8", "xx", "", None, "zh-CN"]
    ids = [world.add(f"l{number}@x.test", locale=locale) for number, locale in enumerate(wanted)]

    await world.sync()

    assert (await world.sync(full=True)).troubled == 0
    assert (await world.sync(full=True)).counts == {"unchanged": len(wanted)}
    world.assert_in_step(*ids)
    assert world.server.account("l1@x.test").locale == "pt-BR"


async def test_usernames_are_legal_and_unique_whatever_the_addresses(world: World) -> None:
    world.server.add("first@else.test", "ann")
    world.server.add("second@else.test", "ann-2")
    addresses = [
        *(f"ann@d{number}.test" for number in range(5)),
        "all@x.test",
        "here@x.test",
        "Ünï@x.test",
        "+++@x.test",
    ]
    ids = [world.add(address) for address in addresses]

    summary = await world.sync()

    assert summary.counts == {"created": len(addresses)}
    world.assert_in_step(*ids)
    names = [world.server.account(address).username for address in addresses]
    assert len(set(names)) == len(names)
    assert not {"all", "here", "ann"} & set(names)


async def test_thousands_of_equal_local_parts_get_numbers_in_no_time(world: World) -> None:
    addresses = [f"info@d{number}.test" for number in range(3_000)]
    users = [User(UserId(str(n)), one, False, None, "", "", None, True, None, False) for n, one in enumerate(addresses)]
    tried = []

    def counted(name: str, number: int) -> str:
        tried.append(number)
        return numbered_username(name, number)

    async with world.core() as core:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mmconsole.services.accounts.numbered_username", counted)
            names = await Accounts(core.server).free_usernames(users)

    assert len(set(names.values())) == 3_000
    assert len(tried) == 2_999


async def test_mapped_username_is_used_at_creation_and_left_alone_afterwards(world: World) -> None:
    ann = world.add("ann@x.test", username="Chief.Ann")
    await world.sync()
    world.edit(ann, username="other")

    summary = await world.sync()

    assert world.server.account("ann@x.test").username == "chief.ann"
    assert summary.counts == {"unchanged": 1}


async def test_username_taken_between_look_and_create_gets_a_number(world: World) -> None:
    ann = world.add("ann@x.test")
    world.server.add("other@x.test", "ann")
    # A replica that lags shows no account called ann yet.
    world.server.faults.add(world.stale(60, "POST", "/users/usernames"))

    summary = await world.sync()

    assert summary.counts == {"created": 1}
    assert world.server.account("ann@x.test").username.startswith("ann-")
    world.assert_in_step(ann)
