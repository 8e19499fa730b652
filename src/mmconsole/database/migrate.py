"""Migrating, rolling back, and telling what has run.

Each of them holds the database's write lock from the first look to the commit, so two processes that migrate at once
run one after the other, and a process that is killed leaves everything as it was (MySQL cannot take back DDL).
"""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import TYPE_CHECKING, Any, Final

from mmconsole.config import Settings
from mmconsole.database import triggers
from mmconsole.database.address import Address, address_of, connected, make_file
from mmconsole.database.chunk_queue import SCHEMA as SCHEMA_OF_WORKERS
from mmconsole.database.columns import read_columns
from mmconsole.database.connection import Connection
from mmconsole.database.dialect import exact_collation
from mmconsole.database.door import looked_at, plain
from mmconsole.database.layout import read_layout, read_projects
from mmconsole.database.migrations import REVISIONS, VERSION_TABLE, Revision, finished, unknown
from mmconsole.database.online import LOCK_WAIT, wait_briefly
from mmconsole.database.times import moment_of
from mmconsole.database.trigger_statements import Followed
from mmconsole.errors import Busy, DatabaseBusy, LiveTokens, NewerSchema, NotMigrated

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlConnection
    from sqlalchemy import Table

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_LOCKS: Final = {
    "postgresql": "SELECT pg_advisory_xact_lock(1835884399)",
    # The server has one such name for all databases.
    "mysql": f"SELECT GET_LOCK(CONCAT('mmconsole_', MD5(DATABASE())), {LOCK_WAIT})",
}
DEADLINE: Final = 60.0
"""Seconds until a migration gives up on a table that others do not let go of."""
_EVENTS_MADE: Final = "ours_0004"


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that ran, or was rolled back, just now."""

    name: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    name: str
    ran: bool
    batch: int | None
    """Its place in the order, where Laravel shows a batch; None when it has not run."""


def migrate(settings: Settings) -> list[Applied]:
    """Run what has not run yet. Returns that, and nothing when everything had.

    Raises TableMissing, ColumnMissing or ColumnUnfit when the application's tables are not as the settings say.
    """
    address = address_of(settings)
    make_file(address)
    return _when_free(partial(_migrate, settings, address))


def _migrate(settings: Settings, address: Address) -> list[Applied]:
    with _alone(address) as connection:
        look = plain(connection)
        done = finished(_known_heads(look, address))
        if not address.embedded:
            read_layout(look, settings.users_table, database=address.name, embedded=False, migrated=False)
            read_projects(look, settings.projects_table, database=address.name)
        return _run(connection, settings, [revision for revision in REVISIONS if revision.id not in done], up=True)


def status(settings: Settings) -> list[MigrationStatus]:
    """Every migration, in order, and whether it has run."""
    address = address_of(settings)
    done: frozenset[str] = frozenset()
    if not address.embedded or (address.file and address.file.exists()):
        with looked_at(address) as connection:
            done = finished(_known_heads(connection, address))
    shown = [revision for revision in REVISIONS if _shown(revision, address)]
    return [
        MigrationStatus(revision.name, revision.id in done, place if revision.id in done else None)
        for place, revision in enumerate(shown, 1)
    ]


def rollback(settings: Settings, *, step: int = 1, abandon_tokens: bool = False, ours: bool = False) -> list[Applied]:
    """Take back the last steps in the application's part of the database, or (`ours`) our own tables.

    A column that was there before us stays. Raises Busy while a sync is at work, and LiveTokens while we know of
    tokens, unless they are abandoned.
    """
    return _when_free(partial(_roll_back, settings, step=step, abandon_tokens=abandon_tokens, ours=ours))


def _roll_back(settings: Settings, *, step: int, abandon_tokens: bool, ours: bool) -> list[Applied]:
    address = address_of(settings)
    with _alone(address) as connection:
        look = plain(connection)
        done = finished(_known_heads(look, address))
        branch = "ours" if ours else "app"
        ran = [revision for revision in reversed(REVISIONS) if revision.branch == branch and revision.id in done]
        wanted = ran if ours else _last_steps(ran, step, address)
        if wanted:
            _refuse_while_running(look)
        if wanted and not abandon_tokens:
            _refuse_live_tokens(look)
        if wanted and ours and _EVENTS_MADE in done:
            # A trigger whose table is gone would fail every write of the application.
            triggers.remove(look, settings)
        if wanted and ours and look.dialect.postgresql:
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {SCHEMA_OF_WORKERS} CASCADE")
        applied = _run(connection, settings, wanted, up=False)
        if wanted and len(done) == len(wanted):
            connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
        return applied


def install_triggers(settings: Settings) -> list[Applied]:
    """Let changes of the mapped tables be written down. Returns the tables that had no triggers, or other ones.

    Raises NotMigrated, TriggersRefused.
    """
    return _when_free(partial(_with_triggers, settings, triggers.install))


def remove_triggers(settings: Settings) -> list[Applied]:
    """Take them away again. What was written down and not followed yet stays."""
    return _when_free(partial(_with_triggers, settings, triggers.remove))


def trigger_status(settings: Settings) -> list[triggers.TriggerStatus]:
    """Of each mapped table, whether its changes are written down; none before our tables are there."""
    address = address_of(settings)
    if address.file is not None and not address.file.exists():
        return []
    with looked_at(address) as connection:
        if _EVENTS_MADE not in finished(_known_heads(connection, address)):
            return []
        return triggers.status(connection, settings)


def _with_triggers(settings: Settings, change: Callable[[Connection, Settings], list[Followed]]) -> list[Applied]:
    address = address_of(settings)
    with _alone(address) as connection:
        look = plain(connection)
        if _EVENTS_MADE not in finished(_known_heads(look, address)):
            raise NotMigrated(database=address.name, missing="the table of user events is not there")
        begun = perf_counter()
        touched = change(look, settings)
        duration = (perf_counter() - begun) * 1000 / max(len(touched), 1)
        return [Applied(f"triggers on {one.table}", duration) for one in touched]


def _when_free(change: Callable[[], list[Applied]]) -> list[Applied]:
    """Try until the application lets go of its table, which takes as long as its longest transaction.

    Each attempt waits briefly, since everybody else waits behind it. Raises DatabaseBusy.
    """
    until = monotonic() + DEADLINE
    while True:
        try:
            return change()
        except DatabaseBusy:
            if monotonic() > until:
                raise
            sleep(random.uniform(0.1, 1))  # noqa: S311 - it only lets others pass


def heads_of(connection: Connection) -> frozenset[str] | None:
    """The heads in the version table; None when there is no such table."""
    if not read_columns(connection, VERSION_TABLE):
        return None
    rows = connection.rows(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - our own name
    return frozenset(row[0] for row in rows)


def _known_heads(connection: Connection, address: Address) -> frozenset[str]:
    heads = heads_of(connection) or frozenset()
    newer = unknown(heads)
    if newer:
        raise NewerSchema(database=address.name, found=newer)
    return heads


def _last_steps(ran: list[Revision], step: int, address: Address) -> list[Revision]:
    """The last steps that an operator sees; what does nothing here goes with the step before it."""
    visible = [revision for revision in ran if _shown(revision, address)][:step]
    if len(visible) < step or visible == [revision for revision in ran if _shown(revision, address)]:
        return ran
    return ran[: ran.index(visible[-1]) + 1] if visible else []


def _shown(revision: Revision, address: Address) -> bool:
    return address.embedded or not revision.embedded_only


def _refuse_while_running(connection: Connection) -> None:
    """A run that goes on would make tokens which nobody could store or clear up any more."""
    if not read_columns(connection, "mmconsole_leases"):
        return
    query = "SELECT holder, acquired_at, expires_at FROM mmconsole_leases WHERE holder IS NOT NULL"
    for holder, acquired_at, expires_at in connection.rows(query):
        if moment_of(expires_at) > datetime.now(UTC):
            raise Busy(holder=holder.partition("\n")[0], since=f"{moment_of(acquired_at):%H:%M:%S} UTC")


def _refuse_live_tokens(connection: Connection) -> None:
    """Tokens we know by their id, adopted ones that work without a known id, and those that notes announce."""
    if not read_columns(connection, "mmconsole_tokens"):
        return
    tokens = "SELECT COUNT(*) FROM mmconsole_tokens WHERE token_id IS NOT NULL OR health = 'ok'"
    notes = "SELECT COUNT(*) FROM mmconsole_intents WHERE kind IN ('token', 'drop')"
    count = sum(connection.number(query) for query in (tokens, notes))
    if count:
        raise LiveTokens(count=count)


def _take_lock(connection: "SqlConnection", address: Address) -> None:
    taken = connection.exec_driver_sql(_LOCKS[connection.dialect.name]).scalar()
    # MySQL says 0 for a lock it waited for in vain; PostgreSQL has nothing to say.
    if taken == 0:
        raise DatabaseBusy(database=address.name)


@contextmanager
def _alone(address: Address) -> Iterator["SqlConnection"]:
    """A connection in a transaction that keeps other migrations out and is committed at the end."""
    with connected(address, changing=True) as connection, connection.begin():
        wait_briefly(connection)
        if connection.dialect.name in _LOCKS:
            _take_lock(connection, address)
        yield connection


def _run(connection: "SqlConnection", settings: Settings, revisions: list[Revision], *, up: bool) -> list[Applied]:
    if not revisions:
        return []
    from alembic.operations import Operations  # noqa: PLC0415 - importing Alembic takes 0.4 s
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    scripts = ScriptDirectory(str(_SCRIPTS))
    durations: list[float] = []
    options: dict[str, Any] = {
        "version_table": VERSION_TABLE,
        "fn": _timed(_steps_up(scripts, revisions) if up else _steps_down(scripts, revisions), durations),
        "users_table": settings.users_table,
        "embedded": settings.values.database.embedded,
    }
    context = MigrationContext.configure(connection, opts=options)
    with Operations.context(context), _exact_texts(connection):
        context.run_migrations()
    shown = zip(revisions, durations, strict=True)
    embedded = settings.values.database.embedded
    return [Applied(revision.name, ms) for revision, ms in shown if embedded or not revision.embedded_only]


@contextmanager
def _exact_texts(connection: "SqlConnection") -> Iterator[None]:
    """On MySQL our tables take no two ids for one, whatever the application's database does."""

    def choose(table: "Table", bind: "SqlConnection", **_: object) -> None:
        # Of a migration that was killed halfway: MySQL cannot take it back, and nothing was written in there yet.
        bind.exec_driver_sql(f"DROP TABLE IF EXISTS {table.name}")
        table.kwargs["mysql_charset"] = "utf8mb4"
        table.kwargs["mysql_collate"] = exact_collation(mariadb=plain(connection).dialect.mariadb)
        table.kwargs["mysql_engine"] = "InnoDB"

    if connection.dialect.name != "mysql":
        yield
        return
    from sqlalchemy import Table, event  # noqa: PLC0415 - only a migration needs them

    event.listen(Table, "before_create", choose)
    try:
        yield
    finally:
        event.remove(Table, "before_create", choose)


_Steps = Callable[[Any, Any], Iterable[Any]]


def _steps_up(scripts: Any, revisions: list[Revision]) -> _Steps:  # noqa: ANN401 - Alembic's types would import it
    def steps(_heads: object, context: Any) -> Iterator[Any]:  # noqa: ANN401
        for revision in revisions:
            yield from scripts._upgrade_revs(revision.id, context.get_current_heads())  # noqa: SLF001 - as its command does

    return steps


def _steps_down(scripts: Any, revisions: list[Revision]) -> _Steps:  # noqa: ANN401
    def steps(_heads: object, context: Any) -> Iterator[Any]:  # noqa: ANN401
        for revision in revisions:
            below = scripts.get_revision(revision.id).down_revision or f"{revision.branch}@base"
            yield from scripts._downgrade_revs(below, context.get_current_heads())  # noqa: SLF001

    return steps


def _timed(steps: _Steps, durations: list[float]) -> _Steps:
    """Alembic asks for the next step when it is through with the last one."""

    def timed(heads: object, context: object) -> Iterator[Any]:
        for step in steps(heads, context):
            begun = perf_counter()
            yield step
            durations.append((perf_counter() - begun) * 1000)

    return timed
