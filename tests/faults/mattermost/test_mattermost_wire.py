"""What breaks on the wire, over real sockets: nothing is sent twice, and "not sent" is said only when it is certain."""

import asyncio
import gc
import gzip
import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest

from mmconsole.domain.accounts import AccountId, NewAccount
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import TokenId
from mmconsole.errors import AnswerLost, Garbled, NotMattermost, ServerFault, Unreachable
from mmconsole.mattermost import open_client
from mmconsole.mattermost.client import MattermostClient
from mmconsole.mattermost.exchange import Timing
from mmconsole.mattermost.messages import PlainRequest
from mmconsole.mattermost.transport import AiohttpTransport, AnswerTooLong

ADMIN = Secret("adminq7w8e9r0t1y2u3i4o5p6a")
ANN = AccountId("a" * 26)
ME = json.dumps({"id": ANN, "username": "ann", "email": "ann@acme.test", "roles": "system_user"}).encode()
NEW_TOKEN = json.dumps(
    {"id": "t" * 26, "user_id": ANN, "token": "s" * 26, "description": "d", "is_active": True}
).encode()


async def no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


def opening(url: str, **options: Any) -> Any:
    return open_client(url, ADMIN, timing=Timing(sleep=no_sleep), **options)


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def saying(content: bytes, *, close: bool = False) -> Any:
    async def behave(_request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        if close:
            writer.close()

    return behave


async def hang_up(_request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(_request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def keep_silent(_request: bytes, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def dribble(_request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def answer_twice(_request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(ME) + answer(NEW_TOKEN))
    await writer.drain()


async def answer_again_later(_request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(ME))
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(answer(NEW_TOKEN))
    await writer.drain()


async def reset_in_the_middle(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(NEW_TOKEN)[:-40])
    await writer.drain()
    await asyncio.sleep(0.05)
    await reset(request, reader, writer)


def create_token(client: MattermostClient) -> Any:
    return client.create_token(ANN, description="d")


def create_account(client: MattermostClient) -> Any:
    return client.create_account(NewAccount("ann", "ann@acme.test"), password=Secret("Pass-w0rd"))


@contextmanager
def requests_left() -> Iterator[list[PlainRequest]]:
    """New requests that are still there at the end, before the collector has come."""
    left: list[PlainRequest] = []
    gc.collect()
    gc.disable()
    try:
        others = [one for one in gc.get_objects() if isinstance(one, PlainRequest)]
        yield left
        found = [one for one in gc.get_objects() if isinstance(one, PlainRequest)]
        left += [one for one in found if not any(one is other for other in others)]
    finally:
        gc.enable()


CREATES = [create_token, create_account]
DROPS = [hang_up, reset, reset_in_the_middle, saying(answer(NEW_TOKEN)[:-9], close=True), saying(b"nonsense\r\n\r\n")]


@pytest.mark.parametrize("create", CREATES)
@pytest.mark.parametrize("drop", DROPS)
async def test_a_connection_that_breaks_after_a_create_was_read_may_have_acted_and_is_not_used_again(
    serving: Any, create: Any, drop: Any
) -> None:
    async with serving(drop) as server, opening(server.url) as client:
        with pytest.raises(AnswerLost):
            await create(client)

    assert len(server.requests) == 1


@pytest.mark.parametrize("drop", DROPS)
async def test_a_connection_that_breaks_during_a_read_is_repeated_by_us_and_by_nobody_else(
    serving: Any, drop: Any
) -> None:
    async with serving(drop) as server, opening(server.url) as client:
        with pytest.raises(Unreachable) as caught:
            await client.account(ANN)

    assert type(caught.value) is Unreachable
    assert len(server.requests) == 5
    assert client.pace.retries == 4


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_the_transport_sends_nothing_twice_when_a_kept_connection_is_closed(serving: Any, method: str) -> None:
    transport = AiohttpTransport(timeout=5, encrypted=False)
    async with serving(saying(answer(ME)), hang_up) as server:
        await transport.handle_async_request(httpx.Request("GET", server.url))

        with pytest.raises(httpx.ReadError, match="closed without an answer"):
            await transport.handle_async_request(httpx.Request(method, server.url, content=b"{}"))

        await transport.aclose()
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize("create", CREATES)
async def test_a_create_on_a_kept_connection_that_the_server_closes_may_have_acted(serving: Any, create: Any) -> None:
    async with serving(saying(answer(ME)), hang_up) as server, opening(server.url) as client:
        await client.account(ANN)

        with pytest.raises(AnswerLost):
            await create(client)

    assert (server.connections, len(server.requests)) == (1, 2)


async def test_a_connection_closed_while_idle_is_not_used_for_a_create(serving: Any) -> None:
    async with (
        serving(saying(answer(ME), close=True), saying(answer(NEW_TOKEN))) as server,
        opening(server.url) as client,
    ):
        await client.account(ANN)
        await asyncio.sleep(0.05)

        await create_token(client)

    assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.parametrize("twice", [answer_twice, answer_again_later])
async def test_what_nobody_asked_for_is_not_taken_for_the_next_answer(serving: Any, twice: Any) -> None:
    other = answer(NEW_TOKEN.replace(b"ssss", b"rrrr"))
    async with serving(twice, saying(other)) as server, opening(server.url) as client:
        await client.account(ANN)
        await server.behaved.wait()
        for _ in range(3):
            # It is in the socket; these are the turns of the loop in which the client reads it.
            await asyncio.sleep(0)

        made = await create_token(client)

    assert made.secret.reveal() == "r" * 24 + "ss"
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_an_answer_that_comes_after_its_call_was_given_up_is_nobody_elses(serving: Any) -> None:
    go_on = asyncio.Event()

    async def answer_late(_request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        writer.write(answer(ME.replace(b"aaaa", b"bbbb")))

    async with serving(answer_late, saying(answer(ME))) as server, opening(server.url) as client:
        task = asyncio.create_task(client.whoami())
        await server.asked.wait()
        task.cancel()
        await asyncio.wait([task])
        go_on.set()

        assert (await client.whoami()).id == ANN

    assert server.connections == 2


async def test_what_is_not_http_is_called_so(serving: Any) -> None:
    async with serving(saying(b"nonsense\r\n\r\n")) as server, opening(server.url) as client:
        with pytest.raises(Unreachable, match="the answer is not HTTP"):
            await client.account(ANN)


async def test_a_server_that_does_not_listen_was_never_asked(serving: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    async with opening(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(Unreachable, match="connection refused") as caught:
            await create_token(client)

    assert type(caught.value) is Unreachable


async def test_a_call_to_nobody_leaves_no_request_with_its_token_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with requests_left() as left:
        async with opening(f"http://127.0.0.1:{port}") as client:
            with suppress(Unreachable):
                await client.account(ANN)

    assert left == []


async def test_a_name_that_does_not_resolve_was_never_asked() -> None:
    async with opening("https://no-such-host.invalid") as client:
        with pytest.raises(Unreachable, match="cannot be resolved") as caught:
            await create_token(client)

    assert type(caught.value) is Unreachable


async def test_a_server_that_takes_no_connection_was_never_asked() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [await _half_open(port) for _ in range(4)]

        async with opening(f"http://127.0.0.1:{port}", timeout=0.2) as client:
            with pytest.raises(Unreachable, match="no connection in time") as caught:
                await create_token(client)

        for connection in waiting:
            connection.close()
    assert type(caught.value) is Unreachable


async def _half_open(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(("127.0.0.1", port))
    return connection


@pytest.mark.parametrize("slow", [keep_silent, dribble])
async def test_a_slow_answer_ends_in_time_and_a_create_is_not_repeated(serving: Any, slow: Any) -> None:
    async with serving(slow) as server, opening(server.url, timeout=1) as client:
        with pytest.raises(AnswerLost, match="no whole answer in time"):
            await create_token(client)

    assert len(server.requests) == 1


async def test_an_answer_without_end_is_not_read_into_memory(serving: Any) -> None:
    transport = AiohttpTransport(timeout=5, encrypted=False, max_answer=1000)
    long = [answer(b"x" * 1001), answer(gzip.compress(b"x" * 100_000), "Content-Encoding: gzip")]
    async with serving(*map(saying, long)) as server:
        for _ in long:
            with pytest.raises(AnswerTooLong):
                await transport.handle_async_request(httpx.Request("GET", server.url))
        await transport.aclose()


async def test_a_compressed_answer_is_read(serving: Any) -> None:
    async with (
        serving(saying(answer(gzip.compress(ME), "Content-Encoding: gzip"))) as server,
        opening(server.url) as client,
    ):
        assert (await client.account(ANN)).username == "ann"


CHUNKS = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (ME[:7], ME[7:50], ME[50:])) + b"0\r\n\r\n"
ZIPPED = gzip.compress(ME)
FORMS = {
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "compressed, in a chunk": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x\r\n%b\r\n0\r\n\r\n" % (len(ZIPPED), ZIPPED),
    "after hints": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(ME),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_an_answer_is_read_in_any_form_and_its_connection_kept(serving: Any, form: bytes) -> None:
    async with serving(saying(form)) as server, opening(server.url) as client:
        assert (await client.account(ANN)).username == "ann"
        assert (await client.account(ANN)).username == "ann"

    assert server.connections == 1


LAST_FORMS = {
    "until the connection ends": b"HTTP/1.1 200 OK\r\n\r\n" + ME,
    "of HTTP 1.0": b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ME) + ME,
    "told to be the last": answer(ME, "Connection: close"),
}


@pytest.mark.parametrize("form", LAST_FORMS.values(), ids=LAST_FORMS)
async def test_an_answer_after_which_the_connection_ends_is_the_last_on_it(serving: Any, form: bytes) -> None:
    async with serving(saying(form, close=True)) as server, opening(server.url) as client:
        assert (await client.account(ANN)).username == "ann"
        assert (await client.account(ANN)).username == "ann"

    assert (server.connections, len(server.requests)) == (2, 2)


async def test_an_answer_that_switches_protocols_ends_its_connection(serving: Any) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    async with serving(saying(switch), saying(answer(ME))) as server, opening(server.url) as client:
        assert (await client.account(ANN)).username == "ann"

    assert (server.connections, client.pace.retries) == (2, 1)


async def test_an_httpx_request_is_sent_with_its_host_and_the_length_of_its_body(serving: Any) -> None:
    transport = AiohttpTransport(timeout=5, encrypted=False)
    async with serving(saying(answer(ME))) as server:
        request = httpx.Request("PUT", server.url + "/a b?c=d", json=[1])

        await transport.handle_async_request(request)

        await transport.aclose()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /a%20b?c=d HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nContent-Length: 3" in head
    assert (head.lower().count(b"host: "), head.lower().count(b"content-length: ")) == (1, 1)
    assert body == b"[1]"


@pytest.mark.parametrize(
    "request_", [("GET", "/x", "a\r\nX: y"), ("GET", "/x", "a\0"), ("GET", "/x y", "a"), ("GET\n", "/x", "a")]
)
async def test_what_would_be_read_as_two_requests_is_not_sent(serving: Any, request_: tuple[str, str, str]) -> None:
    transport = AiohttpTransport(timeout=5, encrypted=False)
    method, path, value = request_
    async with serving(saying(answer(ME))) as server:
        with pytest.raises(ValueError, match="control character") as caught:
            await transport.handle_async_request(
                PlainRequest(method, server.url + path, {"Authorization": ADMIN.reveal() + value}, b"")
            )

        await transport.aclose()
    assert server.requests == []
    assert not [part for part in PARTS if part in everything_about(caught.value)]


async def test_cookies_are_neither_kept_nor_sent(serving: Any) -> None:
    cookie = "Set-Cookie: MMAUTHTOKEN=abcdefgh; Path=/; HttpOnly"
    async with serving(saying(answer(ME, cookie))) as server, opening(server.url) as client:
        await client.account(ANN)
        await client.account(ANN)

    assert len(server.requests) == 2
    assert not any(b"cookie" in request.lower() for request in server.requests)


async def test_a_redirect_is_not_followed(serving: Any) -> None:
    async with serving(saying(answer(ME))) as target:
        redirect = answer(b"", f"Location: {target.url}/api/v4/users/me", status="307 Temporary Redirect")
        async with serving(saying(redirect)) as server, opening(server.url) as client:
            with pytest.raises(NotMattermost, match="redirects to http:"):
                await client.whoami()

    assert target.requests == []


async def test_a_cut_json_with_an_honest_length_is_garbled(serving: Any) -> None:
    async with serving(saying(answer(ME[:20]))) as server, opening(server.url) as client:
        with pytest.raises(Garbled):
            await client.account(ANN)

        with pytest.raises(AnswerLost):
            await create_token(client)

    assert len(server.requests) == 6


async def test_the_page_of_a_broken_proxy_is_a_server_fault(serving: Any) -> None:
    page = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"
    async with serving(saying(page)) as server, opening(server.url) as client:
        with pytest.raises(ServerFault, match="502"):
            await client.account(ANN)


async def test_proxies_of_the_environment_are_not_used(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(saying(answer(ME))) as server, opening(server.url) as client:
        await client.account(ANN)

    assert len(server.requests) == 1


async def test_a_cancelled_call_gives_its_place_back(serving: Any) -> None:
    async with serving(keep_silent, saying(answer(ME))) as server, opening(server.url, max_concurrency=1) as client:
        task = asyncio.create_task(client.account(ANN))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (await client.account(ANN)).id == ANN

    assert client.pace.in_flight == 0


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────

PARTS = [ADMIN.reveal()[start : start + 8] for start in range(19)]


def everything_about(fault: BaseException) -> str:
    """All texts of an exception and of those behind it."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [fault]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__]
    return "\n".join(f"{one!r} {one} {one.args!r} {vars(one)!r}" for one in seen)


@pytest.mark.parametrize("call", [create_token, lambda client: client.account(ANN)])
@pytest.mark.parametrize(
    "behaviour",
    [
        *DROPS,
        saying(answer(ADMIN.reveal().encode() + b"\xff")),
        saying(answer(b'{"id": "' + ADMIN.reveal().encode() + b'"')),
        saying(answer(json.dumps({"token": [ADMIN.reveal()]}).encode())),
        saying(answer(ADMIN.reveal().encode(), status="400 Bad Request")),
        saying(answer(b"", f"Location: https://x.test/{ADMIN.reveal()}", status="302 Found")),
        saying(f"HTTP/1.1 200 {ADMIN.reveal()}\r\n{ADMIN.reveal()}\r\n\r\n".encode()),
    ],
)
async def test_no_part_of_a_secret_is_in_an_exception_or_a_log(
    serving: Any, caplog: pytest.LogCaptureFixture, call: Callable[[MattermostClient], Any], behaviour: Any
) -> None:
    caplog.set_level("DEBUG")
    async with serving(behaviour) as server, opening(server.url) as client:
        with pytest.raises((Unreachable, Garbled)) as caught:
            await call(client)

    told = everything_about(caught.value) + caplog.text + repr(client)
    assert not [part for part in PARTS if part in told]


@pytest.mark.parametrize("ask", [lambda client: client.account(ANN), create_token])
async def test_a_call_that_failed_leaves_no_request_with_its_token_behind(serving: Any, ask: Any) -> None:
    with requests_left() as left:
        async with serving(hang_up) as server, opening(server.url) as client:
            with suppress(Unreachable):
                await asyncio.create_task(ask(client))

    assert left == []


async def test_a_key_for_the_journal_is_never_in_the_address(serving: Any) -> None:
    async with serving(saying(answer(b'{"status": "OK"}'))) as server, opening(server.url) as client:
        await client.revoke_token(TokenId("t" * 26))

    head = server.requests[0].split(b"\r\n")[0]
    assert head == b"POST /api/v4/users/tokens/revoke HTTP/1.1"
