"""Copy, export, views, columns, the command line and other profiles, as somebody uses them."""

import base64
import csv
import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.tui.conftest import NOW
from textual import events
from textual.pilot import Pilot

from mmconsole.domain.activity import Activity
from mmconsole.domain.users import UserId
from mmconsole.errors import UnknownProfile
from mmconsole.tui.command_line import CommandLine
from mmconsole.tui.menu import Menu
from mmconsole.tui.plan_screen import PlanScreen

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.tui.conftest import Office, OpenAtWork, OpenConsole, Watched

    from mmconsole.config import Settings

PLANTED = "qwertyuiopasdfghjklzxcvbnm"


@pytest.fixture(autouse=True)
def bare_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever terminal the tests themselves run in."""
    for name in ("TMUX", "STY", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def listen(app: "Watched") -> list[str]:
    """What is sent into the clipboard from now on."""
    copied: list[str] = []

    def write(data: str) -> None:
        copied.extend(base64.b64decode(found).decode() for found in re.findall(r"\x1b\]52;c;(.*?)\a", data))

    assert app._driver is not None
    app._driver.write = write  # type: ignore[method-assign]
    return copied


def list_of(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def type_line(app: "Watched", pilot: Pilot[None], line: str) -> None:
    await pilot.press("colon")
    await app.settled(pilot)
    await pilot.press(*("space" if sign == " " else sign for sign in line), "enter")
    await app.settled(pilot)


# ── copy ─────────────────────────────────────────────────────────────────────────────────────────


async def test_a_letter_of_the_menu_copies(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        copied = listen(app)
        for key in "eitrj":
            await pilot.press("y")
            await app.settled(pilot)
            assert isinstance(app.screen, Menu)
            await pilot.press(key)
            await app.settled(pilot)

        *texts, row = copied
        assert texts == ["anna.k@example.org", "1", "token000000000000000000000", "401 no such token"]
        assert json.loads(row)["email"] == "anna.k@example.org"
        assert "Copied: row as JSON." in app.text()
        assert PLANTED[:8] not in row


async def test_marked_users_are_copied_a_line_each(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        copied = listen(app)
        await pilot.press("space", "j", "space", "c", "e")
        await app.settled(pilot)

        assert copied == ["anna.k@example.org\nbuild-bot1@example.org"]
        assert "Copied: e-mail of 2 users." in app.text()


async def test_what_would_act_where_it_is_pasted_is_copied_as_signs(office: "Office", console: "OpenConsole") -> None:
    await office.fill(1)
    office.sql("UPDATE users SET email = ?", "ann\x1b[31m\n@example.org")
    async with console() as (app, pilot):
        copied = listen(app)
        await pilot.press("y", "e")
        await app.settled(pilot)

        assert copied == ["ann␛[31m␊@example.org"]


async def test_what_there_is_not_cannot_be_copied(office: "Office", console: "OpenConsole") -> None:
    await office.fill(5)
    async with console() as (app, pilot):
        copied = listen(app)
        await pilot.press("slash", *"status:missing", "enter")
        await app.settled(pilot)
        await pilot.press("y", "t")
        await app.settled(pilot)
        assert isinstance(app.screen, Menu)
        await pilot.press("escape")
        await app.settled(pilot)

        assert copied == []
        assert len(app.screen_stack) == 1


async def test_the_menu_of_a_masked_screen_shows_nobody(office: "Office", console: "OpenConsole") -> None:
    await office.fill(5)
    async with console() as (app, pilot):
        await pilot.press("m", "y")
        await app.settled(pilot)

        assert "e-mail" in app.text()
        assert "@example.org" not in app.text()


# ── export ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
async def test_what_is_shown_is_exported_for_nobody_else(
    office: "Office", console: "OpenConsole", tmp_path: Path, form: str
) -> None:
    await office.fill(40)
    office.sql("UPDATE users SET name = '=1+1 Keller' WHERE id = 1")
    file = tmp_path / f"broken.{form}"
    async with console() as (app, pilot):
        await pilot.press("slash", *"status:revoked", "enter")
        await app.settled(pilot)
        await type_line(app, pilot, f"export {form} {file}")

        assert f"4 users are in {file}"[:60] in app.bar.word

    text = file.read_text()
    rows: list[dict[str, str]]
    if form == "csv":
        rows = list(csv.DictReader(text.splitlines()))
    else:
        rows = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
    assert [row["id"] for row in rows] == ["1", "11", "21", "31"]
    assert rows[0]["first_name"] == ("'=1+1" if form == "csv" else "=1+1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PLANTED[:8] not in text


async def test_a_file_that_is_there_is_not_overwritten(
    office: "Office", console: "OpenConsole", tmp_path: Path
) -> None:
    await office.fill(4)
    file = tmp_path / "users.csv"
    file.write_text("mine")
    async with console((120, 36)) as (app, pilot):
        await type_line(app, pilot, f"export csv {file}")
        assert "exists already" in app.bar.word
        await type_line(app, pilot, f"export csv {tmp_path}/nowhere/users.csv")
        assert "cannot be written: No such file or directory" in app.bar.word

    assert file.read_text() == "mine"


async def test_the_log_is_exported_as_it_is_filtered(
    office: "Office", console: "OpenConsole", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await office.fill(12)
    async with console((120, 36)) as (app, pilot):
        while not app.log_pane.view().lines:
            await pilot.pause(0.02)
        await pilot.press("4", "L", "e", "l")
        await app.settled(pilot)
        assert "2 entries" in app.bar.word

    (file,) = list_of(tmp_path)
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert [entry["level"] for entry in entries] == ["warning", "warning"]


# ── views, order and columns ─────────────────────────────────────────────────────────────────────


async def test_brackets_go_through_the_views(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        await pilot.press("right_square_bracket")
        await app.settled(pilot)
        assert "View: broken." in app.text()
        assert len(app.users.table().source) == 8

        await pilot.press("left_square_bracket", "left_square_bracket")
        await app.settled(pilot)
        assert app.users.filter_text == "status:unknown"


async def test_a_view_is_saved_counted_and_forgotten(office: "Office", console: "OpenConsole", tmp_path: Path) -> None:
    await office.fill(40)
    async with console((200, 50), views=tmp_path / "views.yaml") as (app, pilot):
        await pilot.press("slash", *"status:ok ann", "enter", "less_than_sign")
        await app.settled(pilot)
        count = len(app.users.table().source)
        await type_line(app, pilot, "save my anns")
        assert re.search(rf"▸ my anns +{count}\b", app.text())

        await pilot.press("escape")
        await type_line(app, pilot, "view my anns")
        assert app.users.filter_text == "status:ok ann"
        assert "USER ▲" in app.text()

        await type_line(app, pilot, "forget my anns")
        assert "my anns  " not in app.text()


@pytest.mark.parametrize(("opened_by", "typed"), [("y", "e"), (":", "enter")])
async def test_a_key_that_comes_twice_before_a_menu_or_line_is_gone_takes_no_more_with_it(
    office: "Office", console: "OpenConsole", opened_by: str, typed: str
) -> None:
    await office.fill(4)
    async with console() as (app, pilot):
        below = app.screen
        await pilot.press(opened_by)
        await app.settled(pilot)
        over = app.screen
        receiver = app.focused if typed == "enter" else over
        assert receiver is not None
        for _ in range(3):
            receiver.post_message(events.Key(typed, None if typed == "enter" else typed))
        await app.settled(pilot)

        assert over is not below
        assert app.screen_stack[0] is below
        assert app.return_code is None


async def test_columns_are_chosen_and_sorted_by_in_a_menu(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console((120, 36)) as (app, pilot):
        header = app.text().splitlines()[3]
        assert "TEAM" not in header
        await pilot.press("o", *["down"] * 9, "enter")
        await app.settled(pilot)
        assert isinstance(app.screen, Menu)
        await pilot.press("escape", "o", "enter")
        await app.settled(pilot)

        header = app.text().splitlines()[3]
        assert "USER ▲" in header
        assert "EXPIRES" not in header
        assert "MADE" in header


async def test_order_by_what_has_no_column(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console((120, 36)) as (app, pilot):
        await type_line(app, pilot, "sort -id")

        assert app.users.table().source.key_at(0) == "40"
        assert "sort: id ▼" in app.text()


# ── the command line ─────────────────────────────────────────────────────────────────────────────


async def test_tab_completes_and_enter_does(office: "Office", console: "OpenConsole") -> None:
    await office.fill(4)
    async with console() as (app, pilot):
        await pilot.press("colon", *"the", "tab", *"lig", "tab")
        await app.settled(pilot)
        assert isinstance(app.screen, CommandLine)
        assert "theme light" in app.text().splitlines()[-1]
        await pilot.press("enter")
        await app.settled(pilot)

        assert app.theme == "light"


async def test_a_user_is_found_by_a_name_with_spaces(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        await type_line(app, pilot, "user Anna Keller")

        assert app.users.filter_text == '"Anna Keller"'
        assert len(app.users.table().source) == 5


async def test_a_filter_is_completed_term_by_term(office: "Office", console: "OpenConsole") -> None:
    await office.fill(40)
    async with console() as (app, pilot):
        await pilot.press("colon", *"filter", "space", *"ann", "space", *"stat", "down", "tab", *"mis", "down", "tab")
        await pilot.press("enter")
        await app.settled(pilot)

        assert app.users.filter_text == "ann status:missing"


async def test_what_nothing_is_called_does_nothing(office: "Office", console: "OpenConsole") -> None:
    await office.fill(4)
    async with console() as (app, pilot):
        await type_line(app, pilot, "xyzzy")
        assert "nothing is called that" in app.text()

        await pilot.press("escape")
        await app.settled(pilot)
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (200, 50)])
async def test_every_command_and_every_word_of_it_can_be_drawn(
    office: "Office", console: "OpenConsole", size: tuple[int, int]
) -> None:
    await office.fill(4)
    async with console(size) as (app, pilot):
        await pilot.press("colon")
        for name in ("", "user ", "filter ", "sort ", "column ", "view ", "copy ", "export ", "ctx ", "theme "):
            app.screen.query_one("Input").value = name  # type: ignore[attr-defined]
            await app.settled(pilot)
            assert app.text().rstrip().endswith(name.strip() or "what to do… (tab completes)")


# ── profiles ─────────────────────────────────────────────────────────────────────────────────────


async def test_another_profile_is_left_for_only_if_it_can_be_read(office: "Office", console: "OpenConsole") -> None:
    def broken() -> "Settings":
        raise UnknownProfile(where="config.yaml", profile="broken", known="default")

    profiles = {"staging": lambda: office.settings, "broken": broken}
    async with console((120, 36), profiles=profiles) as (app, pilot):
        await type_line(app, pilot, "ctx nowhere")
        assert "There is no profile nowhere. There are: staging, broken." in app.text()
        await type_line(app, pilot, "ctx broken")
        assert app.is_running
        assert "there is no profile" in app.bar.word

        await type_line(app, pilot, "ctx staging")
        await pilot.pause()

    assert app.next_profile == "staging"
    assert app.return_code == 0


# ── privacy ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)])
async def test_names_are_covered_in_the_log_the_filter_and_in_reasons(
    office: "Office", console: "OpenConsole", size: tuple[int, int]
) -> None:
    await office.fill(4)
    entry = Activity(NOW, "ops@cli", "account linked", UserId("2"), "@build-bot has bob@example.net")
    await office.write(lambda tx: tx.activity.add(entry))
    office.sql("UPDATE mmconsole_tokens SET cause = '@build-bot has this address'")
    async with console(size) as (app, pilot):
        while "account linked" not in app.text():
            await pilot.pause(0.02)
        await pilot.press("slash", *"build", "enter", "m")
        await app.settled(pilot)
        pictures = [app.text()]
        await pilot.press("4")
        await app.settled(pilot)
        pictures.append(app.text())

        assert "account linked" in pictures[1]
        for picture in pictures:
            assert "build" not in picture
            assert "bob@" not in picture
        await pilot.press("m")
        await app.settled(pilot)
        assert "bob@example.net" in app.text()


# ── what the server is asked for ─────────────────────────────────────────────────────────────────


async def test_who_is_in_a_team_is_asked_of_the_server_when_the_filter_is_confirmed(
    world: "World", at_work: "OpenAtWork"
) -> None:
    ann, bob = (world.add(f"{name}@x.test", name.title(), verified=True) for name in ("ann", "bob"))
    await world.sync()
    leaver = world.server.state.by_email["bob@x.test"]
    member = leaver.membership(world.server.team.id)
    assert member is not None
    world.server.state.leave_team(world.server.team, leaver, member)
    async with at_work() as (app, pilot):
        before = world.server.calls.total()
        await pilot.press("slash", *"team:main")
        await app.settled(pilot)
        assert world.server.calls.total() == before
        assert "enter asks it" in app.text()

        await pilot.press("enter")
        await app.settled(pilot)
        assert [app.users.table().source.key_at(0), len(app.users.table().source)] == [ann, 1]
        asked = world.server.calls.total()
        await pilot.press("greater_than_sign")
        await app.settled(pilot)
        assert world.server.calls.total() == asked
        await pilot.press("slash", *"team:zzz", "enter")
        await app.settled(pilot)
        assert "There is no team `zzz`" in app.bar.word
    assert bob


async def test_the_words_of_the_shell_open_the_plan(world: "World", at_work: "OpenAtWork") -> None:
    world.add("ann@x.test", "Ann", verified=True)
    async with at_work() as (app, pilot):
        await pilot.press("colon", *"sync", "space", "-", "-", *"all", "enter")
        screen = await app.asked(pilot, PlanScreen)
        assert screen is not None
        await pilot.press("escape")
        await app.done(pilot)


async def test_a_long_word_is_cut_and_not_broken(office: "Office", console: "OpenConsole") -> None:
    async with console() as (app, pilot):
        app.say(f"The database /{'x' * 90} cannot be opened")
        await app.settled(pilot)

        assert app.text().splitlines()[-1].startswith(" The database /xxx")
        assert app.text().splitlines()[-1].endswith("…")
