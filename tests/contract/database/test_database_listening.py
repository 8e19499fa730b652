"""Being told of changes by PostgreSQL, on a connection of its own."""

import asyncio
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from mmconsole.config import Settings, load_settings
from mmconsole.database import install_triggers, migrate, open_wake
from mmconsole.database.address import address_of, make_engine
from mmconsole.errors import DatabaseUnreachable

USERS = "CREATE TABLE users (id serial primary key, name text, email text, email_verified_at timestamp)"


@pytest.fixture
def listening(postgresql_url: str) -> Settings:
    flags = {"database.url": ("test", postgresql_url), "database.listen_url": ("test", postgresql_url)}
    settings = load_settings(environment={}, flags=flags)
    say(settings, USERS)
    migrate(settings)
    install_triggers(settings)
    return settings


def say(settings: Settings, *statements: str) -> None:
    engine = make_engine(address_of(settings), plain=False)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


async def until(so: Callable[[], object]) -> None:
    while not so():  # noqa: ASYNC110 - what is waited for happens on the server
        await asyncio.sleep(0.01)


async def test_a_change_is_told_at_its_commit(listening: Settings) -> None:
    async with open_wake(listening, lambda _: None) as wake:
        # What was changed before nobody told.
        await wake.wait()
        wake.clear()
        await asyncio.to_thread(say, listening, "INSERT INTO users (name) VALUES ('Ann')")

        await wake.wait()


async def test_what_changes_nothing_is_not_told(listening: Settings) -> None:
    heard = asyncio.Event()
    async with open_wake(listening, lambda _: None) as wake:
        await wake.wait()
        wake.clear()
        await asyncio.to_thread(say, listening, "UPDATE users SET name = 'X'")
        assert not wake.is_set()
        # The order of commits is the order of notifications, so the first that comes is this one's.
        await asyncio.to_thread(say, listening, "INSERT INTO users (name) VALUES ('Ann')")
        await wake.wait()
        heard.set()

    assert heard.is_set()


async def test_a_lost_connection_is_told_once_and_made_anew(
    listening: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.database.listening._FIRST_WAIT", 0.01)
    said: list[str] = []
    async with open_wake(listening, said.append) as wake:
        await wake.wait()
        wake.clear()
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        await asyncio.to_thread(say, listening, f"{cut} AND datname = current_database()")
        await until(lambda: len(said) > 1)
        await wake.wait()

    assert "listen_url" in said[0]
    assert said[1:] == ["The database tells of changes again."]


async def test_without_a_direct_connection_nobody_is_told(postgresql_url: str) -> None:
    settings = load_settings(environment={}, flags={"database.url": ("test", postgresql_url)})

    async with open_wake(settings, lambda _: None) as wake:
        assert not wake.is_set()


async def test_other_databases_cannot_tell(tmp_path: object) -> None:
    flags = {"database.listen_url": ("test", "mysql://root@127.0.0.1/x")}

    with pytest.raises(DatabaseUnreachable, match="only PostgreSQL"):
        async with open_wake(load_settings(environment={}, flags=flags), lambda _: None):
            pass


async def test_a_password_is_never_told() -> None:
    said: list[str] = []
    flags = {"database.listen_url": ("test", "postgresql://app:hushhush@127.0.0.1:1/x")}
    async with open_wake(load_settings(environment={}, flags=flags), said.append):
        await until(lambda: said)

    assert "hushhush" not in said[0]
