"""`mmconsole tokens generate|repair|rotate|revoke|undo`: the life of tokens, for one user, many, or a filter."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import filters, output
from mmconsole.cli.run import run_core
from mmconsole.cli.sync import CHANGES_FOUND, AllowRemovals, Listed, SomeUsers, names_in
from mmconsole.errors import UsageError

if TYPE_CHECKING:
    from datetime import timedelta

    from mmconsole.domain.filters import Filter
    from mmconsole.services.tokens.tokens import TokenRequest

_CODES: Final = """\
Exit codes: 0 done, 1 failed, 2 usage, 3 some users failed or need a decision, 4 a guard stopped it,
5 changes were found (--dry-run --exit-code), 75 another run is at work, 130 interrupted.
"""
GENERATE_EXAMPLES: Final = f"""\b
Examples:
  mmconsole generate 17 ann@example.org    these two, if none works
  mmconsole generate 17 --force            another one all the same
  mmconsole generate --filter status:missing --dry-run

The new token is tried before it is stored; then the old one, if there is one, is revoked.

{_CODES}"""
REPAIR_EXAMPLES: Final = f"""\b
Examples:
  mmconsole tokens repair --all-broken --dry-run   and how many mails it sends
  mmconsole tokens repair --all-broken             whomever a new token helps
  mmconsole tokens repair 17                       by name also if withheld
  mmconsole tokens repair --filter 'status:expiring team:eng'

{_CODES}"""
ROTATE_EXAMPLES: Final = f"""\b
Examples:
  mmconsole tokens rotate --older-than 90d
  mmconsole tokens rotate --expiring-within 14d --yes
  mmconsole tokens rotate 17 ann@example.org

Each user gets the new token before the old one is revoked, so nobody is ever without one.

{_CODES}"""
REVOKE_EXAMPLES: Final = f"""\b
Examples:
  mmconsole revoke 17             disabled now, revoked after the time to undo
  mmconsole revoke 17 --now       revoked for good at once
  mmconsole revoke 17 --stay      stays until that time is over, and revokes
  mmconsole revoke --filter 'team:partners' --allow-removals 37

The user gets no other token until `generate`, `repair` or `undo` asks for one. Without --stay the first run that writes
after the time to undo revokes for good: a sync, anything done to tokens, or `mmconsole tokens recover`.

{_CODES}"""
UNDO_EXAMPLES: Final = f"""\b
Examples:
  mmconsole tokens undo 17
  mmconsole tokens undo --job 12          everybody whom that run disabled

