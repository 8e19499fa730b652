"""The doctor's look at the database: the application's tables, ours, and what is stored in them."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from mmconsole.database import Database, Subject, trigger_status
from mmconsole.domain.findings import Sheet
from mmconsole.errors import (
    ColumnMissing,
    ColumnUnfit,
    DatabaseError,
    MmconsoleError,
    NewerSchema,
    NotMigrated,
    OtherForm,
    OtherServer,
    TableMissing,
)
from mmconsole.secrets.forms import Form, form_of
from mmconsole.services.doctor.examination import Examination
from mmconsole.services.doctor.grants import needed, refused
from mmconsole.services.job_desk import JobDesk
from mmconsole.services.storage import Storage
from mmconsole.services.tokens.revocation import REVOKE

NAMES: Final = (
    *("database", "prepared", "rights", "columns", "width", "stored form", "keys open it", "plain tokens"),
    *("triggers", "changes", "jobs", "notes", "revocations", "same server"),
)
_JOBS: Final = 200
_NAMED: Final = 3
"""Rights that are missing by name; the statements name all."""
_OLD: Final = timedelta(hours=1)
"""A note is open for as long as a call takes; one of this age was left by a crash."""


async def look(examination: Examination, sheet: Sheet) -> None:
    is_a_file = _is_a_file(examination)
    if is_a_file:
        sheet.skip("rights")
    database = await _opened(examination, sheet)
    if not is_a_file:
        await _look_at_rights(examination, sheet)
    await _look_at_column(examination, database, sheet)
    await _look_at_plain(database, sheet)
    await _look_at_triggers(examination, database, sheet)
    await _look_at_changes(examination, database, sheet)
    await _look_at_jobs(database, sheet)
    await _look_at_notes(examination, database, sheet)
    await _look_at_binding(examination, database, sheet)


def _is_a_file(examination: Examination) -> bool:
    """Then there are no rights in it, but those of the file."""
    with suppress(DatabaseError):
        return not needed(examination.settings).running
    return False


async def _opened(examination: Examination, sheet: Sheet) -> Database:
    """The database, with the findings that opening it makes. Raises DatabaseError."""
    try:
        database = await examination.database()
    except (NotMigrated, NewerSchema) as fault:
        sheet.fault("prepared", fault)
        raise
    except (TableMissing, ColumnMissing, ColumnUnfit) as fault:
        sheet.yes("database", "It can be opened.")
        sheet.yes("prepared", "Every migration has run.")
        sheet.fault("columns", fault)
        raise
    except DatabaseError as fault:
        sheet.fault("database", fault)
        raise
    sheet.yes("database", f"{database.name} can be opened.")
    sheet.yes("prepared", "Every migration has run.")
    names = database.layout.names
    sheet.yes("columns", f"`{names.table}` has every column that the settings name.")
    return database


async def _look_at_rights(examination: Examination, sheet: Sheet) -> None:
    """Whether the database's user may do all that every command but `migrate` does."""
    missing = await refused(examination.settings)
    if missing:
        more = f" and {len(missing) - _NAMED} others" if len(missing) > _NAMED else ""
        why = f"The user of `database.url` lacks {', '.join(missing[:_NAMED])}{more}."
        sheet.no("rights", why, "`mmconsole doctor --grants` prints the statements that give it what it needs.")
    else:
        sheet.yes("rights", "The user of `database.url` may do all that is needed.")


async def _look_at_column(examination: Examination, database: Database, sheet: Sheet) -> None:
    """What the token column holds and can hold, and whether the keys fit it: all that a first write would ask."""
    settings = examination.settings
    form = Form(settings.values.tokens.storage)
    storage = Storage(settings, database)
    try:
        storage.check_width(form)
        sheet.yes("width", f"The column holds a token as `{form}`.")
        await storage.vault()
    except ColumnUnfit as fault:
        sheet.fault("width", fault)
    except OtherForm as fault:
        sheet.fault("stored form", fault)
    except MmconsoleError as fault:
        sheet.yes("stored form", f"What is stored is in a form that the settings name (`{form}`).")
        sheet.fault("keys open it", fault)
    else:
        sheet.yes("stored form", f"What is stored is in a form that the settings name (`{form}`).")
        sheet.yes("keys open it", "The keys are there and fit.")


async def _look_at_plain(database: Database, sheet: Sheet) -> None:
    found = await database.read(lambda db: db.roster.forms(lambda text: form_of(text) or "unknown"))
    plain = found.get(Form.PLAIN, 0)
    if plain:
        why = f"{plain:,} tokens stand in the column in plain text, for whoever reads the table or a backup of it."
        sheet.no("plain tokens", why, "`mmconsole tokens restorage --to sealed` (or `laravel`).", advice=True)
    else:
        sheet.yes("plain tokens", "No token stands there in plain text.")


