"""Migrating and rolling back, with data in the tables."""

import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from tests.servers.application import ask, kind_of

from mmconsole.config import Settings, load_settings
from mmconsole.database import EmbeddedUser, migrate, open_database, rollback, status
from mmconsole.database import migrations as listed
from mmconsole.database.address import address_of, make_engine
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.tokens import Intent, OperationId, TokenId, TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    Busy,
    ColumnMissing,
    ColumnUnfit,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnreachable,
    LiveTokens,
    NewerSchema,
    NotMigrated,
    TableMissing,
    TableNotOnline,
)

Attach = Callable[..., Settings]

OURS = "2026_01_01_000001_create_mmconsole_tables"
TABLES = "2026_01_01_000002_create_users_and_projects_tables"
COLUMNS = "2026_01_01_000003_add_mattermost_columns"
PROJECTS = "2026_01_01_000004_create_mmconsole_projects_table"
WEB = "2026_01_01_000005_create_mmconsole_web_tables"
EVENTS = "2026_01_01_000006_create_mmconsole_user_events_table"

# The package's function of that name hides it.
migrating = import_module("mmconsole.database.migrate")
_SCHEMA = {
    "sqlite": ["SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"],
    "postgresql": [
        """SELECT table_name, column_name, data_type, column_default FROM information_schema.columns
        WHERE table_schema = 'public' ORDER BY 1, ordinal_position""",
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
    ],
    "mysql": [
        """SELECT table_name, column_name, column_type, collation_name FROM information_schema.columns
        WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position""",
        """SELECT table_name, index_name FROM information_schema.statistics
        WHERE table_schema = DATABASE() ORDER BY 1, 2""",
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1",
    ],
}


def schema(settings: Settings) -> list[tuple[object, ...]]:
    return [row for query in _SCHEMA[kind_of(settings)] for row in ask(settings, query)]


def columns(settings: Settings, table: str = "users") -> list[object]:
    engine = make_engine(address_of(settings), plain=False)
    with engine.connect() as connection:
        return [column["name"] for column in inspect(connection).get_columns(table)]


def ran(settings: Settings) -> dict[str, bool]:
    return {one.name: one.ran for one in status(settings)}


