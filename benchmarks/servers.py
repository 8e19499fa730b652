"""Database servers of the tests, but with commits that reach the disk, as SQLite's do."""

import atexit
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL
from tests.servers.server import Server


class NotInstalled(Exception):
    """A service that a benchmark needs is not installed here."""


class _DurablePostgreSQL(PostgreSQL):
    def _command(self) -> Sequence[str]:
        durable = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")
        # Of two values for one setting the later one counts.
        return [*super()._command(), *(word for name in durable for word in ("-c", f"{name}=on"))]


class _DurableMariaDB(MariaDB):
    def _command(self) -> Sequence[str]:
        return [*super()._command(), "--innodb-flush-method=fsync", "--innodb-flush-log-at-trx-commit=1"]


_SERVERS: Final[dict[str, type[Server]]] = {one.kind: one for one in (_DurablePostgreSQL, _DurableMariaDB)}
KINDS: Final = ("sqlite", *_SERVERS)


@contextmanager
def empty_database(kind: str) -> Iterator[str]:
    """The URL of a new one."""
    if kind == "sqlite":
        with TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'application.sqlite'}"
    else:
        with _server(kind).database() as url:
            yield url


@cache
def _server(kind: str) -> Server:
    """It is started for the first that asks, and serves all until the end."""
    if _SERVERS[kind].found() is None:
        raise NotInstalled(f"{kind} is not installed here (Debian: {_SERVERS[kind].binary})")
    server = _SERVERS[kind].new()
    atexit.register(server.remove)
    server.start()
    return server