async def _look_at_triggers(examination: Examination, database: Database, sheet: Sheet) -> None:
    there = await database.read(lambda db: {one for one in Subject if db.triggers.installed(one)})
    if Subject.USER in there:
        await _look_at_each_table(examination, there, sheet)
        return
    wanted = examination.settings.values.observer.enabled is True
    cure = "`mmconsole migrate --triggers`; or let cron run `mmconsole sync --all`."
    if await database.read(lambda db: db.triggers.need_super()):
        cure += (
            " The server's binary log is on, so that takes an account with SUPER, or"
            " `SET GLOBAL log_bin_trust_function_creators = 1` (error 1419)."
        )
    sheet.no("triggers", "There are none: only a sync sees what the application changed.", cure, advice=not wanted)


async def _look_at_each_table(examination: Examination, there: set[Subject], sheet: Sheet) -> None:
    """A table or column that was named after they were installed is not followed by them."""
    settings, cure = examination.settings, "`mmconsole migrate --triggers`."
    tables = await asyncio.to_thread(trigger_status, settings)
    without = [one.table for one in tables if one.subject not in there]
    # Of the table behind a view, which columns there are depends on who looks.
    outdated = [one.table for one in tables if one.outdated and settings.users_table.base is None]
    if without:
        sheet.no("triggers", f"There are none on `{without[0]}`: nobody sees what changes there.", cure)
    elif outdated:
        why = f"Those on `{outdated[0]}` were made for other settings, and see no change of what is named since."
        sheet.no("triggers", why, cure, advice=True)
    else:
        sheet.yes("triggers", "They are installed: `serve` and `watch` follow what the application changes.")


async def _look_at_changes(examination: Examination, database: Database, sheet: Sheet) -> None:
    """Whether what the triggers wrote down is followed."""
    now = examination.now()
    backlog, oldest = await database.read(lambda db: (db.events.backlog(now=now), db.events.oldest()))
    if backlog.aside:
        why = f"{backlog.aside:,} users or projects whose change failed were set aside."
        sheet.no("changes", why, "`mmconsole watch --list` says why, `mmconsole watch --retry` tries them again.")
    elif oldest is not None and now - oldest > _OLD:
        why = f"Changes of {backlog.waiting:,} users or projects wait, the first since {oldest:%Y-%m-%d %H:%M} UTC."
        cure = "Let `mmconsole serve` or `mmconsole watch` run; or `mmconsole migrate --no-triggers`."
        sheet.no("changes", why, cure)
    else:
        sheet.yes("changes", "No change waits for long to be followed.")


async def _look_at_jobs(database: Database, sheet: Sheet) -> None:
    known = await JobDesk(database, actor="").latest(limit=_JOBS)
    stale = [one.job for one in known if one.interrupted]
    if stale:
        why = f"Of job {stale[0].id} ({stale[0].title}) the process has died before its end"
        more = f", and of {len(stale) - 1} others" if len(stale) > 1 else ""
        cure = f"`mmconsole jobs resume {stale[0].id}` does the rest, `mmconsole jobs stop {stale[0].id}` leaves it."
        sheet.no("jobs", f"{why}{more}.", cure)
    else:
        sheet.yes("jobs", "No job was left by a process that died.")


async def _look_at_notes(examination: Examination, database: Database, sheet: Sheet) -> None:
    notes, now = await database.read(lambda db: db.intents.all_open()), examination.now()
    left = [note for note in notes if note.kind != REVOKE and now - note.opened_at > _OLD]
    due = [note for note in notes if note.kind == REVOKE and note.opened_at < now]
    cure = "`mmconsole tokens recover`, or the next sync, clears them up."
    if left:
        sheet.no("notes", f"{len(left):,} notes of interrupted runs are open.", cure)
    else:
        sheet.yes("notes", "No interrupted run has left a note.")
    if due:
        why = f"{len(due):,} revoked tokens are still only disabled, and the time to undo it is over."
        sheet.no("revocations", why, cure)
    else:
        sheet.yes("revocations", "Every revocation whose time is over was ended.")


async def _look_at_binding(examination: Examination, database: Database, sheet: Sheet) -> None:
    known = await database.read(lambda db: db.meta.server)
    if known is None:
        sheet.yes("same server", "It belongs to no server yet; the first run binds it.")
        return
    facts = await examination.facts()
    if facts.diagnostic_id == known.diagnostic_id:
        sheet.yes("same server", f"It belongs to {known.url}.")
    else:
        server = examination.settings.server
        sheet.fault("same server", OtherServer(known=known.url, server=server, found=facts.diagnostic_id))
