"""What surrounds every request: an id, limits of size and time, the access log, and no fault that gets past."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mmconsole.config import Audience
from mmconsole.errors import BodyTooLarge, MmconsoleError, NothingHere, TooSlow
from mmconsole.web.door import Door
from mmconsole.web.journal import LOG, Answered, place_of, shown_path
from mmconsole.web.metrics import Metrics
from mmconsole.web.problems import problem, problem_of, unavailable

LARGEST_BODY: Final = 65_536
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Shield:
    def __init__(
        self, app: ASGIApp, *, door: Door, metrics: Metrics, audiences: Mapping[str, Audience], body_within: float
    ) -> None:
        self._app = app
        self._door = door
        self._metrics = metrics
        self._audiences = audiences
        self._body_within = body_within
        # Nothing that must not be guessed, and asking the kernel for each request costs more than routing it.
        self._prefix = secrets.token_hex(5)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        scope["mmconsole.request_id"] = f"{self._prefix}{next(self._numbers):06x}"
        answer = _Answer(send, scope["mmconsole.request_id"])
        begun = time.perf_counter()
        try:
            await self._answer(request, receive, answer)
        except MmconsoleError as fault:
            await answer.instead(request, problem_of(request, fault))
        except Exception as fault:  # noqa: BLE001 - this is where every fault of a request ends
            LOG.error("%s mistake: %s", scope["mmconsole.request_id"], place_of(fault))
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            await answer.instead(request, problem(request, status, kind="Mistake", detail=unavailable(status)))
        finally:
            self._note(request, answer, time.perf_counter() - begun)

    async def _answer(self, request: Request, receive: Receive, answer: "_Answer") -> None:
        audience = self._audiences.get(request.scope["path"], "everybody")
        if audience == "nobody" or (audience == "loopback" and not self._door.origin(request).local):
            raise NothingHere
        if request.method in _WITHOUT_BODY:
            await self._app(request.scope, receive, answer.send)
            return
        body = await self._body(request, receive)
        if body is not None:
            await self._app(request.scope, _Again(body, receive), answer.send)

    async def _body(self, request: Request, receive: Receive) -> bytes | None:
        """The whole body; None when the client went away. Raises BodyTooLarge and TooSlow."""
        announced = request.headers.get("content-length", "0")
        if not announced.isdecimal() or int(announced) > LARGEST_BODY:
            raise BodyTooLarge(limit=LARGEST_BODY)
        try:
            async with asyncio.timeout(self._body_within):
                return await _read(receive)
        except TimeoutError as fault:
            raise TooSlow(seconds=self._body_within) from fault

    def _note(self, request: Request, answer: "_Answer", seconds: float) -> None:
        route = getattr(request.scope.get("route"), "path", None)
        self._metrics.note(method=request.method, route=route or "unknown", status=answer.status, seconds=seconds)
        LOG.info(
            Answered(
                request.scope["mmconsole.request_id"],
                request.method if request.method.isalpha() else "?",
                shown_path(request.scope["path"]),
                answer.status,
                round(seconds * 1000),
                self._door.origin(request).address,
                shown_path(request.scope.get("mmconsole.caller", "")),
            )
        )


class _Answer:
    """Passes the answer on, with the headers that all of them have."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0
        """0 until there is one: the client went away, or the process was stopped."""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self._request_id.encode()),
                (b"x-content-type-options", b"nosniff"),
            ]
        await self._send(message)

    async def instead(self, request: Request, response: ASGIApp) -> None:
        """Answer with a problem, if nothing was said yet."""
        if not self.status:
            await response(request.scope, request.receive, self.send)


class _Again:
    """Gives a body that was read already to whoever wants to read it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._message: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._receive = receive

    async def __call__(self) -> Message:
        message, self._message = self._message, None
        return message if message is not None else await self._receive()


async def _read(receive: Receive) -> bytes | None:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_BODY:
            raise BodyTooLarge(limit=LARGEST_BODY)
        if not message.get("more_body", False):
            return b"".join(parts)
