"""`mmconsole migrate`: prepare the database, in the words of Laravel's operators."""

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given
from mmconsole.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmconsole.database import Applied, TriggerStatus

MIGRATE_EXAMPLES: Final = """\b
Examples:
  mmconsole migrate                      run what has not run yet
  mmconsole migrate status
  mmconsole migrate --triggers           have changes written down
  mmconsole migrate rollback --step 1    take the two columns away again

It adds `mattermost_user_id` and `mattermost_token` to the application's users table where they are missing,
and tables of its own, whose names begin with mmconsole_.
"""
ROLLBACK_EXAMPLES: Final = """\b
Examples:
  mmconsole migrate rollback                          the application's part
  mmconsole migrate rollback --ours --abandon-tokens  our own tables

A column that was there before us stays. While tokens of ours live, it refuses.
"""
STATUS_EXAMPLES: Final = """\b
Examples:
  mmconsole migrate status
"""
_WIDEST: Final = 150


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, invoke_without_command=True, epilog=MIGRATE_EXAMPLES)
    group.callback()(migrate)
    group.command("status", epilog=STATUS_EXAMPLES)(status)
    group.command("rollback", epilog=ROLLBACK_EXAMPLES)(rollback)
    return group


def migrate(
    context: typer.Context,
    *,
    triggers: Annotated[
        bool | None,
        typer.Option("--triggers/--no-triggers", help="Install the triggers of the observer, or remove them."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Prepare the database: run the migrations that have not run yet."""
    if context.invoked_subcommand is not None:
        if json:
            raise UsageError(why=f"Say --json behind `{context.invoked_subcommand}`.")
        if triggers is not None:
            raise UsageError(why="--triggers and --no-triggers belong to `migrate` itself.")
        return
    settings = given(context).settings()
    from mmconsole import database  # noqa: PLC0415 - it imports SQLAlchemy, which help needs not

    if triggers is False:
        _show_removed(database.remove_triggers(settings), json=json)
        return
    applied = database.migrate(settings)
    if triggers:
        applied += database.install_triggers(settings)
    if json:
        _show_json(applied)
    else:
        show_applied(applied)


def status(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show which migrations have run."""
    settings = given(context).settings()
    from mmconsole import database  # noqa: PLC0415

    found, triggers = database.status(settings), database.trigger_status(settings)
    if json:
        output.write_json(
            [{"migration": one.name, "batch": one.batch, "ran": one.ran} for one in found]
            + [{"triggers": one.table, "installed": one.installed, "current": one.current} for one in triggers]
        )
        return
    output.write("")
    output.write(_dotted("Migration name", "Batch / Status"))
    for one in found:
        output.write(_dotted(one.name, f"[{one.batch}] Ran" if one.ran else "Pending"))
    for trigger in triggers:
        output.write(_dotted(f"triggers on {output.visible(trigger.table)}", _state_of(trigger)))
    output.write("")


def _state_of(trigger: "TriggerStatus") -> str:
    if trigger.installed and not trigger.current:
        return "Out of date: run `mmconsole migrate --triggers`"
    return "Installed" if trigger.installed else "Not installed"


def rollback(
    context: typer.Context,
    *,
    step: Annotated[int, typer.Option(min=1, metavar="N", help="Take back the last N steps.")] = 1,
    ours: Annotated[bool, typer.Option("--ours", help="Take back our own tables instead.")] = False,
    abandon_tokens: Annotated[
        bool, typer.Option("--abandon-tokens", help="Forget tokens that still work on the server.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Take the last migrations back."""
    settings = given(context).settings()
    from mmconsole import database  # noqa: PLC0415

    undone = database.rollback(settings, step=step, abandon_tokens=abandon_tokens, ours=ours)
    if json:
        _show_json(undone)
    else:
        _show(undone, begun="Rolling back migrations.", nothing="Nothing to rollback.")


def show_applied(applied: "Sequence[Applied]") -> None:
    _show(applied, begun="Running migrations.", nothing="Nothing to migrate.")


def _show_removed(removed: "Sequence[Applied]", *, json: bool) -> None:
    if json:
        _show_json(removed)
    else:
        _show(removed, begun="Removing triggers.", nothing="No triggers to remove.")


def _show(applied: "Sequence[Applied]", *, begun: str, nothing: str) -> None:
    output.write(f"\n   INFO  {begun if applied else nothing}\n")
    for one in applied:
        output.write(_dotted(one.name, f"{one.duration_ms:.2f}ms DONE"))
    if applied:
        output.write("")


def _show_json(applied: "Sequence[Applied]") -> None:
    output.write_json([{"migration": one.name, "duration_ms": round(one.duration_ms, 2)} for one in applied])


def _dotted(name: str, state: str) -> str:
    """A line as artisan draws it: as wide as the terminal, with dots between."""
    room = min(output.width() if output.is_terminal(sys.stdout) else 80, _WIDEST)
    dots = "." * max(room - len(name) - len(state) - 6, 1)
    return f"  {name} {dots} {state}"
