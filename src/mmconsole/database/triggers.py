"""The triggers of the observer: installed, removed, and looked at.

What is installed is remembered in our own `meta` too, since on MariaDB only who may make triggers can see them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from mmconsole.config import Settings, UsersTable
from mmconsole.database.address import address_of
from mmconsole.database.columns import is_view, read_columns
from mmconsole.database.connection import Connection
from mmconsole.database.events import Subject
from mmconsole.database.layout import Layout
from mmconsole.database.meta import MetaRepository
from mmconsole.database.trigger_statements import Followed, Spelling, followed_tables, spelling
from mmconsole.errors import TriggersRefused

_META: Final = "triggers."
_NAMES: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(?) AND tgenabled <> 'D'",
    "mysql": "SELECT trigger_name FROM information_schema.triggers"
    " WHERE event_object_schema = COALESCE(?, DATABASE()) AND event_object_table = ?",
}


@dataclass(frozen=True, slots=True)
class TriggerStatus:
    """Whether the changes of one table are written down."""

    subject: Subject
    table: str
    installed: bool
    current: bool
    """False when the settings name other columns by now than when they were installed."""
    outdated: bool
    """Whether that is so, as far as is remembered: also where this account cannot see them."""


class TriggerRepository:
    """What is installed, for those who only read."""

    __slots__ = ("_connection", "_layout", "_meta")

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self._connection = connection
        self._layout = layout
        self._meta = MetaRepository(connection)

    def installed(self, subject: str) -> bool:
        """Whether changes of users, or of projects, are written down."""
        table = self._table(subject)
        if table is None or self._meta.get(_META + subject) is None:
            return False
        # Who may not make triggers on MariaDB does not see them: then what we remember must do.
        return self._connection.dialect.mysql or f"mmconsole_{subject}_update" in _names_on(self._connection, table)

    def need_super(self) -> bool:
        """Whether only an account with the right SUPER can make them: MySQL's error 1419."""
        if not self._connection.dialect.mysql:
            return False
        row = self._connection.row("SELECT @@log_bin, @@log_bin_trust_function_creators")
        return row is not None and bool(row[0]) and not row[1]

    def _table(self, subject: str) -> str | None:
        if subject == Subject.USER:
            return self._layout.names.written
        return self._layout.projects.table if self._layout.projects else None


def install(connection: Connection, settings: Settings) -> list[Followed]:
    """Make the triggers, or make them anew after the settings changed. Returns the tables that had to be touched.

    Raises TriggersRefused.
    """
    touched = []
    for one in _spellings(connection, settings):
        if _status(one, connection).current:
            continue
        _demand_table(connection, one.followed, address_of(settings).name)
        for statement in (*one.drop, *one.make):
            connection.run(statement)
        MetaRepository(connection).set(_META + one.followed.subject.value, one.digest)
        touched.append(one.followed)
    return touched


def remove(connection: Connection, settings: Settings) -> list[Followed]:
    """Take the triggers away. Returns the tables that had some. What was written down stays."""
    touched = []
    for one in _spellings(connection, settings):
        if _status(one, connection).installed:
            touched.append(one.followed)
        for statement in one.drop:
            connection.run(statement)
        MetaRepository(connection).set(_META + one.followed.subject.value, None)
    return touched


def status(connection: Connection, settings: Settings) -> list[TriggerStatus]:
    return [_status(one, connection) for one in _spellings(connection, settings)]


def _status(one: Spelling, connection: Connection) -> TriggerStatus:
    table = one.followed.table
    installed = _names_on(connection, table) >= set(one.names)
    digest = MetaRepository(connection).get(_META + one.followed.subject.value)
    same = digest == one.digest
    outdated = digest is not None and not same
    return TriggerStatus(one.followed.subject, table, installed, current=installed and same, outdated=outdated)


def _names_on(connection: Connection, qualified: str) -> set[str]:
    """The triggers that a table has, as far as this account can see them."""
    schema, _, table = qualified.rpartition(".")
    about = {"sqlite": (table,), "postgresql": (connection.dialect.quote(qualified),), "mysql": (schema or None, table)}
    name = connection.dialect.name
    return {str(row[0]) for row in connection.rows(_NAMES[name], about[name])}


def _spellings(connection: Connection, settings: Settings) -> Iterator[Spelling]:
    schema = ""
    if connection.dialect.postgresql:
        schema = str((connection.row("SELECT current_schema()") or ("public",))[0])
    for followed in followed_tables(settings.users_table, settings.projects_table):
        yield spelling(connection.dialect, _behind(connection, settings.users_table, followed), schema=schema)


def _behind(connection: Connection, users: UsersTable, followed: Followed) -> Followed:
    """The table behind a view, of which every column may be one of the view's, but for the two that we write."""
    if users.base is None or followed.subject is not Subject.USER:
        return followed
    columns = read_columns(connection, users.base)
    watched = tuple(name for name in columns if name not in {users.account_id, users.token})
    return replace(followed, table=users.base, watched=watched)


def _demand_table(connection: Connection, followed: Followed, database: str) -> None:
    if is_view(connection, followed.table):
        why = f"`{followed.table}` is a view; name the table behind it in `database.{followed.subject.value}s.base`"
        raise TriggersRefused(database=database, why=why)
    if followed.key not in followed.watched:
        why = f"`{followed.table}` has no column `{followed.key}`, which is the key of the view"
        raise TriggersRefused(database=database, why=why)
