"""`mmconsole users add`, `edit`, `remove`, `import` and `export`: for places without an application's database."""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import completion, filters, output
from mmconsole.cli.run import SOME_FAILED, run_core
from mmconsole.errors import Declined, ListRefused, UsageError

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.domain.user_lists import Entry
    from mmconsole.services.exporting import Form
    from mmconsole.services.own_users import Imported
    from mmconsole.services.users import Meant

ADD_EXAMPLES: Final = """\b
Examples:
  mmconsole users add ann@example.org --first-name Ann --verified
  mmconsole users add bob@example.org --username bob --locale de

Only the embedded database has users of its own; an application adds its users itself. The next sync makes the account.
"""
EDIT_EXAMPLES: Final = """\b
Examples:
  mmconsole users edit ann@example.org --email ann.lee@example.org
  mmconsole users edit 17 --inactive
"""
REMOVE_EXAMPLES: Final = """\b
Examples:
  mmconsole users remove bob@example.org
  mmconsole users remove 17 18 --yes

The next sync revokes their tokens. The accounts stay, unless `sync.deactivate` is on.

Exit codes: 0 done, 1 failed, 2 usage, 3 some names mean no user, 130 interrupted.
"""
IMPORT_EXAMPLES: Final = """\b
Examples:
  mmconsole users import people.csv --dry-run
  mmconsole users import people.jsonl
  mmconsole users export | sed s/@old/@new/ | mmconsole users import -

The first line of CSV names the columns: email, username, first_name, last_name, locale, email_verified, active, and id
where users are known by it instead of by their e-mail. Commas, semicolons and tabs separate; Excel's own files are
understood. Columns that are not there change nothing. One mistake, and nothing at all is imported.
"""
EXPORT_EXAMPLES: Final = """\b
Examples:
  mmconsole users export people.csv
  mmconsole users export broken.jsonl --filter 'status:expired,revoked'
  mmconsole users export --format jsonl | jq .email

A new file of mode 0600; without one, standard output. A token's secret is never part of it.
"""
_FORMATS: Final = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_MOST_TOLD: Final = 20
_LARGEST: Final = 256 * 1024 * 1024

_Email = Annotated[str | None, typer.Option("--email", metavar="ADDRESS", help="The e-mail address.")]
_Username = Annotated[str | None, typer.Option("--username", metavar="NAME", help="The wanted username.")]
_First = Annotated[str | None, typer.Option("--first-name", metavar="NAME", help="The first name.")]
_Last = Annotated[str | None, typer.Option("--last-name", metavar="NAME", help="The last name.")]
_Locale = Annotated[str | None, typer.Option("--locale", metavar="LOCALE", help="The language, as de or pt-BR.")]
_Verified = Annotated[
    bool | None, typer.Option("--verified/--unverified", help="Whether somebody made sure whose address it is.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def add_to(group: typer.Typer) -> None:
    group.command("add", epilog=ADD_EXAMPLES)(add)
    group.command("edit", epilog=EDIT_EXAMPLES)(edit)
    group.command("remove", epilog=REMOVE_EXAMPLES)(remove)
    group.command("import", epilog=IMPORT_EXAMPLES)(import_users)
    group.command("export", epilog=EXPORT_EXAMPLES)(export_users)


def add(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The e-mail address.")],
    username: _Username = None,
    first_name: _First = None,
    last_name: _Last = None,
    locale: _Locale = None,
    verified: _Verified = None,
    json: _Json = False,
) -> None:
    """Add a user to the embedded database."""
    names = {"first_name": first_name, "last_name": last_name, "username": username}
    entry = _entry(email=email, locale=locale, email_verified=verified, **names)
    user_id = run_core(context, lambda core, _: core.own_users.add(entry))
    if json:
        output.write_json({"id": user_id})
    else:
        output.write(f"Added {output.visible(email)} as user {user_id}.")


def edit(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    user: Annotated[
        str, typer.Argument(metavar="USER", help="Id, e-mail or username.", autocompletion=completion.users)
    ],
    email: _Email = None,
    username: _Username = None,
    first_name: _First = None,
    last_name: _Last = None,
    locale: _Locale = None,
    verified: _Verified = None,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help="Whether this user may have a token.")
    ] = None,
) -> None:
    """Change a user of the embedded database. An empty value takes a field away."""
    names = {"first_name": first_name, "last_name": last_name, "username": username}
    entry = _entry(id=user, email=email, locale=locale, email_verified=verified, active=active, **names)
    if not entry.changes:
        raise UsageError(why="Say what to change, as in --email ADDRESS.")

    async def work(core: "Core", _: "Interrupts") -> bool:
        user_id = await core.users.resolve(user)
        return await core.own_users.edit(user_id, entry)

    changed = run_core(context, work)
    output.write("Changed. The next sync tells the server." if changed else "Nothing to change.")


