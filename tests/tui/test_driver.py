"""A real terminal: what it may send, how it may go, and how it is left."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmconsole.tui.driver import Keystrokes

PLANTED = "qwertyuiopasdfghjklzxcvbnm"
APP = str(Path(__file__).with_name("small_app.py"))
LEFT = "\x1b[?1049l"
ENTERED = "\x1b[?1049h"
Spawned = Any
"""A `pexpect.spawn`, whose types leave out `ptyproc`."""


@pytest.fixture
def terminal() -> Iterator[Spawned]:
    """The small app on a terminal of 200 by 50."""
    environment = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "PLANTED": PLANTED, "PATH": "/usr/bin:/bin"}
    child = pexpect.spawn(sys.executable, [APP], env=environment, encoding="utf-8", timeout=120, dimensions=(50, 200))
    child.expect("ready")
    yield child
    child.close(force=True)


def ended(child: Spawned) -> tuple[str, int | None]:
    """All it wrote to its end, and its exit code."""
    text = child.read()
    child.close()
    return text, child.exitstatus


# ── what it may send ─────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.binary()))
@example([b"\x1b[M", b" \xff", b"\xffa"])
def test_no_bytes_break_the_input(chunks: list[bytes]) -> None:
    keystrokes = Keystrokes()
    text = "".join([*(keystrokes.feed(chunk) for chunk in chunks), keystrokes.feed(b"", final=True)])
    whole = b"".join(chunks)

    assert b"\x1b[M" in whole or text == whole.decode(errors="replace")


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_mouse_report_of_1987_is_understood_however_it_is_cut(cut: int) -> None:
    keystrokes, report = Keystrokes(), b"j\x1b[M \xc8\x25k"

    assert keystrokes.feed(report[:cut]) + keystrokes.feed(report[cut:]) == "j\x1b[<0;168;5Mk"


def test_a_release_and_the_wheel_keep_their_meaning() -> None:
    assert Keystrokes().feed(b"\x1b[M#!!\x1b[M`!!\x1b[MC!!") == "\x1b[<0;1;1m\x1b[<64;1;1M\x1b[<35;1;1M"


def test_a_lone_escape_is_not_kept_back() -> None:
    assert Keystrokes().feed(b"\x1b") == "\x1b"


def test_text_in_every_script_arrives_whole_across_chunks() -> None:
    keystrokes = Keystrokes()

    assert "".join(keystrokes.feed(bytes([byte])) for byte in "é王🦊".encode()) == "é王🦊"


def test_a_click_beyond_column_95_in_the_old_way_is_heard(terminal: Spawned) -> None:
    terminal.buffer = ""
    terminal.ptyproc.write(b"\x1b[M \xc8\x25")
    terminal.expect("mouse 1 at 167 4")
    terminal.ptyproc.write(b"\xff\xfe")
    terminal.send("q")

    assert ended(terminal)[1] == 5


# ── how it may end ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_in_order(terminal: Spawned, number: signal.Signals) -> None:
    terminal.kill(number)
    text, code = ended(terminal)

    assert code == 128 + number
    assert LEFT in text
    assert "\x1b[?25h" in text


def test_a_terminal_that_is_gone_ends_it(terminal: Spawned) -> None:
    # Without its controlling terminal's signal it has only its input to learn it from.
    terminal.ptyproc.fileobj.close()
    terminal.ptyproc.closed = True

    assert terminal.ptyproc.wait() == 128 + signal.SIGHUP


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(terminal: Spawned) -> None:
    terminal.send("z")
    terminal.expect_exact(LEFT)
    _wait_until_stopped(terminal.pid)
    terminal.kill(signal.SIGCONT)
    terminal.expect_exact(ENTERED)
    # The terminal has forgotten what was there.
    terminal.expect("still here")
    terminal.send("a")
    terminal.expect("key a")
    terminal.send("q")

    assert ended(terminal)[1] == 5


def _wait_until_stopped(pid: int) -> None:
    stat = Path(f"/proc/{pid}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "T":
        pass


@pytest.mark.parametrize("key", ["x", "w"])
def test_a_crash_is_told_by_name_and_without_a_value(terminal: Spawned, key: str) -> None:
    terminal.send(key)
    text, code = ended(terminal)
    told = text.rpartition(LEFT)[2]

    assert code == 70
    assert "told: ValueError" in told
    assert PLANTED[:8] not in text


def test_a_panic_is_not_a_success(terminal: Spawned) -> None:
    terminal.send("p")

    assert ended(terminal)[1] == 70
