"""The triggers, spelled for each database: what the application changes is written into the observer's outbox.

A trigger must never fail the application's own write. PostgreSQL and MariaDB catch whatever goes wrong inside it;
SQLite cannot, so there the statement is one that nothing but a missing table of ours or a full disk can fail.
"""

# ruff: noqa: S608 - names come from the settings and are quoted; there are no values

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from mmconsole.config import ProjectsTable, UsersTable
from mmconsole.database.dialect import Dialect
from mmconsole.database.events import Subject

CHANNEL: Final = "mmconsole_user_events"
"""On which PostgreSQL tells, at the commit, that there is something to do."""
_EVENTS: Final = "mmconsole_user_events"
_COLUMNS: Final = "(at, subject, subject_id, kind, attempts, due_at)"
_USER_FIELDS: Final = (
    *("id", "email", "email_verified_at", "username", "name", "first_name", "last_name", "locale"),
    *("active", "deleted_at"),
)
"""What a sync pushes or decides by; never the two columns that are ours to write."""
_PROJECT_FIELDS: Final = ("id", "name", "team", "archived_at")


@dataclass(frozen=True, slots=True)
class Followed:
    """A table whose changes are written down."""

    subject: Subject
    table: str
    """With its schema, where it has one."""
    key: str
    watched: tuple[str, ...]
    """Columns of which a change is a real one."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """The triggers of one table."""

    followed: Followed
    names: tuple[str, ...]
    make: tuple[str, ...]
    drop: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Another one, other triggers: those in the database are out of date."""
        return blake2b("\n".join(self.make).encode(), digest_size=12).hexdigest()


def followed_tables(users: UsersTable, projects: ProjectsTable) -> list[Followed]:
    """The tables that the settings name."""
    found = [Followed(Subject.USER, users.table, users.id, _mapped(users, _USER_FIELDS))]
    if projects.table is not None:
        found.append(Followed(Subject.PROJECT, projects.table, projects.id, _mapped(projects, _PROJECT_FIELDS)))
    return found


def _mapped(names: UsersTable | ProjectsTable, fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for field in fields if (name := getattr(names, field))))


def spelling(dialect: Dialect, followed: Followed, *, schema: str = "") -> Spelling:
    """`schema` is where our own tables are; only PostgreSQL's functions need to be told."""
    spell = {"postgresql": _postgresql, "mysql": _mysql}.get(dialect.name, _sqlite)
    return spell(_Names(dialect, followed, schema))


@dataclass(frozen=True, slots=True)
class _Names:
    dialect: Dialect
    followed: Followed
    schema: str

    @property
    def subject(self) -> str:
        return self.followed.subject.value

    @property
    def table(self) -> str:
        return self.dialect.quote(self.followed.table)

    def trigger(self, verb: str) -> str:
        return f"mmconsole_{self.subject}_{verb}"

    def key(self, of: str) -> str:
        return f"{of}.{self.dialect.quote(self.followed.key)}"

    def key_text(self, of: str) -> str:
        return self.dialect.as_text(self.key(of))

    def any_changed(self, changed: str, *, new: str = "NEW", old: str = "OLD") -> str:
        """`changed` names the column as {new} and {old}."""
        names = (self.dialect.quote(column) for column in self.followed.watched)
        return " OR ".join(changed.format(new=f"{new}.{name}", old=f"{old}.{name}") for name in names)


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────────

_SQLITE_NOW: Final = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000"


def _sqlite(names: _Names) -> Spelling:
    def write(of: str, kind: str) -> str:
        # Whatever the application's own statement does on a conflict, this one has none.
        values = f"{_SQLITE_NOW}, '{names.subject}', {names.key_text(of)}, '{kind}', 0, 0"
        return f"BEGIN INSERT INTO {_EVENTS} {_COLUMNS} VALUES ({values}); END"

    # Columns may compare without regard to case; what is pushed does not.
    changed = names.any_changed("{old} IS NOT {new} COLLATE BINARY")
    columns = ", ".join(names.dialect.quote(column) for column in names.followed.watched)
    table = names.dialect.quote(names.followed.table.rpartition(".")[2])
    key = names.dialect.quote(names.followed.key)
    heads = {
        "insert": f"AFTER INSERT ON {table} {write('NEW', 'insert')}",
        "update": f"AFTER UPDATE OF {columns} ON {table} WHEN {changed} {write('NEW', 'update')}",
        "move": f"AFTER UPDATE OF {key} ON {table} WHEN OLD.{key} IS NOT NEW.{key} {write('OLD', 'delete')}",
        "delete": f"AFTER DELETE ON {table} {write('OLD', 'delete')}",
    }
    return Spelling(
        names.followed,
        tuple(names.trigger(verb) for verb in heads),
        tuple(f"CREATE TRIGGER {names.trigger(verb)} {head}" for verb, head in heads.items()),
        tuple(f"DROP TRIGGER IF EXISTS {names.trigger(verb)}" for verb in heads),
    )


