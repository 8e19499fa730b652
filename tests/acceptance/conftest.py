"""An application on SQLite, PostgreSQL and MariaDB in turn, a served Mattermost, and `mmconsole watch` beside them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mmconsole.config import load_settings
from mmconsole.database.address import address_of, make_engine
from mmconsole.secrets import seal_keys
from mmconsole.simulator import Running, Simulator, SimulatorOptions, serve_in_thread
from mmconsole.simulator.entities import User as ServerUser

COMMAND = str(Path(sys.executable).with_name("mmconsole"))
KEY = {
    "sqlite": "integer primary key autoincrement",
    "postgresql": "bigserial primary key",
    "mysql": "bigint unsigned auto_increment primary key",
}
LONG_AGO = "2024-01-01 00:00:00"


@dataclass
class Application:
    """The application: it knows nothing but its own two tables."""

    folder: Path
    url: str
    environment: dict[str, str]
    settings: dict[str, Any]
    simulator: Simulator = field(default_factory=lambda: Simulator(SimulatorOptions()))
    serving: ExitStack = field(default_factory=ExitStack)
    started: list["subprocess.Popen[str]"] = field(default_factory=list)
    _port: int = 0

    def __post_init__(self) -> None:
        flags = {"database.url": ("test", self.url)}
        self.engine = make_engine(address_of(load_settings(environment={}, flags=flags)), plain=False)
        self(
            f"CREATE TABLE users (id {KEY[self.engine.dialect.name]}, name varchar(255), email varchar(255),"
            " email_verified_at timestamp NULL, deleted_at timestamp NULL)",
            "CREATE TABLE projects (id integer primary key, name varchar(255), archived_at timestamp NULL)",
        )

    # ── the application's side ───────────────────────────────────────────────────────────────────

    def __call__(self, *statements: str, **values: Any) -> list[Any]:
        """Run plain SQL in one transaction. Returns the rows of the last."""
        with self.engine.begin() as connection:
            results = [connection.execute(sa.text(statement), values) for statement in statements]
            return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []

    def add(self, email: str, name: str = "Ann Lee") -> str:
        self("INSERT INTO users (name, email, email_verified_at) VALUES (:n, :e, :v)", n=name, e=email, v=LONG_AGO)
        return str(self("SELECT id FROM users WHERE email = :e", e=email)[0][0])

    def add_many(self, number: int) -> None:
        rows = [{"name": "Ann Lee", "email": f"user{n}@example.org", "verified": LONG_AGO} for n in range(number)]
        with self.engine.begin() as connection:
            statement = "INSERT INTO users (name, email, email_verified_at) VALUES (:name, :email, :verified)"
            connection.execute(sa.text(statement), rows)

    def token(self, user_id: str) -> str | None:
        """What stands in the row."""
        held = self("SELECT mattermost_token FROM users WHERE id = :i", i=int(user_id))[0][0]
        return None if held is None else str(held)

    @property
    def waiting(self) -> int:
        return int(self("SELECT COUNT(*) FROM mmconsole_user_events")[0][0])

    def in_step(self, number: int) -> None:
        """So many users with accounts and tokens, as after a sync of long ago."""
        state, stamp = self.simulator.state, self.simulator.state.millis()
        for n in range(1, number + 1):
            account = ServerUser(state.ids.new(), f"user{n}", f"user{n}@example.org", stamp, stamp, first_name="User")
            state.add_user(account)
        accounts = [state.by_email[f"user{n}@example.org"].id for n in range(1, number + 1)]
        with self.engine.begin() as connection:
            connection.execute(
                sa.text(
                    "INSERT INTO users (name, email, email_verified_at, mattermost_user_id, mattermost_token)"
                    " VALUES (:name, :email, :verified, :account, 'mm1$x$not-to-be-opened')"
                ),
                [
                    {"name": f"User {n}", "email": f"user{n}@example.org", "verified": LONG_AGO, "account": account}
                    for n, account in enumerate(accounts, 1)
                ],
            )
            rows = connection.execute(sa.text("SELECT mattermost_user_id, id FROM users")).all()
            ids = {account: key for account, key in rows}  # noqa: C416 - a row of SQLAlchemy is no pair for dict()
            connection.execute(
                sa.text(
                    "INSERT INTO mmconsole_tokens (user_id, account_id, token_id, description, fingerprint, health,"
                    " cause, pushed_digest, account_update_at, waiting_email, withheld, deactivated_by_us)"
                    " VALUES (:user, :account, :token, 'x', '', 'ok', '', 'long ago', 0, '', :no, :no)"
                ),
                [
                    {"user": str(ids[account]), "account": account, "token": f"t{n:025}", "no": False}
                    for n, account in enumerate(accounts, 1)
                ],
            )
            connection.execute(sa.text("DELETE FROM mmconsole_user_events"))

    # ── the server ───────────────────────────────────────────────────────────────────────────────

    def serve(self) -> Running:
        running = self.serving.enter_context(serve_in_thread(self.simulator, port=self._port))
        self._port = int(running.url.rpartition(":")[2])
        self.settings["mattermost"] = {"url": running.url}
        return running

    def unplug(self) -> None:
        self.serving.close()

    def account(self, email: str) -> ServerUser | None:
        return self.simulator.state.by_email.get(email)

    # ── mmconsole ────────────────────────────────────────────────────────────────────────────────

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        self._save()
        command = [COMMAND, *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=120)

    def watch(self) -> "subprocess.Popen[str]":
        """An observer that goes on; what it tells is in the file `told`."""
        return self.start("watch", "--json")

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Begin a command and go on."""
        self._save()
        with (self.folder / "told").open("a") as told, (self.folder / "said").open("a") as said:
            process = subprocess.Popen(
                [COMMAND, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=said,
                text=True,
            )
        self.started.append(process)
        return process

    @property
    def told(self) -> list[dict[str, str]]:
        lines = (self.folder / "told").read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def end(self, process: "subprocess.Popen[str]") -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=60)

    def kill(self, process: "subprocess.Popen[str]") -> None:
        """And its 30 seconds are over."""
        process.kill()
        process.wait()
        self("UPDATE mmconsole_leases SET expires_at = 0")

    def until(self, so: Callable[[], object], *, of: Sequence["subprocess.Popen[str]"] = ()) -> None:
        """Wait until something is so, for as long as these processes live."""
        while not so():
            for process in of:
                assert process.poll() is None, self.said
            time.sleep(0.1)

    def _save(self) -> None:
        (self.folder / "config.yaml").write_text(json.dumps(self.settings), encoding="utf-8")


