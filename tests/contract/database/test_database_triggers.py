"""What triggers write down: on SQLite, PostgreSQL and MariaDB, by whoever changes a row and however."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from tests.servers.fixtures import demand
from tests.servers.mariadb import MariaDB

from mmconsole.config import Settings, load_settings
from mmconsole.database import install_triggers, migrate, open_database, remove_triggers, rollback, trigger_status
from mmconsole.database.address import address_of, make_engine
from mmconsole.errors import NotMigrated, TriggersNeedSuper, TriggersRefused

USERS = {
    "sqlite": "CREATE TABLE users (id integer primary key autoincrement, name varchar(255), email varchar(255)"
    " COLLATE NOCASE, email_verified_at datetime, deleted_at datetime, seen integer)",
    "postgresql": "CREATE TABLE users (id bigserial primary key, name varchar(255), email varchar(255),"
    " email_verified_at timestamptz, deleted_at timestamp, seen integer)",
    "mysql": "CREATE TABLE users (id bigint unsigned auto_increment primary key, name varchar(255),"
    " email varchar(255), email_verified_at timestamp null, deleted_at timestamp null, seen integer)",
}
PROJECTS = "CREATE TABLE projects (id integer primary key, name varchar(255), archived_at varchar(30))"


class Application:
    """An application's database with the triggers on its two tables, seen and changed by plain SQL."""

    def __init__(self, url: str) -> None:
        flags = {
            "database.url": url,
            "database.users.deleted_at": "deleted_at",
            "database.projects.table": "projects",
        }
        self.settings: Settings = load_settings(environment={}, flags={k: ("test", v) for k, v in flags.items()})
        self.engine = make_engine(address_of(self.settings), plain=False)
        self.kind = self.engine.dialect.name
        self("INSERT INTO users (name, email) VALUES ('Ann Lee', 'ann@example.org')") if self._made() else None
        migrate(self.settings)
        install_triggers(self.settings)

    def _made(self) -> bool:
        self(USERS[self.kind])
        self(PROJECTS)
        return True

    def __call__(self, *statements: str) -> list[Any]:
        """Run them in one transaction. Returns the rows of the last."""
        with self.engine.begin() as connection:
            results = [connection.execute(sa.text(statement)) for statement in statements]
            return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            yield connection

    @property
    def events(self) -> list[Any]:
        """What was written down, in its order."""
        return self("SELECT subject, subject_id, kind FROM mmconsole_user_events ORDER BY id")

    def forget(self) -> None:
        self("DELETE FROM mmconsole_user_events")


@pytest.fixture
def application(application_url: str) -> Iterator[Application]:
    made = Application(application_url)
    yield made
    made.engine.dispose()


def test_an_insert_a_change_and_a_delete_are_written_down(application: Application) -> None:
    application("INSERT INTO users (name, email) VALUES ('Bo', 'bo@example.org')")
    application("UPDATE users SET name = 'Bob' WHERE id = 2")
    application("DELETE FROM users WHERE id = 2")

    assert application.events == [("user", "2", "insert"), ("user", "2", "update"), ("user", "2", "delete")]


def test_each_mapped_column_counts_and_no_other(application: Application) -> None:
    for change in ("name = 'A'", "email = 'a@b.test'", "email_verified_at = '2026-01-01 00:00:00'"):
        application(f"UPDATE users SET {change}")
    application("UPDATE users SET deleted_at = '2026-01-01 00:00:00'")
    seen = len(application.events)
    application("UPDATE users SET seen = 1")

    assert seen == len(application.events) == 4


def test_our_own_two_columns_wake_nobody(application: Application) -> None:
    application("UPDATE users SET mattermost_token = 'x', mattermost_user_id = 'y'")

    assert application.events == []


def test_writing_what_was_there_before_is_no_change(application: Application) -> None:
    application("UPDATE users SET name = name, email = 'ann@example.org', deleted_at = NULL")

    assert application.events == []


def test_another_case_is_a_change_whatever_the_column_compares_by(application: Application) -> None:
    application("UPDATE users SET email = 'Ann@example.org'")

    assert application.events == [("user", "1", "update")]


def test_from_nothing_to_something_and_back_are_changes(application: Application) -> None:
    application("UPDATE users SET name = NULL")
    application("UPDATE users SET name = ''")

    assert len(application.events) == 2


def test_a_mass_update_writes_down_every_row_it_changed(application: Application) -> None:
    rows = ", ".join(f"('User {n}', 'user{n}@example.org')" for n in range(500))
    application(f"INSERT INTO users (name, email) VALUES {rows}")
    application.forget()

    application("UPDATE users SET name = 'X' WHERE id > 101")

    assert Counter(kind for _, _, kind in application.events) == {"update": 400}
    assert len({subject_id for _, subject_id, _ in application.events}) == 400


