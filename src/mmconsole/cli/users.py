"""`mmconsole users`: the users as the database knows them."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import run_core
from mmconsole.errors import UsageError

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.domain.tokens import Health
    from mmconsole.services.users import KnownUser

LIST_EXAMPLES: Final = """\b
Examples:
  mmconsole users list --health conflict
  mmconsole users list --json | jq -r 'select(.health == "missing") | .id'

Off a terminal it prints one line per user with tabs: id, status, e-mail, name, account, token, reason.
"""
SHOW_EXAMPLES: Final = """\b
Examples:
  mmconsole users show 17
  mmconsole users show ann@example.org --json
"""


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="List users and show what is known of one.")
    group.command("list", epilog=LIST_EXAMPLES)(list_users)
    group.command("show", epilog=SHOW_EXAMPLES)(show_user)
    return group


def _complete_health(incomplete: str) -> list[str]:
    from mmconsole.domain.tokens import Health  # noqa: PLC0415 - only who asks for it pays

    return [health for health in Health if health.startswith(incomplete)]


def list_users(
    context: typer.Context,
    *,
    health: Annotated[
        str | None,
        typer.Option(metavar="STATUS", help="Only users of this status, as missing.", autocompletion=_complete_health),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List users with the status of their tokens."""
    wanted = _health(health)
    run_core(context, lambda core, _: _list(core, wanted, json=json))


def show_user(
    context: typer.Context,
    *,
    user: Annotated[str, typer.Argument(metavar="USER", help="Id, e-mail or username.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show one user, the account and the token; never its secret."""

    async def show(core: "Core", _: "Interrupts") -> "KnownUser":
        return await core.users.show(user)

    known = run_core(context, show)
    if json:
        output.write_json(document_of(known))
    else:
        output.facts(_facts(known))


def _health(name: str | None) -> "Health | None":
    from mmconsole.domain.tokens import Health  # noqa: PLC0415

    if name is None:
        return None
    try:
        return Health(name.lower())
    except ValueError:
        raise UsageError(why=f"There is no status `{output.visible(name)}`. There are: {', '.join(Health)}.") from None


async def _list(core: "Core", health: "Health | None", *, json: bool) -> None:
    from mmconsole.cli.table import Table  # noqa: PLC0415

    table = None if json else Table(*COLUMNS, glyphs=1)
    with output.reader():
        async for known in core.users.all(health=health):
            if table is None:
                output.write_json(document_of(known))
            else:
                table.add(*_cells(known, whole=not table.fits))
        if table is not None:
            table.end()


COLUMNS: Final = ("ID", "STATUS", "E-MAIL…", "TOKEN OR REASON…")


def _cells(known: "KnownUser", *, whole: bool) -> tuple[str, ...]:
    """The cells of a line; `whole` is for lines that no terminal has to hold."""
    from mmconsole.cli.words import STATUSES  # noqa: PLC0415

    user, record = known.user, known.record
    address, token = output.visible(user.email or ""), record.token_id or ""
    first = (output.visible(user.id), STATUSES[known.health], address)
    if not whole:
        return (*first, output.visible(record.cause) or token)
    name = output.visible(f"{user.first_name} {user.last_name}".strip())
    return (*first, name, record.account_id or "", token, output.visible(record.cause))


def document_of(known: "KnownUser") -> dict[str, Any]:
    user, record = known.user, known.record
    return {
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "locale": user.locale,
        "active": user.active,
        "health": known.health,
        "cause": record.cause,
        "account_id": record.account_id,
        "token_id": record.token_id,
        "checked_at": record.checked_at,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "withheld": record.withheld,
    }


def _facts(known: "KnownUser") -> dict[str, str]:
    from mmconsole.cli.words import STATUSES  # noqa: PLC0415

    user, record = known.user, known.record
    status = STATUSES[known.health]
    address = output.visible(user.email or "(none)")
    return {
        "id": output.visible(user.id),
        "e-mail": address if user.email_verified else f"{address} (not verified)",
        "name": output.visible(f"{user.first_name} {user.last_name}".strip()),
        "username": output.visible(user.username or ""),
        "locale": output.visible(user.locale or ""),
        "active": "" if user.active else "no: inactive or deleted in the application",
        "status": output.painted(status, status[0]),
        "reason": output.visible(record.cause),
        "account": record.account_id or "",
        "token": f"{record.token_id} (its id; the secret is never shown)" if record.token_id else "",
        "made": output.moment(record.created_at),
        "ends": output.moment(record.expires_at),
        "checked": output.moment(record.checked_at),
    }
