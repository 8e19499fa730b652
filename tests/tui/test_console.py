"""The console as somebody uses it, over a real database."""

import gc
import weakref
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.tui.conftest import Watched
from textual.events import DescendantFocus, Key
from textual.widget import Widget
from textual.widgets import Input

from mmconsole.core import open_core
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.activity import Activity
from mmconsole.domain.tokens import Health, TokenId, TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.services.overview import Glance, Overview
from mmconsole.tui.actions import PANES, Pane
from mmconsole.tui.detail_pane import NEXT
from mmconsole.tui.dialogs import Dialog
from mmconsole.tui.frame import Doing, Rule
from mmconsole.tui.help_screen import HelpScreen
from mmconsole.tui.keymaps import keymap
from mmconsole.tui.themes import THEMES
from mmconsole.tui.user_rows import UserRows
from mmconsole.tui.users_pane import UsersPane

if TYPE_CHECKING:
    from tests.tui.conftest import Office, OpenConsole

NOW = datetime(2026, 3, 2, 14, 32, tzinfo=UTC)
PLANTED = "qwertyuiopasdfghjklzxcvbnm"
SIZES = ((80, 24), (120, 36), (200, 50))


# ── the first picture ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", SIZES)
async def test_it_shows_users_and_their_health_at_every_size(
    office: "Office", console: "OpenConsole", size: tuple[int, int]
) -> None:
    await office.fill(40)
    async with console(size) as (app, _):
        text = app.text()

        assert "DEFAULT  chat.example.org   writable   40 users   synced 4m ago" in text
        assert "▸   anna.k@example.org" in text
        assert "x revoked" in text
        assert "q quit" in text


@pytest.mark.parametrize("size", [(60, 15), (79, 20), (100, 30), (119, 29), (160, 29), (159, 60)])
async def test_between_the_sizes_nothing_that_matters_is_cut_off(
    office: "Office", console: "OpenConsole", size: tuple[int, int]
) -> None:
    await office.fill(40)
    async with console(size) as (app, _):
        (title,) = (line for line in app.text().splitlines() if "USER  " in line)

        assert "STATUS" in title
        assert "WHY" in title
        assert "x revoked" in app.text()
        assert "q quit" in app.text()