def remove(
    context: typer.Context,
    *,
    users: Annotated[
        list[str], typer.Argument(metavar="USER", help="Ids, e-mails or usernames.", autocompletion=completion.users)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove users from the embedded database. The next sync revokes their tokens."""

    async def work(core: "Core", _: "Interrupts") -> "Meant":
        meant = await core.users.meant(users)
        for refused in meant.refused:
            output.note(f"mmconsole: {output.visible(refused.note)}")
        if not yes and output.is_terminal(sys.stdin):
            from mmconsole.cli.under_way import asked  # noqa: PLC0415 - it imports the core

            if not await asked(f"Remove {output.amount(len(meant.ids), 'user')}? [y/N] "):
                raise Declined
        await core.own_users.remove(meant.ids)
        return meant

    meant = run_core(context, work)
    output.write(f"Removed {output.amount(len(meant.ids), 'user')}. The next sync revokes what tokens they have.")
    raise typer.Exit(SOME_FAILED if meant.refused else 0)


def import_users(
    context: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON Lines; - is standard input.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="As windows-1252, where it is neither UTF-8 nor UTF-16.")
    ] = None,
    json: _Json = False,
) -> None:
    """Add and change users of the embedded database by a list. All of it is done, or nothing."""
    entries = _read(file, encoding=encoding)

    async def work(core: "Core", _: "Interrupts") -> "Imported":
        return await (core.own_users.would_bring_in(entries) if dry_run else core.own_users.bring_in(entries))

    try:
        done = run_core(context, work)
    except ListRefused as fault:
        _tell(fault)
        raise
    if json:
        output.write_json(
            {"added": done.added, "changed": done.changed, "unchanged": done.unchanged, "dry_run": dry_run}
        )
        return
    counts = f"{output.amount(done.added, 'user')} added, {done.changed:,} changed, {done.unchanged:,} as before"
    output.write(f"{counts}; nothing was written." if dry_run else f"{counts}.")


def export_users(
    context: typer.Context,
    *,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="A new file; its ending says the form.")] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORM", help="csv, json or jsonl; else the file's ending, or csv.")
    ] = None,
    filter_text: filters.Wanted = None,
) -> None:
    """Write users and the status of their tokens into a file. It is CSV, JSON or JSON Lines."""
    chosen = _form(file, form)
    wanted = filters.read(filter_text or "")

    async def work(core: "Core", _: "Interrupts") -> int:
        from mmconsole.domain.filters import Order  # noqa: PLC0415 - help needs none of it
        from mmconsole.services.exporting import export, users_in_pages, written  # noqa: PLC0415

        pages = users_in_pages(core.overview, await core.overview.ids(wanted, order=Order()))
        if file is not None and str(file) != "-":
            return await export(file, chosen, pages)
        await _print(written(chosen, pages))
        return 0

    count = run_core(context, work)
    if file is not None and str(file) != "-":
        output.note(f"Wrote {output.amount(count, 'user')} into {output.visible(str(file))}.")


async def _print(texts: AsyncIterator[str]) -> None:
    with output.reader():
        async for text in texts:
            # The line ends of CSV are its own.
            sys.stdout.buffer.write(text.encode())


def _form(file: Path | None, form: str | None) -> "Form":
    from mmconsole.services.exporting import Form  # noqa: PLC0415 - it imports the database

    name = form or _FORMATS.get(file.suffix.lower() if file else "", "csv")
    if name not in set(Form):
        raise UsageError(why=f"There is no form `{output.visible(name)}`. There are: {', '.join(Form)}.")
    return Form(name)


def _entry(**said: object) -> "Entry":
    """What an operator says of one user, read by the same rules as a line of a list."""
    from mmconsole.domain.user_lists import read_entry  # noqa: PLC0415 - help needs none of it

    entry, whys = read_entry({name: value for name, value in said.items() if value is not None}, now=datetime.now(UTC))
    if whys:
        raise UsageError(why=f"{'; '.join(whys)}.")
    return entry


def _read(file: Path, *, encoding: str | None) -> "list[Entry]":
    from mmconsole.domain.user_lists import read_list  # noqa: PLC0415 - help needs none of it

    raw = _content(file)
    lines = file.suffix.lower() in {".jsonl", ".ndjson"} or raw.lstrip()[:1] == b"{"
    read = read_list(raw, lines=lines, encoding=encoding, now=datetime.now(UTC))
    if read.mistakes:
        fault = ListRefused(mistakes=read.mistakes)
        _tell(fault)
        raise fault
    return read.entries


def _content(file: Path) -> bytes:
    try:
        raw = sys.stdin.buffer.read(_LARGEST + 1) if str(file) == "-" else file.read_bytes()
    except OSError as fault:
        raise UsageError(why=f"{file} cannot be read: {fault.strerror}.") from fault
    if len(raw) > _LARGEST:
        raise UsageError(why=f"{file} is too large for a list of users.")
    return raw


def _tell(fault: ListRefused) -> None:
    for line, why in fault.mistakes[:_MOST_TOLD]:
        output.note(output.visible(f"line {line}: {why}"))
    if len(fault.mistakes) > _MOST_TOLD:
        output.note(f"… and {len(fault.mistakes) - _MOST_TOLD:,} more")
