"""PgBouncer in transaction mode: each transaction may get another connection of the server behind it."""

from collections.abc import Sequence
from typing import Self

import psycopg
from tests.servers.server import Server, in_the_system

_SETTINGS = """
[databases]
* = host=127.0.0.1 port={behind} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""


class PgBouncer(Server):
    kind = "pgbouncer"
    account = "postgres"
    binary = "pgbouncer"

    @classmethod
    def found(cls) -> str | None:
        return in_the_system("pgbouncer")

    @classmethod
    def before(cls, server: Server) -> Self:
        """A pooler in front of a PostgreSQL, to be started."""
        pooler = cls.new()
        (pooler.folder / "settings.ini").write_text(_SETTINGS.format(behind=server.port, port=pooler.port))
        return pooler

    def url(self, database: str, user: str = "", password: str = "") -> str:
        return f"postgresql://{user or 'postgres'}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        raise NotImplementedError

    def drop(self, database: str) -> None:
        raise NotImplementedError

    def _prepare(self) -> None:
        """Its one file is written when it is known what it stands before."""

    def _command(self) -> Sequence[str]:
        return [self.found() or "", str(self.folder / "settings.ini")]

    def _connect(self) -> None:
        with psycopg.connect(self.url("postgres"), connect_timeout=10, prepare_threshold=None) as connection:
            connection.execute("SELECT 1")
