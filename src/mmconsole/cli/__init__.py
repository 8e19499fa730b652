"""The command line: parse, one service call, print. The only door to Typer."""

import os
import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """The console script."""
    _fill_streams()
    arguments = sys.argv[1:] or ([] if _on_a_terminal() else ["--help"])
    if arguments == ["--help"] and _help_is_ready():
        # Importing Typer and describing every option takes 0.1 s, and nothing in this text depends on the moment.
        try:
            sys.stdout.write(Path(__file__).with_name("help.txt").read_text(encoding="utf-8"))
            sys.stdout.flush()
        except OSError:
            pass  # Below there are words for it.
        else:
            return
    from mmconsole.cli.run import run  # noqa: PLC0415 - it imports Typer

    sys.exit(run(arguments))


def _fill_streams() -> None:
    """Put an empty stream where the process was started without one: else the next file to be opened takes its number,
    and libuv aborts when it closes one of these three.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - a number, and open to the end


def _on_a_terminal() -> bool:
    """The same as `output.on_a_terminal`, without its imports."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _help_is_ready() -> bool:
    """Whether the text as it was written down is what Typer would print: at this width, and not to complete a word."""
    try:
        columns = os.get_terminal_size().columns
    except OSError:
        columns = 80
    return not {"COLUMNS", "_MMCONSOLE_COMPLETE"} & os.environ.keys() and columns >= 80  # noqa: PLR2004 - as help.txt
