"""`mmconsole plan` and `mmconsole apply`: what would be done, in a file, and doing it later."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import filters, output
from mmconsole.cli.run import run_core
from mmconsole.cli.sync import (
    CHANGES_FOUND,
    AllowRemovals,
    Everybody,
    Full,
    Limit,
    LinkExisting,
    Listed,
    Missing,
    SomeUsers,
    Teams,
    named,
)
from mmconsole.cli.token_life import Force, span, whose
from mmconsole.errors import UsageError

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.services.summary import SyncRequest
    from mmconsole.services.tokens.tokens import TokenRequest

SYNC_EXAMPLES: Final = """\b
Examples:
  mmconsole plan sync --all -o plan.json
  mmconsole plan show plan.json
  mmconsole apply plan.json

The file is signed, readable for you alone, and good for a day (--expires-in). Nothing that stands there is overwritten.

Exit codes: 0 done, 1 failed, 2 usage, 5 changes were found (--exit-code).
"""
TOKENS_EXAMPLES: Final = """\b
Examples:
  mmconsole plan tokens repair --all-broken -o plan.json
  mmconsole plan tokens rotate --older-than 90d -o plan.json
  mmconsole plan tokens revoke --filter 'team:partners' -o plan.json
  mmconsole apply plan.json

Options mean what they mean to `mmconsole tokens generate`, `repair`, `rotate` and `revoke`.

Exit codes: 0 done, 1 failed, 2 usage, 5 changes were found (--exit-code).
"""
SHOW_EXAMPLES: Final = """\b
Examples:
  mmconsole plan show plan.json
  mmconsole plan show plan.json --json    who made it, each user, the totals
"""
APPLY_EXAMPLES: Final = """\b
Examples:
  mmconsole apply plan.json
  mmconsole apply plan.json --allow-removals 37 --yes

Each user is compared anew before. What was done meanwhile is not done twice, what changed since is left and listed,
and nothing is done that does not stand in the plan. A file that was edited, that has expired, or that was made for
another server or installation is refused.

Exit codes: 0 done, 1 failed, 2 usage, 3 some users failed or need a decision, 4 a guard stopped it,
75 another run is at work, 130 interrupted.
"""
_File = Annotated[Path, typer.Argument(metavar="FILE", help="A file that `mmconsole plan` wrote.")]
_Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The new file that gets the plan.")]
_ExpiresIn = Annotated[int, typer.Option(min=1, max=720, metavar="HOURS", help="How long it can be applied.")]
_ExitCode = Annotated[bool, typer.Option("--exit-code", help="Exit 5 if changes were found.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the plan as one JSON document, too.")]


class _Act(StrEnum):
    """What can be planned for tokens. To undo is for now or never."""

    GENERATE = "generate"
    REPAIR = "repair"
    ROTATE = "rotate"
    REVOKE = "revoke"


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="Write down what would be done, to apply it later.")
    group.command("sync", epilog=SYNC_EXAMPLES)(plan_sync)
    group.command("tokens", epilog=TOKENS_EXAMPLES)(plan_tokens)
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    return group


def plan_sync(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    users: SomeUsers = None,
    file: _Output,
    everybody: Everybody = False,
    missing: Missing = False,
    listed: Listed = None,
    limit: Limit = None,
    full: Full = False,
    teams: Teams = False,
    link_existing: LinkExisting = False,
    expires_in: _ExpiresIn = 24,
    exit_code: _ExitCode = False,
    json: _Json = False,
) -> None:
    """Plan a sync into a file. Nothing else is written."""
    names = named(users, listed, everybody=everybody, missing=missing, link_existing=link_existing)
    from mmconsole.services.summary import SyncRequest  # noqa: PLC0415 - help needs no services

    request = SyncRequest(
        names=names, missing=missing, limit=limit, full=full, teams=teams, link_existing=link_existing
    )
    _write(context, request, file, hours=expires_in, exit_code=exit_code, json=json)


def plan_tokens(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    act: Annotated[_Act, typer.Argument(metavar="ACT", help="What to do: generate, repair, rotate or revoke.")],
    users: SomeUsers = None,
    file: _Output,
    listed: Listed = None,
    wanted: filters.Wanted = None,
    all_broken: Annotated[
        bool, typer.Option("--all-broken", help="repair: everybody without a token that works.")
    ] = False,
    force: Force = False,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="SPAN", help="rotate: only tokens that are older, as 90d.")
    ] = None,
    expiring_within: Annotated[
        str | None, typer.Option("--expiring-within", metavar="SPAN", help="rotate: only those that end by then.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="revoke: for good at once; there is no undo.")] = False,
    expires_in: _ExpiresIn = 24,
    exit_code: _ExitCode = False,
    json: _Json = False,
) -> None:
    """Plan what is asked for tokens into a file. Nothing else is written."""
    aged = older_than is not None or expiring_within is not None
    _demand(all_broken, act, _Act.REPAIR, option="--all-broken")
    _demand(aged, act, _Act.ROTATE, option="--older-than and --expiring-within")
    _demand(now, act, _Act.REVOKE, option="--now")
    _demand(force, act, _Act.GENERATE, _Act.REPAIR, option="--force")
    some = bool(users or listed or wanted is not None)
    ways = {_Act.REPAIR: "--all-broken", _Act.ROTATE: "--older-than, --expiring-within"}
    names, meant = whose(users, listed, wanted, every=all_broken or (aged and not some), way=ways.get(act, ""))
    from mmconsole.domain.filters import parse  # noqa: PLC0415 - help needs no filters
    from mmconsole.domain.token_plans import Act  # noqa: PLC0415
    from mmconsole.services.tokens.tokens import ALL_BROKEN, TokenRequest  # noqa: PLC0415

    request = TokenRequest(
        Act(act.value),
        names,
        parse(ALL_BROKEN) if all_broken else meant,
        force=force,
        at_once=now,
        older_than=span("--older-than", older_than),
        expiring_within=span("--expiring-within", expiring_within),
    )
    _write(context, request, file, hours=expires_in, exit_code=exit_code, json=json)


def _demand(said: bool, act: _Act, *acts: _Act, option: str) -> None:  # noqa: FBT001 - whether it was said
    if said and act not in acts:
        raise UsageError(why=f"{option}: only with {' and '.join(acts)}.")


def _write(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    request: "SyncRequest | TokenRequest",
    file: Path,
    *,
    hours: int,
    exit_code: bool,
    json: bool,
) -> None:
    from mmconsole.cli.planning import write  # noqa: PLC0415 - help needs no services

    expiry = timedelta(hours=hours)
    changes = run_core(context, lambda core, _: write(core, request, file, expires_in=expiry, json=json))
    raise typer.Exit(CHANGES_FOUND if exit_code and changes else 0)


def show(
    context: typer.Context,
    *,
    file: _File,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Check a plan and show what it would do."""

    async def work(core: "Core", _: "Interrupts") -> None:
        from mmconsole.cli.planning import show_file  # noqa: PLC0415

        with output.reader():
            await show_file(core, file, json=json)

    run_core(context, work)


def apply(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    file: _File,
    allow_removals: AllowRemovals = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run to end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Do what a plan says, as far as it is still right."""
    from mmconsole.cli.planning import apply_file  # noqa: PLC0415 - help needs no services
    from mmconsole.cli.summary import exit_code_of  # noqa: PLC0415
    from mmconsole.cli.token_running import tell  # noqa: PLC0415

    ending = run_core(
        context,
        lambda core, signals: apply_file(core, file, signals, allow_removals=allow_removals, yes=yes, wait=wait),
    )
    tell(ending, json=json)
    raise typer.Exit(exit_code_of(ending))
