"""What only a server can do to us: refuse, lock, go away and come back, and give rights one by one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import make_url
from tests.contract.database.conftest import LARAVEL
from tests.servers.application import ask, kind_of, run_script
from tests.servers.fixtures import demand
from tests.servers.pgbouncer import PgBouncer
from tests.servers.server import Server

from mmconsole.config import Settings, load_settings
from mmconsole.database import Database, Fit, fittings, grants, migrate, open_database, refused_rights, rollback
from mmconsole.domain.activity import Activity
from mmconsole.domain.filters import parse
from mmconsole.domain.health import AsOf
from mmconsole.domain.users import UserId
from mmconsole.errors import (
    ColumnMissing,
    ColumnNarrow,
    DatabaseError,
    DatabaseUnreachable,
    DriverMissing,
    LoginRefused,
    NoSuchDatabase,
    OnlyAView,
    RightMissing,
    ServerReadOnly,
    TlsRefused,
)

Attach = Callable[..., Settings]
Grant = Callable[[Settings], None]
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
SERVERS = ("postgresql", "mariadb")
pytestmark = pytest.mark.kinds(*SERVERS)

COLUMNS_OF_CRM = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'crm'"
ADDS_SOMEBODY = {
    "postgresql": "CREATE ROLE {name} LOGIN PASSWORD 'geheim-{name}'",
    "mysql": "CREATE USER {name} IDENTIFIED BY 'geheim-{name}'",
}


def elsewhere(settings: Settings, **changes: str | int) -> Settings:
    """The same settings with another user, password or database in the address."""
    url = make_url(settings.database_url).set(**changes).render_as_string(hide_password=False)  # type: ignore[arg-type]
    flags = {f"database.users.{name}": ("test", value) for name, value in settings.users_table.model_dump().items()}
    return load_settings(environment={}, flags=flags | {"database.url": ("test", url)})


def for_administrator(settings: Settings) -> Settings:
    return elsewhere(settings, username={"postgresql": "postgres", "mysql": "root"}[kind_of(settings)], password="")


@pytest.fixture
def somebody(attach: Attach) -> Iterator[Settings]:
    """Settings of a migrated Laravel application, for a new user of the server who may do nothing yet."""
    settings = attach()
    migrate(settings)
    name = f"u_{make_url(settings.database_url).database}"
    ask(settings, ADDS_SOMEBODY[kind_of(settings)].format(name=name))
    yield elsewhere(settings, username=name, password=f"geheim-{name}")
    if kind_of(settings) == "postgresql":
        ask(settings, f"DROP OWNED BY {name}; DROP ROLE {name}")
    else:
        ask(settings, f"DROP USER {name}")


@pytest.fixture
def grant(attach: Attach) -> Grant:
    """Gives a user what it needs to run, as the server's administrator."""

    def give(settings: Settings) -> None:
        for statement in grants(settings).running:
            ask(for_administrator(settings), statement.rstrip(";"))

    return give


async def opened(settings: Settings) -> None:
    async with open_database(settings):
        pass


async def test_a_wrong_password_is_named_and_never_shown(somebody: Settings) -> None:
    with pytest.raises(LoginRefused) as refused:
        await opened(elsewhere(somebody, password="falsch123"))

    assert "falsch123" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_a_database_that_is_not_there_is_named(attach: Attach) -> None:
    with pytest.raises(NoSuchDatabase, match="nowhere"):
        await opened(elsewhere(attach(), database="nowhere"))


async def test_encryption_that_the_server_does_not_have_is_named(attach: Attach, kind: str) -> None:
    url = attach().database_url
    more = "?sslmode=require" if kind == "postgresql" else "?ssl_verify_identity=true"

    with pytest.raises(TlsRefused):
        await opened(load_settings(environment={}, flags={"database.url": ("test", url + more)}))


async def test_a_server_that_is_not_there_is_unreachable(attach: Attach) -> None:
    url = make_url(attach().database_url).set(port=1).render_as_string(hide_password=False)

    with pytest.raises(DatabaseUnreachable):
        await opened(load_settings(environment={}, flags={"database.url": ("test", url)}))


@pytest.mark.parametrize(("url", "driver"), [("postgresql://x/y", "psycopg"), ("mysql://x/y", "pymysql")])
def test_a_driver_that_is_not_installed_is_named(url: str, driver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, driver, None)

    with pytest.raises(DriverMissing, match=rf"(?i)pipx inject mmconsole '{driver}"):
        migrate(load_settings(environment={}, flags={"database.url": ("test", url)}))


async def test_a_right_that_is_missing_is_named_with_its_cure(somebody: Settings) -> None:
    with pytest.raises(RightMissing, match="doctor --grants"):
        await opened(somebody)


