"""How many calls are on the way at once, and who waits."""

import asyncio
from typing import Any

import httpx
import pytest

from mmconsole.domain.accounts import AccountId
from mmconsole.domain.secrets import Secret
from mmconsole.mattermost import Pace, open_client
from mmconsole.mattermost.client import MattermostClient
from mmconsole.mattermost.exchange import HttpDiagnostic

ANN = AccountId("a" * 26)
ME = {"id": ANN, "username": "ann", "email": "ann@acme.test", "roles": "system_user"}


@pytest.fixture
def pace(stopped: Any) -> Pace:
    return Pace(at_most=16, clock=stopped.clock, sleep=stopped.sleep)


async def fill(pace: Pace) -> None:
    while pace.in_flight < pace.limit:
        await pace.enter()


async def test_it_starts_at_eight_and_never_above_what_is_allowed(stopped: Any) -> None:
    limits = [Pace(at_most=n, clock=stopped.clock, sleep=stopped.sleep).limit for n in (1, 4, 8, 16, 64)]

    assert limits == [1, 4, 8, 8, 8]


async def test_a_window_of_successes_at_the_limit_raises_it_by_one(pace: Pace) -> None:
    await fill(pace)

    for _ in range(8):
        pace.speed_up()

    assert pace.limit == 9


async def test_successes_below_the_limit_say_nothing(pace: Pace) -> None:
    await pace.enter()

    for _ in range(100):
        pace.speed_up()

    assert pace.limit == 8


async def test_it_never_grows_beyond_what_is_allowed(pace: Pace) -> None:
    for _ in range(1000):
        await fill(pace)
        pace.speed_up()

    assert pace.limit == 16


async def test_faults_of_one_moment_halve_it_once(pace: Pace) -> None:
    generations = [await pace.enter() for _ in range(8)]

    for generation in generations:
        pace.slow_down(generation)

    assert pace.limit == 4


async def test_it_never_falls_below_one(pace: Pace) -> None:
    for _ in range(10):
        pace.slow_down(await pace.enter())
        pace.leave()

    assert pace.limit == 1


async def test_who_waits_longest_goes_first(pace: Pace) -> None:
    order: list[int] = []
    await fill(pace)

    async def wait(number: int) -> None:
        await pace.enter()
        order.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(5)]
    await asyncio.sleep(0)
    for _ in range(5):
        pace.leave()
    await asyncio.gather(*tasks)

    assert order == [0, 1, 2, 3, 4]
    assert pace.in_flight == 8


async def test_a_newcomer_does_not_overtake_who_was_woken(pace: Pace) -> None:
    order: list[str] = []
    await fill(pace)

    async def wait(name: str) -> None:
        await pace.enter()
        order.append(name)

    first = asyncio.create_task(wait("first"))
    await asyncio.sleep(0)
    pace.leave()
    second = asyncio.create_task(wait("second"))
    await asyncio.sleep(0)
    pace.leave()
    await asyncio.gather(first, second)

    assert order == ["first", "second"]


@pytest.mark.parametrize("woken", [False, True])
async def test_who_gives_up_waiting_takes_no_place_with_it(pace: Pace, woken: bool) -> None:  # noqa: FBT001
    await fill(pace)
    task = asyncio.create_task(pace.enter())
    await asyncio.sleep(0)

    if woken:
        pace.leave()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert pace.in_flight == (7 if woken else 8)
    if not woken:
        pace.leave()
    await asyncio.wait_for(pace.enter(), timeout=60)


async def test_who_is_cancelled_in_a_pause_gives_its_place_back(stopped: Any) -> None:
    pace = Pace(at_most=1, clock=stopped.clock, sleep=lambda _seconds: asyncio.sleep(60))
    pace.pause(5)
    task = asyncio.create_task(pace.enter())
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert pace.in_flight == 0


async def test_of_several_pauses_the_longest_holds(pace: Pace, stopped: Any) -> None:
    pace.pause(9)
    pace.pause(2)

    assert pace.wait_left == 9
    assert pace.waiting_until == stopped.clock() + 9


async def test_no_more_calls_than_the_limit_are_on_the_way(stopped: Any) -> None:
    on_the_way = peak = 0

    async def handle(_request: httpx.Request) -> httpx.Response:
        nonlocal on_the_way, peak
        on_the_way += 1
        peak = max(peak, on_the_way)
        await asyncio.sleep(0)
        on_the_way -= 1
        return httpx.Response(200, json=ME)

    transport = httpx.MockTransport(handle)
    async with open_client(
        "https://chat.test", Secret("a" * 26), transport=transport, timing=stopped.timing, max_concurrency=3
    ) as client:
        await asyncio.gather(*(client.account(ANN) for _ in range(50)))

    assert peak == 3


async def test_an_outage_slows_down_and_successes_speed_up_again(client: MattermostClient, server: Any) -> None:
    server.says(503, b"").says(200, ME)

    await client.account(ANN)
    assert client.pace.limit == 4
    for _ in range(30):
        await asyncio.gather(*(client.account(ANN) for _ in range(16)))

    assert client.pace.limit == 16


async def test_diagnostics_name_the_route_and_never_an_id(
    client: MattermostClient, server: Any, diagnostics: list[HttpDiagnostic]
) -> None:
    server.says(503, b"").refuses(404, "app.user.missing_account.const")

    await client.find_account_by_email("ann@acme.test")

    assert [(said.method, said.route, said.status, said.fault) for said in diagnostics] == [
        ("GET", "/users/email/{email}", 503, "ServerFault"),
        ("GET", "/users/email/{email}", 404, "NotFound"),
    ]
    assert "ann" not in repr(diagnostics)