async def test_below_its_least_size_it_says_so_in_one_sentence_and_comes_back(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(3)
    async with console((59, 20)) as (app, pilot):
        assert "mmconsole needs 60x15, and this is 59x20." in app.text()
        assert "anna" not in app.text()

        await pilot.resize_terminal(80, 24)
        await app.settled(pilot)

        assert "anna.k@example.org" in app.text()


async def test_the_rows_are_there_before_everybody_is_counted(
    office: "Office", console: "OpenConsole", monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.fill(40)
    show, glance, order = UsersPane.show, Overview.glance, []

    def showing(pane: UsersPane, rows: UserRows) -> None:
        order.append("rows")
        show(pane, rows)

    async def counting(overview: Overview) -> Glance:
        order.append("count")
        return await glance(overview)

    monkeypatch.setattr(UsersPane, "show", showing)
    monkeypatch.setattr(Overview, "glance", counting)
    async with console() as (app, _):
        assert order == ["rows", "count"]
        assert app.shown.is_set()


async def test_without_users_it_says_so(console: "OpenConsole") -> None:
    async with console() as (app, _):
        assert "there are no users" in app.text()
        assert "never synced" in app.text()


async def test_without_a_database_it_says_what_to_do(office: "Office") -> None:
    office.sql("DROP TABLE mmconsole_alembic")
    opening = partial(open_core, office.settings, face="test")
    app = Watched(office.settings, opening, obstacle="Not prepared.\nType: mmconsole migrate")
    async with app.run_test(size=(80, 24)) as pilot:
        await app.settled(pilot)
        shown = [app.users.table().render_line(y).text.strip() for y in (1, 2)]
        assert shown == ["Not prepared.", "Type: mmconsole migrate"]

        await pilot.press("down", "slash", "x", "enter", "escape", "space", "R", "2", "3", "4", "1", "q")
        await pilot.pause()

    assert app.return_code == 0


# ── users ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_filter_that_is_typed_fast_counts_and_stays(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        await pilot.press("slash", *"status:missing", "enter")
        await app.settled(pilot)
        assert "filter status:missing   4 of 40" in app.text()

        await pilot.press("escape")
        await app.settled(pilot)
        assert "filter" not in app.text().splitlines()[1]
        assert len(app.users.table().source) == 40


async def test_what_is_typed_behind_enter_in_one_go_is_for_the_table(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        at_once(app, "slash", *"status:missing", "enter", "j", "space")
        await app.settled(pilot)

        assert "filter status:missing   4 of 40" in app.text()
        assert len(app.users.table().marks) == 1


async def test_what_was_typed_before_escape_and_comes_late_is_no_command(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        await pilot.press("slash")
        field = app.users.query_one(Input)
        await pilot.press("escape")
        field.post_message(Key("space", " "))
        await app.settled(pilot)

        assert not app.users.table().marks
        assert len(app.users.table().source) == 40


def at_once(app: "Watched", *keys: str) -> None:
    """Keys that are all there before the first of them is answered, as over a slow line."""
    for key in keys:
        character = {"slash": "/", "space": " "}.get(key, key)
        app.post_message(Key(key, character if len(character) == 1 else None))


async def test_letters_that_are_typed_into_the_filter_do_nothing_else(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        await pilot.press("slash", *"q1 +m?:R")
        await app.settled(pilot)

        assert app.users.query_one(Input).value == "q1 +m?:R"
        assert app.is_running
        assert app.main.pane is Pane.USERS


async def test_a_filter_that_is_no_filter_says_why_and_leaves_the_list(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        await pilot.press("slash")
        app.users.query_one(Input).value = "stat:ok"
        await app.settled(pilot)

        assert "there is no field `stat`" in app.bar.word
        assert len(app.users.table().source) == 40


async def test_escape_takes_back_what_was_typed(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        await pilot.press("slash", *"status:ok", "enter")
        await app.settled(pilot)
        await pilot.press("slash", *" zzz", "escape")
        await app.settled(pilot)

        assert "filter status:ok   8 of 40" in app.text()


async def test_cursor_and_marks_follow_their_users_through_sort_and_filter(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        table = app.users.table()
        await pilot.press("j", "space", "j", "space")
        cursor, marks = table.cursor, table.marks

        await pilot.press("greater_than_sign", "I")
        await app.settled(pilot)
        assert (table.cursor, table.marks) == (cursor, marks)
        assert "2 marked" in app.text()

        await pilot.press("slash", *"status:ok", "enter")
        await app.settled(pilot)
        assert table.marks == marks
        assert "2 marked, 2 hidden" in app.text()


async def test_the_mark_of_the_order_cuts_no_title(office: "Office", console: "OpenConsole") -> None:
    await office.fill(10)
    async with console((80, 24)) as (app, pilot):
        for title in ("EXPIRES▲", "CHECKED ▲"):
            await pilot.press("greater_than_sign")
            await app.settled(pilot)
            assert title in app.text().splitlines()[2]


async def test_sorting_goes_through_the_columns_and_a_title_can_be_clicked(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        assert "STATUS ▲" in app.text()
        await pilot.press("less_than_sign")
        await app.settled(pilot)
        assert "USER ▲" in app.text()
        by_address = [str(key) for (key,) in office.sql("SELECT id FROM users ORDER BY LOWER(email)")]
        assert app.users.table().source.key_at(0) == by_address[0]

        await pilot.click(app.users.table(), offset=(5, 0))
        await app.settled(pilot)
        assert "USER ▼" in app.text()
        assert app.users.table().source.key_at(0) == by_address[-1]


async def test_what_another_process_changes_is_seen_and_a_row_that_no_longer_fits_stays_dimmed(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        await pilot.press("slash", *"status:revoked", "enter")
        await app.settled(pilot)
        record = TokenRecord(
            UserId("1"), AccountId("a" * 26), TokenId("t" * 26), health=Health.OK, checked_at=NOW, created_at=NOW
        )
        await office.write(lambda tx: tx.tokens.save_many([record]))

        app.look()
        await app.settled(pilot)

        row = app.users.table().source.row_of("1")
        assert row is not None
        assert row.dimmed
        assert row.cells[1].text == "+ ok"
        assert len(app.users.table().source) == 4


async def test_what_happens_is_in_the_log_and_in_the_last_line(office: "Office", console: "OpenConsole") -> None:
    await office.fill(3)
    async with console() as (app, pilot):
        await office.write(
            lambda tx: tx.activity.add(Activity(NOW, "ops@cli", "token revoked", UserId("1"), "why not"))
        )
        while "token revoked" not in app.text():
            await pilot.pause(0.05)

        await pilot.press("4")
        await app.settled(pilot)
        assert app.text().count("token revoked") == 2


async def test_the_title_says_when_an_observer_looks_at_everybody_again(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(10)
    await office.write(lambda tx: setattr(tx.meta, "compared_at", NOW - timedelta(minutes=20)))
    async with console((200, 50)) as (app, pilot):
        nobody = app.text()
        await office.write(lambda tx: tx.leases.acquire("observer", holder="x", now=NOW, ttl=timedelta(minutes=1)))
        await pilot.press("R")
        await app.settled(pilot)

        assert "next sync" not in nobody
        assert f"next sync {(NOW + timedelta(minutes=40)).astimezone():%H:%M}" in app.text()


async def test_where_there_is_no_job_line_the_jobs_say_what_goes_on(office: "Office", console: "OpenConsole") -> None:
    await office.fill(10)
    async with console((200, 50)) as (app, pilot):
        app.jobs_pane.tell_doing(Doing("sync --all", 3, 10, "planning"), keys="p pause")
        await pilot.pause()
        planning = app.text()
        app.jobs_pane.tell_doing(Doing("sync --all", 3, 10, "applying  3/10  eta 0:48", job_id=2), keys="p pause")
        await pilot.pause()

        assert "3 Jobs   sync --all   planning" in planning
        assert "3 Jobs   sync --all" not in app.text()
        assert "applying  3/10  eta 0:48" in app.text()


async def test_all_of_the_health_pane_is_seen_on_a_small_screen(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console((80, 24)) as (app, pilot):
        await pilot.press("2")
        await app.settled(pilot)

        for part in ("+ ok", "* working", "Broken by reason", "Ends within 14 days", "Saved views", "not checked"):
            assert part in app.text()


async def test_a_long_filter_leaves_room_for_how_many_it_shows_and_a_view_has_its_name(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(40)
    async with console((80, 24)) as (app, pilot):
        app.users.set_filter("-status:ok,expiring,missing,revoked -nobody@example.org")
        await app.settled(pilot)
        long = app.text().splitlines()[1]
        await pilot.press("escape", "right_square_bracket")
        await app.settled(pilot)

        assert "filter -status:ok" in long
        assert "of 40 ─" in long
        assert "view broken   8 of 40 ─" in app.text().splitlines()[1]


async def test_the_key_bar_of_the_jobs_names_what_can_be_done_with_one(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(10)
    async with console((80, 24)) as (app, pilot):
        await pilot.press("3")
        await app.settled(pilot)

        assert "enter open  p pause  ctrl+x stop  u undo" in app.text().splitlines()[-1]


async def test_what_a_tiny_screen_needs_is_said_whole(office: "Office", console: "OpenConsole") -> None:
    async with console((24, 8)) as (app, _):
        assert " ".join(app.text().split()) == "mmconsole needs 60x15, and this is 24x8."


async def test_no_word_of_a_question_is_cut_off(office: "Office", console: "OpenConsole") -> None:
    told = "Users under way are brought to their end, and a job pauses: p or `jobs resume` goes on with the last one."
    async with console((60, 15)) as (app, pilot):
        app.push_screen(Dialog("Leave", [told], verb="leave"))
        await pilot.pause()

        shown = " ".join(line.strip("│─ ") for line in app.text().splitlines()[2:])
        assert told in shown


async def test_details_go_and_come_back(office: "Office", console: "OpenConsole") -> None:
    await office.fill(3)
    async with console((120, 36)) as (app, pilot):
        assert "Next step" in app.text()
        await pilot.press("enter")
        await app.settled(pilot)
        assert "Next step" not in app.text()


async def test_every_status_says_what_to_do_next() -> None:
    assert set(NEXT) == set(Health)


# ── panes and keys ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", SIZES)
async def test_panes_are_reached_by_their_numbers_and_by_tab(
    office: "Office", console: "OpenConsole", size: tuple[int, int]
) -> None:
    await office.fill(3)
    async with console(size) as (app, pilot):
        for number, pane in enumerate(PANES, start=1):
            await pilot.press(str(number))
            await app.settled(pilot)
            assert app.main.pane is pane
            assert app.focused is app.main.current.target()
        for pane in PANES:
            await pilot.press("tab")
            assert app.main.pane is pane
        await pilot.press("shift+tab", "escape")
        assert app.main.pane is Pane.USERS


async def test_the_title_of_the_pane_somebody_is_in_stands_out(office: "Office", console: "OpenConsole") -> None:
    await office.fill(3)
    async with console((200, 50)) as (app, pilot):
        for key, here in (("2", app.main.health), ("4", app.log_pane), ("1", app.users)):
            await pilot.press(key)
            await app.settled(pilot)

            bold = [pane for pane in app.main.panes if pane.query_one(Rule).rich_style.bold]
            assert bold == [here]


async def test_a_pane_can_have_the_whole_screen(office: "Office", console: "OpenConsole") -> None:
    await office.fill(3)
    async with console((200, 50)) as (app, pilot):
        await pilot.press("4", "plus", "plus")
        await app.settled(pilot)
        assert app.log_pane.size.height > 40

        await pilot.press("escape")
        await app.settled(pilot)
        assert app.log_pane.size.height == 10


async def test_a_list_at_the_bottom_has_half_of_the_screen_then_all_of_it(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(10)
    async with console((200, 50)) as (app, pilot):
        heights = []
        for keys in (("4",), ("plus",), ("plus",), ("plus",), ("plus", "3"), ("escape",)):
            await pilot.press(*keys)
            await app.settled(pilot)
            heights.append((app.log_pane.size.height, app.jobs_pane.size.height))

        normal, half, full, again, other, back = heights
        assert normal == again == back == (10, 6)
        assert half == (25, 6)
        assert full[0] > 40
        assert other == (10, 25)


async def test_a_key_that_can_do_nothing_says_why(office: "Office", console: "OpenConsole") -> None:
    await office.fill(3)
    async with console() as (app, pilot):
        await pilot.press("U")
        await app.settled(pilot)

        assert "unmark all: nothing is marked; space marks" in app.text()


async def test_help_is_searched_by_typing_and_left_with_escape(office: "Office", console: "OpenConsole") -> None:
    await office.fill(3)
    async with console((120, 36)) as (app, pilot):
        await pilot.press("question_mark", *"quit")
        await app.settled(pilot)
        assert isinstance(app.screen, HelpScreen)
        assert "Leave the console." in app.text()
        assert "Go down one line." not in app.text()

        await pilot.press(*["backspace"] * 4, *"repair")
        await app.settled(pilot)
        assert "show the plan first." in app.text()

        await pilot.press("escape")
        await app.settled(pilot)
        assert not isinstance(app.screen, HelpScreen)


async def test_the_palette_does_what_is_typed(office: "Office", console: "OpenConsole") -> None:
    await office.fill(3)
    async with console((120, 36)) as (app, pilot):
        await pilot.press("colon", *"theme light")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await pilot.pause(0.5)

        assert app.theme == "light"


async def test_the_plain_keymap_has_no_letters(office: "Office", console: "OpenConsole") -> None:
    await office.fill(3)
    async with console(keys=keymap("plain")) as (app, pilot):
        await pilot.press("j", "q", "f5", "down")
        await app.settled(pilot)
        assert app.users.table().cursor != app.users.table().source.key_at(0)
        assert "f10 quit" in app.text()

        await pilot.press("f10")
        await pilot.pause()

    assert app.return_code == 0


async def test_ctrl_c_leaves_when_pressed_twice(office: "Office", console: "OpenConsole") -> None:
    async with console() as (app, pilot):
        await pilot.press("ctrl+c")
        assert "again" in app.bar.word
        await pilot.press("ctrl+c")
        await pilot.pause()

    assert app.return_code == 130


async def test_a_focus_of_a_moment_ago_does_not_take_anybody_back(office: "Office", console: "OpenConsole") -> None:
    await office.fill(5)
    async with console() as (app, pilot):
        await pilot.press("3")
        app.main.post_message(DescendantFocus(app.users.table()))
        await app.settled(pilot)

        assert app.main.pane is Pane.JOBS


async def test_a_key_is_that_of_the_pane_it_was_typed_in(office: "Office", console: "OpenConsole") -> None:
    await office.fill(5)
    async with console() as (app, pilot):
        await pilot.press("3")
        app.main.pane = Pane.USERS
        await pilot.press("enter")
        await app.settled(pilot)

        assert app.crash is None


async def test_nothing_stays_of_what_was_drawn_of_a_closed_screen(office: "Office", console: "OpenConsole") -> None:
    async with console() as (app, pilot):
        await pilot.press("question_mark")
        await app.settled(pilot)
        drawn = [weakref.ref(widget._styles_cache) for widget in app.screen.query(Widget)]
        await pilot.press("escape")
        for _ in range(50):
            # Textual takes a closed screen down in a task of its own.
            await app.settled(pilot)
            gc.collect()
            if not any(one() for one in drawn):
                break

        assert len(drawn) > 2
        assert [one() for one in drawn if one() is not None] == []


# ── what is never seen ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", SIZES)
async def test_no_part_of_a_stored_token_is_in_any_picture(
    office: "Office", console: "OpenConsole", size: tuple[int, int]
) -> None:
    await office.fill(40)
    async with console(size) as (app, pilot):
        pictures = []
        for keys in (["1"], ["2"], ["3"], ["4"], ["question_mark"]):
            await pilot.press(*keys)
            await app.settled(pilot)
            pictures += [app.text(), app.export_screenshot()]

        assert not any(PLANTED[n : n + 8] in picture for picture in pictures for n in range(len(PLANTED) - 7))


async def test_in_privacy_names_and_addresses_are_masked(office: "Office", console: "OpenConsole") -> None:
    await office.fill(20)
    async with console((200, 50)) as (app, pilot):
        await pilot.press("m")
        await app.settled(pilot)

        assert "example.org" not in app.text().replace("chat.example.org", "")
        assert "Anna Keller" not in app.text()
        assert "a•••••" in app.text()


@pytest.mark.parametrize("name", THEMES)
async def test_every_theme_draws(office: "Office", console: "OpenConsole", name: str) -> None:
    await office.fill(10)
    async with console(theme=name) as (app, _):
        assert "x revoked" in app.text()


async def test_plain_signs_draw_no_line_but_ascii(office: "Office", console: "OpenConsole") -> None:
    await office.fill(2)
    async with console((120, 36), plain_signs=True) as (app, _):
        assert app.drawn().isascii()
        assert " [1 Users]" in app.drawn()


async def test_ages_grow_although_nothing_happens(office: "Office", console: "OpenConsole") -> None:
    await office.fill(3)
    clock = [NOW]
    async with console(now=lambda: clock[0]) as (app, pilot):
        assert "6m ago" in app.text()
        clock[0] += timedelta(hours=2)
        app.look()
        await app.settled(pilot)

        assert "2h ago" in app.text()
        assert "6m ago" not in app.text()


async def test_a_whole_entry_of_the_log_is_shown_with_those_around_it(office: "Office", console: "OpenConsole") -> None:
    await office.fill(12)
    async with console() as (app, pilot):
        while not app.log_pane.view().lines:
            await pilot.pause(0.01)
        await pilot.press("4", "enter")
        await app.settled(pilot)
        newest = app.text()
        await pilot.press("k", "k")
        await app.settled(pilot)
        older = app.text()
        await pilot.press("escape")
        await app.settled(pilot)

        assert "What      token generated" in newest
        assert "By        ops1@cli, job 2" in newest
        assert "(id 12)" in newest
        assert "(id 10)" in older
        assert app.log_pane.view().follows
        assert len(app.screen_stack) == 1


async def test_of_an_entry_that_is_longer_than_the_screen_the_end_and_the_keys_are_seen(
    office: "Office", console: "OpenConsole"
) -> None:
    await office.fill(12)
    office.sql("UPDATE mmconsole_activity SET detail = ?", f"{'on and ' * 200}the end")
    async with console((60, 15)) as (app, pilot):
        while not app.log_pane.view().lines:
            await pilot.pause(0.01)
        await pilot.press("4", "enter", *["pagedown"] * 9)
        await app.settled(pilot)

        assert "the end" in app.text()
        assert "esc back" in app.text()


async def test_when_the_size_changes_the_keys_of_a_job_move_at_once(office: "Office", console: "OpenConsole") -> None:
    await office.fill(10)
    async with console((120, 36)) as (app, pilot):
        assert app.reader is not None
        app.reader.look = lambda: None  # type: ignore[method-assign]
        await pilot.resize_terminal(200, 50)
        await app.settled(pilot)

        assert "p pause" in app.text()
