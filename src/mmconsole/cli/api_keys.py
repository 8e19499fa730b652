"""`mmconsole api-keys`: who of the application may call the HTTP service."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import run_core
from mmconsole.cli.token_life import span
from mmconsole.errors import UsageError

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.domain.callers import ApiKey
    from mmconsole.services.callers import NewKey

CREATE_EXAMPLES: Final = """\b
Examples:
  mmconsole api-keys create billing --scope link
  mmconsole api-keys create app --scope link --scope sync --expires-in 365d

The key is shown once and stored only as a hash: put it where the application keeps its secrets. It sends the key as
`Authorization: Bearer mmc_…`. Two keys that work have two names, so that the activity log tells them apart.

Scopes: link (sign-in links), sync (one user), channel (add a user to a channel), project (channels of projects).
"""
LIST_EXAMPLES: Final = """\b
Examples:
  mmconsole api-keys list
  mmconsole api-keys list --json
"""
REVOKE_EXAMPLES: Final = """\b
Examples:
  mmconsole api-keys revoke billing
  mmconsole api-keys revoke 1f2e3d4c
"""
_LONGEST_NAME: Final = 64
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="Make, list and revoke the keys of those who call the service.")
    group.command("create", epilog=CREATE_EXAMPLES)(create)
    group.command("list", epilog=LIST_EXAMPLES)(list_keys)
    group.command("revoke", epilog=REVOKE_EXAMPLES)(revoke)
    return group


def create(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the activity log shall call this caller.")],
    scope: Annotated[list[str] | None, typer.Option(metavar="SCOPE", help="What it may do; several times.")] = None,
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", metavar="SPAN", help="When it ends, as 365d. Without: never.")
    ] = None,
    json: _Json = False,
) -> None:
    """Make a key, and show it once."""
    from mmconsole.domain.callers import Scope  # noqa: PLC0415 - help needs no domain

    known = {one.value: one for one in Scope}
    if not scope or (wrong := next((one for one in scope if one not in known), None)) is not None:
        named = f"there is no scope `{output.visible(wrong)}`" if scope and wrong else "name one or more"
        raise UsageError(why=f"--scope says what the key may do: {named}. There are: {', '.join(known)}.")
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(why=f"The name of a key has 1 to {_LONGEST_NAME} printable characters.")
    scopes, life = [known[one] for one in scope], span("--expires-in", expires_in)
    if life is not None and not life:
        raise UsageError(why="A key that ends at once is of no use.")

    async def work(core: "Core", _: "Interrupts") -> "NewKey":
        return await core.callers.create(name.strip(), scopes, expires_in=life)

    made = run_core(context, work)
    # The one moment at which its holder can see it.
    text = made.text.reveal()
    if json:
        output.write_json(_facts(made.key) | {"key": text})
        return
    output.write(text)
    output.note("This key is not shown again. Store it where the application keeps its secrets.")


def list_keys(context: typer.Context, *, json: _Json = False) -> None:
    """List the keys, also those that have ended."""

    async def work(core: "Core", _: "Interrupts") -> "list[ApiKey]":
        return await core.callers.list()

    keys = run_core(context, work)
    with output.reader():
        if json:
            for key in keys:
                output.write_json(_facts(key))
            return
        _print(keys)


def revoke(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(metavar="KEY", help="Its name or id.")],
) -> None:
    """End a key at once."""

    async def work(core: "Core", _: "Interrupts") -> "ApiKey":
        return await core.callers.revoke(name)

    ended = run_core(context, work)
    output.write(f"The key {output.visible(ended.name)} ({ended.id}) is revoked.")


def _print(keys: "list[ApiKey]") -> None:
    from mmconsole.cli.table import Table  # noqa: PLC0415 - help needs no table

    spare = ("SCOPES", "LAST USED", "ENDS")
    table = Table("ID", "NAME…", "SCOPES…", "ENDS", "LAST USED", "REVOKED", spare=spare)
    shown = output.day if table.fits else output.moment
    for key in keys:
        moments = (shown(at) for at in (key.expires_at, key.last_used_at, key.revoked_at))
        table.add(key.id, output.visible(key.name), " ".join(sorted(key.scopes)), *moments)
    table.end()
    if not keys:
        output.note("There are no keys yet; `mmconsole api-keys create` makes one.")


def _facts(key: "ApiKey") -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
