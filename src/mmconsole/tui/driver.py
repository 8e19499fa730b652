"""The terminal as it really behaves: mouse bytes that are no text, and a line that goes dead.

After a tmux session is taken up again some terminals report the mouse in the way of 1987 (X10), whose bytes beyond
column 95 are no UTF-8. Textual 8.2.8 would end there, with the exit code of success.
"""

import os
import re
import selectors
import signal
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import IO, TYPE_CHECKING, Any, Final

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.message import Message

HUNG_UP: Final = 128 + signal.SIGHUP
_CHUNK: Final = 4096
_LOOK_EVERY: Final = 0.1
"""Seconds after which a lone Escape is a key, and not the beginning of one."""
_X10: Final = re.compile(rb"\x1b\[M(.)(.)(.)", re.DOTALL)
_X10_BEGUN: Final = re.compile(rb"\x1b(\[(M.{0,2})?)?\Z", re.DOTALL)
_MAY_BE_KEYS: Final = (b"\x1b", b"\x1b[")
_OFFSET: Final = 32
_RELEASED: Final = 3
_MOVED_OR_WHEEL: Final = 32 | 64


class Keystrokes:
    """Turns what a terminal sends into text that Textual understands, whatever it is."""

    def __init__(self) -> None:
        self._rest = b""
        """The beginning of what may become a mouse report."""
        self._said = 0
        """How much of it was handed on already: an Escape at the end of a chunk is most likely the key."""
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode

    def feed(self, received: bytes, *, final: bool = False) -> str:
        """X10 mouse reports become those of today (SGR); bytes that are no UTF-8 become U+FFFD."""
        whole = self._rest + received
        begun = None if final else _X10_BEGUN.search(whole)
        end = begun.start() if begun else len(whole)
        # Both kinds of report begin alike, so what was handed on of one is right for the other.
        ready = _X10.sub(_as_sgr, whole[:end])[self._said :] if end else b""
        self._rest, self._said = whole[end:], 0 if end else self._said
        if self._rest in _MAY_BE_KEYS:
            ready += self._rest[self._said :]
            self._said = len(self._rest)
        return self._decode(ready, final)


def _as_sgr(report: re.Match[bytes]) -> bytes:
    code, column, line = (part[0] - _OFFSET for part in report.groups())
    released = code & _RELEASED == _RELEASED and not code & _MOVED_OR_WHEEL
    button = code & ~_RELEASED if released else code
    # Beyond column 223 the byte wraps round, and there is nothing to be known.
    return b"\x1b[<%d;%d;%d%c" % (button, max(column, 1), max(line, 1), b"m" if released else b"M")


class TerminalDriver(LinuxDriver):
    """Textual's driver, with an input that nothing can break and an output that may be gone."""

    def __init__(self, app: App[Any], **options: Any) -> None:  # noqa: ANN401 - they are Textual's
        super().__init__(app, **options)
        self._file = _Line(self._file or sys.stderr)  # type: ignore[assignment]

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except Exception as fault:  # noqa: BLE001 - it is told where the app tells its own
            self._app.call_later(self._app._handle_exception, fault)  # noqa: SLF001 - there is no public way

    def run_input_thread(self) -> None:
        """Read until the app ends or the terminal is gone."""
        parser = XTermParser(self._debug)
        keystrokes = Keystrokes()
        for received in _received(self.fileno, self.exit_event):
            if received is None:
                self._app.call_later(self._app.exit, return_code=HUNG_UP)
                return
            text = keystrokes.feed(received)
            for message in [*(parser.feed(text) if text else ()), *parser.tick()]:
                self.process_message(message)
        rest: list[Message] = []
        with suppress(EOFError, ParseError):
            rest += parser.feed("")
        for message in rest:
            self.process_message(message)


def _received(terminal: int, ended: Event) -> Iterator[bytes | None]:
    """What a terminal sends: nothing when it was silent for a moment, None when it is gone."""
    with selectors.SelectSelector() as selector:
        selector.register(terminal, selectors.EVENT_READ)
        while not ended.is_set():
            yield _read(terminal) if selector.select(_LOOK_EVERY) else b""


def _read(terminal: int) -> bytes | None:
    try:
        return os.read(terminal, _CHUNK) or None
    except OSError:
        return None


class _Line:
    """Where the screen is written to. Textual's thread would end with it, and the app wait for ever."""

    def __init__(self, file: IO[str]) -> None:
        self._stream = file

    def write(self, text: str) -> None:
        with self._given_up_when_gone():
            self._stream.write(text)

    def flush(self) -> None:
        with self._given_up_when_gone():
            self._stream.flush()

    @contextmanager
    def _given_up_when_gone(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            # What is left in the buffer goes nowhere, else Python complains of it at its end (exit code 120).
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def fileno(self) -> int:
        return self._stream.fileno()
