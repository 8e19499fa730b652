"""`mmconsole tokens validate`, `tokens list` and `tokens identify`: what is known of tokens, and whether it is so."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mmconsole.cli import filters, output
from mmconsole.cli.run import SOME_FAILED, run_core
from mmconsole.cli.sync import SomeUsers
from mmconsole.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.domain.filters import Filter
    from mmconsole.domain.secrets import Secret
    from mmconsole.services.overview import ListedUser
    from mmconsole.services.summary import Summary

VALIDATE_EXAMPLES: Final = """\b
Examples:
  mmconsole validate --all                 all tokens, as the server has them
  mmconsole validate --all --deep          all tokens, by trying each secret
  mmconsole validate 17 ann@example.org    these two
  mmconsole validate --filter 'status:unknown,expiring'

Without --deep only the administrator asks, in lists: 100,000 tokens take a few seconds. An outage makes no token a
broken one: it is shown as unknown, and what is remembered stays.

Exit codes: 0 all work, 1 failed, 2 usage, 3 some are broken or unknown, 130 interrupted.
"""
LIST_EXAMPLES: Final = """\b
Examples:
  mmconsole tokens list --filter 'status:expired,revoked'
  mmconsole tokens list --filter 'checked>30d' --limit 20
  mmconsole tokens list --json | jq -r 'select(.status == "disabled") | .id'

It shows what is remembered: `mmconsole validate` asks the server. Off a terminal it prints one line per user
with tabs: user, status, token, and when it was made, ends and was checked, and why it does not work.
"""
IDENTIFY_EXAMPLES: Final = """\b
Examples:
  mmconsole tokens identify                 asks for the string, without echo
  mmconsole tokens identify < leaked.txt    reads it from standard input
  mmconsole tokens identify --revoke        and revokes it, without asking

The string is never an argument: those are seen by everybody on the machine. Without --revoke no server is asked.

Exit codes: 0 it is a user's token, 1 failed, 2 usage, 3 it is nobody's, or could not be revoked.
"""
_PAGE: Final = 1_000
_LONGEST: Final = 4_096


def register(group: typer.Typer) -> None:
    """Add these commands to `mmconsole tokens`."""
    group.command("validate", epilog=VALIDATE_EXAMPLES)(validate)
    group.command("list", epilog=LIST_EXAMPLES)(list_tokens)
    group.command("identify", epilog=IDENTIFY_EXAMPLES)(identify)


# ── validate ─────────────────────────────────────────────────────────────────────────────────────


def validate(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    users: SomeUsers = None,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody in the users table.")] = False,
    wanted: filters.Wanted = None,
    deep: Annotated[bool, typer.Option("--deep", help="Try each secret itself.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check tokens: which work, which do not, and why."""
    if everybody + bool(users) + (wanted is not None) != 1:
        raise UsageError(why="Say whose tokens: --all, --filter, or some by id, e-mail or username.")
    meant = filters.read(wanted)
    from mmconsole.cli import checking  # noqa: PLC0415 - help needs no services
    from mmconsole.services.checks.checks import CheckRequest  # noqa: PLC0415

    request = CheckRequest(tuple(users or ()), meant, deep)
    ending = run_core(context, lambda core, signals: checking.check(core, request, signals))
    with output.reader():
        checking.show_ending(ending, json=json)
    raise typer.Exit(checking.exit_code_of(ending))


# ── list ─────────────────────────────────────────────────────────────────────────────────────────