@pytest.mark.kinds("postgresql")
async def test_a_replica_says_that_it_takes_no_changes(attach: Attach) -> None:
    settings = attach()
    migrate(settings)
    ask(settings, f"ALTER DATABASE {make_url(settings.database_url).database} SET default_transaction_read_only = on")
    async with open_database(settings) as database:
        with pytest.raises(ServerReadOnly, match="primary"):
            await database.write(lambda tx: tx.meta.set("x", "y"))
        assert await database.read(lambda db: db.roster.count()) == 3


async def test_the_grants_are_enough_for_the_rows_and_no_more(somebody: Settings, grant: Grant) -> None:
    grant(somebody)

    async with open_database(somebody) as database:
        await database.write(lambda tx: tx.roster.store(UserId("7"), account_id="a" * 26, envelope="x"))
        assert await database.read(lambda db: len(db.roster.page(None, 10))) == 3

    for forbidden in ("UPDATE users SET email = 'x@x.org'", "SELECT password FROM users", "DELETE FROM users"):
        with pytest.raises(Exception, match="denied"):
            ask(somebody, forbidden)


def test_the_grants_name_every_schema_and_what_workers_need() -> None:
    flags: dict[str, Any] = {
        "database.url": "postgresql://mm@db/app",
        "database.users.table": "crm.people",
        "database.users.base": "hidden.people",
        "web.sanctum.enabled": True,
        "web.sanctum.table": "auth.tokens",
        "workers.share": True,
    }
    settings = load_settings(environment={}, flags={name: ("test", value) for name, value in flags.items()})

    running = grants(settings).running

    assert all(f'GRANT USAGE ON SCHEMA "{name}" TO "mm";' in running for name in ("crm", "hidden", "auth"))
    assert 'GRANT CONNECT, CREATE ON DATABASE "app" TO "mm";' in running


async def test_rights_that_are_missing_are_found_without_a_change(somebody: Settings, grant: Grant) -> None:
    grant(somebody)
    assert refused_rights(somebody) == []
    administrator, name = for_administrator(somebody), make_url(somebody.database_url).username
    for right in ("UPDATE (mattermost_token) ON users", "DELETE ON mmconsole_jobs"):
        ask(administrator, f"REVOKE {right} FROM {name}")
    before = ask(administrator, "SELECT * FROM users")

    assert refused_rights(somebody) == ["UPDATE on users", "DELETE on mmconsole_jobs"]
    assert ask(administrator, "SELECT * FROM users") == before


# ── outages ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def own_server(kind: str) -> Iterator[Server]:
    """A server that nobody else uses, so that it may be stopped."""
    server = demand(kind).new()
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def alone(own_server: Server) -> AsyncIterator[Database]:
    """A migrated application on that server."""
    own_server.create("app")
    run_script(own_server.url("app"), "CREATE TABLE users (id integer primary key, name text, email text);")
    names = {"database.url": ("test", own_server.url("app")), "database.users.email_verified_at": ("test", None)}
    settings = load_settings(environment={}, flags=names)
    migrate(settings)
    async with open_database(settings) as database:
        await database.write(lambda tx: tx.meta.set("before", "yes"))
        await database.read(lambda db: db.meta.get("before"))
        yield database


