"""A whole little world: a simulated Mattermost on a real port, an application's SQLite file, and the core between.

`world` is what tests of the sync ask for. It is looked at from outside: the server's own memory, and the rows of the
file, never our own words about them.
"""

import asyncio
import base64
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.servers.application import ask, ask_named, run_script

from mmconsole.config import Settings, load_settings
from mmconsole.core import Core, Keys, open_core
from mmconsole.database import migrate
from mmconsole.domain.secrets import Secret
from mmconsole.domain.token_plans import Act
from mmconsole.domain.users import UserId
from mmconsole.secrets import laravel_keys, seal_keys
from mmconsole.secrets.ciphers import Vault
from mmconsole.secrets.forms import Form, form_of
from mmconsole.services.summary import Summary, SyncRequest
from mmconsole.services.tokens.tokens import TokenRequest
from mmconsole.simulator import Fault, Simulator, SimulatorOptions, serve
from mmconsole.simulator.entities import Channel as ServerChannel
from mmconsole.simulator.entities import Team
from mmconsole.simulator.entities import Token as ServerToken
from mmconsole.simulator.entities import User as ServerUser

pytest_plugins = ["tests.servers.fixtures"]

LARAVEL = """
    CREATE TABLE users (
        id integer primary key autoincrement not null, name varchar not null, email varchar,
        email_verified_at datetime, password varchar not null default 'x', deleted_at datetime
    );
"""
APP_KEY = Secret("base64:" + base64.b64encode(bytes(range(32))).decode())
LONG_AGO = "2024-01-01 00:00:00"
OUR_TABLES = ("tokens", "intents", "jobs", "job_items", "activity", "meta", "leases", "projects", "tickets", "api_keys")


MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes that all temporary folders of a run fit into."""


def pytest_configure() -> None:
    # Shells deafen what they start in the background for Ctrl-C, and what we start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Thousands of small databases are made, and on a disk each table waits for it.
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


class Clock:
    """The server's clock, which tests may put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead


class Server:
    """The simulated server as tests see and change it."""

    def __init__(self, options: SimulatorOptions, clock: Clock) -> None:
        self.clock = clock
        self.simulator = Simulator(options, now=clock.now)
        self.state = self.simulator.state
        self.calls = self.simulator.calls
        self.faults = self.simulator.faults
        self.natives = frozenset(self.state.users)
        self.team = self.state.teams_by_name["main"]

    @property
    def people(self) -> list[ServerUser]:
        """Accounts that were not there at the beginning, the oldest first."""
        return [user for key, user in self.state.users.items() if key not in self.natives]

    def account(self, email: str) -> ServerUser:
        return self.state.by_email[email.lower()]

    def add(self, email: str, username: str = "", **fields: Any) -> ServerUser:
        """Somebody made an account on the server, without us."""
        stamp = self.state.millis()
        user = ServerUser(self.state.ids.new(), username or email.partition("@")[0], email, stamp, stamp, **fields)
        return self.state.add_user(user)

    def change(self, user: ServerUser, **fields: Any) -> None:
        """Somebody changed an account on the server."""
        for name, value in fields.items():
            setattr(user, name, value)
        self.state.touch(user)

    def add_team(self, name: str) -> Team:
        stamp = self.state.millis()
        return self.state.add_team(
            Team(self.state.ids.new(), name, name, stamp, stamp, "x@x.test", self.state.ids.new())
        )

    def disable(self, token: ServerToken) -> None:
        token.is_active, token.encoded = False, None
        self.state.end_session(token.secret)

    @property
    def marked(self) -> list[ServerToken]:
        """Tokens that carry our marker."""
        return [token for token in self.state.token_rows if token.description.startswith("mmconsole:")]

    @property
    def made_channels(self) -> dict[str, ServerChannel]:
        """By their names, without those that every team has."""
        ordinary = {"town-square", "off-topic"}
        return {one.name: one for one in self.state.channels.values() if one.name not in ordinary}

    def joined(self, user: ServerUser, team: Team | None = None) -> bool:
        return user.id in (team or self.team).members


