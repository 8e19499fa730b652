"""The clipboard: what is sent to which terminal, and what is said when nothing can be."""

import base64
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.tui.clipboard import LIMIT, copy, in_pieces, obstacle, osc52, sequence, wrapped

XTERM = {"TERM": "xterm-256color"}


def opened(control: str) -> str:
    """What a terminal makes of it."""
    found = re.fullmatch(r"\x1b\]52;c;([A-Za-z0-9+/=]*)\a", control)
    assert found is not None, repr(control)
    return base64.b64decode(found[1]).decode()


def unwrapped(control: str) -> str:
    """What tmux hands on."""
    assert control.startswith("\x1bPtmux;")
    assert control.endswith("\x1b\\")
    return control[7:-2].replace("\x1b\x1b", "\x1b")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_terminal_gets_the_text_and_nothing_of_it_acts(text: str) -> None:
    assert opened(osc52(text)) == text
    assert opened(unwrapped(wrapped(osc52(text)))) == text
    assert opened("".join(re.findall(r"\x1bP(.{1,76}?)\x1b\\", in_pieces(osc52(text)), re.DOTALL))) == text


def test_what_lies_between_decides_how_it_is_wrapped() -> None:
    assert sequence("x", XTERM) == osc52("x")
    assert sequence("x", {"TERM": "screen", "STY": "1.pts"}) == in_pieces(osc52("x"))
    assert sequence("x", {"TERM": "tmux-256color"}) == wrapped(osc52("x")) + osc52("x")


@pytest.mark.parametrize(
    ("environment", "text", "why"),
    [
        ({"TERM": "linux"}, "x", "the Linux console has no clipboard"),
        ({"TERM": "xterm", "TERM_PROGRAM": "Apple_Terminal"}, "x", "Terminal.app lets no program"),
        (XTERM, "ä" * LIMIT, f"it is {2 * LIMIT:,} bytes, and a terminal takes {LIMIT:,}; e exports it"),
    ],
)
async def test_what_cannot_be_copied_is_not_sent_and_says_why(environment: dict[str, str], text: str, why: str) -> None:
    sent: list[str] = []

    told = await copy(text, sent.append, environment=environment)

    assert told is not None
    assert why in told
    assert sent == []


def test_the_longest_text_that_a_terminal_takes_is_sent() -> None:
    assert obstacle("x" * LIMIT, XTERM) is None
    assert len(osc52("x" * LIMIT)) <= 100_000


# ── in a real tmux ───────────────────────────────────────────────────────────────────────────────


class Tmux:
    def __init__(self, socket: Path) -> None:
        self._command = ["tmux", "-S", str(socket)]
        self(*["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "cat"])
        place = self("display-message", "-p", "#{socket_path},#{pid},0 #{pane_id}").split()
        self.environment = {"TERM": "screen", "TMUX": place[0], "TMUX_PANE": place[1]}

    def __call__(self, *arguments: str) -> str:
        return subprocess.run([*self._command, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def tmux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tmux]:
    one = Tmux(tmp_path / "tmux")
    for name, value in one.environment.items():
        monkeypatch.setenv(name, value)
    yield one
    one("kill-server")


async def test_tmux_takes_it_itself_when_it_hands_nothing_on(tmux: Tmux) -> None:
    sent: list[str] = []

    told = await copy("a token's id", sent.append, environment=os.environ)

    assert told is None
    assert sent == []
    assert tmux("show-buffer") == "a token's id"


async def test_tmux_that_hands_on_is_given_the_wrapped_sequence(tmux: Tmux) -> None:
    tmux("set", "-g", "allow-passthrough", "on")
    sent: list[str] = []

    assert await copy("x", sent.append, environment=os.environ) is None
    assert sent == [wrapped(osc52("x"))]


async def test_tmux_that_keeps_it_to_itself_is_told_of(tmux: Tmux) -> None:
    tmux("set", "-s", "set-clipboard", "off")

    told = await copy("x", lambda _: None, environment=os.environ)

    assert told is not None
    assert "tmux set -s set-clipboard on" in told