def test_a_transaction_that_is_rolled_back_leaves_no_event(application: Application) -> None:
    with application.transaction() as connection:
        connection.execute(sa.text("UPDATE users SET name = 'X'"))
        connection.rollback()

    assert application.events == []


def test_a_changed_key_is_one_user_gone_and_another_come(application: Application) -> None:
    application("UPDATE users SET id = 7 WHERE id = 1")

    assert {subject_id for _, subject_id, _ in application.events} == {"1", "7"}


def test_the_number_the_application_is_told_stays_its_own(application: Application) -> None:
    application("UPDATE users SET name = 'X'")
    asked = {
        "sqlite": "SELECT last_insert_rowid()",
        "postgresql": "SELECT lastval()",
        "mysql": "SELECT LAST_INSERT_ID()",
    }
    if application.kind == "postgresql":
        # The function's own sequence is drawn from last there, so Laravel asks by RETURNING.
        assert application("INSERT INTO users (name) VALUES ('Bo') RETURNING id") == [(2,)]
        return

    assert application("INSERT INTO users (name) VALUES ('Bo')", asked[application.kind]) == [(2,)]


def test_projects_are_followed_likewise(application: Application) -> None:
    application("INSERT INTO projects (id, name) VALUES (3, 'Bridge')")
    application("UPDATE projects SET archived_at = '2026-01-01'")
    application("DELETE FROM projects")

    assert application.events == [("project", "3", "insert"), ("project", "3", "update"), ("project", "3", "delete")]


def test_a_trigger_that_fails_does_not_fail_the_application(application: Application) -> None:
    if application.kind == "sqlite":
        pytest.skip("SQLite's triggers cannot catch anything")
    application("DROP TABLE mmconsole_user_events")

    application(
        "UPDATE users SET name = 'X'", "INSERT INTO users (name) VALUES ('Bo')", "DELETE FROM users WHERE id = 2"
    )

    assert application("SELECT id, name FROM users") == [(1, "X")]


def test_installed_twice_they_write_once(application: Application) -> None:
    assert install_triggers(application.settings) == []

    application("UPDATE users SET name = 'X'")

    assert len(application.events) == 1


def test_other_columns_in_the_settings_make_them_out_of_date(application: Application) -> None:
    flags = {key: ("test", value) for key, value in [("database.url", application.settings.database_url)]}
    other = load_settings(environment={}, flags=flags | {"database.users.username": ("test", "seen")})

    assert [(one.installed, one.current) for one in trigger_status(other)] == [(True, False)]
    assert len(install_triggers(other)) == 1
    application("UPDATE users SET seen = 2")
    assert application.events == [("user", "1", "update")]


def test_removed_they_leave_nothing_but_what_was_written(application: Application) -> None:
    application("UPDATE users SET name = 'X'")

    assert len(remove_triggers(application.settings)) == 2
    application("UPDATE users SET name = 'Y'")

    assert len(application.events) == 1
    assert not any(one.installed for one in trigger_status(application.settings))
    assert remove_triggers(application.settings) == []


def test_a_rollback_of_our_tables_takes_them_along_first(application: Application) -> None:
    rollback(application.settings, ours=True)

    application("UPDATE users SET name = 'X'")

    assert trigger_status(application.settings) == []


def test_before_our_tables_are_there_none_can_be_made(new_url: Callable[[str], str]) -> None:
    url = new_url("sqlite")
    settings = load_settings(environment={}, flags={"database.url": ("test", url)})
    sa.create_engine(url).connect().close()

    with pytest.raises(NotMigrated):
        install_triggers(settings)


def test_uuid_keys_are_kept_as_text(postgresql_url: str) -> None:
    settings = load_settings(environment={}, flags={"database.url": ("test", postgresql_url)})
    engine = make_engine(address_of(settings), plain=False)
    one = "0191b8a4-0000-7000-8000-000000000001"
    with engine.begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE users (id uuid primary key, name text, email text, email_verified_at timestamp)")
        )
    migrate(settings)
    install_triggers(settings)

    with engine.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO users (id, name) VALUES ('{one}', 'Ann')"))
        found = connection.execute(sa.text("SELECT subject_id FROM mmconsole_user_events")).all()
    engine.dispose()

    assert [tuple(row) for row in found] == [(one,)]


