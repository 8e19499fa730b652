"""`mmconsole doctor`: what is wrong with this installation, and what to do about it."""

import os
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import SOME_FAILED, given
from mmconsole.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.config import Settings
    from mmconsole.domain.findings import Finding

EXAMPLES: Final = """\b
Examples:
  mmconsole doctor
  mmconsole doctor --web
  mmconsole doctor --grants | psql app
  mmconsole doctor --json | jq -r 'select(.verdict != "yes") | .cure'

It changes nothing, waits for nothing longer than half a minute, and works whatever is broken. A line with `~` is worth
knowing and keeps mmconsole from nothing.

Exit codes: 0 all is well, 3 something is not, or could not be found out.
"""
_GLYPHS: Final = {"yes": "+", "no": "x", "unknown": "?"}
_WIDEST: Final = 110


def doctor(
    context: typer.Context,
    *,
    web: Annotated[
        bool, typer.Option("--web", help="Look at the HTTP service from outside, through its web server, too.")
    ] = False,
    grants: Annotated[
        bool, typer.Option("--grants", help="Only print the rights that the database's user needs, as SQL.")
    ] = False,
    role: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --grants: another user than that of `database.url`.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Look for everything that can be wrong, and name the cure."""
    if role is not None and not grants:
        raise UsageError(why="--role belongs to --grants.")
    if grants:
        _show_grants(given(context).settings(), role, json=json)
        return
    try:
        settings = given(context).settings()
    except SettingsError as fault:
        raise typer.Exit(_end([_unreadable(fault)], json=json)) from None
    raise typer.Exit(examine(settings, web=web, json=json))


def examine(settings: "Settings", *, web: bool = False, json: bool = False) -> int:
    """Look, and print what is found. Returns the exit code."""
    from mmconsole.cli.loop import run  # noqa: PLC0415 - help needs no event loop

    async def work(_: "Interrupts") -> int:
        from mmconsole.services.doctor.doctor import Doctor  # noqa: PLC0415 - nor a client and a database
        from mmconsole.services.doctor.examination import Examination  # noqa: PLC0415

        looking = Doctor(Examination(settings))
        printer = _Printer(json=json)
        async for finding in looking.look():
            printer.print(finding)
        if web:
            await _from_outside(settings, printer)
        code = printer.end()
        if looking.gave_up:
            # What hangs in a foreign library would keep the process from ending.
            sys.stdout.flush()
            os._exit(code)
        return code

    return run(work)


async def _from_outside(settings: "Settings", printer: "_Printer") -> None:
    from mmconsole.services.doctor.web import WebCheck  # noqa: PLC0415 - only who asks for it pays

    for finding in await WebCheck(settings).run():
        printer.print(finding)


class _Printer:
    """Findings below the names of their groups, each with its cure."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._group = ""
        self._told = ""
        """The last sentence: what several could not be looked at for is said once."""
        self._found: list[Finding] = []

    def print(self, finding: "Finding") -> None:
        self._found.append(finding)
        if self._json:
            output.write_json(asdict(finding))
        else:
            self._print_lines(finding)
        output.flush()

    def end(self) -> int:
        """Say how many there were. Returns the exit code."""
        from mmconsole.domain.findings import counted  # noqa: PLC0415 - as above

        counts = ", ".join(f"{count} {verdict}" for verdict, count in counted(self._found).items() if count)
        output.note(f"{output.amount(len(self._found), 'finding')}: {counts}")
        return SOME_FAILED if any(finding.ails for finding in self._found) else 0

    def _print_lines(self, finding: "Finding") -> None:
        if finding.group != self._group:
            output.write(f"{chr(10) if self._group else ''}{finding.group}")
            self._group, self._told = finding.group, ""
        said_before = finding.verdict == "unknown" and finding.sentence == self._told
        sentence = '"' if said_before else finding.sentence
        self._told = finding.sentence
        glyph = "~" if finding.advice and finding.verdict != "yes" else _GLYPHS[finding.verdict]
        head = f"  {output.painted(glyph, glyph)} {finding.name:<22} "
        for line in _wrapped(output.visible(sentence), head, margin=27):
            output.write(line)
        if finding.cure:
            for line in _wrapped(output.visible(finding.cure), f"{'':24} → ", margin=27):
                output.write(line)


def _show_grants(settings: "Settings", role: str | None, *, json: bool) -> None:
    from mmconsole.services.doctor.grants import needed  # noqa: PLC0415 - only who asks for it pays

    found = needed(settings, role=role)
    if json:
        output.write_json({"running": found.running, "migrating": found.migrating})
        return
    for heading, statements in (("For every command", found.running), ("For `migrate`, in addition", found.migrating)):
        if statements:
            output.write(f"-- {heading}:")
        for statement in statements:
            stop = "" if statement.startswith("--") else ";"
            output.write(output.visible(statement).rstrip(";") + stop)
    if not found.running:
        output.note("The database is a file: whoever may read and write it needs nothing else.")


def _wrapped(text: str, head: str, *, margin: int) -> Iterable[str]:
    """The text beside its head, whose colours take no room."""
    room = max(min(output.width(), _WIDEST) - margin, 30)
    lines = textwrap.wrap(text, room, break_on_hyphens=False, break_long_words=False) or [""]
    return [head + lines[0], *(" " * margin + line for line in lines[1:])]


def _end(findings: "Iterable[Finding]", *, json: bool) -> int:
    printer = _Printer(json=json)
    for finding in findings:
        printer.print(finding)
    return printer.end()


def _unreadable(fault: SettingsError) -> "Finding":
    from mmconsole.domain.findings import Sheet  # noqa: PLC0415

    sheet = Sheet("settings", ("settings",))
    sheet.fault("settings", fault)
    return sheet.findings(otherwise="")[0]
