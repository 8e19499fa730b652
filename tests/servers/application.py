"""What an application does with its own database, whichever that is: outside of us, by its own driver.

Statements are written once, in SQLite's words: `?` for a value, `"` around names.
"""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any

from pymysql.constants import CLIENT
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

from mmconsole.config import Settings
from mmconsole.database import Database, EmbeddedUser, EmbeddedUsers, Transaction
from mmconsole.domain.users import UserId

_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
_WORDS: dict[str, list[tuple[str, str]]] = {
    "sqlite": [],
    "postgresql": [
        (r"integer primary key autoincrement( not null)?", "bigserial primary key"),
        (r"\bdatetime\b", "timestamp"),
        (r"\bblob\b", "bytea"),
    ],
    "mysql": [
        (r"integer primary key autoincrement( not null)?", "bigint unsigned not null auto_increment primary key"),
        (r"\btext primary key", "varchar(191) primary key"),
        (r"\buuid primary key", "char(36) primary key"),
        (r"\bvarchar\b(?!\()", "varchar(255)"),
        (r"(\w+) timestamp\b", r"\1 timestamp null"),
    ],
}


def ask(where: Settings | Database | str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement, committed, as the application would. Returns its rows."""
    return ask_many(where, statement, [values]) if values else _run(where, statement, None)


def ask_named(url: str, statement: str, *values: Any) -> list[dict[str, Any]]:
    """The rows by the names of their columns."""
    with _engine(make_url(url)).connect() as connection:
        answer = connection.exec_driver_sql(_marked(statement, connection.dialect.name), values)
        return [dict(row) for row in answer.mappings()]


def ask_many(where: Settings | Database | str, statement: str, many: list[Any]) -> list[tuple[Any, ...]]:
    return _run(where, statement, many)


def run_script(url: str, script: str) -> None:
    """Run the statements of a script, translated into the words of this database."""
    kind = make_url(url).get_backend_name()
    for pattern, word in _WORDS[kind]:
        script = re.sub(pattern, word, script, flags=re.IGNORECASE)
    if kind == "sqlite":
        with closing(sqlite3.connect(make_url(url).database or "")) as connection:
            connection.executescript(script)
    elif script.strip():
        _run(url, script, None)


def kind_of(where: Settings | Database | str) -> str:
    return _url_of(where).get_backend_name()


def _url_of(where: Settings | Database | str) -> URL:
    if isinstance(where, Settings):
        return make_url(where.database_url)
    return where._address.url if isinstance(where, Database) else make_url(where)


def _marked(statement: str, kind: str) -> str:
    return statement if kind == "sqlite" else statement.replace("%", "%%").replace("?", "%s")


@lru_cache(maxsize=64)
def _engine(url: URL) -> Engine:
    """It keeps no connection, but knows the server: to ask that again takes longer than most statements."""
    options: dict[str, Any] = {
        "sqlite": {"timeout": 10},
        "postgresql": {},
        # To load the certificates it could check takes longer than all the rest.
        "mysql": {
            "ssl_disabled": True,
            "client_flag": CLIENT.MULTI_STATEMENTS | CLIENT.FOUND_ROWS,
            "sql_mode": "ANSI_QUOTES,PIPES_AS_CONCAT",
        },
    }
    kind = url.get_backend_name()
    return create_engine(url.set(drivername=_DRIVERS[kind]), poolclass=NullPool, connect_args=options[kind])


def _run(where: Settings | Database | str, statement: str, many: list[Any] | None) -> list[tuple[Any, ...]]:
    engine = _engine(_url_of(where))
    kind = engine.dialect.name
    if many is not None:
        statement = _marked(statement, kind)
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        if many is None:
            cursor.execute(statement)
        else:
            for values in many:
                cursor.execute(statement, values)
        rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        while kind == "mysql" and cursor.nextset():
            pass
        connection.commit()
    return rows


def add_users(tx: Transaction, users: Sequence[EmbeddedUser]) -> list[UserId]:
    """Add users to a table of the embedded shape, whosever it is. Returns their ids in the same order."""
    if tx.roster.layout.embedded:
        return tx.roster.embedded.add_many(users)
    shaped = EmbeddedUsers(tx.roster._connection)
    return [shaped.add(user) for user in users]
