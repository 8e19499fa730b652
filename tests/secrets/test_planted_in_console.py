"""Known secrets, and every key of the console in every pane: none is in a picture, an export or the clipboard."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.secrets.conftest import Searcher

from mmconsole.secrets import seal_keys
from mmconsole.services.checks.checks import CheckRequest
from mmconsole.services.exporting import Form
from mmconsole.simulator import Fault
from mmconsole.tui.actions import ACTIONS, PANES, Pane, actions_of
from mmconsole.tui.copying import WORDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World
    from tests.tui.conftest import AtWork, OpenAtWork
    from textual.pilot import Pilot
    from textual.screen import Screen

PASSED_OVER = {"quit", "interrupt", "suspend"} | {action.id for action in ACTIONS if action.sentence.startswith("Go ")}
"""What ends the console or leaves it for the shell, and what only moves in what was seen."""
KEY_OF = {Pane.USERS: "1", Pane.HEALTH: "2", Pane.JOBS: "3", Pane.LOG: "4", Pane.EVERYWHERE: "1"}


class Onlooker:
    """Sees all that a console shows, and all that it hands to the terminal."""

    def __init__(self, app: AtWork, pilot: Pilot[None], searcher: Searcher) -> None:
        self._app = app
        self._pilot = pilot
        self._searcher = searcher
        self.seen = set[str]()
        self.screens: set[type[Screen[Any]]] = set()
        self.copied: list[str] = []
        assert app._driver is not None
        app._driver.write = self._hear  # type: ignore[method-assign]

    def _hear(self, data: str) -> None:
        self.copied += [base64.b64decode(one).decode() for one in re.findall(r"\x1b\]52;c;(.*?)\a", data)]

    async def press(self, *keys: str, about: str = "") -> None:
        await self._pilot.press(*keys)
        await self._app.settled(self._pilot)
        self.look(about or " ".join(keys))

    async def go_back(self) -> None:
        """Leave what was opened, and wait for what was begun."""
        while len(self._app.screen_stack) > 1:
            await self.press("escape")
        await self._app.done(self._pilot)
        self.look("afterwards")

    def look(self, about: str) -> None:
        text = self._app.text()
        self.screens.add(type(self._app.screen))
        if text not in self.seen:
            self.seen.add(text)
            assert self._searcher.find((text + self._app.export_screenshot()).encode()) == set(), about


@pytest.fixture
async def searcher(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searcher:
    """Knows every secret of a world with tokens that work, are gone, disabled, another's and not to be opened."""
    monkeypatch.chdir(tmp_path)
    # Whatever terminal the tests themselves run in.
    for name in ("TMUX", "STY", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    world.set(tokens__accept=["plain"])
    made = Searcher()
    made.plant("admin token", world.admin_token)
    for key in json.loads(seal_keys.as_text(world.seal_keys).reveal())["keys"].values():
        made.plant("seal key", key)
    names = ("ann", "bob", "cem", "dan", "eve", "fay")
    ids = [world.add(f"{name}@x.test", name.title(), verified=True) for name in names]
    await world.sync()
    for secret in world.server.state.by_secret:
        made.plant("user's token", secret)
    world.server.state.remove_token(world.token(ids[1]))
    world.server.disable(world.token(ids[2]))
    world.edit(ids[3], mattermost_token=world.secret(ids[3]))
    world.edit(ids[4], mattermost_token=world.row(ids[0])["mattermost_token"])
    async with world.core() as core:
        await core.checks.run(CheckRequest(deep=True))
    return made


async def test_no_key_shows_any_part_of_a_secret(
    world: World, searcher: Searcher, at_work: OpenAtWork, tmp_path: Path
) -> None:
    async with at_work((80, 24)) as (app, pilot):
        onlooker = Onlooker(app, pilot, searcher)
        for pane in (*PANES, Pane.EVERYWHERE):
            for action in actions_of(pane):
                if action.id in PASSED_OVER:
                    continue
                await pilot.press(KEY_OF[pane])
                await onlooker.press(action.vim[0], about=f"{pane}: {action.id}")
                await onlooker.press("enter", about=f"{pane}: {action.id}, enter")
                await onlooker.go_back()

        shown = {screen.__name__ for screen in onlooker.screens}
        assert shown >= {"MainScreen", "HelpScreen", "CommandLine", "Menu", "Dialog", "PlanScreen", "ChannelPicker"}
        assert len(onlooker.seen) > len(ACTIONS) / 2
    assert searcher.find_in_files(tmp_path, but=set()) == {}


async def test_no_export_and_no_copy_holds_any_part_of_a_secret(
    world: World, searcher: Searcher, at_work: OpenAtWork, tmp_path: Path
) -> None:
    async with at_work((80, 24)) as (app, pilot):
        onlooker = Onlooker(app, pilot, searcher)
        for number in ("1", "4"):
            await onlooker.press(number)
            for form in Form:
                app.at_hand.export(f"{form} of-{number}.{form}")
                await app.settled(pilot)
        await onlooker.press("1", "asterisk")
        for kind in WORDS:
            app.at_hand.copy(kind)
            await app.settled(pilot)

    assert len([*tmp_path.iterdir()]) >= len(Form)  # noqa: ASYNC240 - nothing else runs in this loop by now
    assert len(onlooker.copied) == len(WORDS)
    assert searcher.find_in_files(tmp_path, but=set()) == {}
    assert searcher.find("\n".join(onlooker.copied).encode()) == set()


async def test_a_console_whose_server_fails_shows_none(world: World, searcher: Searcher, at_work: OpenAtWork) -> None:
    async with at_work((80, 24)) as (app, pilot):
        onlooker = Onlooker(app, pilot, searcher)
        await onlooker.press("4", "L", "L", "L")
        for kind in ("status", "cut_json", "login_page", "drop_after"):
            world.server.faults.add(Fault(kind, times=None))
            await onlooker.press("1", "t")
            await onlooker.go_back()
            await onlooker.press("r")
            await onlooker.go_back()
            await onlooker.press("4")
            world.server.faults.clear()
