"""Names and addresses as people, mistakes and attackers make them: everybody gets a token, or a reason why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from mmconsole.domain.filters import parse
from mmconsole.services.checks.checks import CheckRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

NAMES = [
    ("", ""),
    ("Żółć", "Ærøskøbing"),
    ("日本語", "漢字"),
    ("مرحبا", "שלום"),
    ("नमस्ते", "ไทย"),
    ("👩‍👩‍👧‍👦", "🇩🇪"),
    ("e\u0301" * 40, "\u202eevil\u202c"),
    ("\ufeffAnn", "O\u2028Hara"),
    ("x" * 10_000, "y" * 10_000),
    ("'; DROP TABLE users; --", '" OR 1=1'),
    ("\x1b[31mred\x1b[0m", "\x1b]0;title\x07"),
    ("[@click=app.quit]x[/]", "{0}%s%n"),
    ("tab\tnew\nline", "nul\\0"),
    ("=1+1", "@SUM(A1)"),
]
ADDRESSES = [
    "",
    "  ",
    "x@",
    "@y",
    "a@@b.test",
    "a" * 10_000 + "@x.test",
    "\x1b[2J@x.test",
    "'; DROP TABLE users@x.test",
]

UUIDS = """
    CREATE TABLE users (
        id char(36) primary key not null default (
            lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
            || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))
        ),
        name varchar, email varchar, email_verified_at datetime, deleted_at datetime, mattermost_user_id varchar,
        mattermost_token text
    )
"""
"""The users table of an application whose ids are no numbers."""


async def test_whatever_people_are_called_they_are_in_step(any_world: World) -> None:
    world = any_world
    ids = [world.add(f"p{at}@x.test", *name, verified=True) for at, name in enumerate(NAMES)]

    first = await world.sync()
    rotated = await world.ask("rotate", wanted=parse(""))
    again = await world.sync(full=True)
    async with world.core() as core:
        checked = await core.checks.run(CheckRequest(deep=True))

    assert first.counts == {"created": len(NAMES)}
    assert rotated.counts == {"token replaced": len(NAMES)}
    assert again.counts == {"unchanged": len(NAMES)}
    assert checked.troubled == 0
    assert len(world.sql("SELECT id FROM users")) == len(NAMES)
    world.assert_in_step(*ids)


@pytest.mark.parametrize("address", [None, *ADDRESSES])
async def test_an_address_that_is_none_is_told_and_holds_up_nobody(world: World, address: str | None) -> None:
    bad = world.add(address, verified=True)
    good = world.add("good@x.test", verified=True)

    summary = await world.sync()

    assert summary.counts == {"conflict": 1, "created": 1}
    assert summary.listed[0].user_id == bad
    world.assert_in_step(good)


async def test_users_whose_ids_are_uuids_go_all_the_way(new_world: Callable[..., Any]) -> None:
    async with new_world(laravel=True) as world:
        world.sql("DROP TABLE users")
        world.sql(UUIDS)
        ids = [world.add(f"p{at}@x.test", verified=True) for at in range(3)]

        await world.sync()
        await world.ask("rotate", ids[0])
        await world.ask("revoke", ids[1], at_once=True)
        again = await world.sync(full=True)

        assert all(UUID(one) for one in ids)
        assert again.counts == {"unchanged": 2, "left alone": 1}
        assert world.row(ids[1])["mattermost_token"] is None
        world.assert_in_step(ids[0], ids[2])
