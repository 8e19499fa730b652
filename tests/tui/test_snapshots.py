"""How the screens look, as text: the same on every machine. After a wanted change run this once with
`MMCONSOLE_RENEW_PICTURES=1`, and look at the difference.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from textual.screen import Screen

from mmconsole.domain.forecast import Forecast
from mmconsole.domain.plans import Kind, Outcome, Result, UserPlan
from mmconsole.domain.users import UserId
from mmconsole.services.summary import Summary
from mmconsole.tui.dialogs import Dialog
from mmconsole.tui.plan_screen import PlanScreen
from mmconsole.tui.work import PlannedUser

if TYPE_CHECKING:
    from tests.tui.conftest import Office, OpenConsole

SIZES: Final = ((80, 24), (120, 36), (200, 50))
PICTURES: Final = Path(__file__).parent / "pictures"
RENEW: Final = bool(os.environ.get("MMCONSOLE_RENEW_PICTURES"))
SCREENS: Final = {
    "users": ("j", "space", "j", "space"),
    "health": ("2",),
    "jobs": ("3",),
    "log": ("4",),
    "larger": ("4", "plus"),
    "help": ("question_mark",),
    "commands": ("colon",),
    "copy": ("y",),
    "privacy": ("m",),
}
"""The keys that lead to each."""


@pytest.fixture(autouse=True)
def greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The log shows local time."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def plan() -> PlanScreen:
    planned = [_planned(n, Kind.CREATE, Kind.GENERATE) for n in range(12)] + [_planned(20, Kind.GENERATE)]
    forecast = Forecast(steps={Kind.CREATE: 12, Kind.GENERATE: 13}, calls=77, seconds=4.0, mails=13)
    summary = Summary(users=40, planned=13, forecast=forecast)
    summary.listed.append(Result(UserId("9"), Outcome.CONFLICT, "@ann has this address"))
    return PlanScreen("sync --all", summary, planned, save=lambda: None)


def _planned(n: int, *kinds: Kind) -> PlannedUser:
    return PlannedUser(UserPlan(UserId(str(n)), steps=kinds), f"user{n}@example.org")


def revoke() -> Dialog:
    lines = ["On https://chat.example.org: 12 tokens", "anna.k, build-bot, carla.m and 9 more"]
    lines.append("Disabled now, revoked after 10 minutes; u undoes it until then.")
    return Dialog("Revoke 12 tokens", lines, verb="revoke", word="12")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("screen", SCREENS)
async def test_a_screen_looks_as_it_did(
    office: "Office", console: "OpenConsole", screen: str, size: tuple[int, int]
) -> None:
    await office.fill(40)
    async with console(size) as (app, pilot):
        while not app.log_pane.view().lines:
            await pilot.pause(0.02)
        for key in SCREENS[screen]:
            await pilot.press(key)
            await app.settled(pilot)
        app.bar.hush()
        await pilot.pause()

        assert_looks(f"{screen}-{size[0]}x{size[1]}", app.text())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("screen", [plan, revoke], ids=lambda screen: screen.__name__)
async def test_a_question_looks_as_it_did(
    office: "Office", console: "OpenConsole", screen: type[Screen[object]], size: tuple[int, int]
) -> None:
    await office.fill(40)
    async with console(size) as (app, pilot):
        while not app.log_pane.view().lines:
            await pilot.pause(0.02)
        asking = screen()
        app.push_screen(asking)
        while not getattr(asking, "awake", False):
            await pilot.pause(0.02)
        await app.settled(pilot)

        assert_looks(f"{screen.__name__}-{size[0]}x{size[1]}", app.text())


def test_no_picture_is_kept_that_no_test_draws() -> None:
    drawn = {f"{name}-{x}x{y}.txt" for name in (*SCREENS, "plan", "revoke") for x, y in SIZES}

    assert {file.name for file in PICTURES.iterdir()} == drawn


def assert_looks(name: str, text: str) -> None:
    file = PICTURES / f"{name}.txt"
    if RENEW:
        PICTURES.mkdir(exist_ok=True)
        file.write_text(f"{text}\n", encoding="utf-8")
    assert file.read_text(encoding="utf-8") == f"{text}\n"
