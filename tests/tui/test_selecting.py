"""Text marked with the mouse: what is seen is what is copied, and a mouse that lets go of it clicks nothing."""

from typing import TYPE_CHECKING

from mmconsole.tui import clipboard
from mmconsole.tui.list_screen import ListScreen
from mmconsole.tui.virtual_table import Cell, Column, Row, RowList, VirtualTable

if TYPE_CHECKING:
    import pytest
    from tests.tui.conftest import Office, OpenConsole, Watched
    from textual.pilot import Pilot
    from textual.widget import Widget


async def drag(pilot: "Pilot[None]", widget: "Widget", start: tuple[int, int], end: tuple[int, int]) -> None:
    await pilot.mouse_down(widget, offset=start)
    await pilot.hover(widget, offset=end)
    await pilot.mouse_up(widget, offset=end)
    await pilot.pause()


def caught(monkeypatch: "pytest.MonkeyPatch") -> list[str]:
    """What is copied from now on."""
    texts: list[str] = []

    async def copy(text: str, _send: object) -> str:
        texts.append(text)
        return ""

    monkeypatch.setattr(clipboard, "copy", copy)
    return texts


async def opened(office: "Office", app: "Watched", pilot: "Pilot[None]") -> None:
    while not app.log_pane.view().lines:
        await pilot.pause(0.01)


async def test_rows_marked_with_the_mouse_are_copied_and_the_cursor_stays(
    office: "Office", console: "OpenConsole", monkeypatch: "pytest.MonkeyPatch"
) -> None:
    await office.fill(20)
    texts = caught(monkeypatch)
    async with console() as (app, pilot):
        table = app.users.table()
        rows = [app.text().splitlines()[3 + n] for n in range(3)]
        await drag(pilot, table, (4, 2), (15, 3))
        await app.settled(pilot)

        assert texts == [f"{rows[1][4:79].rstrip()}\n{rows[2][:16]}"]
        assert table.cursor == table.source.key_at(0)
        assert "Copied: " in app.text()

        await pilot.press("escape")
        assert not app.screen.selections


async def test_a_part_of_a_line_with_wide_letters_is_copied_by_its_cells(
    office: "Office", console: "OpenConsole", monkeypatch: "pytest.MonkeyPatch"
) -> None:
    await office.fill(10)
    texts = caught(monkeypatch)
    async with console() as (app, pilot):
        app.users.toggle_column("name")
        await app.settled(pilot)
        lines = app.text().splitlines()
        number = next(n for n, line in enumerate(lines) if "王小明" in line)
        cells = lines[number].index("王小明")
        await drag(pilot, app.users.table(), (cells, number - 2), (cells + 4, number - 2))
        await app.settled(pilot)

        assert texts == ["王小"]


async def test_lines_of_the_log_are_copied_masked_where_names_are_covered(
    office: "Office", console: "OpenConsole", monkeypatch: "pytest.MonkeyPatch"
) -> None:
    await office.fill(20)
    texts = caught(monkeypatch)
    async with console() as (app, pilot):
        await opened(office, app, pilot)
        await pilot.press("m", "4")
        await app.settled(pilot)
        await drag(pilot, app.log_pane.view(), (1, 0), (60, 1))
        await app.settled(pilot)

        (text,) = texts
        assert "token generated" in text
        assert "@example.org" not in text


async def test_a_click_and_two_clicks_copy_nothing(
    office: "Office", console: "OpenConsole", monkeypatch: "pytest.MonkeyPatch"
) -> None:
    await office.fill(20)
    texts = caught(monkeypatch)
    async with console() as (app, pilot):
        table = app.users.table()
        await pilot.click(table, offset=(10, 3))
        await pilot.double_click(table, offset=(10, 4))
        await app.settled(pilot)

        assert texts == []
        assert not app.screen.selections
        assert table.cursor == table.source.key_at(3)
        assert not app.main.with_detail


async def test_rows_of_a_screen_over_the_others_are_copied_too(
    office: "Office", console: "OpenConsole", monkeypatch: "pytest.MonkeyPatch"
) -> None:
    await office.fill(10)
    texts = caught(monkeypatch)
    async with console((120, 36)) as (app, pilot):
        table = VirtualTable((Column("user", "USER", 20),), RowList([("1", Row((Cell("ann.baker"),)))]))
        app.push_screen(ListScreen[None](table))
        await app.settled(pilot)
        await drag(pilot, table, (4, 1), (7, 1))
        await app.settled(pilot)

        assert texts == ["ann."]