@pytest.mark.parametrize("server_kind", ["postgresql", "mariadb"])
def test_an_application_that_may_not_touch_our_tables_is_followed_all_the_same(
    server_kind: str, new_url: Callable[[str], str], request: pytest.FixtureRequest
) -> None:
    application = Application(new_url(server_kind))
    server, url = request.getfixturevalue(server_kind), sa.make_url(application.settings.database_url)
    role = f"role_{url.database}"
    if server_kind == "postgresql":
        application(f"CREATE ROLE {role} LOGIN PASSWORD 'app'", f"GRANT SELECT, UPDATE ON users TO {role}")
    else:
        application(f"CREATE USER {role}@'127.0.0.1' IDENTIFIED BY 'app'")
        application(f"GRANT SELECT, UPDATE ON {url.database}.users TO {role}@'127.0.0.1'")
    theirs = load_settings(environment={}, flags={"database.url": ("test", server.url(str(url.database), role, "app"))})
    engine = make_engine(address_of(theirs), plain=False)

    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE users SET name = 'X'"))
    with pytest.raises(sa.exc.DBAPIError), engine.begin() as connection:
        connection.execute(sa.text("SELECT * FROM mmconsole_user_events"))
    engine.dispose()

    assert application.events == [("user", "1", "update")]
    if server_kind == "postgresql":
        application(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    else:
        application(f"DROP USER {role}@'127.0.0.1'")
    application.engine.dispose()


class _Logging(MariaDB):
    """A MariaDB with its binary log on."""

    def _command(self) -> list[str]:
        return [word for word in super()._command() if word != "--skip-log-bin"] + ["--log-bin", "--server-id=1"]


async def need_super(settings: Settings) -> bool:
    async with open_database(settings) as database:
        return await database.read(lambda db: db.triggers.need_super())


def test_mariadb_s_refusal_is_named_with_its_cure() -> None:
    demand("mariadb")
    server = _Logging.new()
    try:
        server.start()
        with server.database() as url:
            database = str(sa.make_url(url).database)
            application = Application(url)
            remove_triggers(application.settings)
            application("CREATE USER app@'127.0.0.1' IDENTIFIED BY 'app'")
            application(f"GRANT ALL ON {database}.* TO app@'127.0.0.1'")
            flags = {"database.url": ("test", server.url(database, "app", "app"))}

            settings = load_settings(environment={}, flags=flags)
            with pytest.raises(TriggersNeedSuper, match="log_bin_trust_function_creators"):
                install_triggers(settings)
            assert asyncio.run(need_super(settings))

            application("UPDATE users SET name = 'X'")
            assert application.events == []
            application.engine.dispose()
    finally:
        server.remove()


PEOPLE = (
    "CREATE TABLE people (id integer primary key, who varchar(50), email varchar(50),"
    " email_verified_at varchar(50), mattermost_user_id varchar(50), mattermost_token varchar(300))"
)
VIEW = (
    "CREATE VIEW users AS SELECT id, who AS name, email, email_verified_at, mattermost_user_id, mattermost_token"
    " FROM people"
)


def behind_a_view(url: str) -> Settings:
    """An application's table `people` behind the view `users`."""
    flags = {"database.url": ("test", url), "database.users.base": ("test", "people")}
    settings = load_settings(environment={}, flags=flags)
    engine = make_engine(address_of(settings), plain=False)
    with engine.begin() as connection:
        for statement in (PEOPLE, VIEW, "INSERT INTO people (id, who) VALUES (1, 'Ann')"):
            connection.execute(sa.text(statement))
    engine.dispose()
    return settings


def test_behind_a_view_every_column_counts_but_our_two(application_url: str) -> None:
    settings = behind_a_view(application_url)
    migrate(settings)
    install_triggers(settings)
    engine = make_engine(address_of(settings), plain=False)

    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE people SET mattermost_token = 'x', mattermost_user_id = 'y'"))
        none = connection.execute(sa.text("SELECT COUNT(*) FROM mmconsole_user_events")).scalar_one()
        connection.execute(sa.text("UPDATE people SET who = 'Anna'"))
        one = connection.execute(sa.text("SELECT COUNT(*) FROM mmconsole_user_events")).scalar_one()
    engine.dispose()

    assert (none, one) == (0, 1)
    assert [(one.table, one.installed) for one in trigger_status(settings)] == [("people", True)]


def test_a_view_without_its_table_is_refused_with_the_setting_to_change(application_url: str) -> None:
    settings = behind_a_view(application_url)
    migrate(settings)
    flags = {"database.url": ("test", application_url)}

    with pytest.raises(TriggersRefused, match=r"database\.users\.base"):
        install_triggers(load_settings(environment={}, flags=flags))
