"""Real SQLite files, always migrated: the embedded database and applications of several shapes."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from mmconsole.config import Settings, load_settings
from mmconsole.database import Database, migrate, open_database

LARAVEL = """
    CREATE TABLE users (
        id integer primary key autoincrement not null, name varchar not null, email varchar not null,
        email_verified_at datetime, password varchar not null, remember_token varchar,
        created_at datetime, updated_at datetime
    );
    CREATE UNIQUE INDEX users_email_unique ON users (email);
    CREATE TABLE log (what text);
    CREATE TRIGGER users_renamed AFTER UPDATE OF name ON users BEGIN INSERT INTO log VALUES (new.name); END;
    INSERT INTO users (id, name, email, email_verified_at, password) VALUES
        (7, 'Ann Lee', 'Ann@Example.org', '2024-01-01 00:00:00', 'x'),
        (8, 'Bo', ' bo@example.org ', NULL, 'x'),
        (9, '  Charles de Gaulle ', 'charles@example.org', '2024-01-01 00:00:00', 'x');
"""

Attach = Callable[..., Settings]


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The embedded database, not migrated yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return load_settings(environment={})


@pytest.fixture
async def database(embedded: Settings) -> AsyncIterator[Database]:
    migrate(embedded)
    async with open_database(embedded) as opened:
        yield opened


@pytest.fixture
def attach(tmp_path: Path) -> Attach:
    """Make an application's database by a script (Laravel's, if none) and `more`, and settings with these names."""

    def make(script: str = LARAVEL, more: str = "", **names: str | None) -> Settings:
        file = tmp_path / "application.sqlite"
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(script + more)
        flags = {f"database.users.{field}": ("test", name) for field, name in names.items()}
        return load_settings(environment={}, flags=flags | {"database.url": ("test", f"sqlite:///{file}")})

    return make


@pytest.fixture
async def laravel(attach: Attach) -> AsyncIterator[Database]:
    settings = attach()
    migrate(settings)
    async with open_database(settings) as opened:
        yield opened
