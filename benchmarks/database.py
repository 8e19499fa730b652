"""The application's users, read through the mapping, beside a loop over the bare driver, on a kind of database."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from time import perf_counter
from typing import Any, Final

from tests.servers.application import ask, run_script

from benchmarks.servers import empty_database
from benchmarks.table import Figure, rate, times
from mmconsole.config import Settings, load_settings
from mmconsole.database import Database, Snapshot, migrate, open_database
from mmconsole.database.address import address_of, make_engine
from mmconsole.domain.users import UserId

PAGE: Final = 5_000
_TABLE: Final = """
    CREATE TABLE users (
        id integer primary key autoincrement, name varchar(255), email varchar(255), email_verified_at datetime
    );
"""
_FILL: Final = """
    INSERT INTO users (name, email, email_verified_at)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many})
    SELECT 'Ann Lee ' || i, 'ann' || i || '@example.org', '2026-01-01 00:00:00' FROM n
"""
# MariaDB ends a recursion after a thousand steps; and the servers are told what a running one finds out by itself.
_BEFORE: Final = {"mariadb": "SET SESSION max_recursive_iterations = 100000000;"}
_AFTER: Final = {"sqlite": "ANALYZE", "postgresql": "ANALYZE", "mariadb": "ANALYZE TABLE users, mmconsole_tokens"}
_BARE: Final = (
    "SELECT id, email, email_verified_at, name, mattermost_user_id, mattermost_token FROM users"
    " WHERE id > {after} ORDER BY id LIMIT {page}"
)


async def read_through_the_mapping(kind: str, many: int, turns: int) -> list[Figure]:
    """Pages of users with what we remember of each, and glances at them: in turn, the best of each."""
    bare = pages = glances = float("inf")
    with application(kind, many) as settings:
        async with open_database(settings) as database:
            for _ in range(turns):
                bare = min(bare, await asyncio.to_thread(_bare, settings))
                pages = min(pages, await _timed(database, _page))
                glances = min(glances, await _timed(database, _glance))
    return [
        _figure(f"{many:,} users read through the mapping, {kind}", many, pages, bare),
        _figure(f"{many:,} users glanced at, {kind}", many, glances, bare),
    ]


def _figure(what: str, many: int, ours: float, bare: float) -> Figure:
    return Figure(what, rate(many, ours), bare=rate(many, bare), judged=(times(bare / ours, "bare"),))


@contextmanager
def application(kind: str, many: int, **flags: Any) -> Iterator[Settings]:  # noqa: ANN401 - any setting's
    """The database of an application with so many users, and us attached to it. `flags` has `__` for the dot."""
    with empty_database(kind) as url:
        run_script(url, _TABLE)
        if many:
            ask(url, _BEFORE.get(kind, "") + _FILL.format(many=many))
        if kind == "postgresql":
            flags["database__listen_url"] = url
        given = {key.replace("__", "."): value for key, value in (flags | {"database__url": url}).items()}
        settings = load_settings(environment={}, flags={key: ("benchmark", value) for key, value in given.items()})
        migrate(settings)
        ask(url, _AFTER[kind])
        yield settings


def _bare(settings: Settings) -> float:
    engine = make_engine(address_of(settings), plain=True)
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        begun, after = perf_counter(), 0
        while True:
            cursor.execute(_BARE.format(after=after, page=PAGE))
            rows = cursor.fetchall()
            if not rows:
                return perf_counter() - begun
            after = rows[-1][0]


_Step = Callable[[Snapshot, UserId | None], UserId | None]


def _page(db: Snapshot, after: UserId | None) -> UserId | None:
    found = db.roster.page(after, PAGE)
    return found[-1][0].id if found else None


def _glance(db: Snapshot, after: UserId | None) -> UserId | None:
    return db.roster.glances(after, PAGE).last


async def _timed(database: Database, step: _Step) -> float:
    def after(last: UserId | None) -> Callable[[Snapshot], Any]:
        return lambda db: step(db, last)

    begun, last = perf_counter(), await database.read(after(None))
    while last is not None:
        last = await database.read(after(last))
    return perf_counter() - begun