def test_the_embedded_database_is_made_for_our_eyes_only(embedded: Settings) -> None:
    applied = migrate(embedded)

    assert [one.name for one in applied] == [OURS, TABLES, COLUMNS, PROJECTS, WEB, EVENTS]
    assert all(one.duration_ms > 0 for one in applied)
    assert stat.S_IMODE(embedded.embedded_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(embedded.embedded_file.parent.stat().st_mode) == 0o700
    assert ask(embedded, "PRAGMA journal_mode") == [("wal",)]


def test_a_second_time_nothing_is_left_to_do(embedded: Settings) -> None:
    migrate(embedded)

    assert migrate(embedded) == []
    assert ran(embedded) == {OURS: True, TABLES: True, COLUMNS: True, PROJECTS: True, WEB: True, EVENTS: True}
    assert [one.batch for one in status(embedded)] == [1, 2, 3, 4, 5, 6]


def test_status_makes_no_file(embedded: Settings) -> None:
    assert ran(embedded) == {OURS: False, TABLES: False, COLUMNS: False, PROJECTS: False, WEB: False, EVENTS: False}
    assert not embedded.embedded_file.exists()


def test_our_tables_are_what_the_classes_say(attach: Attach) -> None:
    from mmconsole.database import tables  # noqa: PLC0415 - importing SQLModel is slow

    settings = attach()
    migrate(settings)

    engine = make_engine(address_of(settings), plain=False)
    with engine.connect() as connection:
        ours = {"include_name": lambda name, kind, _: kind != "table" or str(name).startswith("mmconsole_")}
        context = MigrationContext.configure(connection, opts={"version_table": listed.VERSION_TABLE, **ours})
        differences = compare_metadata(context, tables.metadata)
    engine.dispose()

    assert differences == []


def test_the_list_of_revisions_is_what_alembic_finds() -> None:
    scripts = ScriptDirectory(str(Path(listed.__file__).parent))

    found = {script.revision for script in scripts.walk_revisions()}

    assert found == {revision.id for revision in listed.REVISIONS}
    assert set(scripts.get_heads()) == {"ours_0004", "app_0002"}


def test_an_application_keeps_its_table_with_everything_on_it(attach: Attach) -> None:
    settings = attach()
    before, people = schema(settings), ask(settings, "SELECT * FROM users")

    applied = migrate(settings)

    assert [one.name for one in applied] == [OURS, COLUMNS, PROJECTS, WEB, EVENTS]
    assert columns(settings)[-2:] == ["mattermost_user_id", "mattermost_token"]
    rollback(settings)
    assert [row for row in schema(settings) if not str(row[0]).startswith("mmconsole_")] == before
    assert ask(settings, "SELECT * FROM users") == people
    ask(settings, "UPDATE users SET name = 'Anna Lee' WHERE id = 7")
    assert ask(settings, "SELECT what FROM log") == [("Anna Lee",)]


@pytest.mark.kinds("sqlite")
def test_the_application_keeps_its_journal_mode(attach: Attach) -> None:
    settings = attach()

    migrate(settings)

    assert ask(settings, "PRAGMA journal_mode") == [("delete",)]


def test_a_column_that_was_there_before_us_is_never_taken_back(attach: Attach) -> None:
    settings = attach(more="ALTER TABLE users ADD mattermost_token text; UPDATE users SET mattermost_token = 'x';")
    migrate(settings)
    assert columns(settings)[-2:] == ["mattermost_token", "mattermost_user_id"]

    rollback(settings)

    assert columns(settings)[-1] == "mattermost_token"
    assert ask(settings, "SELECT DISTINCT mattermost_token FROM users") == [("x",)]
    migrate(settings)
    rollback(settings)
    assert columns(settings)[-1] == "mattermost_token"


def test_columns_of_other_names_are_added_and_taken_back_by_those_names(attach: Attach) -> None:
    settings = attach(
        'CREATE TABLE "the people" ("no." integer primary key, mail text, "full name" text);',
        table="the people",
        id="no.",
        email="mail",
        name="full name",
        email_verified_at=None,
        token="chat {token}",
    )
    migrate(settings)
    assert columns(settings, "the people")[-2:] == ["mattermost_user_id", "chat {token}"]

    rollback(settings)

    assert len(columns(settings, "the people")) == 3


async def test_up_down_and_up_again_with_data_in_the_tables(embedded: Settings) -> None:
    migrate(embedded)
    async with open_database(embedded) as database:
        await database.write(lambda tx: tx.roster.embedded.add_many([EmbeddedUser("a@x.org"), EmbeddedUser("b@x.org")]))
        await database.write(lambda tx: tx.roster.store(UserId("1"), account_id="a" * 26, envelope="sealed"))
        first = await database.read(lambda db: db.meta.installation_id)

    assert [one.name for one in rollback(embedded)] == [COLUMNS]
    assert ran(embedded) == {OURS: True, TABLES: True, COLUMNS: False, PROJECTS: True, WEB: True, EVENTS: True}
    assert [one.name for one in migrate(embedded)] == [COLUMNS]

    async with open_database(embedded) as database:
        users = await database.read(lambda db: db.roster.page(None, 10))
        assert [(user.email, user.stored_account_id) for user, _ in users] == [("a@x.org", None), ("b@x.org", None)]
        assert await database.read(lambda db: db.meta.installation_id) == first
    assert len(first) == 26


def test_all_steps_and_our_tables_leave_nothing_of_ours_behind(attach: Attach) -> None:
    settings = attach()
    before = schema(settings)
    migrate(settings)

    assert [one.name for one in rollback(settings, step=5)] == [COLUMNS]
    assert [one.name for one in rollback(settings, ours=True)] == [EVENTS, WEB, PROJECTS, OURS]

    assert schema(settings) == before
    assert rollback(settings) == []
    assert rollback(settings, ours=True) == []
    assert [one.name for one in migrate(settings)] == [OURS, COLUMNS, PROJECTS, WEB, EVENTS]


def test_our_tables_can_go_first_and_come_back(attach: Attach) -> None:
    settings = attach()
    migrate(settings)

    rollback(settings, ours=True)

    assert ran(settings) == {OURS: False, COLUMNS: True, PROJECTS: False, WEB: False, EVENTS: False}
    assert [one.name for one in migrate(settings)] == [OURS, PROJECTS, WEB, EVENTS]
    rollback(settings)
    assert "mattermost_token" not in columns(settings)


@pytest.mark.parametrize("ours", [False, True])
async def test_live_tokens_stop_a_rollback_until_they_are_abandoned(embedded: Settings, *, ours: bool) -> None:
    migrate(embedded)
    async with open_database(embedded) as database:
        record = TokenRecord(UserId("1"), AccountId("a" * 26), TokenId("t" * 26))
        await database.write(lambda tx: tx.tokens.save(record))

    with pytest.raises(LiveTokens, match=r"server \(1\)"):
        rollback(embedded, ours=ours)

    assert all(ran(embedded).values())
    assert rollback(embedded, ours=ours, abandon_tokens=True)


async def test_nothing_is_rolled_back_while_a_run_is_at_work(embedded: Settings) -> None:
    migrate(embedded)
    async with open_database(embedded) as database:
        now, ttl = datetime.now(UTC), timedelta(seconds=30)
        await database.write(lambda tx: tx.leases.acquire("sync", holder="ops1", now=now, ttl=ttl))

    with pytest.raises(Busy, match="ops1"):
        rollback(embedded, ours=True, abandon_tokens=True)

    assert all(ran(embedded).values())


async def test_what_is_not_migrated_says_so(embedded: Settings, attach: Attach) -> None:
    attached = attach()
    for settings in (embedded, attached):
        with pytest.raises(NotMigrated, match="mmconsole migrate"):
            async with open_database(settings):
                pass
    migrate(attached)
    rollback(attached)
    with pytest.raises(NotMigrated, match=COLUMNS):
        async with open_database(attached):
            pass


async def test_a_schema_of_a_newer_version_is_left_alone(attach: Attach) -> None:
    settings = attach()
    migrate(settings)
    ask(settings, "UPDATE mmconsole_alembic SET version_num = 'ours_9999' WHERE version_num LIKE 'ours%'")

    with pytest.raises(NewerSchema, match="ours_9999"):
        migrate(settings)
    with pytest.raises(NewerSchema):
        rollback(settings)
    with pytest.raises(NewerSchema):
        async with open_database(settings):
            pass


def test_a_wrong_table_name_names_the_setting_and_a_near_one(attach: Attach) -> None:
    with pytest.raises(TableMissing, match=r"`database.users.table`.*Did you mean `users`\?"):
        migrate(attach(table="user"))


def test_a_wrong_column_name_names_the_setting_and_a_near_one(attach: Attach) -> None:
    with pytest.raises(ColumnMissing, match=r"`database.users.email`.*Did you mean `email`\?"):
        migrate(attach(email="e_mail"))


def test_a_column_that_is_not_there_may_be_left_out(attach: Attach) -> None:
    with pytest.raises(ColumnMissing, match=r"`database.users.locale`.*set it to null"):
        migrate(attach(locale="sprache_xyz"))


def test_columns_that_cannot_hold_it_are_named(attach: Attach) -> None:
    with pytest.raises(ColumnUnfit, match=r"(?i)users.password_at.*(datetime|timestamp).*text is needed"):
        migrate(attach(more="ALTER TABLE users ADD password_at datetime;", name="password_at"))


PROJECTS_TABLE = "CREATE TABLE projects (id integer primary key, name varchar, archived_at datetime, done blob);"


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ({"table": "project"}, TableMissing, r"`database.projects.table`.*Did you mean `projects`\?"),
        ({"table": "projects", "name": "title"}, ColumnMissing, r"`database.projects.name`"),
        ({"table": "projects", "archived_at": "ended"}, ColumnMissing, r"`database.projects.archived_at`.*null"),
        ({"table": "projects", "name": "done"}, ColumnUnfit, r"projects.done.*text is needed"),
    ],
)
def test_a_wrong_name_of_the_projects_table_names_the_setting(
    attach: Attach, names: dict[str, str], error: type[DatabaseError], message: str
) -> None:
    attached = attach(more=PROJECTS_TABLE)
    flags = {f"database.projects.{field}": ("test", name) for field, name in names.items()}
    url = {"database.url": ("test", attached.values.database.url)}

    with pytest.raises(error, match=message):
        migrate(load_settings(environment={}, flags=url | flags))


