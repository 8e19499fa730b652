"""`mmconsole tokens`: what can be done to tokens."""

import sys
from enum import StrEnum
from typing import Annotated, Final

import typer

from mmconsole.cli import output, token_checks, token_life
from mmconsole.cli.run import SOME_FAILED, given, run_core
from mmconsole.cli.sync import AllowRemovals
from mmconsole.errors import Declined

RECOVER_EXAMPLES: Final = """\b
Examples:
  mmconsole tokens recover
  mmconsole tokens recover --json
  mmconsole tokens recover --foreign    after a backup or a copy was restored

It also revokes for good what `tokens revoke` disabled, when the time to undo is over. A sync begins with the same, so
this is only for who does not want to sync.

Tokens with our marker that nobody here stores, and no interrupted run announced, are told of; --foreign revokes them
under the guard. They work for whoever has them, be it another copy of this installation: look before you say it.
"""
RESTORAGE_EXAMPLES: Final = """\b
Examples:
  mmconsole tokens restorage --to sealed --dry-run    whether all of it opens
  mmconsole tokens restorage --to sealed
  mmconsole tokens restorage --to laravel             also after a new APP_KEY

It may be stopped at any time; the same command does the rest. What cannot be opened, and what somebody changes
meanwhile, stays as it is. Set `tokens.storage` to the same form.

Exit codes: 0 done, 1 failed, 2 usage, 3 some stayed as they were, 75 another run is at work, 130 interrupted.
"""


class _Form(StrEnum):
    """Those of `tokens.storage`, without importing what else the secrets room needs."""

    SEALED = "sealed"
    LARAVEL = "laravel"
    PLAIN = "plain"


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="Look after personal access tokens.")
    token_life.register(group)
    token_checks.register(group)
    group.command("recover", epilog=RECOVER_EXAMPLES)(recover)
    group.command("restorage", epilog=RESTORAGE_EXAMPLES)(restorage)
    return group


def recover(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    foreign: Annotated[
        bool, typer.Option("--foreign", help="Revoke tokens with our marker, too, that nobody here stores.")
    ] = False,
    allow_removals: AllowRemovals = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run to end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Clear up what an interrupted run left on the server. No token stays that nobody stores."""
    from mmconsole.cli import recovering  # noqa: PLC0415 - help needs no services

    if foreign:
        swept = run_core(
            context, lambda core, _: recovering.sweep(core, allow_removals=allow_removals, wait=wait, yes=yes)
        )
        with output.reader():
            recovering.show_swept(swept, json=json)
        raise typer.Exit(SOME_FAILED if swept.failed else 0)
    recovered, unstored = run_core(context, lambda core, _: recovering.recover(core))
    with output.reader():
        recovering.show_recovered(recovered, unstored, json=json)


def restorage(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    to: Annotated[_Form, typer.Option("--to", help="The form that all stored tokens shall have.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count and try everything, and write nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run to end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Bring all stored tokens into one form, under its current key."""
    settings = given(context).settings()
    if to is _Form.PLAIN and not (dry_run or yes):
        _ask_whether_plain()
    from mmconsole.cli import rewriting  # noqa: PLC0415 - help needs no services
    from mmconsole.secrets import Form  # noqa: PLC0415

    form = Form(to.value)
    ended, interrupted = run_core(
        context, lambda core, signals: rewriting.restorage(core, signals, form, dry_run=dry_run, wait=wait)
    )
    with output.reader():
        rewriting.show_restored(ended, json=json)
    if ended.after is not None and settings.values.tokens.storage != form.value:
        output.note(f"Now set `tokens.storage: {form}`: what is stored no longer has the form that the settings name.")
    raise typer.Exit(rewriting.exit_code_of(ended.done, interrupted=interrupted))


def _ask_whether_plain() -> None:
    """On a terminal only, as everywhere."""
    if not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)):
        return
    output.note("Whoever can read the table, or a backup of it, can then act for every user.")
    if not typer.confirm("Go on?", err=True):
        raise Declined
