"""What is printed: data on stdout, talk on stderr, and nothing from outside that could act on a terminal."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final, TextIO

_WIDTH_OFF_A_TERMINAL: Final = 80
_COLORS: Final = {"+": "32", "~": "33", "x": "31", "!": "35", "?": "2", "-": "36", "*": "34"}


def visible(text: str) -> str:
    from mmconsole.domain.text import visible as shown  # noqa: PLC0415 - help needs no transliteration tables

    return shown(text)


def colorful(stream: TextIO) -> bool:
    """Whether colours may go there: a terminal that has some, and nobody said no."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and is_terminal(stream)


def is_terminal(stream: TextIO) -> bool:
    # A service may run without any of the three.
    return stream is not None and not stream.closed and stream.isatty()


def on_a_terminal() -> bool:
    """Whether somebody sits in front of all three: the console is drawn on stderr."""
    return all(map(is_terminal, (sys.stdin, sys.stdout, sys.stderr)))


def width() -> int:
    return shutil.get_terminal_size((_WIDTH_OFF_A_TERMINAL, 24)).columns


def write(line: str) -> None:
    """One line of data. A reader that went away raises BrokenPipeError."""
    try:
        sys.stdout.write(f"{line}\n")
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        sys.stdout.write(f"{line}\n".encode(encoding, "backslashreplace").decode(encoding))


def note(line: str) -> None:
    """One line of talk. A terminal that hung up does not stop what is under way."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n".encode(sys.stderr.encoding, "backslashreplace").decode(sys.stderr.encoding))
        sys.stderr.flush()


def end_line() -> None:
    """After Ctrl-C: a prompt may stand there, without its end of line."""
    if is_terminal(sys.stderr):
        note("")


def flush() -> None:
    """Let the reader have what was written so far."""
    sys.stdout.flush()


@contextmanager
def reader() -> Iterator[None]:
    """Print to somebody who may have enough of it (`| head`): then the rest is silently left."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        let_go_of_stdout()


def let_go_of_stdout() -> None:
    """Point stdout at nothing, so that Python's own flush at the end does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def as_json(value: object) -> str:
    """One line of JSON in UTF-8, with everything escaped that could act on a terminal."""
    from mmconsole.domain.documents import as_json as written  # noqa: PLC0415 - as above

    return written(value)


def write_json(value: object) -> None:
    write_json_text(as_json(value))


def write_json_text(text: str) -> None:
    """One line of ready JSON; always in UTF-8, as its standard says."""
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    write(text)


def painted(text: str, glyph: str) -> str:
    """A status in its colour, where colours are wanted."""
    return f"\x1b[{_COLORS[glyph]}m{text}\x1b[0m" if colorful(sys.stdout) else text


def moment(at: datetime | None) -> str:
    """A moment for people, in their own time zone."""
    return "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def day(at: datetime | None) -> str:
    """The same, where there is no room for the time."""
    return "" if at is None else f"{at.astimezone():%Y-%m-%d}"


def amount(number: int, one: str, many: str = "") -> str:
    """`1 user`, `1,204 users`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """As people say it: `8 s`, `2 min`, `1 h 10 min`."""
    whole = round(seconds)
    if whole < 90:  # noqa: PLR2004 - up to here seconds say more
        return f"{max(whole, 1)} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def facts(rows: Mapping[str, str]) -> None:
    """Names and values below each other, without the empty ones."""
    room = max(map(len, rows), default=0)
    for name, value in rows.items():
        if value:
            write(f"{name:<{room}}  {value}")