@contextmanager
def built(folder: Path, url: str) -> Iterator[Application]:
    """An application with token and key, to which mmconsole has done nothing yet."""
    keys, token = folder / "seal-keys", folder / "admin-token"
    settings: dict[str, Any] = {
        "database": {"url": url, "users": {"deleted_at": "deleted_at"}, "projects": {"table": "projects"}},
        "admin_token": {"source": "file", "file": str(token)},
        "seal": {"source": "file", "file": str(keys)},
        "sync": {"teams": ["main"]},
        "observer": {"poll_seconds": 0.1},
    }
    if url.startswith("postgresql"):
        settings["database"]["listen_url"] = url
        settings["observer"]["poll_seconds"] = 2
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "MMCONSOLE_CONFIG": str(folder / "config.yaml"),
    }
    made = Application(folder, url, environment, settings)
    for file, text in ((keys, seal_keys.as_text(seal_keys.in_memory()).reveal()), (token, made.simulator.admin_token)):
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
    made.serve()
    try:
        yield made
    finally:
        for process in made.started:
            process.kill()
            process.wait()
        made.unplug()
        made.engine.dispose()


@contextmanager
def prepared(folder: Path, url: str) -> Iterator[Application]:
    """Everything ready: migrated, with triggers; nobody follows yet."""
    with built(folder, url) as made:
        migrated = made.run("migrate", "--triggers")
        assert migrated.returncode == 0, migrated.stderr
        yield made


@pytest.fixture
def unmigrated(tmp_path: Path, application_url: str) -> Iterator[Application]:
    """An application on each of the databases in turn, before the first command."""
    with built(tmp_path, application_url) as made:
        yield made


@pytest.fixture
def application(tmp_path: Path, application_url: str) -> Iterator[Application]:
    """An application on each of the databases in turn."""
    with prepared(tmp_path, application_url) as made:
        yield made