{_CODES}"""

Force = Annotated[bool, typer.Option("--force", help="Replace tokens that work, too.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and do nothing.")]
_Wait = Annotated[bool, typer.Option("--wait", help="Wait for another run to end.")]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_ExitCode = Annotated[bool, typer.Option("--exit-code", help="With --dry-run: exit 5 if it found changes.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def register(group: typer.Typer) -> None:
    """Add these commands to `mmconsole tokens`."""
    group.command("generate", epilog=GENERATE_EXAMPLES)(generate)
    group.command("repair", epilog=REPAIR_EXAMPLES)(repair)
    group.command("rotate", epilog=ROTATE_EXAMPLES)(rotate)
    group.command("revoke", epilog=REVOKE_EXAMPLES)(revoke)
    group.command("undo", epilog=UNDO_EXAMPLES)(undo)


def generate(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    users: SomeUsers = None,
    listed: Listed = None,
    wanted: filters.Wanted = None,
    force: Force = False,
    dry_run: _DryRun = False,
    wait: _Wait = False,
    yes: _Yes = False,
    exit_code: _ExitCode = False,
    json: _Json = False,
) -> None:
    """Make tokens for users who have none that works."""
    names, meant = whose(users, listed, wanted)
    from mmconsole.domain.token_plans import Act  # noqa: PLC0415 - help needs no plans
    from mmconsole.services.tokens.tokens import TokenRequest  # noqa: PLC0415

    request = TokenRequest(Act.GENERATE, names, meant, force=force)
    _perform(context, request, dry_run=dry_run, wait=wait, yes=yes, exit_code=exit_code, json=json)


def repair(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    users: SomeUsers = None,
    listed: Listed = None,
    all_broken: Annotated[bool, typer.Option("--all-broken", help="Everybody without a token that works.")] = False,
    wanted: filters.Wanted = None,
    force: Force = False,
    dry_run: _DryRun = False,
    wait: _Wait = False,
    yes: _Yes = False,
    exit_code: _ExitCode = False,
    json: _Json = False,
) -> None:
    """Replace tokens that are broken, missing or about to end."""
    names, meant = whose(users, listed, wanted, every=all_broken, way="--all-broken")
    from mmconsole.domain.filters import parse  # noqa: PLC0415 - help needs no filters
    from mmconsole.domain.token_plans import Act  # noqa: PLC0415
    from mmconsole.services.tokens.tokens import ALL_BROKEN, TokenRequest  # noqa: PLC0415

    request = TokenRequest(Act.REPAIR, names, parse(ALL_BROKEN) if all_broken else meant, force=force)
    _perform(context, request, dry_run=dry_run, wait=wait, yes=yes, exit_code=exit_code, json=json)


def rotate(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    users: SomeUsers = None,
    listed: Listed = None,
    wanted: filters.Wanted = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="SPAN", help="Only tokens that are older, as 90d.")
    ] = None,
    expiring_within: Annotated[
        str | None, typer.Option("--expiring-within", metavar="SPAN", help="Only tokens that end by then, as 14d.")
    ] = None,
    dry_run: _DryRun = False,
    wait: _Wait = False,
    yes: _Yes = False,
    exit_code: _ExitCode = False,
    json: _Json = False,
) -> None:
    """Replace tokens that work. Each new one works before its old one ends."""
    limits = older_than is not None or expiring_within is not None
    some = bool(users or listed or wanted is not None)
    names, meant = whose(users, listed, wanted, every=limits and not some, way="--older-than, --expiring-within")
    from mmconsole.domain.token_plans import Act  # noqa: PLC0415 - help needs no plans
    from mmconsole.services.tokens.tokens import TokenRequest  # noqa: PLC0415

    request = TokenRequest(
        Act.ROTATE,
        names,
        meant,
        older_than=span("--older-than", older_than),
        expiring_within=span("--expiring-within", expiring_within),
    )
    _perform(context, request, dry_run=dry_run, wait=wait, yes=yes, exit_code=exit_code, json=json)


def revoke(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    users: SomeUsers = None,
    listed: Listed = None,
    wanted: filters.Wanted = None,
    now: Annotated[bool, typer.Option("--now", help="Revoke for good at once; there is no undo.")] = False,
    stay: Annotated[bool, typer.Option("--stay", help="Stay until the time to undo is over, and revoke.")] = False,
    allow_removals: AllowRemovals = None,
    dry_run: _DryRun = False,
    wait: _Wait = False,
    yes: _Yes = False,
    exit_code: _ExitCode = False,
    json: _Json = False,
) -> None:
    """Revoke tokens; for some minutes it can be undone."""
    names, meant = whose(users, listed, wanted)
    from mmconsole.domain.token_plans import Act  # noqa: PLC0415 - help needs no plans
    from mmconsole.services.tokens.tokens import TokenRequest  # noqa: PLC0415

    request = TokenRequest(Act.REVOKE, names, meant, at_once=now, allow_removals=allow_removals)
    _perform(context, request, dry_run=dry_run, wait=wait, yes=yes, exit_code=exit_code, json=json, stay=stay)


def undo(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    users: SomeUsers = None,
    listed: Listed = None,
    job: Annotated[int | None, typer.Option("--job", metavar="N", help="Whoever was disabled by this job.")] = None,
    wanted: filters.Wanted = None,
    dry_run: _DryRun = False,
    wait: _Wait = False,
    exit_code: _ExitCode = False,
    json: _Json = False,
) -> None:
    """Enable tokens again whose revocation can still be undone."""
    names, meant = whose(users, listed, wanted, every=job is not None, way="--job")
    from mmconsole.domain.token_plans import Act  # noqa: PLC0415 - help needs no plans
    from mmconsole.services.tokens.tokens import TokenRequest  # noqa: PLC0415

    request = TokenRequest(Act.UNDO, names, meant, job_id=job)
    _perform(context, request, dry_run=dry_run, wait=wait, yes=True, exit_code=exit_code, json=json)


# ── what they share ──────────────────────────────────────────────────────────────────────────────


def _perform(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    request: "TokenRequest",
    *,
    dry_run: bool,
    wait: bool,
    yes: bool,
    exit_code: bool,
    json: bool,
    stay: bool = False,
) -> None:
    if exit_code and not dry_run:
        raise UsageError(why="--exit-code belongs to --dry-run.")
    from mmconsole.cli import token_running  # noqa: PLC0415 - help needs no services
    from mmconsole.cli.summary import exit_code_of  # noqa: PLC0415

    if dry_run:
        changes = run_core(context, lambda core, _: token_running.plan(core, request, json=json))
        raise typer.Exit(CHANGES_FOUND if exit_code and changes else 0)
    ways = {"yes": yes, "wait": wait, "stay": stay, "json": json}
    ending = run_core(context, lambda core, signals: token_running.run(core, request, signals, **ways))
    raise typer.Exit(exit_code_of(ending))


def whose(
    users: list[str] | None, listed: Path | None, wanted: str | None, *, every: bool = False, way: str = ""
) -> "tuple[tuple[str, ...], Filter | None]":
    """Users by name, or the filter that means them. Raises UsageError and BadFilter."""
    some = bool(users or listed)
    if some + (wanted is not None) + every != 1:
        ways = f"{way}, " if way else ""
        raise UsageError(why=f"Say whose tokens: {ways}--filter, --from a file, or some by id, e-mail or username.")
    names = (*(users or ()), *(names_in(listed) if listed else ()))
    if listed and not names:
        raise UsageError(why=f"{listed} names no user.")
    if wanted is None:
        return names, None
    if not wanted.strip():
        raise UsageError(why="An empty filter means everybody; say 'active:yes' if that is what you want.")
    return names, filters.read(wanted)


def span(option: str, text: str | None) -> "timedelta | None":
    from mmconsole.domain.spans import parse_span  # noqa: PLC0415 - help needs no spans

    if text is None:
        return None
    try:
        return parse_span(text)
    except ValueError as fault:
        raise UsageError(why=f"{option} cannot be `{output.visible(text)}`: {fault}.") from fault