def list_tokens(
    context: typer.Context,
    *,
    wanted: filters.Wanted = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most N users.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List tokens with their status; never their secrets."""
    meant = filters.read(wanted)
    run_core(context, lambda core, _: _list(core, meant, limit=limit, json=json))


async def _list(core: "Core", wanted: "Filter", *, limit: int | None, json: bool) -> None:
    from mmconsole.cli.table import Table  # noqa: PLC0415 - help needs no tables
    from mmconsole.domain.filters import Order  # noqa: PLC0415

    columns = ("USER…", "STATUS", "TOKEN…", "MADE", "ENDS", "CHECKED", "WHY…")
    table = None if json else Table(*columns, glyphs=1, spare=("MADE", "CHECKED", "ENDS", "TOKEN"))
    teams = await core.checks.teams_of(wanted)
    ids = (await core.overview.ids(wanted, order=Order(), teams=teams))[:limit]
    with output.reader():
        for start in range(0, len(ids), _PAGE):
            for listed in await core.overview.rows(ids[start : start + _PAGE]):
                if table is None:
                    output.write_json(_document(listed))
                else:
                    table.add(*_cells(listed, whole=not table.fits))
        if table is not None:
            table.end(filters.nobody(wanted))


def _cells(listed: "ListedUser", *, whole: bool) -> tuple[str, ...]:
    """The cells of a line; `whole` is for lines that no terminal has to hold."""
    from mmconsole.domain.health import STATUSES  # noqa: PLC0415

    record, moment = listed.record, _exactly if whole else output.day
    return (
        output.visible(listed.user.id),
        STATUSES[listed.status],
        record.token_id or "",
        moment(record.created_at),
        moment(record.expires_at),
        moment(record.checked_at),
        output.visible(record.cause),
    )


def _document(listed: "ListedUser") -> dict[str, Any]:
    record = listed.record
    return {
        "id": listed.user.id,
        "email": listed.user.email,
        "status": listed.status,
        "cause": record.cause,
        "account_id": record.account_id,
        "token_id": record.token_id,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "checked_at": record.checked_at,
        "withheld": record.withheld,
    }


def _exactly(at: "datetime | None") -> str:
    return "" if at is None else at.isoformat(timespec="seconds")


# ── identify ─────────────────────────────────────────────────────────────────────────────────────


def identify(
    context: typer.Context,
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke it at once, if it is a user's token.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say whose token a string is. For one that was found where it should not be."""
    secret = _read()

    async def work(core: "Core", _: "Interrupts") -> "tuple[list[ListedUser], Summary | None]":
        owners = await core.overview.rows(await core.fingerprints.owners(secret))
        return owners, await _revoke(core, owners) if revoke and owners else None

    owners, revoked = run_core(context, work)
    if json:
        output.write_json(_identified(owners, revoked))
    else:
        for line in _lines(owners, revoked):
            output.write(line)
    if revoked and revoked.fault is not None:
        raise revoked.fault
    raise typer.Exit(0 if owners and not (revoked and revoked.troubled) else SOME_FAILED)


def _identified(owners: "Sequence[ListedUser]", revoked: "Summary | None") -> dict[str, Any]:
    return {
        "owners": [_document(owner) for owner in owners],
        "counts": dict(revoked.counts) if revoked else {},
        "listed": [asdict(result) for result in revoked.listed] if revoked else [],
    }


def _lines(owners: "Sequence[ListedUser]", revoked: "Summary | None") -> "Iterator[str]":
    if not owners:
        yield "It is nobody's token here."
    yield from map(_named, owners)
    if revoked is not None:
        yield from (f"{count:,} {name}" for name, count in revoked.counts.items())
        yield from (f"{output.visible(one.user_id)}: {output.visible(one.note)}" for one in revoked.listed)


async def _revoke(core: "Core", owners: "Sequence[ListedUser]") -> "Summary":
    """Without time to undo it: whoever found the string has it still."""
    from mmconsole.domain.token_plans import Act  # noqa: PLC0415 - help needs no plans
    from mmconsole.services.tokens.tokens import TokenRequest  # noqa: PLC0415

    ids = tuple(owner.user.id for owner in owners)
    return await core.tokens.run(TokenRequest(Act.REVOKE, ids, at_once=True))


def _named(owner: "ListedUser") -> str:
    user, token_id = owner.user, owner.record.token_id
    address = f" ({output.visible(user.email)})" if user.email else ""
    token = f"the token {token_id}" if token_id else "a token without a known id"
    return f"It is {token} of the user {output.visible(user.id)}{address}."


def _read() -> "Secret":
    from mmconsole.domain.secrets import Secret  # noqa: PLC0415

    if output.is_terminal(sys.stdin):
        from getpass import getpass  # noqa: PLC0415

        text = getpass("The string: ", stream=sys.stderr)
    else:
        text = sys.stdin.read(_LONGEST) if sys.stdin else ""
    if not text.strip():
        raise UsageError(why="Nothing was given. Type it, or say `mmconsole tokens identify < FILE`.")
    return Secret(text.strip())
