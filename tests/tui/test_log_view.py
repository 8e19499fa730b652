"""The log view: a ring, what it shows of it, and that it stays where somebody reads."""

from datetime import UTC, datetime, timedelta

from textual.app import App, ComposeResult
from textual.strip import Strip

from mmconsole.tui.log_view import Gravity, LogLine, LogView

SIZE = (80, 10)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class CountingView(LogView):
    """Counts the lines it paints."""

    painted = 0

    def render_line(self, y: int) -> Strip:
        self.painted += 1
        return super().render_line(y)


class LogApp(App[None]):
    """Nothing but the view."""

    def __init__(self, capacity: int = 20_000) -> None:
        super().__init__()
        self.view = CountingView(capacity=capacity)

    def compose(self) -> ComposeResult:
        yield self.view

    def shown(self) -> list[str]:
        texts = [self.view.render_line(y).text.rstrip() for y in range(self.view.size.height)]
        return [text.split("  ")[-1] for text in texts if text]


def lines(first: int, last: int, gravity: Gravity = Gravity.INFO) -> list[LogLine]:
    return [LogLine(NOON + timedelta(seconds=n), "ann", "sync", f"line {n}", gravity) for n in range(first, last)]


async def test_it_follows_the_newest_line() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 100))
        await pilot.pause()
        app.view.add(lines(100, 105))
        await pilot.pause()

        assert app.shown() == [f"line {n}" for n in range(95, 105)]
        assert app.view.pending == 0


async def test_whoever_reads_further_up_stays_there_and_sees_how_many_came() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 100))
        await pilot.pause()
        app.view.move(-20)
        await pilot.pause()
        before = app.shown()

        app.view.add(lines(100, 107))
        await pilot.pause()
        assert (app.shown(), app.view.follows, app.view.pending) == (before, False, 7)

        app.view.follow(on=True)
        await pilot.pause()
        assert (app.shown()[-1], app.view.pending) == ("line 106", 0)


async def test_scrolling_to_the_end_follows_again() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 100))
        await pilot.pause()
        app.view.move(-5)
        await pilot.pause()
        assert not app.view.follows

        app.view.move(5)
        await pilot.pause()
        assert app.view.follows


async def test_lines_out_of_sight_paint_nothing() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 1_000))
        await pilot.pause()
        app.view.move(-500)
        await pilot.pause()
        await pilot.pause()
        app.view.painted = 0

        app.view.add(lines(1_000, 1_100))
        await pilot.pause()

        assert app.view.painted <= SIZE[1]


async def test_a_hundred_thousand_lines_keep_the_newest_and_paint_a_screen() -> None:
    app = LogApp(capacity=1_000)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.view.painted = 0
        app.view.add(lines(0, 100_000))
        await pilot.pause()

        assert app.view.painted <= 2 * SIZE[1]
        assert len(app.view.lines) == 1_000
        assert app.shown()[-1] == "line 99999"


async def test_what_the_ring_drops_moves_nothing_under_the_reader() -> None:
    app = LogApp(capacity=80)
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 80))
        await pilot.pause()
        app.view.move(-20)
        await pilot.pause()
        before = app.shown()

        app.view.add(lines(80, 100))
        await pilot.pause()

        assert app.view.lines[0].detail == "line 20"
        assert app.shown() == before


async def test_the_level_hides_what_matters_less() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE):
        app.view.add([*lines(0, 2, Gravity.DETAIL), *lines(2, 4), *lines(4, 5, Gravity.ERROR)])
        assert app.shown() == ["line 2", "line 3", "line 4"]

        app.view.set_level(Gravity.DETAIL)
        assert len(app.shown()) == 5

        app.view.set_level(Gravity.WARNING)
        assert app.shown() == ["line 4"]


async def test_a_filter_shows_only_lines_with_its_text_also_of_those_that_come() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 30))
        app.view.filter("LINE 2")
        await pilot.pause()
        assert app.shown() == ["line 2", *(f"line {n}" for n in range(20, 30))][-10:]

        app.view.add(lines(30, 40))
        app.view.add(lines(200, 201))
        await pilot.pause()
        assert app.shown()[-2:] == ["line 29", "line 200"]


async def test_wrapped_lines_lose_nothing() -> None:
    app = LogApp()
    long = "王" * 100
    async with app.run_test(size=SIZE) as pilot:
        app.view.add([LogLine(NOON, "ann", "sync", long)])
        app.view.set_wrap(on=True)
        await pilot.pause()

        strips = [app.view.render_line(y) for y in range(SIZE[1])]
        assert "".join(strip.text for strip in strips).count("王") == 100
        assert {strip.cell_length for strip in strips} == {SIZE[0] - 1}


async def test_search_goes_from_hit_to_hit_and_round() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 100))
        await pilot.pause()

        app.view.search("line 5")
        await pilot.pause()
        assert "line 59" in app.shown()
        assert not app.view.follows

        places = []
        for direction in (-1, -1, 1, 1, 1):
            assert app.view.next_hit(direction)
            places.append(app.view._found)
        assert places == [58, 57, 58, 59, 5]


async def test_a_search_without_hits_says_so_and_stays() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 100))
        await pilot.pause()
        app.view.search("nowhere")

        assert not app.view.next_hit(1)
        assert app.view.follows


async def test_nothing_in_a_line_acts_on_the_terminal() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE):
        app.view.add([LogLine(NOON, "\x1b[31man\nn", "[@click=app.quit]x", "\x1b]0;title\x07 \u202e")])
        strip = app.view.render_line(0)

        assert not set("\x1b\x07\n\u202e") & set(strip.text)
        assert strip.cell_length == SIZE[0] - 1


async def test_the_thumb_of_the_scroll_bar_stands_where_the_view_is() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 100))
        await pilot.pause()

        assert app.view.vertical_scrollbar.position == app.view.scroll_offset.y == 90


async def test_an_entry_is_pointed_at_and_those_around_it_however_many_lines_they_take() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.set_wrap(on=True)
        app.view.add([*lines(0, 30), LogLine(NOON, "ann", "sync", "long " * 100), *lines(30, 32)])
        await pilot.pause()

        pointed = [app.view.point(by) for by in (0, -1, -1, -1, 2, 9)]
        app.view.point_at_nothing(follow=True)

        told = [line.detail[:7] for line in pointed if line is not None]
        assert told == ["line 31", "line 30", "long lo", "line 29", "line 30", "line 31"]
        assert app.view.follows


async def test_the_entry_that_is_pointed_at_stays_the_one_however_many_come() -> None:
    app = LogApp()
    async with app.run_test(size=SIZE) as pilot:
        app.view.add(lines(0, 100))
        await pilot.pause()
        pointed = [app.view.point()]
        app.view.add(lines(100, 103))
        pointed.append(app.view.point(1))
        await pilot.pause()
        app.view.add(lines(103, 150))
        await pilot.pause()
        pointed.append(app.view.point(-1))

        assert [line.detail for line in pointed if line is not None] == ["line 99", "line 100", "line 99"]
