"""What crosses the transport port, and the time a call may take."""

import asyncio
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from mmconsole.domain.accounts import AccountId
from mmconsole.mattermost.answers import read_answer
from mmconsole.mattermost.client import MattermostClient
from mmconsole.mattermost.deadline import Deadline
from mmconsole.mattermost.messages import PlainResponse

ANN = AccountId("a" * 26)
ME = {"id": ANN, "username": "ann", "email": "ann@acme.test", "roles": "system_user"}
NEW_TOKEN = {"id": "t" * 26, "user_id": ANN, "token": "s" * 26, "description": "d", "is_active": True}


def told(*fields: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(fields))


async def test_any_transport_sees_a_whole_httpx_request(client: MattermostClient, server: Any) -> None:
    server.says(200, NEW_TOKEN)

    await client.create_token(ANN, description="d")

    request = server.requests[0]
    assert str(request.url) == f"https://chat.test/mm/api/v4/users/{ANN}/tokens"
    assert request.content == b'{"description":"d"}'
    assert dict(request.headers) == {
        "host": "chat.test",
        "user-agent": "mmconsole",
        "accept": "application/json",
        "accept-encoding": "gzip",
        "authorization": "Bearer adminq7w8e9r0t1y2u3i4o5p6a",
        "content-type": "application/json",
        "content-length": "19",
    }


async def test_a_request_does_not_show_its_secret(client: MattermostClient, server: Any) -> None:
    server.says(200, ME)

    await client.whoami()

    assert "adminq7w" not in f"{server.requests[0]!r} {server.requests[0].headers!r}"


async def test_an_answer_of_our_transport_is_a_whole_httpx_response() -> None:
    fields = told(("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("X-Name", "\udcfc"))

    response = PlainResponse(200, fields, b'{"status": "OK"}')

    assert await response.aread() == b'{"status": "OK"}'
    assert response.json() == {"status": "OK"}
    assert response.headers.raw == [(b"Content-Type", b"application/json"), (b"X-Name", b"\xfc")]


async def test_a_header_with_any_bytes_can_be_written_down() -> None:
    answer = await read_answer(PlainResponse(200, told(("X-Request-Id", "\udcfcx")), b""))

    assert answer.header("x-request-id") == "üx"


async def test_a_limit_said_twice_counts_by_the_tighter_one() -> None:
    fields = told(("X-Ratelimit-Remaining", "5"), ("x-ratelimit-remaining", "0"), ("X-Ratelimit-Reset", "3"))

    answer = await read_answer(PlainResponse(200, fields, b""))

    assert answer.exhausted_for(now=0.0) == 3.0


async def _held_by(deadline: Deadline, seconds: float) -> None:
    """A call of so many seconds."""
    call = asyncio.Timeout(None)
    deadline.begin(call)
    try:
        async with call:
            await asyncio.sleep(seconds)
    finally:
        deadline.end(call)


async def test_each_call_has_its_own_time_from_its_beginning() -> None:
    deadline = Deadline(0.1)
    loop = asyncio.get_running_loop()
    ended: list[str] = []

    async def call(name: str) -> float:
        begun = loop.time()
        with pytest.raises(TimeoutError):
            await _held_by(deadline, 3600)
        ended.append(name)
        return loop.time() - begun

    for _ in range(3):
        late = asyncio.create_task(call("late"))
        await asyncio.sleep(0.05)
        later = asyncio.create_task(call("later"))

        assert min(await asyncio.gather(late, later)) >= 0.09
    assert ended == ["late", "later"] * 3


async def test_a_call_that_ends_in_time_is_left_alone() -> None:
    deadline = Deadline(0.05)

    for _ in range(4):
        await _held_by(deadline, 0)
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)


async def test_who_gives_up_a_call_is_not_told_that_it_was_late() -> None:
    deadline = Deadline(5)
    task = asyncio.create_task(_held_by(deadline, 60))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert not asyncio.all_tasks() - {asyncio.current_task()}


async def test_a_closed_deadline_leaves_no_timer_behind() -> None:
    deadline = Deadline(0.01)
    await _held_by(deadline, 0)

    deadline.close()

    assert deadline._timer is not None
    assert deadline._timer.cancelled()


async def test_a_request_whose_address_httpx_never_parsed_is_sent_as_it_was_built(
    client: MattermostClient, server: Any
) -> None:
    server.says(200, [])

    await client.tokens_of(ANN)

    request = server.requests[0]
    assert request.url.raw_path == b"/mm/api/v4/users/" + ANN.encode() + b"/tokens?page=0&per_page=200"
