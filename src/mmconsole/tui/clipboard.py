"""The clipboard of the terminal somebody sits at, over SSH too (OSC 52), and what may be in the way of it."""

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Final

LIMIT: Final = 74_994
"""Bytes. xterm takes 100,000 characters of Base64 with all that is around them, and others cut silently."""
_DEAF: Final = {"linux": "the Linux console", "dumb": "this terminal", "vt100": "a vt100", "vt220": "a vt220"}
_TMUX_ANSWERS_WITHIN: Final = 2.0
_SCREEN_CHUNK: Final = 76
"""GNU screen forgets the rest of a longer piece."""
_PASSES: Final = frozenset({"on", "all", "1", ""})
"""`allow-passthrough` of a tmux that hands sequences on; before 3.3 there was no such option, and all did."""


async def copy(text: str, send: Callable[[str], None], *, environment: Mapping[str, str] = os.environ) -> str | None:
    """Put text into the clipboard. Returns why it could not; None when all was done that can be done here.

    Nobody tells whether the terminal took it.
    """
    why = obstacle(text, environment)
    if why is not None:
        return why
    if not environment.get("TMUX"):
        send(sequence(text, environment))
        return None
    passes, shares = await _options_of_tmux()
    if passes in _PASSES:
        send(wrapped(osc52(text)))
        return None
    if not await _through_tmux(text):
        return "tmux did not take it"
    if shares == "off":
        return "tmux keeps it to itself (prefix ] pastes it); to share it: tmux set -s set-clipboard on"
    return None


def obstacle(text: str, environment: Mapping[str, str]) -> str | None:
    """Why it need not be tried."""
    terminal = environment.get("TERM", "")
    if len(text.encode(errors="replace")) > LIMIT:
        return f"it is {len(text.encode(errors='replace')):,} bytes, and a terminal takes {LIMIT:,}; e exports it"
    if terminal in _DEAF:
        return f"{_DEAF[terminal]} has no clipboard"
    if environment.get("TERM_PROGRAM") == "Apple_Terminal":
        return "Terminal.app lets no program into the clipboard"
    return None


def sequence(text: str, environment: Mapping[str, str]) -> str:
    """What is to be sent, by what lies between here and the terminal."""
    if environment.get("STY"):
        return in_pieces(osc52(text))
    if environment.get("TERM", "").startswith(("tmux", "screen")):
        # A tmux at the other end of an SSH line: it takes the one or the other, by its settings.
        return wrapped(osc52(text)) + osc52(text)
    return osc52(text)


def osc52(text: str) -> str:
    return f"\x1b]52;c;{b64encode(text.encode(errors='replace')).decode()}\a"


def wrapped(control: str) -> str:
    """For tmux: it takes off the wrapping and hands the rest on."""
    return f"\x1bPtmux;{control.replace(chr(27), chr(27) * 2)}\x1b\\"


def in_pieces(control: str) -> str:
    """For GNU screen, which does the same with short pieces."""
    pieces = (control[at : at + _SCREEN_CHUNK] for at in range(0, len(control), _SCREEN_CHUNK))
    return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)


async def _options_of_tmux() -> tuple[str, str]:
    """`allow-passthrough` and `set-clipboard`; empty where it does not know them."""
    told = await _tmux("display-message", "-p", "#{allow-passthrough} #{set-clipboard}")
    passes, _, shares = (told or "").strip("\n").partition(" ")
    return passes, shares


async def _through_tmux(text: str) -> bool:
    """On its standard input: arguments can be read by everybody on the machine."""
    return await _tmux("load-buffer", "-w", "-", given=text) is not None


async def _tmux(*arguments: str, given: str | None = None) -> str | None:
    """What it says; None when it fails, or does not answer."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        # With a pipe that nothing goes through, uvloop fails when the process ends before it is closed.
        process = await asyncio.create_subprocess_exec(
            "tmux", *arguments, stdin=nothing if given is None else pipe, stdout=pipe, stderr=nothing
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(_TMUX_ANSWERS_WITHIN):
            said, _ = await process.communicate(None if given is None else given.encode(errors="replace"))
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return said.decode(errors="replace") if process.returncode == 0 else None