async def test_an_announced_channel_is_no_live_token(embedded: Settings) -> None:
    migrate(embedded)
    async with open_database(embedded) as database:
        intent = Intent(OperationId("op"), UserId("7"), "channel", None, "team name ", datetime.now(UTC))
        await database.write(lambda tx: tx.intents.open(intent))

    assert rollback(embedded)


def test_a_refused_migration_changes_nothing(attach: Attach) -> None:
    settings = attach(table="user")
    before = schema(settings)

    with pytest.raises(TableMissing):
        migrate(settings)

    assert schema(settings) == before


async def test_an_application_without_its_file_is_unreachable_and_no_file_is_made(tmp_path: Path) -> None:
    file = tmp_path / "nowhere.sqlite"
    settings = load_settings(environment={}, flags={"database.url": ("test", f"sqlite:///{file}")})

    with pytest.raises(DatabaseUnreachable):
        migrate(settings)
    with pytest.raises(DatabaseUnreachable):
        async with open_database(settings):
            pass

    assert not file.exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "oracle://x/y", "not a url", "foo+bar://x"])
def test_an_address_that_cannot_be_meant_says_why(url: str) -> None:
    with pytest.raises(DatabaseUnreachable):
        migrate(load_settings(environment={}, flags={"database.url": ("test", url)}))


async def test_a_file_that_is_no_database_is_unreachable(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"\x89PNG" * 1000)
    settings = load_settings(environment={}, flags={"database.url": ("test", f"sqlite:///{file}")})

    with pytest.raises(DatabaseUnreachable, match="not a database"):
        migrate(settings)
    with pytest.raises(DatabaseUnreachable):
        async with open_database(settings):
            pass


