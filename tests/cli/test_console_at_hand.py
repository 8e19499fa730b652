"""The demo, other profiles and the clipboard of the console, in a real terminal (tmux)."""

import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import Tmux

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.fixture
def nowhere(bare: "Shell") -> Iterator[Tmux]:
    """A terminal of somebody without settings, whose temporary files can be counted."""
    bare.settings.clear()
    del bare.environment["MMCONSOLE_CONFIG"]
    bare.environment["TMPDIR"] = str(bare.folder / "tmp")
    Path(bare.environment["TMPDIR"]).mkdir()
    tmux = Tmux(bare)
    yield tmux
    tmux.close()


def test_the_demo_opens_the_console_and_leaves_nothing(nowhere: Tmux, bare: "Shell") -> None:
    nowhere.open("demo", "--users", "60")
    nowhere.until("A made-up server and made-up people")
    nowhere.until("60 users")
    nowhere.press("/", *"status:conflict", "Enter")
    nowhere.until("of 60")
    nowhere.press("q")
    nowhere.until("ENDED-0")

    assert "All of the demo is gone now." in nowhere.screen
    assert "60 users in " in nowhere.screen
    assert list((bare.folder / "tmp").iterdir()) == []


def test_the_end_of_its_process_ends_the_demo_in_order(nowhere: Tmux, bare: "Shell") -> None:
    nowhere.open("demo", "--users", "30")
    nowhere.until("A made-up server and made-up people")
    os.kill(nowhere.pid, signal.SIGTERM)
    nowhere.until("ENDED-143")

    assert list((bare.folder / "tmp").iterdir()) == []


def test_headless_the_demo_prints_a_table(nowhere: Tmux) -> None:
    nowhere.open("--headless", "demo", "--users", "30")
    nowhere.until("ENDED-0")

    assert re.search(r"^! conflict +\d+", nowhere.screen, re.MULTILINE)


def test_one_goes_to_another_profile_and_back(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    urls = {name: f"sqlite:///{shell.folder / name}.sqlite3" for name in ("empty", "gone")}
    with closing(sqlite3.connect(shell.folder / "empty.sqlite3")) as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR)")
    shell.set(profiles={name: {"database": {"url": url}} for name, url in urls.items()})
    terminal.open()
    terminal.until("ann@example.org")

    terminal.press(":", *"ctx", "Space", *"empty", "Enter")
    terminal.until("EMPTY")
    terminal.until("mmconsole migrate")
    assert "ann@example.org" not in terminal.screen
    terminal.press(":", *"ctx", "Space", *"default", "Enter")
    terminal.until("ann@example.org")
    terminal.press(":", *"ctx", "Space", *"gone", "Enter")
    terminal.until("There is no database file")
    terminal.until("DEFAULT")
    terminal.until("ann@example.org")
    terminal.press("q")
    terminal.until("ENDED-0")


def test_what_is_copied_is_in_the_clipboard_of_tmux(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    terminal.open()
    terminal.until("ann@example.org")
    terminal.press("y", "e")
    terminal.until("Copied: e-mail.")

    assert terminal("show-buffer") == "ann@example.org"
    terminal.press("q")
    terminal.until("ENDED-0")


def test_the_demo_shows_broken_tokens_and_the_first_is_repaired_with_one_key(nowhere: Tmux) -> None:
    nowhere.open("demo", "--users", "120")
    nowhere.until("A made-up server and made-up people")
    nowhere.until("x expired")
    assert "x revoked" in nowhere.screen
    nowhere.press("r")
    nowhere.until("+ ok")
    nowhere.press("q")
    nowhere.until("ENDED-0")
