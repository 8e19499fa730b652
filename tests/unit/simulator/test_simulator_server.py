"""The simulated server as a whole: seeds, sockets, threads, processes, costs, limits, and its hidden door."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest

from mmconsole.simulator import (
    COSTS,
    RateLimit,
    Simulator,
    SimulatorOptions,
    capacity_seconds,
    serve,
    serve_in_thread,
)
from mmconsole.simulator.costs import Workers
from mmconsole.simulator.ratelimit import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.simulator.conftest import Api


def test_the_same_seed_makes_the_same_server_and_another_seed_another() -> None:
    first, second, other = (Simulator(SimulatorOptions(users=20, with_tokens=True, seed=seed)) for seed in (3, 3, 4))

    assert first.admin_token == second.admin_token != other.admin_token
    assert list(first.state.users) == list(second.state.users)
    assert list(first.state.by_secret) == list(second.state.by_secret)
    assert not set(first.state.users) & set(other.state.users)


async def test_a_seeded_server_is_ready_for_work(make_api: Callable[..., Api]) -> None:
    api = make_api(users=3, with_tokens=True)
    user = api.simulator.state.by_username["user000002"]

    me = (await api("GET", "/users/me", token=user.tokens[0].secret)).json()
    teams = (await api("GET", "/users/me/teams", token=user.tokens[0].secret)).json()
    bot = (await api("GET", "/users/me", token=api.simulator.bot_token)).json()

    assert (me["email"], me["email_verified"]) == ("user000002@example.test", True)
    assert [(team["name"], team["allow_open_invite"]) for team in teams] == [("main", False)]
    assert (bot["username"], bot["is_bot"], bot["roles"]) == ("consolebot", True, "system_user system_admin")
    assert [token.description for token in user.tokens] == ["simulator"]


def test_a_hundred_thousand_users_are_made_in_seconds() -> None:
    begun = time.process_time()

    simulator = Simulator(SimulatorOptions(users=100_000, with_tokens=True))

    assert len(simulator.state.by_secret) == 100_002
    assert time.process_time() - begun < 20


async def test_below_a_subpath_everything_else_is_somebody_elses(make_api: Callable[..., Api]) -> None:
    api = make_api(subpath="/chat")

    inside = await api("GET", "/system/ping")
    outside = await api.http.get("http://chat.test/api/v4/system/ping")
    web_app = await api.http.get("http://chat.test/chat/main/channels/town-square")

    assert inside.json()["status"] == "OK"
    assert (outside.status_code, outside.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert (web_app.status_code, web_app.headers["content-type"]) == (200, "text/html; charset=utf-8")


async def test_the_page_of_a_demo_says_who_is_signed_in(make_api: Callable[..., Api]) -> None:
    api = make_api(users=1, with_tokens=True, page=True)
    secret = api.simulator.state.by_username["user000001"].tokens[0].secret

    signed_in = await api.http.get("http://chat.test/", headers={"Cookie": f"MMAUTHTOKEN={secret}"})
    stranger = await api.http.get("http://chat.test/", headers={"Cookie": "MMAUTHTOKEN=nothing"})

    assert "user000001" in signed_in.text
    assert "Not signed in" in stranger.text


async def test_a_shifted_clock_shows_in_the_date(make_api: Callable[..., Api]) -> None:
    api = make_api(now=lambda: 1_800_000_000.0)

    response = await api("GET", "/system/ping")

    assert response.headers["date"] == "Fri, 15 Jan 2027 08:00:00 GMT"


async def test_calls_are_counted_by_route_and_remembered_without_secrets(api: Api) -> None:
    user_id, secret = await api.member("ann")
    await api("GET", f"/users/{user_id}?access_token={secret}")
    await api("GET", "/nowhere")

    assert api.simulator.calls["GET /users/{id}"] == 1
    assert api.simulator.calls["POST /users/{id}/tokens"] == 1
    assert [call.status for call in api.simulator.calls.recent][-2:] == [200, 404]
    assert secret not in str(api.simulator.calls.recent)


async def test_the_hidden_door_takes_faults_and_shows_calls_and_tokens_without_secrets(api: Api) -> None:
    door = "http://chat.test/_simulator/"
    fault = {"kind": "status", "method": "GET", "path": "/users/{id}", "status": 502, "times": 1}

    added = await api.http.post(door + "faults", json=fault)
    failed = await api("GET", "/users/me")
    await api.http.post(door + "faults", json=[fault, fault])
    cleared = await api.http.delete(door + "faults")
    well = await api("GET", "/users/me")
    calls = (await api.http.get(door + "calls")).json()
    tokens = await api.http.get(door + "tokens")
    wrong = [(await api.http.post(door + "faults", json=body)).status_code for body in ({"kind": "explode"}, {}, 5)]
    unknown = await api.http.get(door + "nothing")

    secrets = list(api.simulator.state.by_secret)
    assert (added.status_code, failed.status_code) == (201, 502)
    assert (cleared.json(), well.status_code) == ({"waiting": 0}, 200)
    assert calls["counts"]["GET /users/{id}"] == 2
    assert [call["status"] for call in calls["recent"]] == [502, 200]
    assert {token["sha256"] for token in tokens.json()} == {hashlib.sha256(one.encode()).hexdigest() for one in secrets}
    assert not any(secret in tokens.text for secret in secrets)
    assert wrong == [400, 400, 400]
    assert unknown.status_code == 404


def test_a_bucket_lets_a_burst_pass_and_then_as_many_as_are_refilled() -> None:
    limiter = RateLimiter(RateLimit(per_second=2, burst=4))

    burst = [limiter.check("a", 100.0).passes for _ in range(6)]
    others = limiter.check("b", 100.0)
    refused = dict(limiter.check("a", 100.0).headers)
    refilled = [limiter.check("a", 101.0).passes for _ in range(3)]

    assert burst == [True] * 5 + [False]
    assert others.passes
    assert refused == {
        b"x-ratelimit-limit": b"5",
        b"x-ratelimit-remaining": b"0",
        b"x-ratelimit-reset": b"3",
        b"retry-after": b"1",
    }
    assert refilled == [True, True, False]


def throughput(seconds: float, *, at_once: int, count: int = 400) -> float:
    """Calls per second when so many clients each send their next call as soon as the last is answered."""
    workers, clock = Workers(), [0.0] * at_once
    for _ in range(count):
        client = clock.index(min(clock))
        _, clock[client] = workers.book(seconds, clock[client])
    return count / max(clock)


@pytest.mark.parametrize(
    ("route", "at_once", "measured", "tolerance"),
    [
        ("POST /users", 1, 8.3, 0.1),
        ("POST /users", 8, 15.8, 0.05),
        ("POST /teams/{id}/members", 8, 58, 0.05),
        ("POST /users/{id}/tokens", 8, 899, 0.05),
        ("GET /users/tokens", 8, 504 / 1.1, 0.05),
    ],
)
def test_two_workers_reach_what_was_measured(route: str, at_once: int, measured: float, tolerance: float) -> None:
    reached = throughput(COSTS[route].seconds(0, warm=False), at_once=at_once)

    assert reached == pytest.approx(measured, rel=tolerance)


def test_one_caller_of_a_waiting_call_reaches_what_was_measured() -> None:
    cost = COSTS["POST /users/{id}/tokens"]

    assert 1 / (cost.each + cost.waits) == pytest.approx(330, rel=0.05)


def test_capacity_is_the_time_of_both_workers_at_work() -> None:
    calls = Counter({"POST /users": 100, "GET /users/{id}": 2561, "GET /unknown": 0})

    assert capacity_seconds(calls) == pytest.approx(100 * 0.1265 / 2 + 1.0, rel=0.01)


async def test_real_costs_make_a_call_as_slow_as_a_real_server(make_api: Callable[..., Api]) -> None:
    api = make_api(cost="real")
    names = [f"new{number}" for number in range(4)]
    begun, busy = time.monotonic(), time.process_time()

    await asyncio.gather(*(api.user(name) for name in names))

    assert time.monotonic() - begun >= 2 * 0.1265 - 0.02
    # At work it would have been 0.5 s.
    assert time.process_time() - busy < 0.4
    assert api.simulator.workers.busy == pytest.approx(4 * 0.1265)


async def test_latency_is_added_to_each_call(make_api: Callable[..., Api]) -> None:
    api = make_api(latency=0.1)

    response = await api("GET", "/system/ping")

    assert response.elapsed.total_seconds() >= 0.1


async def test_a_server_in_this_loop_is_gone_after_its_block() -> None:
    simulator = Simulator()

    async with serve(simulator) as url, httpx.AsyncClient() as http:
        during = await http.get(url + "/api/v4/system/ping")

    assert during.status_code == 200
    assert "server" not in during.headers
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(url + "/api/v4/system/ping")


def test_a_server_in_a_thread_answers_code_that_is_not_asynchronous() -> None:
    with serve_in_thread(SimulatorOptions(users=1)) as running:
        headers = {"Authorization": f"Bearer {running.simulator.admin_token}"}
        response = httpx.get(running.url + "/api/v4/users/me", headers=headers)

    assert response.json()["username"] == "admin"


def test_a_port_that_is_taken_is_an_error_for_the_caller() -> None:
    with serve_in_thread() as running:
        port = int(running.url.rsplit(":", 1)[1])

        with pytest.raises(OSError, match="in use"), serve_in_thread(port=port):
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_of_its_own_ends_quietly_when_told_to(number: signal.Signals) -> None:
    script = (
        "from mmconsole.simulator import SimulatorOptions, run\n"
        "run(SimulatorOptions(users=1), announce=lambda url, simulator: print(url, flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()

    answer = httpx.get(url + "/api/v4/system/ping").json()["status"]
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)

    assert answer == "OK"
    assert (process.returncode, errors) == (0, "")
