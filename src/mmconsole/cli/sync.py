"""`mmconsole sync`: bring users, accounts and tokens into step."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from mmconsole.cli import completion, output
from mmconsole.cli.run import run_core
from mmconsole.errors import LinksUnnamed, UsageError

CHANGES_FOUND: Final = 5
EXAMPLES: Final = """\b
Examples:
  mmconsole sync --all --dry-run      what would be done, and what it causes
  mmconsole sync --all                everybody; the unchanged cost nothing
  mmconsole sync --missing            only users without a token
  mmconsole sync 17 ann@example.org   these two, by id, e-mail or username
  mmconsole sync --from list.txt --link-existing

Exit codes: 0 done, 1 failed, 2 usage, 3 some users failed or need a decision, 4 a guard stopped it,
5 changes were found (--dry-run --exit-code), 75 another run is at work, 130 interrupted.
"""

SomeUsers = Annotated[
    list[str] | None,
    typer.Argument(metavar="USER", help="Users by id, e-mail or username.", autocompletion=completion.users),
]
Everybody = Annotated[bool, typer.Option("--all", help="Everybody in the users table.")]
Missing = Annotated[bool, typer.Option("--missing", help="Only active users without a token.")]
Listed = Annotated[
    Path | None, typer.Option("--from", metavar="FILE", help="Users from a file, one per line; - is stdin.")
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Change at most N users; the next run goes on.")]
Full = Annotated[bool, typer.Option("--full", help="Compare every account, also those that have not changed.")]
Teams = Annotated[bool, typer.Option("--teams", help="Put those who left a configured team back into it.")]
LinkExisting = Annotated[
    bool, typer.Option("--link-existing", help="Confirm that existing accounts belong to the named users.")
]
AllowRemovals = Annotated[int | None, typer.Option(min=0, metavar="N", help="Let exactly N removals pass the guard.")]


def sync(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    users: SomeUsers = None,
    everybody: Everybody = False,
    missing: Missing = False,
    listed: Listed = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and do nothing.")] = False,
    limit: Limit = None,
    full: Full = False,
    teams: Teams = False,
    link_existing: LinkExisting = False,
    allow_removals: AllowRemovals = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run to end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="With --dry-run: exit 5 if it found changes.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Bring users, their accounts and their tokens into step."""
    names = named(users, listed, everybody=everybody, missing=missing, link_existing=link_existing)
    if exit_code and not dry_run:
        raise UsageError(why="--exit-code belongs to --dry-run.")
    from mmconsole.cli.summary import exit_code_of, show_ending  # noqa: PLC0415 - help needs no services
    from mmconsole.cli.syncing import apply, plan  # noqa: PLC0415
    from mmconsole.services.summary import SyncRequest  # noqa: PLC0415

    request = SyncRequest(
        names=names,
        missing=missing,
        limit=limit,
        full=full,
        teams=teams,
        link_existing=link_existing,
        allow_removals=allow_removals,
    )
    if dry_run:
        changes = run_core(context, lambda core, _: plan(core, request, json=json))
        raise typer.Exit(CHANGES_FOUND if exit_code and changes else 0)
    ending = run_core(context, lambda core, signals: apply(core, request, signals, yes=yes, wait=wait))
    with output.reader():
        show_ending(ending, json=json)
    raise typer.Exit(exit_code_of(ending))


def named(
    users: list[str] | None, listed: Path | None, *, everybody: bool, missing: bool, link_existing: bool
) -> tuple[str, ...]:
    """Whom the operator means by name; nobody for --all and --missing. Raises UsageError."""
    some = bool(users or listed)
    if everybody + missing + some != 1:
        what = "Say which users" if everybody + missing + some == 0 else "Say only one of these"
        raise UsageError(why=f"{what}: --all, --missing, or some by id, e-mail or username.")
    if link_existing and not some:
        raise LinksUnnamed
    names = (*(users or ()), *(names_in(listed) if listed else ()))
    if listed and not names:
        raise UsageError(why=f"{listed} names no user.")
    return names


def names_in(file: Path) -> list[str]:
    """Who stands in a file, one per line; `-` is standard input. Raises UsageError."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        why = getattr(fault, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(why=f"{file} cannot be read: {why}.") from fault
    return [name for line in text.splitlines() if (name := line.strip())]
