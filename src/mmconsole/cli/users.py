"""`mmconsole users`: the users as the database knows them."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import completion, filters, output, own_users
from mmconsole.cli.run import run_core
from mmconsole.errors import UsageError, UserUnknown

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.domain.filters import Filter
    from mmconsole.services.overview import ListedUser

LIST_EXAMPLES: Final = """\b
Examples:
  mmconsole users list --filter 'status:conflict,noaccount'
  mmconsole users list --filter 'ann -active:no checked>30d'
  mmconsole users list --json | jq -r 'select(.health == "missing") | .id'

A filter is words to look for (id, e-mail, username, name) and conditions; all of them must hold, a comma is "or", a
minus is "not": status: name: email: username: locale: cause: id: account: token: active: withheld: link: verified:
checked> created> expires<14d. --health WORD is short for --filter status:WORD.

Off a terminal it prints one line per user with tabs: id, status, e-mail, name, account, token, reason.
"""
SHOW_EXAMPLES: Final = """\b
Examples:
  mmconsole users show 17
  mmconsole users show ann@example.org --json
"""


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="List and export users; change those of the embedded database.")
    group.command("list", epilog=LIST_EXAMPLES)(list_users)
    group.command("show", epilog=SHOW_EXAMPLES)(show_user)
    own_users.add_to(group)
    return group


def _complete_health(incomplete: str) -> list[str]:
    from mmconsole.domain.tokens import Health  # noqa: PLC0415 - only who asks for it pays

    return [health for health in Health if health.startswith(incomplete)]


def list_users(
    context: typer.Context,
    *,
    filter_text: filters.Wanted = None,
    health: Annotated[
        str | None,
        typer.Option(metavar="STATUS", help="Only users of this status, as missing.", autocompletion=_complete_health),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List users with the status of their tokens."""
    wanted = filters.read(" ".join([filter_text or "", *_of_status(health)]))
    run_core(context, lambda core, _: _list(core, wanted, json=json))


def show_user(
    context: typer.Context,
    *,
    user: Annotated[
        str, typer.Argument(metavar="USER", help="Id, e-mail or username.", autocompletion=completion.users)
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show one user, the account and the token; never its secret."""

    async def show(core: "Core", _: "Interrupts") -> "ListedUser":
        rows = await core.overview.rows([await core.users.resolve(user)])
        if not rows:
            raise UserUnknown(name=user)
        return rows[0]

    known = run_core(context, show)
    if json:
        output.write_json(known.document())
    else:
        output.facts(_facts(known))


def _of_status(name: str | None) -> list[str]:
    """The same as a term of a filter."""
    from mmconsole.domain.tokens import Health  # noqa: PLC0415

    if name is None:
        return []
    if name.lower() not in set(Health):
        raise UsageError(why=f"There is no status `{output.visible(name)}`. There are: {', '.join(Health)}.")
    return [f"status:{name}"]


async def _list(core: "Core", wanted: "Filter", *, json: bool) -> None:
    from mmconsole.cli.table import Table  # noqa: PLC0415

    table = None if json else Table(*COLUMNS, glyphs=1, spare=("TOKEN OR REASON",))
    with output.reader():
        async for known in core.overview.all(wanted):
            if table is None:
                output.write_json(known.document())
            else:
                table.add(*_cells(known, whole=not table.fits))
        if table is not None:
            table.end(filters.nobody(wanted))


COLUMNS: Final = ("ID", "STATUS", "E-MAIL…", "TOKEN OR REASON…")


def _cells(known: "ListedUser", *, whole: bool) -> tuple[str, ...]:
    """The cells of a line; `whole` is for lines that no terminal has to hold."""
    from mmconsole.domain.health import STATUSES  # noqa: PLC0415

    user, record = known.user, known.record
    address, token = output.visible(user.email or ""), record.token_id or ""
    first = (output.visible(user.id), STATUSES[known.status], address)
    if not whole:
        return (*first, output.visible(record.cause) or token)
    name = output.visible(f"{user.first_name} {user.last_name}".strip())
    return (*first, name, record.account_id or "", token, output.visible(record.cause))


def _facts(known: "ListedUser") -> dict[str, str]:
    from mmconsole.domain.health import STATUSES  # noqa: PLC0415

    user, record = known.user, known.record
    status = STATUSES[known.status]
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
