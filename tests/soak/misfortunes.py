"""What goes wrong meanwhile: on the server, on the way to it, in the database, and with the processes themselves."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
from tests.faults.services.proxy import Spoil
from tests.soak.load import by_somebody_else

from mmconsole.simulator import Fault

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from tests.conftest import World
    from tests.faults.services.proxy import Proxy
    from tests.soak.company import Company

    from mmconsole.simulator.faults import FaultKind

KINDS: tuple[FaultKind, ...] = (
    "drop_before", "drop_after", "status", "redirect", "login_page", "cut_json", "slow_body", "hang", "delay",
    "stale_reads",
)  # fmt: skip
CALLS = (
    ("POST", "/users"),
    ("POST", "/users/{id}/tokens"),
    ("POST", "/teams/{team_id}/members"),
    ("POST", "/channels"),
    ("POST", "/channels/{id}/members"),
    ("PUT", "/users/{id}/patch"),
    ("PUT", "/users/{id}/active"),
    ("POST", "/users/tokens/disable"),
    ("POST", "/users/tokens/revoke"),
    ("POST", "/users/ids"),
    ("GET", "/users/tokens"),
    ("GET", "/users/me"),
    (None, None),
)
STATUSES = (429, 500, 502, 503, 504)


class Misfortunes:
    """Each of its methods that `all` names is one of them."""

    def __init__(self, world: World, proxy: Proxy, company: Company, dice: random.Random) -> None:
        self._world = world
        self._proxy = proxy
        self._company = company
        self._dice = dice
        self.patient = True
        """Whether the leases of the dead run out by themselves, which takes 30 seconds."""
        self.longest = 7.0
        """Seconds that one of them lasts at most."""
        self.deadly = True
        """Whether those who go on until the end are killed, too."""
        self.befell: Counter[str] = Counter()

    @property
    def all(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        return [
            self.the_server_fails,
            self.the_way_is_bad,
            self.somebody_is_killed,
            self.the_server_is_away,
            self.the_database_is_locked,
            self.a_lease_is_lost,
        ]

    async def befall(self, one: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.befell[one.__name__] += 1
        await one()

    async def the_server_fails(self) -> None:
        method, path = self._dice.choice(CALLS)
        self._world.server.faults.add(
            Fault(
                self._dice.choice(KINDS),
                method,
                path,
                times=self._dice.randint(1, 6),
                after=self._dice.randrange(3),
                seconds=self._dice.uniform(0.2, 4),
                status=self._dice.choice(STATUSES),
                retry_after=self._dice.choice((None, 1)),
            )
        )

    async def the_way_is_bad(self) -> None:
        spoilt = {self._dice.randint(1, 20): self._dice.choice(list(Spoil)) for _ in range(5)}
        self._proxy.spoil(spoilt.get)

    async def somebody_is_killed(self) -> None:
        if self.deadly:
            self._company.kill(self._dice.choice(self._company.workers))
            if not self.patient:
                await by_somebody_else(self._world.end_leases)

    async def the_server_is_away(self) -> None:
        await self._world.stop()
        await asyncio.sleep(self._dice.uniform(0.1, self.longest / 2))
        await self._world.start()

    async def the_database_is_locked(self) -> None:
        where, seconds = self._world.database, self._dice.uniform(0.5, self.longest)
        if where.startswith("sqlite"):
            await asyncio.to_thread(_lock, self._world.file, seconds)
            return
        async with await psycopg.AsyncConnection.connect(where) as connection:
            if self._dice.random() < 0.5:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            else:
                await connection.execute("LOCK TABLE mmconsole_tokens, mmconsole_leases IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(seconds)

    async def a_lease_is_lost(self) -> None:
        """As after a pause of the machine: its holder goes on, and others may take it."""
        await by_somebody_else(self._world.end_leases)

    def end(self) -> None:
        """Nothing goes wrong any more."""
        self._world.server.faults.clear()
        self._proxy.choose = lambda _: None


def _lock(file: Path, seconds: float) -> None:
    with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")
