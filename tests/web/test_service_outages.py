"""Mattermost or the database goes away in the middle of load: the errors are right, and nobody has to do anything."""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.web.clicks import A_CLICK

if TYPE_CHECKING:
    from tests.web.conftest import OpenSite, Site

LINK = "/api/mattermost/magic-link"
AT_ONCE = 8


@dataclass
class Load:
    """People who want in, each of them again and again until they are."""

    site: "Site"
    user_id: str
    issued: Counter[int] = field(default_factory=Counter)
    opened: Counter[int] = field(default_factory=Counter)
    links: int = 0
    problems: list[httpx.Response] = field(default_factory=list)
    done: bool = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as people:
            for number in range(AT_ONCE):
                people.create_task(self._person(self.site.browser(address=f"192.0.2.{number}")))

    async def _person(self, browser: httpx.AsyncClient) -> None:
        while not self.done:
            asked = await self.site.ask("GET", LINK, params={"user": self.user_id})
            self.issued[asked.status_code] += 1
            if asked.status_code != 200:
                self.problems.append(asked)
                continue
            self.links += 1
            while (opened := await browser.get(asked.json()["url"], headers=A_CLICK)).status_code == 503:
                self.opened[503] += 1
            self.opened[opened.status_code] += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - the load tells nobody
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def load_on(open_site: "OpenSite") -> AsyncIterator[Load]:
    many = dict.fromkeys(("rate__caller", "rate__user", "rate__address"), 1_000_000_000)
    site: Site = await open_site(link_life="120s", **many)
    load = Load(site, await site.synced())
    running = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        load.done = True
        await running


async def test_mattermost_goes_away_and_comes_back(open_site: "OpenSite", monkeypatch: pytest.MonkeyPatch) -> None:
    # It is left alone as ever after many faults, only for a shorter time.
    monkeypatch.setattr("mmconsole.mattermost.breaker._FIRST_REST", 0.05)
    monkeypatch.setattr("mmconsole.mattermost.breaker._LONGEST_REST", 0.2)
    async with load_on(open_site) as load:
        await load.until(lambda: load.opened[303] >= 20)
        await load.site.world.stop()
        await load.until(lambda: load.opened[503] >= 100)
        ready = await load.site.browser(address="127.0.0.1").get("/healthz")
        before = load.opened[303]
        await load.site.world.start()
        await load.until(lambda: load.opened[303] >= before + 50)

    assert ready.status_code == 200
    assert set(load.opened) == {303, 503}
    assert load.opened[303] == load.links, "each link that was made has signed in, once"
    assert set(load.issued) == {200}, "a token that was tried today needs no server for its link"
    load.site.world.assert_in_step(load.user_id)


async def test_the_database_is_locked_and_free_again(open_site: "OpenSite", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmconsole.database.address.BUSY_TIMEOUT", 0.1)
    async with load_on(open_site) as load:
        await load.until(lambda: load.opened[303] >= 20)
        with contextlib.closing(sqlite3.connect(load.site.world.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await load.until(lambda: load.issued[503] + load.opened[503] >= 20)
            load.problems.append(await load.site.ask("GET", LINK, params={"user": load.user_id}))
            other.execute("ROLLBACK")
        before = load.opened[303]
        await load.until(lambda: load.opened[303] >= before + 50)

    assert set(load.opened) <= {303, 503}
    assert set(load.issued) <= {200, 503}
    assert load.opened[303] == load.links
    assert {answer.status_code for answer in load.problems} == {503}
    assert {answer.json()["kind"] for answer in load.problems} == {"DatabaseBusy"}
    assert {answer.headers["retry-after"] for answer in load.problems} == {"10"}
    assert "sqlite" not in "".join(answer.text for answer in load.problems).lower()
