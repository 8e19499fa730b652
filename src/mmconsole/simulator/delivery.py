"""Getting an answer onto the wire: whole, late, cut short, or not at all."""

from __future__ import annotations

import asyncio
import html
import random
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from mmconsole.simulator.ids import Ids

if TYPE_CHECKING:
    from mmconsole.simulator.faults import Fault

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

DROP: Final = "mmconsole.drop"
"""The name under which `server.py` puts a function into the scope that closes the connection."""
HTML: Final[list[Header]] = [(b"content-type", b"text/html; charset=utf-8")]
WEB_APP_PAGE: Final = (
    b"<!doctype html><html><head><title>Mattermost</title></head><body><div id='root'></div></body></html>"
)
LOGIN_PAGE: Final = b"<!doctype html><html><body><form action='/login' method='post'>Sign in</form></body></html>"
_CHANGE: Final = """
<button id="change">Change my nickname</button> <output></output>
<script>
document.getElementById("change").onclick = async () => {
  const headers = {"X-Requested-With": "XMLHttpRequest", "Content-Type": "application/json"};
  const csrf = document.cookie.match(/(?:^|; )MMCSRF=([^;]+)/);
  if (csrf) headers["X-CSRF-Token"] = csrf[1];
  const nickname = "Changed at " + new Date().toISOString();
  const body = JSON.stringify({nickname});
  const answer = await fetch("BASE/api/v4/users/me/patch", {method: "PUT", headers, body});
  document.querySelector("output").textContent = answer.ok ? "Changed." : "Refused: " + answer.status;
};
</script>"""
NOT_FOUND_PAGE: Final = b"<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>"
PIECES: Final = 10

new_request_id = Ids(random.SystemRandom().getrandbits(64)).new


class Dropped(ConnectionResetError):
    """The connection was dropped. Raised only where there is no connection to drop, as under httpx.ASGITransport."""


class Answer(NamedTuple):
    """What is to be sent."""

    status: int
    headers: list[Header]
    body: bytes


class Exchange:
    """One request and its connection: read from it, answer it, or fail to."""

    __slots__ = ("_receive", "_send", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send

    def url_length(self) -> int:
        raw: bytes | None = self.scope.get("raw_path")
        query: bytes = self.scope["query_string"]
        return len(raw or self.scope["path"].encode()) + (len(query) + 1 if query else 0)

    async def read_body(self, largest: int) -> bytes:
        """The body, as far as anybody will look at it."""
        message = await self._receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body"):
            message = await self._receive()
            if len(body) < largest:
                body += message.get("body", b"")
        return body

    async def respond(self, status: int, headers: list[Header], body: bytes) -> None:
        await self._start(status, headers, len(body))
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, status: int, headers: list[Header], length: int) -> None:
        announced = (b"content-length", str(length).encode())
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, announced]})

    async def drop(self) -> None:
        """Close the connection without another byte."""
        close = (self.scope.get("extensions") or {}).get(DROP)
        if close is None:
            raise Dropped("the simulated server dropped the connection")
        close["now"]()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def replace(self, fault: Fault) -> bool:
        """Give the answer of a fault that strikes before the call is done; False if this is none of those."""
        match fault.kind:
            case "drop_before":
                await self.drop()
            case "status":
                await self.respond(*_refusal(fault))
            case "redirect":
                await self.respond(302, [(b"location", b"/login"), *HTML], b"<a href='/login'>Found</a>.")
            case "login_page":
                await self.respond(200, HTML, LOGIN_PAGE)
            case _:
                return False
        return True

    async def spoil(self, fault: Fault, answer: Answer) -> None:
        """Deliver the answer to a call that was done, the way the fault has it."""
        match fault.kind:
            case "drop_after":
                await self.drop()
            case "hang":
                await asyncio.sleep(fault.seconds)
                await self.respond(*answer)
            case "hold_answer":
                await fault.passed()
                await self.respond(*answer)
            case "slow_body":
                await self._dribble(answer, fault.seconds)
            case "cut_json" if fault.honest:
                await self.respond(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
            case "cut_json":
                await self._start(answer.status, answer.headers, len(answer.body))
                await self._piece(answer.body[: len(answer.body) // 2])
                await self.drop()
            case _:
                await self.respond(*answer)

    async def _dribble(self, answer: Answer, seconds: float) -> None:
        await self._start(answer.status, answer.headers, len(answer.body))
        size = max(1, -(-len(answer.body) // PIECES))
        for start in range(0, len(answer.body), size):
            await asyncio.sleep(seconds / PIECES)
            await self._piece(answer.body[start : start + size])
        await self._send({"type": "http.response.body", "body": b""})

    async def _piece(self, content: bytes) -> None:
        await self._send({"type": "http.response.body", "body": content, "more_body": True})


def _refusal(fault: Fault) -> Answer:
    """429 as the server's rate limiter words it, anything else as a proxy before the server does."""
    retry = [(b"retry-after", str(fault.retry_after).encode())] if fault.retry_after is not None else []
    if fault.status == 429:
        return Answer(429, [(b"content-type", b"text/plain; charset=utf-8"), *retry], b"limit exceeded\n")
    page = f"<html><head><title>{fault.status}</title></head><body><center>nginx</center></body></html>"
    return Answer(fault.status, [*HTML, *retry], page.encode())


def status_of(fault: Fault) -> int:
    return {"drop_before": 0, "redirect": 302, "login_page": 200}.get(fault.kind, fault.status)


def no_such_call(path: str) -> bytes:
    """The router's own 404: without request id, and the only error whose details are told."""
    detail = f"There is no call for the url='{path}'."
    message = "Sorry, we could not find the page."
    error_id = "api.context.404.app_error"
    return msgspec.json.encode({"id": error_id, "message": message, "detailed_error": detail, "status_code": 404})


def who_page(username: str | None, base: str) -> bytes:
    """The web page of a demo: whom the browser is signed in as, and a change made as the web client makes one."""
    words = f"Signed in as <b>{html.escape(username)}</b>" if username else "Not signed in"
    change = _CHANGE.replace("BASE", base) if username else ""
    page = f"<!doctype html><html><head><title>Mattermost</title></head><body><p>{words}.</p>{change}</body></html>"
    return page.encode()


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Whatever is not HTTP: there is nothing to start or stop, and no web socket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
