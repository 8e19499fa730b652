"""Writes mmconsole.1 from the help of every command, so that manual and help are one text; and the quick help."""

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperGroup

from mmconsole.cli.app import command

PAGE: Final = Path(__file__).with_name("mmconsole.1")
QUICK_HELP: Final = Path(__file__).parents[1] / "src" / "mmconsole" / "cli" / "help.txt"
_BETWEEN: Final = re.compile(r"(?<=[.!?]) (?=\S)|(?<=[.!?][)`]) (?=\S)")
_HEAD: Final = """\
.\\" Written by `make man` from the help of each command.
.Dd November 23, 2026
.Dt MMCONSOLE 1
.Os
.Sh NAME
.Nm mmconsole
.Nd keep an application's users, their Mattermost accounts and their access tokens in step
.Sh SYNOPSIS
.Nm
.Op Ar options
.Op Ar command Op Ar arguments
.Sh DESCRIPTION
On a terminal and without a command the console opens.
Every command says more with
.Fl -help .
"""
_TAIL: Final = """\
.Sh ENVIRONMENT
Every setting has a variable: MMCONSOLE_SYNC_TEAMS sets sync.teams.
.Bl -tag -width MMCONSOLE_PROFILE
.It Ev MMCONSOLE_CONFIG
The settings file.
.It Ev MMCONSOLE_PROFILE
The profile.
.It Ev NO_COLOR
No colours.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa ~/.config/mmconsole/config.yaml
The settings; all of them are in config.example.yaml.
.It Pa ~/.local/share/mmconsole/
The database where the application has none.
.El
.Sh EXIT STATUS
.Bl -tag -width 130
.It 0
Done.
.It 1
Failed.
.It 2
The command line or the settings are wrong.
.It 3
Some users failed, or something is not as it should be.
.It 4
A guard stopped it.
.It 5
With
.Fl -exit-code :
there is something to do.
.It 70
A mistake of mmconsole itself: please report it.
.It 75
Another run is at work.
.It 130
Interrupted.
.El
"""


def page() -> str:
    """The whole manual page, in mdoc."""
    group = command()
    context = typer.Context(group, info_name="mmconsole")
    return "".join([_HEAD, *_options(group, context), ".Sh COMMANDS\n", *_commands(group, "mmconsole"), _TAIL])


def _commands(group: TyperGroup, path: str) -> Iterator[str]:
    for name in group.list_commands(typer.Context(group)):
        one = group.commands[name]
        called = f"{path} {name}"
        yield f".Ss {_text(called)}\n"
        yield ".Pp\n".join(_paragraphs(inspect.cleandoc(one.help or "")))
        yield from _options(one, typer.Context(one, info_name=called))
        yield from _examples(one.epilog or "")
        if isinstance(one, TyperGroup):
            yield from _commands(one, called)


def _options(one: Any, context: Any) -> Iterator[str]:  # noqa: ANN401 - commands of Typer's own kind
    records = [record for parameter in one.get_params(context) if (record := parameter.get_help_record(context))]
    if records:
        yield ".Bl -tag -width Ds\n"
        for names, text in records:
            yield f".It {_text(names)}\n{_sentences(text)}\n"
        yield ".El\n"


def _examples(epilog: str) -> Iterator[str]:
    """Blocks that stay as they are begin with a line of a backspace; what follows is text."""
    for block in re.split(r"\n\s*\n", epilog.strip()):
        lines = block.splitlines()
        if lines[:1] == ["\b"]:
            body = "\n".join(map(_text, lines[1:]))
            yield f".Bd -literal -offset indent\n{body}\n.Ed\n"
        elif block:
            yield f".Pp\n{_sentences(block)}\n"


def _paragraphs(text: str) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text):
        yield f"{_sentences(block)}\n"


def _sentences(text: str) -> str:
    """Each on a line of its own, as roff wants them."""
    return "\n".join(map(_text, _BETWEEN.split(" ".join(text.split()))))


def _text(text: str) -> str:
    """Text that roff takes for text."""
    quoted = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("→", "->").rstrip()
    return f"\\&{quoted}" if quoted[:1] in {".", "'"} else quoted


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    # The same commands stand in the help that is printed without importing Typer.
    mmconsole = Path(sys.executable).with_name("mmconsole")
    environment = {**os.environ, "COLUMNS": "80"}
    quick = subprocess.run([mmconsole, "--help"], env=environment, capture_output=True, text=True, check=True)
    QUICK_HELP.write_text(quick.stdout, encoding="utf-8")


if __name__ == "__main__":
    main()
