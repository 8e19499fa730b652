"""A MariaDB whose data need not outlive the tests. The administrator needs no password."""

from collections.abc import Sequence
from contextlib import closing

import pymysql
from tests.servers.server import Server, in_the_system

_SETTINGS = {
    "bind-address": "127.0.0.1",
    "innodb-flush-method": "nosync",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-log-file-size": "32M",
    "innodb-buffer-pool-size": "64M",
    "max-connections": "200",
    "skip-log-bin": "",
    "skip-name-resolve": "",
    "plugin-maturity": "unknown",
}


class MariaDB(Server):
    kind = "mariadb"
    account = "mysql"
    binary = "mariadb-server"

    @classmethod
    def found(cls) -> str | None:
        return in_the_system("mariadbd")

    def url(self, database: str, user: str = "", password: str = "") -> str:
        who = f"{user}:{password}" if user else "root"
        return f"mysql://{who}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        self._as_administrator(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")

    def drop(self, database: str) -> None:
        self._as_administrator(f"DROP DATABASE IF EXISTS `{database}`")

    def _prepare(self) -> None:
        self._run(
            "mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}", "--skip-name-resolve",
            "--skip-test-db", "--auth-root-authentication-method=normal", "--innodb-flush-method=nosync",
        )  # fmt: skip

    def _command(self) -> Sequence[str]:
        options = [f"--{name}={value}" if value else f"--{name}" for name, value in _SETTINGS.items()]
        here = [f"--datadir={self.folder / 'data'}", f"--socket={self.folder / 'socket'}", f"--port={self.port}"]
        return [self.found() or "", "--no-defaults", *here, f"--pid-file={self.folder / 'pid'}", *options]

    def _connect(self) -> None:
        self._as_administrator("SELECT 1")

    def _as_administrator(self, statement: str) -> None:
        with closing(pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=10)) as connection:
            connection.cursor().execute(statement)