def _demand_counted(summary: Summary, stop: asyncio.Event | None) -> None:
    """Every user is in exactly one count, but for those a run did not come to."""
    rest = summary.users - sum(summary.counts.values())
    unfinished = summary.fault is not None or (stop is not None and stop.is_set())
    assert 0 <= rest <= (summary.planned if unfinished else 0), (summary.users, summary.counts)


class World:
    """The server, the application's users and the core. `settings` may be replaced before a core is opened."""

    def __init__(self, server: Server, settings: Settings, file: Path) -> None:
        self.server = server
        self.settings = settings
        self.database = settings.database_url
        self.file = file
        self.seal_keys = seal_keys.in_memory()
        self.laravel_keys = laravel_keys.from_text(APP_KEY, cipher="AES-256-CBC", source="test")
        self.admin_token = server.simulator.admin_token
        self.url = ""
        self.laravel = not settings.values.database.embedded
        self._flags: dict[str, tuple[str, Any]] = {}
        self._serving = AsyncExitStack()

    # ── settings and the core ────────────────────────────────────────────────────────────────────

    def set(self, **values: Any) -> None:
        """Settings by their keys with `__` for the dot: `set(sync__deactivate=True)`."""
        self._flags |= {key.replace("__", "."): ("test", value) for key, value in values.items()}

    @property
    def flags(self) -> dict[str, tuple[str, Any]]:
        origins = {"mattermost.url": ("test", self.url), "sync.teams": ("test", ["main"])}
        if self.laravel:
            origins |= {
                "database.url": ("test", self.database),
                "database.users.deleted_at": ("test", "deleted_at"),
            }
        return origins | self._flags

    def load(self) -> Settings:
        return replace(load_settings(environment={}, flags=self.flags), profile=self.settings.profile)

    def vault(self, settings: Settings, installation: str) -> Vault:
        tokens, table = settings.values.tokens, settings.users_table
        return Vault(
            storage=Form(tokens.storage),
            accept=[Form(form) for form in tokens.accept],
            keys=self.seal_keys,
            laravel=self.laravel_keys,
            installation_id=installation,
            table=table.table,
            column=table.token,
        )

    @asynccontextmanager
    async def core(self) -> AsyncIterator[Core]:
        keys = Keys(admin_token=lambda _: Secret(self.admin_token), vault=self.vault)
        async with open_core(self.load(), face="test", keys=keys) as core:
            yield core

    async def sync(self, *names: str, stop: asyncio.Event | None = None, **request: Any) -> Summary:
        """One run in a process of its own. Every user is in exactly one count, but for those it did not come to."""
        async with self.core() as core:
            summary = await core.sync.run(SyncRequest(names=names, **request), stop=stop)
        _demand_counted(summary, stop)
        return summary

    async def synced(self, *addresses: str) -> list[UserId]:
        """People with verified addresses, in step."""
        ids = [self.add(address, verified=True) for address in addresses]
        await self.sync()
        return ids

    async def ask(self, act: str, *names: str, stop: asyncio.Event | None = None, **request: Any) -> Summary:
        """What an operator asks for tokens, in a process of its own."""
        async with self.core() as core:
            asked = TokenRequest(Act(act), names, **request)
            summary = await core.tokens.run(asked, stop=stop)
        _demand_counted(summary, stop)
        return summary

    async def plan(self, *names: str, **request: Any) -> Summary:
        async with self.core() as core:
            return await core.sync.plan(SyncRequest(names=names, **request))

    async def recover(self) -> Any:
        async with self.core() as core:
            return await core.sync.recover()

    @staticmethod
    def stale(seconds: float, method: str, path: str, *, times: int | None = 1) -> Fault:
        return Fault("stale_reads", method, path, seconds=seconds, times=times)

    @staticmethod
    async def until(condition: Callable[[], object]) -> None:
        """Give way to whoever is at work in this loop until it is so."""
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, "it never became so"
            await asyncio.sleep(0)

    # ── the server's life ────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        self.url = await self._serving.enter_async_context(serve(self.server.simulator, port=port))

    async def stop(self) -> None:
        await self._serving.aclose()
        self._serving = AsyncExitStack()

    def later(self, seconds: float) -> None:
        """Time passes on the server, and the leases of dead processes run out."""
        self.server.clock.ahead += seconds
        self.end_leases()

    # ── the application ──────────────────────────────────────────────────────────────────────────

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """What somebody else does to, or sees in, the database."""
        if not self.database.startswith("sqlite"):
            return ask(self.database, statement, *values)
        with closing(sqlite3.connect(self.file, timeout=60, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def add(
        self,
        email: str | None,
        first: str = "Ann",
        last: str = "Lee",
        *,
        verified: bool = False,
        token: str | None = None,
        account_id: str | None = None,
        **columns: Any,
    ) -> UserId:
        columns |= {"name": f"{first} {last}".strip()} if self.laravel else {"first_name": first, "last_name": last}
        columns |= {"email": email, "email_verified_at": LONG_AGO if verified else None}
        columns |= {"mattermost_token": token, "mattermost_user_id": account_id}
        marks = ", ".join("?" * len(columns))
        statement = f"INSERT INTO users ({', '.join(columns)}) VALUES ({marks}) RETURNING id"
        return UserId(str(self.sql(statement, *columns.values())[0][0]))

    def edit(self, user_id: str, **columns: Any) -> None:
        sets = ", ".join(f"{name} = ?" for name in columns)
        self.sql(f"UPDATE users SET {sets} WHERE id = ?", *columns.values(), user_id)

    def rename(self, user_id: str, first: str, last: str) -> None:
        self.edit(
            user_id, **({"name": f"{first} {last}"} if self.laravel else {"first_name": first, "last_name": last})
        )

    def leave(self, user_id: str) -> None:
        self.edit(user_id, deleted_at=LONG_AGO)

    def come_back(self, user_id: str) -> None:
        self.edit(user_id, deleted_at=None)

    def delete(self, user_id: str) -> None:
        self.sql("DELETE FROM users WHERE id = ?", user_id)

    # ── what stands in the file ──────────────────────────────────────────────────────────────────

    def row(self, user_id: str) -> dict[str, Any]:
        return self._one("users", "id", user_id)

    def record(self, user_id: str) -> dict[str, Any]:
        return self._one("mmconsole_tokens", "user_id", user_id)

    def _one(self, table: str, key: str, value: str) -> dict[str, Any]:
        statement = f"SELECT * FROM {table} WHERE {key} = ?"
        if not self.database.startswith("sqlite"):
            return next(iter(ask_named(self.database, statement, value)), {})
        with closing(sqlite3.connect(self.file, timeout=60)) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(statement, (value,)).fetchone()
        return dict(found) if found else {}

    def records(self) -> list[dict[str, Any]]:
        return [
            self.record(user_id) for (user_id,) in self.sql("SELECT user_id FROM mmconsole_tokens ORDER BY user_id")
        ]

    def dump(self, *left_out: str) -> dict[str, list[Any]]:
        """Every row of our tables and of the application's."""
        ours = {name: self.sql(f"SELECT * FROM mmconsole_{name}") for name in OUR_TABLES if name not in left_out}
        return ours | {"users": self.sql("SELECT * FROM users")}

    def withhold(self, user_id: str) -> None:
        self.sql("UPDATE mmconsole_tokens SET withheld = true WHERE user_id = ?", user_id)

    def end_leases(self) -> None:
        """Whoever held one is dead, and its 30 seconds are over."""
        self.sql("UPDATE mmconsole_leases SET expires_at = 0")

    def secret(self, user_id: str) -> str:
        """The secret behind what stands in the row."""
        (installation,) = self.sql("SELECT value FROM mmconsole_meta WHERE name = 'installation_id'")[0]
        return (
            self.vault(self.load(), installation).open(self.row(user_id)["mattermost_token"], UserId(user_id)).reveal()
        )

    def token(self, user_id: str) -> ServerToken:
        """The server's token of the stored secret."""
        return self.server.state.by_secret[self.secret(user_id)]

    # ── laws ─────────────────────────────────────────────────────────────────────────────────────

    def assert_in_order(self) -> None:
        """security.md: no live token of ours that nobody stores, none stored that nobody can name, nothing twice."""
        state, records = self.server.state, self.records()
        known = {record["token_id"] for record in records if record["token_id"]}
        assert {token.id for token in self.server.marked} - known == set(), "a live token of ours that no record names"
        linked = [record["account_id"] for record in records if record["account_id"]]
        assert len(linked) == len(set(linked)), "an account is linked twice"
        for record in records:
            row = self.row(record["user_id"])
            if row and row["mattermost_token"] and record["token_id"]:
                token = self.token(record["user_id"])
                assert (token.id, token.user_id) == (record["token_id"], record["account_id"])
                assert form_of(row["mattermost_token"]) in set(Form)
            if row and record["account_id"]:
                assert row["mattermost_user_id"] == record["account_id"]
        for user in state.users.values():
            ours = [token for token in user.tokens if token.description.startswith("mmconsole:")]
            assert len(ours) <= 1, f"@{user.username} has {len(ours)} live tokens of ours"
        # A revocation that can still be undone has an open note by right.
        assert self.sql("SELECT * FROM mmconsole_intents WHERE kind <> 'revoke'") == [], "an intent is still open"

    def assert_in_step(self, *user_ids: str) -> None:
        """These users have an account, the team, and one token of ours that works."""
        self.assert_in_order()
        for user_id in user_ids:
            token = self.token(user_id)
            account = self.server.state.users[token.user_id]
            assert token.is_active
            assert not account.delete_at
            assert self.record(user_id)["account_id"] == account.id
            assert self.record(user_id)["health"] == "ok"
            assert self.server.joined(account), f"@{account.username} is not in the team"


MakeWorld = Callable[..., World]


@contextmanager
def _made(folder: Path, *, laravel: bool, url: str, options: SimulatorOptions, name: str) -> Iterator[World]:
    server = Server(options, Clock())
    file = folder / f"{name}.sqlite3"
    application = url or f"sqlite:///{file}"
    flags: dict[str, tuple[str, Any]] = {"database.url": ("test", application)} if laravel else {}
    settings = replace(load_settings(environment={}, flags=flags), profile=name)
    if laravel:
        run_script(application, LARAVEL)
    else:
        file = settings.embedded_file
    migrate(settings)
    yield World(server, settings, file)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own for the databases."""
    with TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_DATA_HOME", folder)
        # Calls are repeated as often as ever, only sooner.
        monkeypatch.setattr("mmconsole.mattermost.patience._FIRST_WAIT", 0.01)
        # A server that is gone is given up at once, where a test does not wait for its return.
        monkeypatch.setattr("mmconsole.services.waiting.PATIENCE", 0.0)
        yield Path(folder)


@asynccontextmanager
async def _worlds(home: Path) -> AsyncIterator[Callable[..., Any]]:
    numbers = iter(range(1_000_000))

    @asynccontextmanager
    async def make(*, laravel: bool = False, url: str = "", **options: Any) -> AsyncIterator[World]:
        name = f"world{next(numbers)}"
        with _made(home, laravel=laravel, url=url, options=SimulatorOptions(**options), name=name) as world:
            await world.start()
            try:
                yield world
            finally:
                await world.stop()

    yield make


@pytest.fixture
def worlds(home: Path) -> Callable[[], Any]:
    """The same for tests with an event loop of their own, which enter its answer themselves."""
    return lambda: _worlds(home)


@pytest.fixture
async def new_world(home: Path) -> AsyncIterator[Callable[..., Any]]:
    """Makes as many worlds as a test wants: `async with` its answer to the simulator's options and `laravel`.

    With `url`, the application's database is there.
    """
    async with _worlds(home) as make:
        yield make


@pytest.fixture
async def world(new_world: Callable[..., Any]) -> AsyncIterator[World]:
    """A new installation with an embedded database and one team, `main`."""
    async with new_world() as made:
        yield made


@pytest.fixture(params=["embedded", "laravel", "postgresql", "mariadb"])
async def any_world(
    request: pytest.FixtureRequest, new_world: Callable[..., Any], new_url: Callable[[str], str]
) -> AsyncIterator[World]:
    """The same over both shapes of the users table, and over Laravel's on every kind of database."""
    url = new_url(request.param) if request.param in {"postgresql", "mariadb"} else ""
    async with new_world(laravel=request.param != "embedded", url=url) as made:
        yield made
