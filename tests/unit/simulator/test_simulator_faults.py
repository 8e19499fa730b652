"""Faults of the simulated server, seen from the other end of a real socket."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mmconsole.simulator import Dropped, Fault, Simulator, SimulatorOptions, serve, serve_in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.unit.simulator.conftest import Api

    from mmconsole.simulator.faults import FaultKind

TOKENS = "/users/{id}/tokens"


class Peer:
    """A client that shows the bytes on the wire."""

    def __init__(self, simulator: Simulator, url: str) -> None:
        self.simulator = simulator
        self.url = url
        self.user = simulator.state.by_username["user000001"]

    async def raw(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Everything that comes back until the server closes the connection."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"{method} /api/v4{path} HTTP/1.1\r\nHost: chat\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        with closing(writer):
            writer.write(f"{head}Authorization: Bearer {self.simulator.admin_token}\r\n\r\n".encode() + body)
            answer = await asyncio.wait_for(reader.read(), 60)
        await writer.wait_closed()
        return answer

    async def create_token(self) -> bytes:
        return await self.raw("POST", f"/users/{self.user.id}/tokens", b'{"description": "wanted"}')

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.simulator.admin_token}"}
        async with httpx.AsyncClient(base_url=self.url + "/api/v4", headers=headers) as http:
            return await http.request(method, path, **more)

    @property
    def made(self) -> list[str]:
        return [token.description for token in self.user.tokens]


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    simulator = Simulator(SimulatorOptions(users=3))
    async with serve(simulator) as url:
        yield Peer(simulator, url)


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - the server has no event to tell
        await asyncio.sleep(0)


async def test_drop_before_closes_the_connection_without_a_byte_and_does_nothing(peer: Peer) -> None:
    peer.simulator.faults.add(Fault("drop_before", "POST", TOKENS))

    answer = await peer.create_token()

    assert answer == b""
    assert peer.made == []
    assert peer.simulator.calls.recent[-1].status == 0


async def test_drop_after_does_the_work_and_closes_the_connection_without_a_byte(peer: Peer) -> None:
    peer.simulator.faults.add(Fault("drop_after", "POST", TOKENS))

    answer = await peer.create_token()

    assert answer == b""
    assert peer.made == ["wanted"]


async def test_a_client_library_sees_a_drop_as_a_lost_connection(peer: Peer) -> None:
    peer.simulator.faults.add(Fault("drop_after"))

    with pytest.raises(httpx.RemoteProtocolError):
        await peer.call("GET", "/users/me")


async def test_cut_json_promises_more_than_it_sends(peer: Peer) -> None:
    peer.simulator.faults.add(Fault("cut_json"))

    head, _, body = (await peer.create_token()).partition(b"\r\n\r\n")

    promised = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert head.startswith(b"HTTP/1.1 200")
    assert len(body) == promised // 2
    assert peer.made == ["wanted"]


async def test_honest_cut_json_is_a_whole_answer_that_cannot_be_read(peer: Peer) -> None:
    peer.simulator.faults.add(Fault("cut_json", honest=True))

    response = await peer.call("GET", "/users/me")

    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


async def test_slow_body_dribbles_and_is_whole_in_the_end(peer: Peer) -> None:
    peer.simulator.faults.add(Fault("slow_body", seconds=0.3))
    begun = time.monotonic()

    response = await peer.call("GET", "/users/me")

    assert time.monotonic() - begun >= 0.3
    assert response.json()["username"] == "admin"


async def test_hang_does_the_work_at_once_and_answers_late(peer: Peer) -> None:
    peer.simulator.faults.add(Fault("hang", "POST", TOKENS, seconds=3600))

    answering = asyncio.create_task(peer.create_token())
    await until(lambda: peer.made)

    assert peer.made == ["wanted"]
    assert not answering.done()
    answering.cancel()


async def test_delay_does_the_work_late(peer: Peer) -> None:
    peer.simulator.faults.add(Fault("delay", seconds=0.2))
    begun = time.monotonic()

    await peer.create_token()

    assert time.monotonic() - begun >= 0.2
    assert peer.made == ["wanted"]


async def test_hold_does_the_work_when_it_is_let_go_and_holds_no_more(peer: Peer) -> None:
    held = peer.simulator.faults.add(Fault("hold", times=3))
    first = asyncio.create_task(peer.create_token())
    with pytest.raises(httpx.ReadTimeout):
        await peer.call("GET", "/users/me", timeout=httpx.Timeout(60, read=0.05))
    await until(lambda: held.holding)
    meanwhile = list(peer.made)

    held.let_go()
    await first
    await peer.create_token()

    assert meanwhile == []
    assert peer.made[-2:] == ["wanted", "wanted"]
    assert (held.holding, held.times) == (0, 0)


async def test_hold_answer_does_the_work_at_once_and_answers_when_it_is_let_go(peer: Peer) -> None:
    held = peer.simulator.faults.add(Fault("hold_answer", "POST", TOKENS))
    answering = asyncio.create_task(peer.create_token())
    await until(lambda: held.holding)

    assert peer.made == ["wanted"]
    assert not answering.done()
    peer.simulator.faults.clear()
    assert b"wanted" in await answering


def test_what_is_held_is_let_go_from_another_thread_and_from_outside() -> None:
    with serve_in_thread(SimulatorOptions(users=1)) as running, ThreadPoolExecutor() as pool:
        ping, door = f"{running.url}/api/v4/system/ping", f"{running.url}/_simulator/faults"
        held = running.simulator.faults.add(Fault("hold"))
        waiting = pool.submit(httpx.get, ping, timeout=60)
        while not held.holding:
            time.sleep(0.01)
        held.let_go()
        assert waiting.result(60).status_code == 200

        httpx.post(door, json={"kind": "hold"})
        waiting = pool.submit(httpx.get, ping, timeout=60)
        while httpx.get(door).json() != {"waiting": 0, "holding": 1}:
            time.sleep(0.01)
        httpx.delete(door)
        assert waiting.result(60).status_code == 200


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_server_errors_come_as_html_and_nothing_was_done(peer: Peer, status: int) -> None:
    peer.simulator.faults.add(Fault("status", status=status))

    response = await peer.call("POST", f"/users/{peer.user.id}/tokens", json={"description": "wanted"})

    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert peer.made == []


@pytest.mark.parametrize("retry_after", [None, 3])
async def test_429_comes_with_and_without_retry_after(peer: Peer, retry_after: int | None) -> None:
    peer.simulator.faults.add(Fault("status", status=429, retry_after=retry_after))

    response = await peer.call("GET", "/users/me")

    assert response.text == "limit exceeded\n"
    assert response.headers.get("retry-after") == (None if retry_after is None else "3")


async def test_a_proxy_may_redirect_to_or_show_a_sign_in_page(peer: Peer) -> None:
    peer.simulator.faults.add(Fault("redirect"))
    peer.simulator.faults.add(Fault("login_page"))

    redirected = await peer.call("GET", "/users/me")
    page = await peer.call("GET", "/users/me")

    assert (redirected.status_code, redirected.headers["location"]) == (302, "/login")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


async def test_a_lagging_replica_does_not_know_what_is_new(peer: Peer) -> None:
    made = (await peer.call("POST", f"/users/{peer.user.id}/tokens", json={"description": "new"})).json()
    body = {"username": "new", "email": "new@example.test", "password": "a-long-password"}
    user = (await peer.call("POST", "/users", json=body)).json()
    new_channel = {"team_id": peer.simulator.state.teams_by_name["main"].id, "name": "new", "display_name": "New"}
    channel = (await peer.call("POST", "/channels", json=new_channel | {"type": "O"})).json()
    by_name = f"/teams/{channel['team_id']}/channels/name/new"
    peer.simulator.faults.add(Fault("stale_reads", times=None, seconds=60))

    of_channel = [(await peer.call("GET", path)).status_code for path in (f"/channels/{channel['id']}", by_name)]
    shown = (await peer.call("GET", f"/teams/{channel['team_id']}/channels")).json()
    by_id = await peer.call("GET", f"/users/tokens/{made['id']}")
    listed = (await peer.call("GET", f"/users/{peer.user.id}/tokens")).json()
    account = await peer.call("GET", f"/users/{user['id']}")
    batch = (await peer.call("POST", "/users/ids", json=[user["id"], peer.user.id])).json()
    probe = await peer.call("GET", "/users/me", headers={"Authorization": f"Bearer {made['token']}"})
    peer.simulator.faults.clear()
    later = await peer.call("GET", f"/users/tokens/{made['id']}")

    assert (by_id.status_code, account.status_code, probe.status_code) == (404, 404, 401)
    assert of_channel == [404, 404]
    assert "new" not in [one["name"] for one in shown]
    assert listed == []
    assert [one["id"] for one in batch] == [peer.user.id]
    assert later.status_code == 200


async def test_faults_skip_count_and_end(api: Api) -> None:
    api.simulator.faults.add(Fault("status", "GET", "/users/{user_id}", times=2, after=1))

    statuses = [(await api("GET", "/users/me")).status_code for _ in range(5)]
    others = [(await api("GET", "/system/ping")).status_code for _ in range(2)]

    assert statuses == [200, 503, 503, 200, 200]
    assert others == [200, 200]
    assert not api.simulator.faults


async def test_without_a_connection_a_drop_is_an_exception(api: Api) -> None:
    api.simulator.faults.add(Fault("drop_after"))

    with pytest.raises(Dropped):
        await api("GET", "/users/me")


def test_a_fault_must_be_one_of_the_known_kinds() -> None:
    kind: FaultKind = "explode"  # type: ignore[assignment]

    with pytest.raises(ValueError, match="explode"):
        Fault(kind)