async def test_a_restart_of_the_server_is_waited_for(
    alone: Database, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.database.outage.PATIENCE", 600.0)
    await asyncio.to_thread(own_server.stop)

    writing = [asyncio.create_task(alone.write(lambda tx, n=n: tx.meta.set(f"n{n}", "x"))) for n in range(100)]  # type: ignore[misc]
    reading = [asyncio.create_task(alone.read(lambda db: db.meta.get("before"))) for _ in range(10)]
    await asyncio.to_thread(own_server.start)
    await asyncio.gather(*writing)

    assert await asyncio.gather(*reading) == ["yes"] * 10
    assert await alone.read(lambda db: [db.meta.get(f"n{n}") for n in range(100)]) == ["x"] * 100


async def test_a_server_that_stays_away_fails_who_waits(
    alone: Database, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmconsole.database.outage.PATIENCE", -1.0)
    await asyncio.to_thread(own_server.stop)

    with pytest.raises(DatabaseUnreachable):
        await alone.write(lambda tx: tx.meta.set("x", "y"))
    with pytest.raises(DatabaseUnreachable):
        await alone.read(lambda db: db.meta.get("x"))
    await asyncio.to_thread(own_server.start)
    await alone.write(lambda tx: tx.meta.set("x", "z"))

    assert await alone.read(lambda db: db.meta.get("x")) == "z"


@pytest.mark.kinds("postgresql")
async def test_a_pooler_that_gives_each_transaction_another_connection_is_no_hindrance(
    attach: Attach, postgresql: Server
) -> None:
    demand("pgbouncer")
    settings = attach()
    pooler = PgBouncer.before(postgresql)
    pooler.start()
    try:
        pooled = elsewhere(settings, port=pooler.port)
        migrate(pooled)
        async with open_database(pooled) as one, open_database(pooled) as two:
            for turn in range(20):
                writes = [each.write(lambda tx, n=n: tx.meta.set(f"n{n}", "x")) for n, each in enumerate((one, two))]  # type: ignore[misc]
                reads = [each.read(lambda db: db.roster.glances(None, 10).others) for each in (one, two) * 3]
                assert await asyncio.gather(*reads) == [["7", "8", "9"]] * 6
                await asyncio.gather(*writes)
                assert len(await one.read(lambda db: db.activity.page(limit=20))) == turn
                await two.write(lambda tx: tx.activity.add(Activity(NOW, "me@test", "seen")))
    finally:
        pooler.remove()


# ── views and schemas ────────────────────────────────────────────────────────────────────────────

VIEW = """
    ALTER TABLE users ADD COLUMN mattermost_user_id text;
    ALTER TABLE users ADD COLUMN mattermost_token text;
    CREATE VIEW staff AS SELECT * FROM users WHERE id < 9;
"""


@pytest.mark.kinds("sqlite", "postgresql", "mariadb")
async def test_a_view_is_read_and_the_table_behind_it_written(attach: Attach) -> None:
    settings = attach(more=VIEW, table="staff", base="users")
    migrate(settings)

    async with open_database(settings) as database:
        await database.write(lambda tx: tx.roster.store(UserId("7"), account_id="a" * 26, envelope="x"))

        users = [user for user, _ in await database.read(lambda db: db.roster.page(None, 10))]
    assert [(user.id, user.stored_account_id) for user in users] == [("7", "a" * 26), ("8", None)]


@pytest.mark.kinds("sqlite", "postgresql", "mariadb")
async def test_a_view_alone_is_only_read(attach: Attach) -> None:
    settings = attach(more=VIEW, table="staff")
    migrate(settings)

    async with open_database(settings) as database:
        assert len(await database.read(lambda db: db.roster.page(None, 10))) == 2
        with pytest.raises(OnlyAView, match=r"database\.users\.base"):
            await database.write(lambda tx: tx.roster.store(UserId("7"), envelope="x"))


@pytest.mark.kinds("sqlite", "postgresql", "mariadb")
def test_no_column_is_added_to_a_view(attach: Attach) -> None:
    settings = attach(more="CREATE VIEW staff AS SELECT * FROM users;", table="staff")

    with pytest.raises(OnlyAView):
        migrate(settings)


@pytest.mark.kinds("postgresql")
async def test_a_table_in_another_schema_is_prepared_read_and_written(attach: Attach) -> None:
    settings = attach(more="CREATE SCHEMA crm; ALTER TABLE users SET SCHEMA crm;", table="crm.users")
    migrate(settings)

    async with open_database(settings) as database:
        await database.write(lambda tx: tx.roster.store(UserId("7"), envelope="x"))
        assert await database.read(lambda db: db.roster.envelope(UserId("7"))) == "x"
        assert len(await database.read(lambda db: db.roster.page(None, 10))) == 3

    rollback(settings, abandon_tokens=True)
    assert "mattermost_token" not in [row[0] for row in ask(settings, COLUMNS_OF_CRM)]


@pytest.mark.kinds("sqlite", "postgresql", "mariadb")
async def test_a_table_with_a_prefix_is_just_another_name(attach: Attach, kind: str) -> None:
    settings = attach(more="ALTER TABLE users RENAME TO app_users;", table="app_users")
    migrate(settings)

    async with open_database(settings) as database:
        assert await database.read(lambda db: db.roster.find("ann@example.org")) == ["7"]


# ── values that only one of them has ─────────────────────────────────────────────────────────────


@pytest.mark.kinds("mariadb")
async def test_the_date_that_means_never_is_none(attach: Attach) -> None:
    more = """
        SET SESSION sql_mode = '';
        ALTER TABLE users ADD deleted_at datetime NOT NULL DEFAULT '0000-00-00 00:00:00';
        UPDATE users SET email_verified_at = '0000-00-00 00:00:00' WHERE id = 7;
        UPDATE users SET deleted_at = '2024-01-01 00:00:00' WHERE id = 9;
    """
    settings = attach(more=more, deleted_at="deleted_at")
    migrate(settings)

    async with open_database(settings) as database:
        users = [user for user, _ in await database.read(lambda db: db.roster.page(None, 10))]
        missing = await database.read(lambda db: db.roster.count_missing())
    assert [(user.active, user.email_verified) for user in users] == [(True, False), (True, False), (False, True)]
    assert missing == 2


@pytest.mark.kinds("mariadb")
async def test_a_text_that_is_too_long_is_refused_and_not_cut(attach: Attach) -> None:
    settings = attach(more="ALTER TABLE users ADD mattermost_token varchar(30);")
    migrate(settings)

    async with open_database(settings) as database:
        with pytest.raises(DatabaseError, match="too long"):
            await database.write(lambda tx: tx.roster.store(UserId("7"), envelope="x" * 31))


@pytest.mark.kinds("postgresql")
async def test_a_moment_with_a_zone_reads_the_same_wherever_we_are(
    attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = attach(more="ALTER TABLE users ALTER email_verified_at TYPE timestamptz;")
    migrate(settings)
    digests = set()
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("PGTZ", zone)
        async with open_database(settings) as database:
            digests.add((await database.read(lambda db: db.roster.rows([UserId("7")])))[0][0].digest)

    assert len(digests) == 1


@pytest.mark.kinds("postgresql")
async def test_a_database_in_latin_1_folds_what_is_no_ascii(kind: str, postgresql: Server) -> None:
    name = "latin_1"
    postgresql._as_administrator(  # type: ignore[attr-defined]
        f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    try:
        settings = load_settings(environment={}, flags={"database.url": ("test", postgresql.url(name))})
        run_script(settings.database_url, LARAVEL["postgresql"])
        add = "INSERT INTO users (id, name, email, password) VALUES (?, ?, ?, '')"
        ask(settings, add, 1, "Zoë\xa0Ümit", "ÜMIT@x.org\xa0")
        ask(settings, add, 2, "Zo", "ümit@x.org")
        migrate(settings)
        async with open_database(settings) as database:
            assert await database.read(lambda db: db.roster.find("Ümit@X.org")) == ["1", "2"]
            assert await database.read(lambda db: db.roster.emails_held_twice()) == {"1", "2"}
            found = await database.read(lambda db: db.listing.ids(parse('"zoë ümit"'), AsOf(NOW)))
            assert found == ["1"]
    finally:
        postgresql.drop(name)


@pytest.mark.kinds("postgresql")
async def test_ids_that_are_uuids_use_the_index(attach: Attach) -> None:
    some = "00000000-0000-4000-8000-000000000001"
    settings = attach(
        "CREATE TABLE users (id uuid primary key, name text, email text, email_verified_at timestamptz);",
        f"INSERT INTO users VALUES ('{some}', 'Ann Lee', 'a@x.org', now());",
    )
    migrate(settings)

    async with open_database(settings) as database:
        await database.write(lambda tx: tx.roster.store(UserId(some), envelope="x"))
        assert await database.read(lambda db: db.roster.envelope(UserId(some))) == "x"
        assert await database.read(lambda db: db.roster.envelope(UserId("ann"))) is None
        glances = await database.read(lambda db: db.roster.glances(None, 10))
    assert glances.others == [some]


# ── what the settings would do ───────────────────────────────────────────────────────────────────


@pytest.mark.kinds("sqlite", "postgresql", "mariadb")
def test_fittings_say_what_is_there_and_what_would_be_added(attach: Attach) -> None:
    settings = attach()

    before = fittings(settings, form="laravel", width=228)
    migrate(settings)
    after = fittings(settings, form="laravel", width=228)

    assert {one.key: one.fit for one in before.columns} == {
        "database.users.id": Fit.FITS,
        "database.users.email": Fit.FITS,
        "database.users.name": Fit.FITS,
        "database.users.email_verified_at": Fit.FITS,
        "database.users.account_id": Fit.ADDED,
        "database.users.token": Fit.ADDED,
    }
    assert before.fault is None
    assert [name for name in before.changes if "columns" in name]
    assert {one.fit for one in after.columns} == {Fit.FITS}
    assert after.changes == []


@pytest.mark.kinds("postgresql")
def test_a_column_that_would_cut_a_token_off_does_not_fit(attach: Attach) -> None:
    settings = attach(more="ALTER TABLE users ADD COLUMN mattermost_token VARCHAR(64);")

    narrow = fittings(settings, form="laravel", width=228)
    wide_enough = fittings(settings, form="plain", width=26)

    assert isinstance(narrow.fault, ColumnNarrow)
    assert {one.key for one in narrow.columns if one.fit is Fit.UNFIT} == {"database.users.token"}
    assert wide_enough.fault is None


@pytest.mark.kinds("sqlite", "postgresql", "mariadb")
def test_fittings_say_what_is_missing_or_cannot_hold_it(attach: Attach) -> None:
    found = fittings(attach(name="created_at", locale="tongue"), form="laravel", width=228)

    assert {one.key for one in found.columns if one.fit is Fit.MISSING} == {"database.users.locale"}
    assert isinstance(found.fault, ColumnMissing)
    unfit = fittings(attach(name="created_at"), form="laravel", width=228)
    assert {one.key for one in unfit.columns if one.fit is Fit.UNFIT} == {"database.users.name"}
