"""Real databases, always migrated: the embedded one, and applications of several shapes on every kind of database.

Whoever asks for `database`, `laravel`, `attach` or `settings` runs on SQLite, PostgreSQL and MariaDB; a test that is
about one kind says so with `@pytest.mark.kinds("sqlite")`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from tests.servers.application import run_script

from mmconsole.config import EMBEDDED_USERS, Settings, load_settings
from mmconsole.database import Database, migrate, open_database

KINDS = ("sqlite", "postgresql", "mariadb")
# As `php artisan migrate` makes them, in each database's own words.
LARAVEL = {
    "sqlite": """
        CREATE TABLE users (
            id integer primary key autoincrement not null, name varchar not null, email varchar not null,
            email_verified_at datetime, password varchar not null, remember_token varchar,
            created_at datetime, updated_at datetime
        );
        CREATE UNIQUE INDEX users_email_unique ON users (email);
        CREATE TABLE log (what text);
        CREATE TRIGGER users_renamed AFTER UPDATE OF name ON users BEGIN INSERT INTO log VALUES (new.name); END;
    """,
    "postgresql": """
        CREATE TABLE "users" (
            "id" bigserial not null primary key, "name" varchar(255) not null, "email" varchar(255) not null,
            "email_verified_at" timestamp(0) without time zone null, "password" varchar(255) not null,
            "remember_token" varchar(100) null, "created_at" timestamp(0) without time zone null,
            "updated_at" timestamp(0) without time zone null
        );
        ALTER TABLE "users" ADD CONSTRAINT "users_email_unique" UNIQUE ("email");
        CREATE TABLE log (what text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO log VALUES (new.name); RETURN new; END $$;
        CREATE TRIGGER users_renamed AFTER UPDATE OF name ON users FOR EACH ROW EXECUTE FUNCTION note();
    """,
    "mariadb": """
        CREATE TABLE `users` (
            `id` bigint unsigned not null auto_increment primary key, `name` varchar(255) not null,
            `email` varchar(255) not null, `email_verified_at` timestamp null, `password` varchar(255) not null,
            `remember_token` varchar(100) null, `created_at` timestamp null, `updated_at` timestamp null
        ) DEFAULT CHARACTER SET utf8mb4 COLLATE 'utf8mb4_unicode_ci';
        ALTER TABLE `users` ADD UNIQUE `users_email_unique`(`email`);
        CREATE TABLE log (what text) DEFAULT CHARACTER SET utf8mb4 COLLATE 'utf8mb4_unicode_ci';
        CREATE TRIGGER users_renamed AFTER UPDATE ON users FOR EACH ROW
            INSERT INTO log SELECT new.name WHERE NOT new.name <=> old.name;
    """,
}
PEOPLE = """
    INSERT INTO users (id, name, email, email_verified_at, password) VALUES
        (7, 'Ann Lee', 'Ann@Example.org', '2024-01-01 00:00:00', 'x'),
        (8, 'Bo', ' bo@example.org ', NULL, 'x'),
        (9, '  Charles de Gaulle ', 'charles@example.org', '2024-01-01 00:00:00', 'x');
"""
# The shape of the embedded table, as an application might have it.
SHAPE = """
    CREATE TABLE users (
        id integer primary key autoincrement, email varchar(255), username varchar(255), first_name varchar(255),
        last_name varchar(255), locale varchar(255), email_verified_at datetime, active boolean not null default true,
        deleted_at datetime, created_at datetime, updated_at datetime
    );
    CREATE INDEX users_email ON users (email);
    CREATE TABLE projects (
        id integer primary key autoincrement, name varchar(255) not null, team varchar(255), archived_at datetime
    );
"""

Attach = Callable[..., Settings]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        marked = metafunc.definition.get_closest_marker("kinds")
        chosen: Sequence[str] = marked.args if marked else KINDS
        metafunc.parametrize("kind", chosen, scope="function")


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The embedded database, not migrated yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return load_settings(environment={})


@pytest.fixture
def settings(kind: str, embedded: Settings, new_url: Callable[[str], str]) -> Settings:
    """The embedded database, or an application of the same shape on a server. Migrated."""
    chosen = embedded
    if kind != "sqlite":
        url = new_url(kind)
        run_script(url, SHAPE)
        mapped = {f"database.users.{name}": ("test", value) for name, value in EMBEDDED_USERS.model_dump().items()}
        mapped |= {"database.projects.table": ("test", "projects"), "database.projects.team": ("test", "team")}
        chosen = load_settings(environment={}, flags=mapped | {"database.url": ("test", url)})
    migrate(chosen)
    return chosen


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_database(settings) as opened:
        yield opened


@pytest.fixture
def attach(kind: str, new_url: Callable[[str], str]) -> Attach:
    """Make an application's database by a script (Laravel's, if none) and `more`, and settings with these names."""

    def make(script: str | None = None, more: str = "", **names: str | None) -> Settings:
        url = new_url(kind)
        run_script(url, LARAVEL[kind] if script is None else script)
        run_script(url, (PEOPLE if script is None else "") + more)
        flags = {f"database.users.{field}": ("test", name) for field, name in names.items()}
        return load_settings(environment={}, flags=flags | {"database.url": ("test", url)})

    return make


@pytest.fixture
async def laravel(attach: Attach) -> AsyncIterator[Database]:
    chosen = attach()
    migrate(chosen)
    async with open_database(chosen) as opened:
        yield opened
