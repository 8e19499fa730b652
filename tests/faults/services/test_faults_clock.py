"""Clocks that are wrong, and clocks that are put right in the middle: times to undo, leases, notes and checks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.errors import LeaseLost
from mmconsole.services.checks.checks import CheckRequest

if TYPE_CHECKING:
    from tests.conftest import World

HOUR = 3600.0
GRACE = 600
OFF = pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])


@OFF
async def test_the_time_to_undo_is_the_servers_whatever_our_clock_says(world: World, off: float) -> None:
    world.server.clock.ahead = off
    ann, bo = (world.add(f"{name}@x.test", verified=True) for name in ("ann", "bo"))
    await world.sync()
    token = world.token(bo)

    revoked = await world.ask("revoke", ann, bo)
    undone = await world.ask("undo", ann)
    early = await world.recover()
    world.later(GRACE + 10)
    late = await world.recover()

    assert revoked.counts == {"token disabled": 2}
    assert revoked.undo_until is not None
    assert abs(revoked.undo_until.timestamp() - world.server.clock.now() + 10) < 60
    assert undone.counts == {"token enabled": 1}
    assert (early.pending, early.ended, late.ended) == (1, (), (token.id,))
    world.assert_in_step(ann)


@OFF
async def test_with_an_hour_between_the_clocks_everything_goes_on(world: World, off: float) -> None:
    world.server.clock.ahead = off
    ids = [world.add(f"p{number}@x.test", verified=True) for number in range(5)]

    first = await world.sync()
    rotated = await world.ask("rotate", *ids)
    world.rename(ids[0], "New", "Name")
    second = await world.sync()
    async with world.core() as core:
        checked = await core.checks.run(CheckRequest(deep=True))

    assert first.counts == {"created": 5}
    assert rotated.counts == {"token replaced": 5}
    assert second.counts == {"updated": 1, "unchanged": 4}
    assert checked.troubled == 0
    world.assert_in_step(*ids)


@OFF
async def test_a_clock_that_is_put_right_between_two_runs_hides_no_change(world: World, off: float) -> None:
    """What the server changed is asked for since its own time of the last look, not since ours."""
    ids = [world.add(f"p{number}@x.test", verified=True) for number in range(3)]
    await world.sync()
    world.server.clock.ahead = off
    account = world.server.account("p0@x.test")
    world.server.change(account, first_name="Somebody")

    summary = await world.sync(full=off < 0)

    assert summary.counts == {"updated": 1, "unchanged": 2}
    assert account.first_name == "Ann"
    world.assert_in_step(*ids)


async def test_a_clock_that_was_years_ahead_puts_no_full_look_off_for_years(world: World) -> None:
    of_full_look = "WHERE name = 'server.last_full_look'"
    world.add("ann@x.test", verified=True)
    await world.sync()
    world.sql(f"UPDATE mmconsole_meta SET value = '2190-01-01T00:00:00+00:00' {of_full_look}")

    await world.sync()

    assert world.sql(f"SELECT value < '2190' FROM mmconsole_meta {of_full_look}") == [(1,)]


async def test_a_process_whose_clock_jumps_an_hour_takes_a_living_lease_over_and_the_first_one_stops(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fencing number guards what a clock cannot."""
    ids = [world.add(f"p{number}@x.test", verified=True) for number in range(30)]
    world.set(mattermost__max_concurrency=2)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(UTC) + timedelta(hours=1)

    async def jump() -> Any:
        await world.until(lambda: len(world.server.marked) >= 5)
        monkeypatch.setattr("mmconsole.services.leases.datetime", Ahead)
        return await world.sync()

    first, second = await asyncio.gather(world.sync(), jump())

    assert isinstance(first.fault, LeaseLost)
    assert second.fault is None
    world.server.clock.ahead += 400
    world.end_leases()
    await world.sync(full=True)
    world.assert_in_step(*ids)
    assert len(world.server.people) == 30, "nobody has two accounts"
