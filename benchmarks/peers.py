"""The same calls made by others: one at a time with plain httpx, and by a bare aiohttp loop without any database."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx

from benchmarks.stage import Server

PASSWORD = "Benchmark-pass-1"


def _account(number: int) -> dict[str, Any]:
    return {
        "username": f"person{number}",
        "email": f"person{number}@example.test",
        "first_name": "Per",
        "last_name": f"Son {number}",
        "password": PASSWORD,
        "disable_welcome_email": True,
    }


def one_at_a_time(server: Server, users: int) -> float:
    """What the Laravel version and the official command line do. Returns seconds."""
    admin = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=f"{server.url}/api/v4", headers=admin, timeout=60) as http:
        team = http.get("/teams/name/main").json()["id"]
        began = time.perf_counter()
        for number in range(users):
            account = http.post("/users", json=_account(number)).json()["id"]
            http.post(f"/teams/{team}/members", json={"team_id": team, "user_id": account}).raise_for_status()
            token = http.post(f"/users/{account}/tokens", json={"description": "bench"}).json()["token"]
            own = {"Authorization": f"Bearer {token}"}
            http.get("/users/me", headers=own).raise_for_status()
            http.get("/users/me/teams", headers=own).raise_for_status()
        return time.perf_counter() - began


def tokens_one_at_a_time(server: Server, accounts: list[str]) -> float:
    """A token for each account, tried as ours are. Returns seconds."""
    admin = {"Authorization": f"Bearer {server.token}"}
    with httpx.Client(base_url=f"{server.url}/api/v4", headers=admin, timeout=60) as http:
        began = time.perf_counter()
        for account in accounts:
            http.get(f"/users/{account}").raise_for_status()
            token = http.post(f"/users/{account}/tokens", json={"description": "bench"}).json()["token"]
            own = {"Authorization": f"Bearer {token}"}
            http.get("/users/me", headers=own).raise_for_status()
            http.get("/users/me/teams", headers=own).raise_for_status()
        return time.perf_counter() - began


async def bare_loop(server: Server, users: int, *, at_once: int) -> float:
    """The limit: the same calls without journal, database, checks or retries. Returns seconds."""
    async with _session(server) as http:
        team = (await _get(http, "/teams/name/main"))["id"]
        numbers = iter(range(users))

        async def worker() -> None:
            for number in numbers:
                account = (await _post(http, "/users", _account(number)))["id"]
                await _post(http, f"/teams/{team}/members", {"team_id": team, "user_id": account})
                token = (await _post(http, f"/users/{account}/tokens", {"description": "bench"}))["token"]
                own = {"Authorization": f"Bearer {token}"}
                await _get(http, "/users/me", headers=own)
                await _get(http, "/users/me/teams", headers=own)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        return time.perf_counter() - began


async def bare_look(server: Server, ids: list[str], *, since: int, batch: int, at_once: int) -> tuple[float, int]:
    """A sync with nothing to do: changes in batches of ids, all tokens in pages. Returns seconds and calls."""
    async with _session(server) as http:
        calls = 0
        began = time.perf_counter()
        for start in range(0, len(ids), batch):
            await _post(http, f"/users/ids?since={since}", ids[start : start + batch])
            calls += 1
        calls += await _all_pages(lambda page: _get(http, f"/users/tokens?page={page}&per_page=200"), at_once)
        return time.perf_counter() - began, calls


async def bare_probes(server: Server, secrets: list[str], *, at_once: int) -> float:
    """The limit of a deep check: each secret tried by two calls, and nothing remembered. Returns seconds."""
    async with _session(server) as http:
        left = iter(secrets)

        async def worker() -> None:
            for secret in left:
                own = {"Authorization": f"Bearer {secret}"}
                await _get(http, "/users/me", headers=own)
                await _get(http, "/users/me/teams", headers=own)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        return time.perf_counter() - began


async def _all_pages(fetch: Callable[[int], Awaitable[Any]], at_once: int) -> int:
    page, full = 0, True
    while full:
        pages = await asyncio.gather(*(fetch(number) for number in range(page, page + at_once)))
        full = all(len(one) == 200 for one in pages)
        page += at_once
    return page


def _session(server: Server) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        f"{server.url}",
        headers={"Authorization": f"Bearer {server.token}"},
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0),
    )


async def _get(http: aiohttp.ClientSession, path: str, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401
    async with http.get(f"/api/v4{path}", headers=headers) as answer:
        answer.raise_for_status()
        return json.loads(await answer.read())


async def _post(http: aiohttp.ClientSession, path: str, body: Any) -> Any:  # noqa: ANN401
    async with http.post(f"/api/v4{path}", json=body) as answer:
        answer.raise_for_status()
        return json.loads(await answer.read())
