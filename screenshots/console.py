"""Draws the screens of the console at three sizes, over the same made-up people as the tests."""

import asyncio
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.tui.conftest import Office, console_over, new_office

from mmconsole.services.standings import Standing

SIZES: Final = ((80, 24), (120, 36), (200, 50))
SCREENS: Final = {
    "users": ("j", "space", "j", "space"),
    "health": ("2",),
    "jobs": ("3",),
    "log": ("4",),
    "help": ("question_mark",),
}
"""The keys that lead to each."""
_DONE: Final = """
UPDATE mmconsole_jobs SET state = 'done', finished_at = started_at + 1000000,
counts = (SELECT json_object('done', count(*)) FROM mmconsole_job_items WHERE job_id = mmconsole_jobs.id)
"""
_USERS: Final = 1_200
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_REMOTE_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_VIEW_BOX: Final = re.compile(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"')


def draw_console(folder: Path) -> list[Path]:
    """Write `console-<screen>-<size>.svg`, and `.png` where there is a Chromium. Returns the SVG files."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    with new_office() as office:
        drawn = asyncio.run(_draw_all(office, folder))
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    for file in drawn if browser else ():
        _photograph(str(browser), file)
    return drawn


async def _draw_all(office: Office, folder: Path) -> list[Path]:
    await office.fill(_USERS)
    office.sql(_DONE)
    office.sql("UPDATE users SET mattermost_token = 'mm1$k1$' || mattermost_token")
    return [await _draw(office, folder, screen, size) for screen in SCREENS for size in SIZES]


async def _draw(office: Office, folder: Path, screen: str, size: tuple[int, int]) -> Path:
    async with console_over(office, size) as (app, pilot):
        while not app.log_pane.view().lines:
            await pilot.pause(0.02)
        for key in SCREENS[screen]:
            await pilot.press(key)
            await app.settled(pilot)
        app.server_says(Standing(("system_user", "system_user_access_token"), ("all-hands", "eng"), app.now()))
        await app.rest(pilot)
        picture = app.export_screenshot(title="mmconsole")
    file = folder / f"console-{screen}-{size[0]}x{size[1]}.svg"
    # The font would be fetched from elsewhere whenever somebody looks at the picture.
    _write(file, _REMOTE_FONT.sub("", picture))
    return file


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _photograph(browser: str, file: Path) -> None:
    found = _VIEW_BOX.search(file.read_text(encoding="utf-8"))
    width, height = (int(float(part)) + 1 for part in found.groups()) if found else (1200, 800)
    with TemporaryDirectory() as profile:
        page = Path(profile) / "page.html"
        page.write_text(f'<body style="margin:0"><img src="{file.resolve().as_uri()}" width="{width}"></body>')
        quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
        where = (f"--user-data-dir={profile}/browser", f"--window-size={width},{height}")
        command = (browser, *quiet, *where, f"--screenshot={file.with_suffix('.png')}", page.as_uri())
        subprocess.run(command, check=True, capture_output=True, timeout=120)
