"""The command line: parse, one service call, print. The only door to Typer."""

import os
import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """The console script."""
    arguments = sys.argv[1:] or ([] if _on_a_terminal() else ["--help"])
    if arguments == ["--help"] and _help_is_ready():
        # Importing Typer and describing every option takes 0.1 s, and nothing in this text depends on the moment.
        sys.stdout.write(Path(__file__).with_name("help.txt").read_text(encoding="utf-8"))
        sys.stdout.flush()
        return
    from mmconsole.cli.run import run  # noqa: PLC0415 - it imports Typer

    sys.exit(run(arguments))


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
