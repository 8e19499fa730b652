"""The table: what it paints is counted, and what it knows is keys."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from mmconsole.errors import DatabaseUnreachable
from mmconsole.tui.virtual_table import Cell, Column, Row, RowList, RowSource, VirtualTable

COLUMNS = (Column("user", "USER", 10, weight=2), Column("status", "STATUS", 12), Column("why", "WHY", 10, weight=1))
SIZE = (80, 24)


class CountingTable(VirtualTable):
    """Counts the lines it paints, and the rows it makes for them."""

    painted = 0
    made = 0

    def render_line(self, y: int) -> Strip:
        self.painted += 1
        return super().render_line(y)

    def _drawn_row(self, *args: Any, **options: Any) -> Strip:
        self.made += 1
        return super()._drawn_row(*args, **options)


class TableApp(App[None]):
    """Nothing but the table."""

    def __init__(self, source: RowSource) -> None:
        super().__init__()
        self.table = CountingTable(COLUMNS, source, empty="nobody")
        self.heard: list[object] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.focus()

    def on_virtual_table_load_failed(self, message: VirtualTable.LoadFailed) -> None:
        self.heard.append(message)

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        self.heard.append(message)

    def on_virtual_table_sort_asked(self, message: VirtualTable.SortAsked) -> None:
        self.heard.append(message)

    def lines(self) -> list[str]:
        return [self.table.render_line(y).text for y in range(self.table.size.height)]


class Windows:
    """Rows that are fetched when they are seen."""

    def __init__(self, count: int) -> None:
        self.keys = [str(n) for n in range(count)]
        self.rows: dict[str, Row] = {}
        self.loads: list[list[str]] = []
        self.broken = False

    def __len__(self) -> int:
        return len(self.keys)

    def key_at(self, index: int) -> str:
        return self.keys[index]

    def index_of(self, key: str) -> int | None:
        return int(key) if int(key) < len(self.keys) else None

    def row_of(self, key: str) -> Row | None:
        return self.rows.get(key)

    async def load(self, keys: Sequence[str]) -> None:
        if self.broken:
            raise DatabaseUnreachable(database="test", why="it is gone")
        self.loads.append(list(keys))
        self.rows |= dict(rows(keys))


def rows(keys: Iterable[str]) -> list[tuple[str, Row]]:
    return [(key, Row((Cell(f"user{key}"), Cell("+ ok", "good"), Cell("because")))) for key in keys]


def listed(count: int) -> RowList:
    return RowList(rows(str(n) for n in range(count)))


async def settled(pilot: Pilot[None], table: CountingTable) -> None:
    """Wait until everything is painted, and count from here."""
    await pilot.pause()
    await pilot.pause()
    table.painted = table.made = 0


# ── what is painted ──────────────────────────────────────────────────────────────────────────────


async def test_a_hundred_thousand_rows_paint_at_most_a_screen_on_start() -> None:
    app = TableApp(listed(100_000))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        # Once without and once with its scroll bar.
        assert SIZE[1] <= app.table.painted <= 2 * SIZE[1]


async def test_cursor_down_paints_at_most_two_lines() -> None:
    app = TableApp(listed(100_000))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, app.table)

        app.table.move(1)
        await pilot.pause()

        assert app.table.painted == 2


async def test_a_step_that_scrolls_makes_no_row_anew_that_was_seen() -> None:
    app = TableApp(listed(100_000))
    async with app.run_test(size=SIZE) as pilot:
        app.table.move_to(1_000)
        await settled(pilot, app.table)
        bar = app.table.vertical_scrollbar
        drawn = bar._render_cache

        app.table.move(1)
        await pilot.pause()

        # The one that came, and the cursor's old row and new one, which is the same.
        assert app.table.made == 2
        assert app.table.painted == SIZE[1]
        # Its thumb stays for 4,000 steps, and its place is known nevertheless to whoever takes it with the mouse.
        assert bar._render_cache is drawn
        assert bar.position == app.table.scroll_offset.y


async def test_the_scroll_bar_follows_who_goes_far() -> None:
    app = TableApp(listed(1_000))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, app.table)
        drawn = app.table.vertical_scrollbar._render_cache

        app.table.move(500)
        await pilot.pause()

        assert app.table.vertical_scrollbar._render_cache is not drawn


@pytest.mark.parametrize("change", ["row", "mark", "columns", "theme", "shift"])
async def test_a_row_that_was_seen_is_made_anew_when_it_looks_otherwise(change: str) -> None:
    source = Windows(100)
    app = TableApp(source)
    async with app.run_test(size=(30, 24)) as pilot:
        await settled(pilot, app.table)
        await pilot.pause()
        app.table.move(1)
        before = app.table.render_line(4)

        match change:
            case "row":
                source.rows["3"] = Row((Cell("other"), Cell("x gone", "bad"), Cell("because")))
            case "mark":
                app.table._marks["3"] = None
            case "columns":
                app.table.set_columns(COLUMNS[:2])
            case "theme":
                app.theme = "textual-light"
                await pilot.pause()
            case _:
                app.table.scroll_columns(1)

        assert app.table.render_line(4) != before


async def test_an_update_in_sight_paints_its_line() -> None:
    app = TableApp(listed(1_000))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, app.table)

        app.table.update_rows({"3", "5"})
        await pilot.pause()

        assert app.table.painted == 2


async def test_an_update_out_of_sight_paints_nothing() -> None:
    app = TableApp(listed(1_000))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, app.table)

        app.table.update_rows({str(n) for n in range(30, 1_000)})
        await pilot.pause()

        assert app.table.painted == 0


async def test_a_mark_paints_its_line() -> None:
    app = TableApp(listed(1_000))
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, app.table)

        app.table.toggle_mark()
        await pilot.pause()

        assert app.table.painted == 1


# ── identity ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_cursor_follows_its_user_through_another_order() -> None:
    app = TableApp(listed(100))
    async with app.run_test(size=SIZE) as pilot:
        app.table.move_to(7)
        app.table.toggle_mark()
        app.table.show(RowList(rows(str(n) for n in reversed(range(100)))))
        await pilot.pause()

        assert (app.table.cursor, app.table.marks) == ("7", ("7",))
        assert any(line.startswith("▸ ■ user7 ") for line in app.lines())


async def test_the_cursor_stays_where_it_was_when_its_user_is_gone() -> None:
    app = TableApp(listed(100))
    async with app.run_test(size=SIZE):
        app.table.move_to(7)
        app.table.toggle_mark()
        app.table.show(RowList(rows(str(n) for n in range(100) if n != 7)))

        assert (app.table.cursor, app.table.marks, app.table.hidden_marks) == ("8", ("7",), 1)


async def test_a_table_without_rows_says_so_and_has_no_cursor() -> None:
    app = TableApp(listed(3))
    async with app.run_test(size=SIZE) as pilot:
        app.table.move_to(2)
        app.table.show(RowList())
        app.table.move(1)
        app.table.toggle_mark()
        await pilot.pause()

        assert app.table.cursor is None
        assert app.table.marks == ()
        assert app.lines()[1].split() == ["nobody"]


async def test_a_range_marks_what_lies_between_and_gives_back_what_it_leaves() -> None:
    app = TableApp(listed(100))
    async with app.run_test(size=SIZE):
        app.table.toggle_mark()
        app.table.move_to(5)
        app.table.toggle_range()
        app.table.move_to(9)
        assert set(app.table.marks) == {"0", "5", "6", "7", "8", "9"}

        app.table.move_to(6)
        app.table.toggle_range()
        app.table.move_to(20)

        assert set(app.table.marks) == {"0", "5", "6"}


async def test_all_shown_are_marked_and_unmarked() -> None:
    app = TableApp(listed(50))
    async with app.run_test(size=SIZE):
        app.table.mark_all()
        assert len(app.table.marks) == 50

        app.table.clear_marks()

        assert app.table.marks == ()


# ── windows ──────────────────────────────────────────────────────────────────────────────────────


async def test_only_rows_near_the_screen_are_loaded() -> None:
    source = Windows(100_000)
    app = TableApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        app.table.move_to(50_000)
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()

        assert app.lines()[-1].startswith("▸   user50000 ")
        assert len(source.rows) < 200
        assert all(len(load) <= 3 * SIZE[1] for load in source.loads)


async def test_rows_that_cannot_be_read_are_reported() -> None:
    source = Windows(100)
    source.broken = True
    app = TableApp(source)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()

        (failed, *_) = app.heard
        assert isinstance(failed, VirtualTable.LoadFailed)
        assert "it is gone" in str(failed.fault)
        assert app.lines()[1].startswith("▸   … ")


# ── text ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        "王小明王小明王小明王小明王小明王小明王小明王小明",
        "e\u0301" * 60,
        "\u0301mark first",
        "محمد علي",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 family \u2764\ufe0f \U0001f44d\U0001f3fd",
        "\x1b[31mred\x1b]0;title\x07",
        "\u202eesreveR",
        "[@click=app.quit]press[/]",
        "x" * 10_000,
        "line\nbreak\ttab\x00",
        "",
    ],
)
async def test_every_line_is_as_wide_as_the_screen_and_acts_on_nothing(name: str) -> None:
    app = TableApp(RowList([("1", Row((Cell(name), Cell("x expired", "bad"), Cell(name))))]))
    async with app.run_test(size=SIZE):
        line = app.table.render_line(1)

        assert line.cell_length == SIZE[0] - 1, "less the scroll bar"
        assert "\x1b" not in line.text
        assert "\n" not in line.text
        assert "\u202e" not in line.text
        assert "x expired" in line.text
        assert not any(segment.style and segment.style.meta for segment in line)


async def test_the_title_of_the_sorting_column_has_a_marker() -> None:
    app = TableApp(listed(3))
    async with app.run_test(size=SIZE):
        app.table.sort_marker("status", descending=True)

        assert "STATUS ▼" in app.lines()[0]


async def test_columns_that_do_not_fit_are_scrolled_one_by_one_below_a_gutter_that_stays() -> None:
    app = TableApp(listed(3))
    async with app.run_test(size=(25, 10)):
        assert "WHY" not in app.lines()[0]

        app.table.scroll_columns(1)
        assert app.lines()[0].startswith("    STATUS")
        assert app.lines()[1].startswith("▸   + ok")

        app.table.scroll_columns(-1)
        assert app.lines()[1].startswith("▸   user0")


# ── mouse ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_click_moves_the_cursor_and_in_the_gutter_it_marks() -> None:
    app = TableApp(listed(100))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.click(app.table, offset=(10, 4))
        assert (app.table.cursor, app.table.marks) == ("3", ())

        await pilot.click(app.table, offset=(2, 6))
        assert (app.table.cursor, app.table.marks) == ("5", ("5",))


async def test_a_double_click_chooses_and_a_click_on_a_title_asks_to_sort() -> None:
    app = TableApp(listed(100))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.double_click(app.table, offset=(10, 4))
        await pilot.click(app.table, offset=(6, 0))
        await pilot.pause()

        chosen, sort = app.heard
        assert isinstance(chosen, VirtualTable.Chosen)
        assert chosen.key == "3"
        assert isinstance(sort, VirtualTable.SortAsked)
        assert sort.column == "user"


async def test_the_wheel_scrolls_without_moving_the_cursor() -> None:
    app = TableApp(listed(1_000))
    async with app.run_test(size=SIZE) as pilot:
        app.table.scroll_to(y=500, animate=False)
        await pilot.pause()

        assert app.table.cursor == "0"
        assert app.lines()[1].startswith("    user500 ")
