"""What others do: the same calls one at a time by plain httpx, and by a bare aiohttp loop without any database.

A chore is the calls for one user, in their order; it is sent the answer to each, and no peer can leave one out.
"""

import asyncio
import json
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx

from benchmarks.stage import Server

AT_ONCE = 16
PASSWORD = "Benchmark-pass-1"
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    body: Any = None
    secret: str = ""
    """Whose call it is; the administrator's without."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"} if self.secret else {}


Chore = Generator[Call, Any, None]


# ── chores ───────────────────────────────────────────────────────────────────────────────────────


def new_user(number: int, team: str) -> Chore:
    """An account in a team, and a token that was tried."""
    account = (yield Call("POST", "/users", _account(number)))["id"]
    yield Call("POST", f"/teams/{team}/members", {"team_id": team, "user_id": account})
    yield from _new_token(account)


def token_for(account: str) -> Chore:
    """A token for an account that is looked at before."""
    yield Call("GET", f"/users/{account}")
    yield from _new_token(account)


def probe(secret: str) -> Chore:
    """Does it work?"""
    yield Call("GET", "/users/me", secret=secret)
    yield Call("GET", "/users/me/teams", secret=secret)


def _new_token(account: str) -> Chore:
    token = (yield Call("POST", f"/users/{account}/tokens", {"description": "bench"}))["token"]
    yield from probe(token)


def _account(number: int) -> dict[str, Any]:
    return {
        "username": f"person{number}",
        "email": f"person{number}@example.test",
        "first_name": "Per",
        "last_name": f"Son {number}",
        "password": PASSWORD,
        "disable_welcome_email": True,
    }


# ── peers ────────────────────────────────────────────────────────────────────────────────────────


def team_of(server: Server) -> str:
    with _one_connection(server) as http:
        return str(http.get("/teams/name/main").raise_for_status().json()["id"])


def one_at_a_time(server: Server, chores: Iterable[Chore]) -> float:
    """What the Laravel version and the official command line do. Returns seconds."""
    with _one_connection(server) as http:
        began = time.perf_counter()
        for chore in chores:
            call = next(chore, None)
            while call is not None:
                answer = http.request(call.method, call.path, json=call.body, headers=call.headers)
                call = _next(chore, answer.raise_for_status().json())
        return time.perf_counter() - began


async def bare_loop(server: Server, chores: Iterable[Chore], *, at_once: int = AT_ONCE) -> float:
    """The limit: the same calls without journal, database, checks or retries. Returns seconds."""
    async with _session(server) as http:
        left = iter(chores)

        async def worker() -> None:
            for chore in left:
                call = next(chore, None)
                while call is not None:
                    call = _next(chore, await _answer(http, call))

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        return time.perf_counter() - began


async def bare_look(server: Server, ids: list[str], *, since: int, batch: int, at_once: int) -> tuple[float, int]:
    """A sync with nothing to do: changes in batches of ids, all tokens in pages. Returns seconds and calls."""
    async with _session(server) as http:
        calls = 0
        began = time.perf_counter()
        for start in range(0, len(ids), batch):
            await _answer(http, Call("POST", f"/users/ids?since={since}", ids[start : start + batch]))
            calls += 1
        calls += await _all_tokens(http, at_once)
        return time.perf_counter() - began, calls


async def _all_tokens(http: aiohttp.ClientSession, at_once: int) -> int:
    page, full = 0, True
    while full:
        calls = [Call("GET", f"/users/tokens?page={page + more}&per_page={_PAGE}") for more in range(at_once)]
        full = all(len(one) == _PAGE for one in await asyncio.gather(*(_answer(http, call) for call in calls)))
        page += at_once
    return page


def _next(chore: Chore, answer: Any) -> Call | None:  # noqa: ANN401 - JSON
    try:
        return chore.send(answer)
    except StopIteration:
        return None


def _one_connection(server: Server) -> httpx.Client:
    admin = {"Authorization": f"Bearer {server.token}"}
    return httpx.Client(base_url=f"{server.url}/api/v4", headers=admin, timeout=60)


def _session(server: Server) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        f"{server.url}",
        headers={"Authorization": f"Bearer {server.token}"},
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0),
    )


async def _answer(http: aiohttp.ClientSession, call: Call) -> Any:  # noqa: ANN401 - JSON
    async with http.request(call.method, f"/api/v4{call.path}", json=call.body, headers=call.headers) as answer:
        answer.raise_for_status()
        return json.loads(await answer.read())
