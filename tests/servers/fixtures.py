"""Databases of real servers: `postgresql_url`, `mariadb_url`, and `application_url` for SQLite and both of them.

The servers start at the first test that asks, and are shared by all processes of a session. Each test gets a fresh,
empty database. Without the server such a test is skipped; under CI that is a failure.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.servers.guard import KINDS, shared
from tests.servers.pgbouncer import PgBouncer
from tests.servers.server import Server


def demand(kind: str) -> type[Server]:
    """The kind of server, if it is installed here. Otherwise the test is skipped, and under CI it fails."""
    kinds: dict[str, type[Server]] = {**KINDS, PgBouncer.kind: PgBouncer}
    server = kinds[kind]
    if server.found() is None:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"there is no {server.kind} here (Debian: {server.binary})")
    return server


def _folder(factory: pytest.TempPathFactory) -> Path:
    """One that all workers of a session know."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real PostgreSQL that other tests use too: nobody stops it."""
    with shared(demand("postgresql").kind, _folder(tmp_path_factory)) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real MariaDB that other tests use too: nobody stops it."""
    with shared(demand("mariadb").kind, _folder(tmp_path_factory)) as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: Server) -> Iterator[str]:
    """A fresh, empty database on a real PostgreSQL, as its superuser."""
    with postgresql.database() as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb: Server) -> Iterator[str]:
    """A fresh, empty database on a real MariaDB, as its root."""
    with mariadb.database() as url:
        yield url


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes a fresh, empty database of a kind (`sqlite`, `postgresql`, `mariadb`), as often as it is asked."""
    with ExitStack() as stack:

        def make(kind: str) -> str:
            if kind == "sqlite":
                return f"sqlite:///{tmp_path / f'application-{secrets.token_hex(4)}.sqlite'}"
            server: Server = request.getfixturevalue(kind)
            return stack.enter_context(server.database())

        yield make


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def application_url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    """The URL of an application's empty database, of each kind in turn. SQLite's file is not there yet."""
    return new_url(request.param)
