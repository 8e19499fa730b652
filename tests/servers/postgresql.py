"""A PostgreSQL whose data need not outlive the tests. The administrator needs no password, everybody else does."""

import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import psycopg
from tests.servers.server import Server

_WHO_MAY = """
host all postgres 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
}


class PostgreSQL(Server):
    kind = "postgresql"
    account = "postgres"
    binary = "postgresql"
    _quit = signal.SIGINT

    @classmethod
    def found(cls) -> str | None:
        # Debian keeps every version in a folder of its own, outside of PATH.
        places = [str(place) for place in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
        return shutil.which("postgres", path=os.pathsep.join([*places, os.environ.get("PATH", "")]))

    def url(self, database: str, user: str = "", password: str = "") -> str:
        who = f"{user}:{password}" if user else "postgres"
        return f"postgresql://{who}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        self._as_administrator(f'CREATE DATABASE "{database}" TEMPLATE template0')

    def drop(self, database: str) -> None:
        self._as_administrator(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _prepare(self) -> None:
        initdb = Path(self.found() or "").with_name("initdb")
        self._run(
            str(initdb), "-D", str(self.folder / "data"), "-U", "postgres", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync", "-A", "trust", "--no-instructions",
        )  # fmt: skip
        (self.folder / "data" / "pg_hba.conf").write_text(_WHO_MAY)

    def _command(self) -> Sequence[str]:
        settings = _SETTINGS | {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [self.found() or "", "-D", str(self.folder / "data"), *options]

    def _connect(self) -> None:
        self._as_administrator("SELECT 1")

    def _as_administrator(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement.encode())
