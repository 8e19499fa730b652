"""`mmconsole seal`: the keys that stored tokens are sealed with."""

import sys
from typing import Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given
from mmconsole.errors import UsageError

INIT_EXAMPLES: Final = """\b
Examples:
  mmconsole seal init

It makes the first key and stores it where `seal.source` says. Keep a copy: without it no stored token can be read.
"""
STATUS_EXAMPLES: Final = """\b
Examples:
  mmconsole seal status
"""
EXPORT_EXAMPLES: Final = """\b
Examples:
  mmconsole seal export > keys.json     then keep that file in a safe place
"""


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="Make and keep the keys that tokens are sealed with.")
    group.command("init", epilog=INIT_EXAMPLES)(init)
    group.command("status", epilog=STATUS_EXAMPLES)(status)
    group.command("export", epilog=EXPORT_EXAMPLES)(export)
    return group


def init(context: typer.Context) -> None:
    """Make the first key."""
    settings = given(context).settings()
    from mmconsole.secrets import seal_keys  # noqa: PLC0415 - help needs no secrets

    made = seal_keys.init(settings)
    place = seal_keys.place(settings)
    output.write(f"Made the key {made.current.id}; it is in the {output.visible(place.description)}.")
    output.note("Keep a copy of it in a safe place: `mmconsole seal export > FILE`. Without it nothing can be opened.")


def status(
    context: typer.Context, *, json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Show which keys there are, never the keys themselves."""
    settings = given(context).settings()
    from mmconsole.secrets import seal_keys  # noqa: PLC0415

    found = seal_keys.status(settings)
    if found.warning:
        output.note(found.warning)
    if json:
        keys = [{"id": key_id, "made_at": made_at} for key_id, made_at in found.keys]
        output.write_json({"source": found.source, "keys": keys})
        return
    output.write(f"{output.amount(len(found.keys), 'key')} in the {output.visible(found.source)}")
    for place, (key_id, made_at) in enumerate(found.keys):
        made = f", made {output.moment(made_at)}" if made_at else ""
        output.write(f"  {key_id}{made}{', seals' if place == 0 else ''}")


def export(
    context: typer.Context,
    *,
    show: Annotated[bool, typer.Option("--show", help="Print them on a terminal too.")] = False,
) -> None:
    """Print all keys, for a copy in a safe place."""
    if output.is_terminal(sys.stdout) and not show:
        raise UsageError(why="The keys would stand on this screen. Say `mmconsole seal export > FILE`, or --show.")
    settings = given(context).settings()
    from mmconsole.secrets import seal_keys  # noqa: PLC0415

    keys = seal_keys.export(settings)
    output.note("These keys open every stored token. Keep them where nobody else can read them, and not in a backup.")
    output.write(keys.reveal())
