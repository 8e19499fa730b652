"""Migrating, rolling back, and telling what has run.

Each of them holds the database's write lock from the first look to the commit, so two processes that migrate at once
run one after the other, and a process that is killed leaves everything as it was (MySQL cannot take back DDL).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from sqlalchemy import Connection, inspect

from mmconsole.config import Settings
from mmconsole.database.address import Address, address_of, make_engine, make_file
from mmconsole.database.faults import translated
from mmconsole.database.layout import read_layout
from mmconsole.database.migrations import REVISIONS, VERSION_TABLE, Revision, finished, unknown
from mmconsole.database.times import moment_of
from mmconsole.errors import Busy, DatabaseUnreachable, LiveTokens, NewerSchema

_SCRIPTS: Final = Path(__file__).parent / "migrations"
_LOCKS: Final = {
    "postgresql": "SELECT pg_advisory_xact_lock(1835884399)",
    "mysql": "SELECT GET_LOCK('mmconsole_migrate', 60)",
}


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

    Raises TableMissing, ColumnMissing or ColumnUnfit when the application's table is not as the settings say.
    """
    address = address_of(settings)
    make_file(address)
    with _connected(address, lock=True) as connection:
        done = finished(_known_heads(connection, address))
        if not address.embedded:
            read_layout(connection, settings.users_table, embedded=False, migrated=False)
        return _run(connection, settings, [revision for revision in REVISIONS if revision.id not in done], up=True)


def status(settings: Settings) -> list[MigrationStatus]:
    """Every migration, in order, and whether it has run."""
    address = address_of(settings)
    done: frozenset[str] = frozenset()
    if not address.embedded or (address.file and address.file.exists()):
        with _connected(address, lock=False) as connection:
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
    address = address_of(settings)
    with _connected(address, lock=True) as connection:
        done = finished(_known_heads(connection, address))
        branch = "ours" if ours else "app"
        ran = [revision for revision in reversed(REVISIONS) if revision.branch == branch and revision.id in done]
        wanted = ran if ours else _last_steps(ran, step, address)
        if wanted:
            _refuse_while_running(connection)
        if wanted and not abandon_tokens:
            _refuse_live_tokens(connection)
        applied = _run(connection, settings, wanted, up=False)
        if wanted and len(done) == len(wanted):
            connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
        return applied


def heads_of(connection: Connection) -> frozenset[str] | None:
    """The heads in the version table; None when there is no such table."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    rows = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - our own name
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
    if not inspect(connection).has_table("mmconsole_leases"):
        return
    query = "SELECT holder, acquired_at, expires_at FROM mmconsole_leases WHERE holder IS NOT NULL"
    for holder, acquired_at, expires_at in connection.exec_driver_sql(query):
        if moment_of(expires_at) > datetime.now(UTC):
            raise Busy(holder=holder, since=f"{moment_of(acquired_at):%H:%M:%S} UTC")


def _refuse_live_tokens(connection: Connection) -> None:
    """Tokens we know by their id, adopted ones that work without a known id, and those that notes announce."""
    if not inspect(connection).has_table("mmconsole_tokens"):
        return
    tokens = "SELECT COUNT(*) FROM mmconsole_tokens WHERE token_id IS NOT NULL OR health = 'ok'"
    notes = "SELECT COUNT(*) FROM mmconsole_intents WHERE kind <> 'account'"
    count = sum(connection.exec_driver_sql(query).scalar_one() for query in (tokens, notes))
    if count:
        raise LiveTokens(count=count)


@contextmanager
def _connected(address: Address, *, lock: bool) -> Iterator[Connection]:
    """A connection; with a lock, in a transaction that keeps other migrations out and is committed at the end."""
    if address.file is not None and not address.file.exists():
        raise DatabaseUnreachable(database=address.name, why="there is no such file")
    engine = make_engine(address, plain=not lock, read_only=not lock)
    try:
        with engine.begin() as connection:
            if lock and connection.dialect.name in _LOCKS:
                connection.exec_driver_sql(_LOCKS[connection.dialect.name])
            yield connection
    except Exception as fault:
        told = translated(fault, address.name)
        if told is fault:
            raise
        raise told from told.__cause__
    finally:
        engine.dispose()


def _run(connection: Connection, settings: Settings, revisions: list[Revision], *, up: bool) -> list[Applied]:
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
    with Operations.context(context):
        context.run_migrations()
    shown = zip(revisions, durations, strict=True)
    embedded = settings.values.database.embedded
    return [Applied(revision.name, ms) for revision, ms in shown if embedded or not revision.embedded_only]


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