def test_an_error_never_shows_the_password_of_the_address() -> None:
    settings = load_settings(
        environment={}, flags={"database.url": ("test", "postgresql://me:geheim123@127.0.0.1:1/app")}
    )

    with pytest.raises(DatabaseError) as caught:
        migrate(settings)

    assert "geheim123" not in str(caught.value)


def test_two_processes_that_migrate_at_once_do_not_break(embedded: Settings) -> None:
    code = (
        "from mmconsole.config import load_settings; from mmconsole.database import migrate;"
        "print(len(migrate(load_settings(environment={}))))"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]

    done = sorted(run.communicate(timeout=60)[0].strip() for run in runs)

    assert done == ["0", "6"]
    assert all(ran(embedded).values())


def test_a_migration_that_is_killed_halfway_leaves_everything_as_it_was(attach: Attach, kind: str) -> None:
    settings = attach()
    before = schema(settings)
    url = str(address_of(settings).url)
    code = (
        "import os, sqlalchemy as sa; from mmconsole.config import load_settings\n"
        "from mmconsole.database import migrate\n"
        "@sa.event.listens_for(sa.Engine, 'before_cursor_execute')\n"
        "def die(conn, cursor, statement, *rest):\n"
        "    if 'ADD COLUMN mattermost_token' in statement: os._exit(9)\n"
        f"migrate(load_settings(environment={{}}, flags={{'database.url': ('test', {url!r})}}))"
    )

    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)

    assert killed.returncode == 9
    if kind == "mariadb":  # It cannot take back what it made, but the rest is made by the next run.
        assert "mattermost_token" not in columns(settings)
    else:
        assert schema(settings) == before
    migrate(settings)
    assert columns(settings)[-2:] == ["mattermost_user_id", "mattermost_token"]
    assert all(ran(settings).values())


def test_importing_the_room_loads_no_library_of_a_server_or_a_migration() -> None:
    code = (
        "import sys, mmconsole.database; print([n for n in ('sqlalchemy', 'sqlmodel', 'alembic') if n in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


async def test_moments_of_embedded_users_read_like_laravels(embedded: Settings) -> None:
    migrate(embedded)
    async with open_database(embedded) as database:
        verified = EmbeddedUser("a@x.org", email_verified_at=datetime(2026, 7, 1, 12, 30, tzinfo=UTC))
        await database.write(lambda tx: tx.roster.embedded.add_many([verified]))

    assert ask(embedded, "SELECT email_verified_at FROM users") == [("2026-07-01 12:30:00",)]


LARAVELS_OWN = """
    CREATE TABLE migrations (id integer primary key, migration varchar(255), batch integer);
    INSERT INTO migrations VALUES (1, '0001_01_01_000000_create_users_table', 1);
"""


def test_laravels_own_migrations_table_is_left_alone(attach: Attach) -> None:
    settings = attach(more=LARAVELS_OWN)

    migrate(settings)
    rollback(settings)

    assert ask(settings, "SELECT * FROM migrations") == [(1, "0001_01_01_000000_create_users_table", 1)]


@pytest.mark.kinds("postgresql", "mariadb")
def test_a_busy_table_is_waited_for_without_keeping_others_waiting(
    attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = attach()
    let_go, held = threading.Event(), threading.Event()
    monkeypatch.setattr(migrating, "sleep", lambda _: let_go.set())

    def use() -> None:
        engine = make_engine(address_of(settings), plain=False)
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT name FROM users")
            held.set()
            let_go.wait()

    with ThreadPoolExecutor(1) as others:
        using = others.submit(use)
        held.wait()
        migrate(settings)
        using.result()

    assert let_go.is_set(), "it never gave way"
    assert columns(settings)[-2:] == ["mattermost_user_id", "mattermost_token"]


@pytest.mark.kinds("postgresql", "mariadb")
def test_a_table_that_is_never_free_ends_the_migration(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = attach()
    monkeypatch.setattr(migrating, "DEADLINE", 0)
    engine = make_engine(address_of(settings), plain=False)

    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT name FROM users")
        with pytest.raises(DatabaseBusy):
            migrate(settings)

    migrate(settings)
    assert "mattermost_token" in columns(settings)


@pytest.mark.kinds("mariadb")
def test_a_table_that_cannot_be_changed_online_is_left_to_an_administrator(attach: Attach) -> None:
    settings = attach(more="ALTER TABLE users ENGINE=MyISAM;")

    with pytest.raises(TableNotOnline, match="ALTER TABLE users ADD COLUMN mattermost_user_id TEXT") as refused:
        migrate(settings)

    ask(settings, str(refused.value.facts["statement"]))
    migrate(settings)
    assert all(ran(settings).values())
