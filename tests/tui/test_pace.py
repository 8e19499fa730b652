"""What a key costs, counted: lines, pictures, layouts, styles. Time is not measured here."""

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.tui.conftest import Watched
from textual.app import App, ComposeResult
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen
from textual.widget import Widget

from mmconsole.core import open_core
from mmconsole.tui.detail_pane import DetailPane
from mmconsole.tui.frame import Line
from mmconsole.tui.key_bar import KeyBar
from mmconsole.tui.picture import Picture
from mmconsole.tui.resting import Resting
from mmconsole.tui.themes import PlainSigns
from mmconsole.tui.virtual_table import VirtualTable

if TYPE_CHECKING:
    from tests.tui.conftest import Office, OpenConsole

WIDE = (120, 36)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the parts of a picture were made."""
    counts: Counter[str] = Counter()

    def count(owner: type, method: str) -> None:
        done = getattr(owner, method)

        def counted(self: Any, *args: Any, **options: Any) -> Any:
            counts[f"{owner.__name__}.{method}"] += 1
            return done(self, *args, **options)

        monkeypatch.setattr(owner, method, counted)

    count(VirtualTable, "render_line")
    count(DetailPane, "render")
    count(KeyBar, "render")
    count(Picture, "draw")
    count(Screen, "_refresh_layout")
    count(Stylesheet, "apply")
    count(Stylesheet, "update_nodes")
    count(Widget, "render_lines")
    return counts


async def test_the_first_picture_is_laid_out_and_styled_once(
    office: "Office", counts: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first: list[Counter[str]] = []
    draw = Watched._display

    def drawn(app: Watched, screen: Screen[Any], renderable: Any) -> None:
        first.append(counts.copy())
        draw(app, screen, renderable)

    monkeypatch.setattr(Watched, "_display", drawn)
    app = Watched(None, partial(open_core, office.settings, face="test"))
    async with app.run_test(size=WIDE):
        widgets = len(list(app.screen.walk_children(with_self=True)))
        classes = sum(len(one._get_component_classes()) for one in app.screen.walk_children(with_self=True))

    assert first[0]["Screen._refresh_layout"] == 1
    # Besides each part and its colours once: the theme, and the table once more as it gets the focus.
    assert first[0]["Stylesheet.update_nodes"] == 2
    assert first[0]["Stylesheet.apply"] <= widgets + classes + 1 + (1 + len(app.users.table().COMPONENT_CLASSES)) + 2


@pytest.fixture
def timeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes for a cursor when the test says so."""
    tick = Resting.tick
    monkeypatch.setattr(Resting, "tick", lambda _: None)
    monkeypatch.setattr(Resting, "let_pass", tick, raising=False)


@pytest.mark.usefixtures("timeless")
async def test_who_holds_a_key_has_two_lines_painted_for_each_step_and_nothing_else(
    office: "Office", console: "OpenConsole", counts: Counter[str]
) -> None:
    await office.fill(60)
    async with console(WIDE) as (app, pilot):
        await pilot.press("j")
        await app.settled(pilot)
        counts.clear()

        await pilot.press(*"jjjjj")
        await pilot.pause()

        # The table, its scroll bar, and the box both stand in.
        assert counts["Widget.render_lines"] <= 5 * 3
        assert {what: times for what, times in counts.items() if what != "Widget.render_lines"} == {
            "VirtualTable.render_line": 5 * 2
        }


@pytest.mark.usefixtures("timeless")
async def test_details_are_told_of_a_single_step_at_once_and_of_a_run_at_its_end(
    office: "Office", console: "OpenConsole", counts: Counter[str]
) -> None:
    await office.fill(60)
    async with console(WIDE) as (app, pilot):
        rest: Any = app._resting
        for _ in range(2):
            rest.let_pass()
        counts.clear()

        await pilot.press("j")
        await pilot.pause()
        at_once = counts["DetailPane.render"]
        await pilot.press("j", "j")
        await pilot.pause()
        while_running = counts["DetailPane.render"]
        for _ in range(2):
            rest.let_pass()
        await pilot.pause()

        assert (at_once, while_running, counts["DetailPane.render"]) == (1, 1, 2)
        assert app.main.detail._listed is not None
        assert app.main.detail._listed.user.id == app.users.table().cursor


def test_a_cursor_rests_when_a_whole_tick_has_passed() -> None:
    told: list[str] = []
    resting = Resting(lambda: told.append(key))
    for key in ("a", "b", "c"):
        resting.seen_on(key)
    resting.tick()
    assert told == ["a"]

    resting.tick()
    resting.tick()

    assert told == ["a", "c"]


def test_a_row_that_is_read_while_the_cursor_rests_is_told_at_once() -> None:
    told: list[str] = []
    resting = Resting(lambda: told.append("a"))
    resting.seen_on("a")
    resting.seen_on("a")

    assert told == ["a", "a"]


class Lines(App[None]):
    """Two lines, one of which is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.still, self.other = Line(), Line()
        self.signs = PlainSigns(enabled=False)

    def get_line_filters(self) -> list[Any]:
        return [self.signs] if self.signs.enabled else []

    def compose(self) -> ComposeResult:
        yield self.still
        yield self.other

    def on_mount(self) -> None:
        self.still.say("▸ still")
        self.other.say("other")

    def text(self) -> str:
        return self.screen._compositor.render_strips(self.size)[0].text.rstrip()


async def test_a_line_is_not_drawn_anew_for_the_change_of_another(counts: Counter[str]) -> None:
    app = Lines()
    async with app.run_test(size=(20, 4)) as pilot:
        await pilot.pause()
        drawn = app.still._drawn
        counts.clear()

        app.other.say("changed")
        await pilot.pause()

        assert drawn is not None
        assert app.still._drawn is drawn


@pytest.mark.parametrize("change", ["words", "style", "theme", "size", "signs"])
async def test_whatever_changes_a_line_draws_it_anew(change: str) -> None:
    app = Lines()
    async with app.run_test(size=(20, 4)) as pilot:
        await pilot.pause()
        before = app.still._drawn
        assert before is not None

        match change:
            case "words":
                app.still.say("new")
            case "style":
                app.still.styles.background = "red"
            case "theme":
                app.theme = "textual-light"
            case "size":
                await pilot.resize_terminal(30, 4)
            case _:
                app.signs.enabled = True
        await pilot.pause()
        text = app.text()

        assert app.still._drawn is not None
        assert app.still._drawn[3] != before[3]
        assert text == {"words": "new", "signs": "> still"}.get(change, "▸ still")
