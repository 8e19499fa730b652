"""What the console has done on the server, against the simulator."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from mmconsole.database import JobState
from mmconsole.domain.users import UserId
from mmconsole.services.checks.checks import CheckRequest
from mmconsole.simulator import Fault
from mmconsole.simulator.entities import Channel
from mmconsole.tui import dialogs
from mmconsole.tui.dialogs import Dialog
from mmconsole.tui.job_screen import JobScreen
from mmconsole.tui.log_view import Gravity
from mmconsole.tui.picker import ChannelPicker
from mmconsole.tui.plan_screen import PlanScreen

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.tui.conftest import OpenAtWork

CREATE = "/users/{id}/tokens"
UNTRIED = Fault("status", "GET", "/users/{id}/teams", status=403, times=None)
"""No new token can be tried, so none is kept."""


async def in_step(world: "World", *names: str) -> list[UserId]:
    """These users, each with an account and a token that works."""
    ids = [world.add(f"{name}@x.test", name.title(), verified=True) for name in names]
    await world.sync()
    return ids


def lose(world: "World", *ids: UserId) -> None:
    """Their tokens are gone from the server, and that is known."""
    for user_id in ids:
        world.server.state.remove_token(world.token(user_id))
        world.sql("UPDATE mmconsole_tokens SET health = 'revoked', cause = 'revoked' WHERE user_id = ?", user_id)


def jobs(world: "World") -> Sequence[tuple[str, str]]:
    return world.sql("SELECT title, state FROM mmconsole_jobs ORDER BY id")


# ── test ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_token_is_tried_itself_and_the_row_says_how_it_went(world: "World", at_work: "OpenAtWork") -> None:
    ann, _ = await in_step(world, "ann", "bob")
    world.server.state.remove_token(world.token(ann))
    async with at_work() as (app, pilot):
        assert app.status(ann) == "+ ok"

        await pilot.press("t")
        await app.done(pilot)

        assert app.status(ann) == "x revoked"
        assert "test ann@x.test: x revoked" in app.text()


async def test_the_calls_of_this_console_are_in_the_log_at_its_lowest_level(
    world: "World", at_work: "OpenAtWork"
) -> None:
    await in_step(world, "ann")
    async with at_work() as (app, pilot):
        await pilot.press("t")
        await app.done(pilot)
        assert "GET /users/me" not in app.text()

        await pilot.press("4", "L", "L", "L")
        await app.until(pilot, lambda: "GET /users/me  200" in app.text())

        assert app.log_pane.view().level is Gravity.DETAIL


async def test_calls_are_heard_when_the_server_was_asked_before_the_console_came(world: "World") -> None:
    await in_step(world, "ann")
    heard: list[object] = []
    async with world.core() as core:
        await core.server.client()
        core.server.heard = heard.append
        await core.checks.run(CheckRequest(("1",), deep=True))

    assert heard


async def test_a_test_of_several_counts_them(world: "World", at_work: "OpenAtWork") -> None:
    ann, _, _ = await in_step(world, "ann", "bob", "cem")
    world.server.disable(world.token(ann))
    async with at_work() as (app, pilot):
        await pilot.press("asterisk", "t")
        await app.done(pilot)

        assert "test 3 users: + ok 2, x disabled 1" in app.text()


# ── repair ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_dead_token_is_replaced_without_a_question(world: "World", at_work: "OpenAtWork") -> None:
    (ann,) = await in_step(world, "ann")
    lose(world, ann)
    async with at_work() as (app, pilot):
        assert app.status(ann) == "x revoked"

        await pilot.press("r")
        await app.done(pilot)

        assert app.status(ann) == "+ ok"
        assert len(app.screen_stack) == 1
    world.assert_in_step(ann)


async def test_the_steps_of_a_repair_are_ticked_while_it_goes_on(world: "World", at_work: "OpenAtWork") -> None:
    (ann,) = await in_step(world, "ann")
    lose(world, ann)
    held = world.server.faults.add(Fault("hold", "POST", CREATE))
    async with at_work() as (app, pilot):
        await pilot.press("r")
        await app.until(pilot, lambda: "* create" in app.text())

        assert app.status(ann) == "* working"
        assert app.row(ann)[-1] == "create…"
        assert [mark for mark in ("- test", "- store", "- drop the old one") if mark not in app.text()] == []
        assert held.times == 0
        await world.stop()
        await app.done(pilot)


async def test_a_repair_that_fails_leaves_the_row_and_names_the_step_and_the_reason(
    world: "World", at_work: "OpenAtWork"
) -> None:
    (ann,) = await in_step(world, "ann")
    lose(world, ann)
    world.server.faults.add(UNTRIED)
    async with at_work() as (app, pilot):
        await pilot.press("r")
        await app.done(pilot)

        assert app.status(ann) == "x revoked"
        words = " ".join(app.text().split())
        assert "Last try" in words
        assert "test failed:" in words
        assert "* working" not in words
        assert "did not work when it was tried" in words

        world.server.faults.clear()
        await pilot.press("r")
        await app.done(pilot)
        assert app.status(ann) == "+ ok"
        assert "Last try" not in app.text()


async def test_a_row_that_no_longer_fits_the_filter_stays_where_it_is(world: "World", at_work: "OpenAtWork") -> None:
    ann, _ = await in_step(world, "ann", "bob")
    lose(world, ann)
    async with at_work() as (app, pilot):
        await pilot.press("slash", *"status:revoked", "enter")
        await app.settled(pilot)
        await pilot.press("r")
        await app.done(pilot)

        row = app.users.table().source.row_of(ann)
        assert row is not None
        assert row.dimmed
        assert app.status(ann) == "+ ok"


async def test_a_token_that_works_is_replaced_only_after_its_plan(world: "World", at_work: "OpenAtWork") -> None:
    (ann,) = await in_step(world, "ann")
    before = world.token(ann).id
    async with at_work() as (app, pilot):
        await pilot.press("r")
        await app.asked(pilot, PlanScreen)
        assert "replace token" in app.text()
        await pilot.press("escape")
        await app.done(pilot)
        assert world.token(ann).id == before

        await pilot.press("r")
        await app.asked(pilot, PlanScreen)
        await pilot.press("y")
        await app.done(pilot)

    assert world.token(ann).id != before
    world.assert_in_step(ann)


async def test_what_no_token_cures_says_what_would(world: "World", at_work: "OpenAtWork") -> None:
    ann = world.add("ann@x.test", verified=True)
    async with at_work() as (app, pilot):
        await pilot.press("r")
        await app.done(pilot)

        assert f"mmconsole sync {ann}" in app.text()
    assert world.server.marked == []


async def test_of_several_marked_users_there_is_one_plan_and_one_job_for_those_who_were_not_left_out(
    world: "World", at_work: "OpenAtWork"
) -> None:
    ann, bob, cem = await in_step(world, "ann", "bob", "cem")
    lose(world, ann, bob)
    async with at_work() as (app, pilot):
        await pilot.press("asterisk", "r")
        await app.asked(pilot, PlanScreen)
        text = app.text()
        assert "2 of 3 users to change" in text
        assert "- left alone" in text

        await pilot.press("down", "down", "space")
        await pilot.press("y")
        await app.done(pilot)

    assert world.token(ann).is_active
    assert world.token(cem).is_active
    assert world.record(bob)["health"] == "revoked"
    assert jobs(world)[-1] == ("tokens repair 3 users", JobState.DONE)


# ── sync ─────────────────────────────────────────────────────────────────────────────────────────


async def test_one_user_is_brought_into_step(world: "World", at_work: "OpenAtWork") -> None:
    ann, bob = world.add("ann@x.test", verified=True), world.add("bob@x.test", verified=True)
    async with at_work() as (app, pilot):
        await pilot.press("s")
        await app.done(pilot)

        assert app.status(ann) == "+ ok"
        assert app.status(bob) == "! no account"
    world.assert_in_step(ann)


async def test_everybody_is_synced_only_after_the_plan(world: "World", at_work: "OpenAtWork") -> None:
    ids = [world.add(f"u{n}@x.test", verified=True) for n in range(12)]
    async with at_work() as (app, pilot):
        await pilot.press("S")
        await app.asked(pilot, PlanScreen)
        text = app.text()
        assert "12 of 12 users to change" in text
        assert "create account, join team, generate token" in text
        assert "and 9 more: enter opens" in text
        assert world.server.people == []

        await pilot.press("enter")
        await pilot.pause()
        assert "more: enter opens" not in app.text()
        await pilot.press("y")
        await app.done(pilot)

        assert "sync --all: created 12" in app.text()
        assert "synced now" in app.text()
    world.assert_in_step(*ids)


async def test_a_user_who_is_unticked_gets_nothing(world: "World", at_work: "OpenAtWork") -> None:
    ann, bob = (world.add(f"{name}@x.test", verified=True) for name in ("ann", "bob"))
    async with at_work() as (app, pilot):
        await pilot.press("S")
        await app.asked(pilot, PlanScreen)
        await pilot.press("down", "space")
        await pilot.pause()
        assert "1 left out" in app.text()
        await pilot.press("y")
        await app.done(pilot)

    world.assert_in_step(bob)
    assert world.record(ann) == {}


async def test_a_sync_is_stopped_after_asking_and_says_what_was_not_begun(
    world: "World", at_work: "OpenAtWork"
) -> None:
    world.set(mattermost__max_concurrency=2)
    for n in range(30):
        world.add(f"u{n}@x.test", verified=True)
    first = world.server.faults.add(Fault("hold", "POST", "/users", times=2))
    then = world.server.faults.add(Fault("hold", "POST", "/users", times=None, after=4))
    async with at_work() as (app, pilot):
        await pilot.press("S")
        await app.asked(pilot, PlanScreen)
        await pilot.press("y")
        await app.until(pilot, lambda: first.holding == 2)
        await pilot.press("ctrl+x")
        await app.asked(pilot, Dialog)
        words = " ".join(app.text().split())
        assert "It stops after the 3 users under way: 0 done, 27 not started." in words
        await pilot.press("enter")
        await app.until(pilot, lambda: len(app.screen_stack) == 1)
        assert jobs(world)[-1][1] == JobState.RUNNING

        first.let_go()
        await app.until(pilot, lambda: app.now_done >= 5 and then.holding == 2)
        await pilot.press("ctrl+x")
        await app.asked(pilot, Dialog)
        await pilot.press("y")
        await app.until(pilot, lambda: app.told_to_stop)
        then.let_go()
        await app.done(pilot)

    assert jobs(world)[-1][1] == JobState.STOPPED
    assert 8 <= len(world.server.people) <= 9
    world.assert_in_order()


async def test_a_job_is_paused_and_gone_on_with(world: "World", at_work: "OpenAtWork") -> None:
    world.set(mattermost__max_concurrency=2)
    ids = [world.add(f"u{n}@x.test", verified=True) for n in range(10)]
    held = world.server.faults.add(Fault("hold", "POST", "/users", after=2, times=2))
    async with at_work() as (app, pilot):
        await pilot.press("S")
        await app.asked(pilot, PlanScreen)
        await pilot.press("y")
        await app.until(pilot, lambda: held.holding == 2)
        await pilot.press("p")
        await app.until(pilot, lambda: app.told_to_stop)
        held.let_go()
        await app.done(pilot)
        assert jobs(world)[-1][1] == JobState.PAUSED
        assert 4 <= len(world.server.people) <= 5

        await app.until(pilot, lambda: "~ paused" in app.text())
        await pilot.press("p")
        await app.until(pilot, lambda: jobs(world)[-1][1] == JobState.DONE)
        await app.done(pilot)
    world.assert_in_step(*ids)


async def test_leaving_asks_while_work_goes_on_and_pauses_the_job(world: "World", at_work: "OpenAtWork") -> None:
    world.set(mattermost__max_concurrency=2)
    for n in range(10):
        world.add(f"u{n}@x.test", verified=True)
    held = world.server.faults.add(Fault("hold", "POST", "/users", after=2, times=None))
    async with at_work() as (app, pilot):
        await pilot.press("S")
        await app.asked(pilot, PlanScreen)
        await pilot.press("y")
        await app.until(pilot, lambda: held.holding == 2)
        await pilot.press("q")
        await app.asked(pilot, Dialog)
        assert "Leave while work goes on" in app.text()
        await pilot.press("y")
        await app.until(pilot, lambda: not app.is_running)
        leaving = asyncio.create_task(app.aclose())
        await world.until(lambda: app.told_to_stop)
        held.let_go()
        await leaving
        left = app.left

    assert jobs(world)[-1][1] == JobState.PAUSED
    assert left == ["Job 1 (sync --all) is paused. `mmconsole jobs resume 1` goes on with it."]
    assert 4 <= len(world.server.people) <= 5
    world.assert_in_order()


async def test_the_failures_of_a_job_become_a_view(world: "World", at_work: "OpenAtWork") -> None:
    ids = await in_step(world, "ann", "bob", "cem")
    lose(world, *ids)
    async with at_work() as (app, pilot):
        await pilot.press("j", "space", "j", "space", "r")
        await app.asked(pilot, PlanScreen)
        world.server.faults.add(UNTRIED)
        await pilot.press("y")
        await app.done(pilot)
        job_id = world.sql("SELECT MAX(id) FROM mmconsole_jobs")[0][0]

        await pilot.press("3", "g", "enter")
        await app.asked(pilot, JobScreen)
        assert "failed 2" in app.text()
        assert "did not work when it was tried" in app.text()
        await pilot.press("f")
        await app.until(pilot, lambda: f"failed in job {job_id}" in app.text() and len(app.users.table().source) == 2)
        await app.settled(pilot)

        await pilot.press("escape")
        await app.settled(pilot)
        assert len(app.users.table().source) == 3


# ── revoke and undo ──────────────────────────────────────────────────────────────────────────────


async def test_a_revocation_is_asked_about_shown_with_its_time_and_taken_back(
    world: "World", at_work: "OpenAtWork"
) -> None:
    (ann,) = await in_step(world, "ann")
    token = world.token(ann)
    async with at_work() as (app, pilot):
        await pilot.press("X")
        await app.asked(pilot, Dialog)
        text = app.text()
        assert world.url in text
        assert "ann@x.test" in text
        assert "revoked after 10 minutes" in text
        await pilot.press("y")
        await app.done(pilot)
        assert app.status(ann) == "x withheld"
        assert not token.is_active
        await app.until(pilot, lambda: "undo 9:" in app.text() or "undo 10:0" in app.text())

        await pilot.press("u")
        await app.done(pilot)
        assert app.status(ann) == "+ ok"
        await app.until(pilot, lambda: "undo 9:" not in app.text())
    assert token.is_active
    world.assert_in_step(ann)


async def test_the_jobs_say_what_of_them_can_be_undone_and_u_does_it(world: "World", at_work: "OpenAtWork") -> None:
    ann, _ = await in_step(world, "ann", "bob")
    await world.ask("revoke", ann)
    async with at_work((200, 50)) as (app, pilot):
        assert ", 1 user" in app.text()
        assert "not possible, the application decides" in app.text()

        await pilot.press("3", "j", "u")
        await app.until(pilot, lambda: "Undo of job 1: not possible" in app.text())
        await pilot.press("k", "u")
        await app.done(pilot)

        assert app.status(ann) == "+ ok"
        assert "not possible, revoke them again instead" in app.text()
    world.assert_in_step(ann)


async def test_who_was_marked_unseen_has_a_name_in_the_question(world: "World", at_work: "OpenAtWork") -> None:
    await in_step(world, *(f"p{number:02}" for number in range(60)))
    async with at_work((60, 15)) as (app, pilot):
        await pilot.press("I", "asterisk")
        await app.settled(pilot)
        assert app.seen is not None
        app.seen.forget()
        await pilot.press("X")
        await app.asked(pilot, Dialog)

        assert "@x.test and 57 more" in app.text()
        assert "user " not in app.text()


async def test_no_undo_is_offered_for_a_token_that_was_gone_already(world: "World", at_work: "OpenAtWork") -> None:
    (ann,) = await in_step(world, "ann")
    world.server.state.remove_token(world.token(ann))
    async with at_work() as (app, pilot):
        await pilot.press("X")
        await app.asked(pilot, Dialog)
        assert "Revoke 1 token " in app.text()
        await pilot.press("y")
        await app.done(pilot)

        assert app.running is not None
        assert app.running.undo is None


async def test_a_plan_names_those_for_whom_nothing_is_done(world: "World", at_work: "OpenAtWork") -> None:
    world.add("una@x.test", verified=True)
    world.add("UNA@x.test", verified=True)
    async with at_work() as (app, pilot):
        await pilot.press("S")
        await app.asked(pilot, PlanScreen)

        assert "! conflict" in app.text()
        assert "una@x.test  " in app.text()
        assert "user 1 " not in app.text()


async def test_neither_enter_nor_the_trigger_nor_a_hasty_key_revokes(
    world: "World", at_work: "OpenAtWork", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogs, "DEAF_FOR", 3600.0)
    (ann,) = await in_step(world, "ann")
    async with at_work() as (app, pilot):
        await pilot.press("X")
        await app.until(pilot, lambda: isinstance(app.screen, Dialog))
        dialog = app.screen
        assert isinstance(dialog, Dialog)
        wake = dialog._wake
        await pilot.press("y", "enter", "escape")
        assert app.screen is dialog

        wake()
        await pilot.press("X")
        assert app.screen is dialog
        await pilot.press("enter")
        await app.done(pilot)

    assert world.token(ann).is_active


async def test_hidden_marks_are_not_revoked_unless_asked(world: "World", at_work: "OpenAtWork") -> None:
    ann, bob, cem = await in_step(world, "ann", "bob", "cem")
    async with at_work() as (app, pilot):
        await pilot.press("asterisk", "slash", *"ann", "enter")
        await app.settled(pilot)
        await pilot.press("X")
        dialog = await app.asked(pilot, Dialog)
        assert "3 marked, 2 hidden by the filter, not included" in app.text()
        await pilot.press("h")
        await app.until(pilot, lambda: isinstance(app.screen, Dialog) and app.screen is not dialog)
        second = await app.asked(pilot, Dialog)
        assert "3 marked, 2 hidden by the filter, included" in app.text()
        await pilot.press("escape")
        await app.until(pilot, lambda: app.screen is not second)
        await app.done(pilot)
        assert all(world.token(one).is_active for one in (ann, bob, cem))

        await pilot.press("X")
        await app.asked(pilot, Dialog)
        await pilot.press("y")
        await app.done(pilot)

    assert world.record(ann)["health"] == "withheld"
    assert world.token(bob).is_active
    assert world.token(cem).is_active


async def test_more_than_ten_are_revoked_only_by_typing_their_number(world: "World", at_work: "OpenAtWork") -> None:
    ids = await in_step(world, *(f"u{n}" for n in range(12)))
    async with at_work() as (app, pilot):
        await pilot.press("asterisk", "X")
        await app.asked(pilot, Dialog)
        await app.until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("y", "enter")
        await pilot.pause()
        assert "That is not it." in app.text()
        assert world.token(ids[0]).is_active

        await pilot.press("backspace", *"12", "enter")
        await app.done(pilot)

    assert [world.record(one)["health"] for one in ids] == ["withheld"] * 12


async def test_when_its_time_is_over_a_revocation_is_for_good(world: "World", at_work: "OpenAtWork") -> None:
    world.set(tokens__grace="1s")
    (ann,) = await in_step(world, "ann")
    token = world.token(ann)
    async with at_work() as (app, pilot):
        await pilot.press("X")
        await app.asked(pilot, Dialog)
        await pilot.press("y")
        await app.until(pilot, lambda: token not in world.server.state.token_rows)
        await app.done(pilot)

    assert world.row(ann)["mattermost_token"] is None


# ── channels ─────────────────────────────────────────────────────────────────────────────────────


def channel(world: "World", name: str, *, private: bool = False) -> Channel:
    state = world.server.state
    stamp = state.millis()
    kind = "P" if private else "O"
    made = Channel(state.ids.new(), world.server.team.id, name, name.title(), kind, stamp, stamp)
    return state.add_channel(made)


async def test_users_are_added_to_a_channel_that_is_picked(world: "World", at_work: "OpenAtWork") -> None:
    ann, bob = await in_step(world, "ann", "bob")
    news = channel(world, "news")
    async with at_work() as (app, pilot):
        await pilot.press("asterisk", "a")
        await app.until(pilot, lambda: isinstance(app.screen, ChannelPicker) and "main/news" in app.text())
        await pilot.press(*"news", "enter")
        await app.asked(pilot, Dialog)
        assert "to main/news" in app.text()
        await pilot.press("y")
        await app.done(pilot)

        assert "main/news: added 2" in app.text()
    for one in (ann, bob):
        assert world.server.state.channel_member(news, world.record(one)["account_id"])


# ── permission ───────────────────────────────────────────────────────────────────────────────────


async def test_a_protected_profile_begins_read_only_and_is_unlocked_by_its_name(
    world: "World", at_work: "OpenAtWork"
) -> None:
    (ann,) = await in_step(world, "ann")
    lose(world, ann)
    world.set(console__protected=True)
    async with at_work() as (app, pilot):
        assert "read-only" in app.text()
        for key in ("r", "s", "S", "X", "a", "u"):
            await pilot.press(key)
            await pilot.pause()
            assert "nothing may be changed from here now; W allows it" in app.text()
            assert len(app.screen_stack) == 1
        assert world.server.marked == []

        await pilot.press("W")
        await app.asked(pilot, Dialog)
        await app.until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*app.profile, "enter")
        await app.until(pilot, lambda: "writable until" in app.text())
        await pilot.press("r")
        await app.done(pilot)
        assert app.status(ann) == "+ ok"

        await pilot.press("W")
        await pilot.pause(0.2)
        assert "read-only" in app.text()


@pytest.mark.parametrize("key", ["t", "r", "s", "X", "a"])
async def test_without_anybody_under_the_cursor_a_key_says_so(world: "World", at_work: "OpenAtWork", key: str) -> None:
    async with at_work() as (app, pilot):
        await pilot.press(key)
        await pilot.pause()

        assert "there is nothing under the cursor" in app.text()
