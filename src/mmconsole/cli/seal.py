"""`mmconsole seal`: the keys that stored tokens are sealed with."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import given, run_core
from mmconsole.errors import DatabaseError, UsageError

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.services.rewrite import Stock

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
  mmconsole seal export --output keys.json    a file that only you can read
"""
ROTATE_EXAMPLES: Final = """\b
Examples:
  mmconsole seal rotate

It makes a new key and seals every stored token with it; then the old key is retired. It may be stopped at any time:
until the end both keys are kept, and the same command does the rest. Keep a copy of the new key, and the one of the
old key for as long as there are backups of the database that were made before.

Keys in a systemd credential or the environment are changed by you: put there what `mmconsole seal export
--with-new-key --output FILE` writes, then say `mmconsole seal rotate`.

Exit codes: 0 done, 1 failed, 2 usage, 3 some stayed as they were, 75 another run is at work, 130 interrupted.
"""
LARAVEL_EXAMPLES: Final = """\b
Examples:
  mmconsole seal laravel < keys.txt    APP_KEY, then APP_PREVIOUS_KEYS

It is for `tokens.storage: laravel`. With `laravel.source: env_file` it is not needed.
"""
_LONGEST: Final = 65_536


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="Make and keep the keys that tokens are sealed with.")
    group.command("init", epilog=INIT_EXAMPLES)(init)
    group.command("status", epilog=STATUS_EXAMPLES)(status)
    group.command("rotate", epilog=ROTATE_EXAMPLES)(rotate)
    group.command("export", epilog=EXPORT_EXAMPLES)(export)
    group.command("laravel", epilog=LARAVEL_EXAMPLES)(laravel)
    return group


def init(context: typer.Context) -> None:
    """Make the first key."""
    settings = given(context).settings()
    from mmconsole.secrets import seal_keys  # noqa: PLC0415 - help needs no secrets

    made = seal_keys.init(settings)
    place = seal_keys.place(settings)
    output.write(f"Made the key {made.current.id}; it is in the {output.visible(place.description)}.")
    output.note(
        "Keep a copy of it in a safe place: `mmconsole seal export --output FILE`. Without it nothing can be opened."
    )


def status(
    context: typer.Context, *, json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False
) -> None:
    """Show which keys there are, and how many tokens each opens. The keys themselves are never shown."""
    settings = given(context).settings()
    from mmconsole.secrets import seal_keys  # noqa: PLC0415

    found = seal_keys.status(settings)
    stock = _stock(context)
    if found.warning:
        output.note(found.warning)
    from mmconsole.cli.rewriting import stock_lines, stock_rows  # noqa: PLC0415

    if json:
        keys = [{"id": key_id, "made_at": made_at} for key_id, made_at in found.keys]
        stored = None if stock is None else stock_rows(stock)
        output.write_json({"source": found.source, "keys": keys, "stored": stored})
        return
    output.write(f"{output.amount(len(found.keys), 'key')} in the {output.visible(found.source)}")
    for place, (key_id, made_at) in enumerate(found.keys):
        made = f", made {output.moment(made_at)}" if made_at else ""
        output.write(f"  {key_id}{made}{', seals' if place == 0 else ''}")
    if stock is not None:
        output.write(f"stored: {', '.join(stock_lines(stock)) or 'nothing'}")


def _stock(context: typer.Context) -> "Stock | None":
    """What is stored; None without a database, since the keys can be told of all the same."""

    async def work(core: "Core", _: "Interrupts") -> "Stock":
        return await core.restorage.stock()

    try:
        return run_core(context, work)
    except DatabaseError as fault:
        output.note(str(fault))
        return None


def rotate(
    context: typer.Context,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run to end.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Seal every stored token with a new key, then retire the old one."""
    from mmconsole.cli import rewriting  # noqa: PLC0415 - help needs no services

    ended, interrupted = run_core(context, lambda core, signals: rewriting.rotation(core, signals, wait=wait))
    with output.reader():
        rewriting.show_rotated(ended, json=json)
    output.note("Keep a copy of the new key in a safe place: `mmconsole seal export --output FILE`.")
    raise typer.Exit(rewriting.exit_code_of(ended.done, interrupted=interrupted))


def export(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="A new file, which only you can read.")
    ] = None,
    with_new: Annotated[
        bool, typer.Option("--with-new-key", help="Put a new key before them, to rotate where only you can write.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print them on a terminal too.")] = False,
) -> None:
    """Print all keys or write them to a file. Keep that copy in a safe place."""
    if file is None and output.is_terminal(sys.stdout) and not show:
        raise UsageError(why="The keys would stand on this screen. Say --output FILE, or --show.")
    settings = given(context).settings()
    from mmconsole.secrets import seal_keys  # noqa: PLC0415
    from mmconsole.secrets.files import write_new  # noqa: PLC0415

    keys = seal_keys.export(settings, with_new=with_new)
    if file is not None:
        write_new(file, keys)
    output.note("These keys open every stored token. Keep them safe, and not beside backups of the database.")
    if file is None:
        output.write(keys.reveal())


def laravel(context: typer.Context) -> None:
    """Store the keys of the Laravel application. They are read from standard input."""
    settings = given(context).settings()
    from mmconsole.domain.secrets import Secret  # noqa: PLC0415
    from mmconsole.secrets import laravel_keys  # noqa: PLC0415

    text = _read()
    if not text.strip():
        raise UsageError(why="Nothing was given. Type the key, or say `mmconsole seal laravel < FILE`.")
    place = laravel_keys.place(settings)
    kept = laravel_keys.store(settings, Secret(text))
    found = output.amount(len(kept.keys), "key")
    output.write(f"{found} of the application in the {output.visible(place.description)}; {kept.current.id} writes.")


def _read() -> str:
    if output.is_terminal(sys.stdin):
        from getpass import getpass  # noqa: PLC0415

        return getpass("APP_KEY, and previous keys behind commas: ", stream=sys.stderr)
    return sys.stdin.read(_LONGEST) if sys.stdin else ""