# ── MariaDB ──────────────────────────────────────────────────────────────────────────────────────

_MYSQL_NOW: Final = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"


def _mysql(names: _Names) -> Spelling:
    def write(of: str, kind: str) -> str:
        values = f"{_MYSQL_NOW}, '{names.subject}', {names.key_text(of)}, '{kind}', 0, 0"
        return f"INSERT INTO {_EVENTS} {_COLUMNS} VALUES ({values});"

    changed = names.any_changed("NOT (BINARY {new} <=> BINARY {old})")
    moved = f"NOT ({names.key('NEW')} <=> {names.key('OLD')})"
    bodies = {
        "insert": write("NEW", "insert"),
        "update": f"IF {changed} THEN {write('NEW', 'update')} END IF;"
        f" IF {moved} THEN {write('OLD', 'delete')} END IF;",
        "delete": write("OLD", "delete"),
    }
    quiet = "DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;"
    return Spelling(
        names.followed,
        tuple(names.trigger(verb) for verb in bodies),
        tuple(
            f"CREATE TRIGGER {names.trigger(verb)} AFTER {verb.upper()} ON {names.table} FOR EACH ROW"
            f" BEGIN {quiet} {body} END"
            for verb, body in bodies.items()
        ),
        tuple(f"DROP TRIGGER IF EXISTS {names.trigger(verb)}" for verb in bodies),
    )


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────

_POSTGRESQL_NOW: Final = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
_TABLES: Final = {
    "insert": "REFERENCING NEW TABLE AS new_rows",
    "update": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "REFERENCING OLD TABLE AS old_rows",
}


def _postgresql(names: _Names) -> Spelling:
    """Once for each statement: a mass update costs one more, and not one more for each row."""
    schema = names.dialect.quote(names.schema)
    function = f"{schema}.mmconsole_{names.subject}_changed"
    triggers = tuple(
        f"CREATE TRIGGER {names.trigger(verb)} AFTER {verb.upper()} ON {names.table} {tables}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        for verb, tables in _TABLES.items()
    )
    return Spelling(
        names.followed,
        tuple(names.trigger(verb) for verb in _TABLES),
        (_function(names, function, schema), f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC", *triggers),
        (
            *(f"DROP TRIGGER IF EXISTS {names.trigger(verb)} ON {names.table}" for verb in _TABLES),
            f"DROP FUNCTION IF EXISTS {function}()",
        ),
    )


def _function(names: _Names, function: str, schema: str) -> str:
    # As text: a column of a type without equality (json) can be watched, and one that ignores case too.
    distinct = "CAST({new} AS TEXT) IS DISTINCT FROM CAST({old} AS TEXT)"
    changed = names.any_changed(distinct, new="new_rows", old="old_rows")
    old, new = names.key("old_rows"), names.key("new_rows")

    def write(of: str, kind: str, source: str) -> str:
        values = f"{_POSTGRESQL_NOW}, '{names.subject}', {names.dialect.as_text(of)}, {kind}, 0, 0"
        return f"INSERT INTO {schema}.{_EVENTS} {_COLUMNS} SELECT {values} FROM {source};"

    kind = f"CASE WHEN {old} IS NULL THEN 'insert' WHEN {new} IS NULL THEN 'delete' ELSE 'update' END"
    both = f"old_rows FULL JOIN new_rows ON {old} = {new} WHERE {old} IS NULL OR {new} IS NULL OR {changed}"
    return f"""
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = {schema}, pg_temp AS $mmconsole$
BEGIN
  IF TG_OP = 'INSERT' THEN
    {write(new, "'insert'", "new_rows")}
  ELSIF TG_OP = 'DELETE' THEN
    {write(old, "'delete'", "old_rows")}
  ELSE
    {write(f"COALESCE({new}, {old})", kind, both)}
  END IF;
  IF FOUND THEN
    PERFORM pg_notify('{CHANNEL}', '');
  END IF;
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'mmconsole could not note a change: %', SQLERRM;
  RETURN NULL;
END
$mmconsole$"""
