"""One conversation with one server: every call of this room passes here, and nothing else decides about repeating.

A call waits for its turn, passes the breaker, is sent, and its answer is decoded and checked. What follows a fault
depends on the route's effect: a create is made again only when the first time certainly did nothing.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from mmconsole.domain.secrets import Secret
from mmconsole.errors import (
    AdminTokenMissing,
    AnswerLost,
    BreakerOpen,
    Garbled,
    MattermostError,
    NotMattermost,
    Refused,
    ServerFault,
    Throttled,
    Unreachable,
)
from mmconsole.mattermost.addresses import Address
from mmconsole.mattermost.answers import Answer, read_answer
from mmconsole.mattermost.breaker import Breaker
from mmconsole.mattermost.clock import ServerClock
from mmconsole.mattermost.faults import Translator
from mmconsole.mattermost.messages import PlainRequest
from mmconsole.mattermost.pace import Pace
from mmconsole.mattermost.patience import Budget, Patience
from mmconsole.mattermost.routes import Effect, Route
from mmconsole.mattermost.transport import AnswerTooLong, CertificateError

T = TypeVar("T")

_REQUEST_ID: ContextVar[str] = ContextVar("mmconsole_mattermost_request_id", default="")
_HEADERS: Final = {"User-Agent": "mmconsole", "Accept": "application/json", "Accept-Encoding": "gzip"}
_LONGEST_REQUEST_ID: Final = 64
"""Characters that our tables have for it. A proxy may make it as long as it likes."""
_NO_SEGMENTS: Final = frozenset({"", ".", ".."})
BAD_SEGMENT: Final = "api.context.invalid_url_param.app_error"


@dataclass(frozen=True, slots=True)
class Timing:
    """Where time comes from, so that tests need not wait."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class HttpDiagnostic:
    """One attempt, for the diagnostics: never an id, a query or a secret."""

    method: str
    route: str
    status: int
    """0 when there was no answer."""
    ms: float
    fault: str = ""
    """The name of the error, empty for a success."""


@dataclass(slots=True)
class _Call(Generic[T]):
    """A call as it is sent, once or again."""

    route: Route[T]
    request: httpx.Request
    as_admin: bool
    about: Callable[[T], bool] | None


class Exchange:
    """Asks one server, with its pace, breaker, retry budget and clock."""

    def __init__(  # noqa: PLR0913 - `open_client` is the only caller, and names them
        self,
        address: Address,
        transport: httpx.AsyncBaseTransport,
        *,
        admin_token: Secret | None,
        max_concurrency: int,
        timing: Timing,
        on_diagnostic: Callable[[HttpDiagnostic], None] | None,
    ) -> None:
        self.server = address.text
        self.pace = Pace(at_most=max_concurrency, clock=timing.clock, sleep=timing.sleep)
        self.clock = ServerClock(timing.now)
        self.translator = Translator(address.text)
        self._address = address
        self._transport = transport
        self._admin_token = admin_token
        self._timing = timing
        self._on_diagnostic = on_diagnostic
        self._breaker = Breaker(address.text, clock=timing.clock)
        self._budget = Budget()

    @property
    def has_admin(self) -> bool:
        return self._admin_token is not None

    def use_admin_token(self, token: Secret) -> None:
        """Ask with this one from now on, in place of one that the server does not accept any more."""
        self._admin_token = token

    @property
    def last_request_id(self) -> str:
        """The server's id of the last call this task made, empty when it said none."""
        return _REQUEST_ID.get()

    async def ask(
        self,
        route: Route[T],
        *segments: str,
        secret: Secret | None = None,
        query: str = "",
        body: object = None,
        about: Callable[[T], bool] | None = None,
    ) -> T:
        """Make a call and answer with what it said: as its user if a secret is given, else as administrator.

        `segments` fill the gaps of the path. `about` tells whether the answer is about what was asked, for a proxy
        that caches may answer with another account's.
        """
        request = self._request(route, segments, self._credential(route, secret), query, body)
        said, _ = await self._ask(_Call(route, request, secret is None, about))
        return said

    async def ask_server(self, route: Route[T], *, query: str = "") -> tuple[T, Answer]:
        """Ask what everybody may know, signed in as administrator if there is one, with the answer's headers."""
        credential = self._credential(route, None) if self.has_admin else None
        return await self._ask(_Call(route, self._request(route, (), credential, query, None), True, None))

    def _credential(self, route: Route[T], secret: Secret | None) -> Secret:
        chosen = secret if secret is not None else self._admin_token
        if chosen is None:
            raise AdminTokenMissing(server=self.server, source="configured place")
        text = chosen.reveal()
        if text and text.isascii() and text.isprintable() and " " not in text:
            return chosen
        # It cannot be written into a header, and the exceptions of those who try would show it.
        raise self.translator.of_dead_token(route, as_admin=secret is None)

    def _request(
        self, route: Route[T], segments: tuple[str, ...], credential: Secret | None, query: str, body: object
    ) -> httpx.Request:
        if any(segment in _NO_SEGMENTS or "/" in segment for segment in segments):
            # The server cleans such paths and would act on another one.
            raise Refused(server=self.server, call=route.name, error_id=BAD_SEGMENT, status=400)
        path = route.path(*[quote(segment, safe="") for segment in segments])
        content = b"" if body is None else msgspec.json.encode(body)
        headers = dict(_HEADERS)
        if credential is not None:
            headers["Authorization"] = f"Bearer {credential.reveal()}"
        if route.method != "GET":
            # Also without a body, which aiohttp would call an octet-stream.
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        return PlainRequest(route.method, self._address.url_of(path, query), headers, content)

    async def _ask(self, call: _Call[T]) -> tuple[T, Answer]:
        self._budget.earn()
        patience = Patience(self._budget, self._timing.random)
        lost: list[AnswerLost] = []
        try:
            return await self._repeated(call, patience, lost)
        finally:
            # A frame that holds its own fault lives until the collector comes, and the call's token with it.
            lost.clear()

    async def _repeated(self, call: _Call[T], patience: Patience, lost: list[AnswerLost]) -> tuple[T, Answer]:
        while True:
            try:
                return await self._attempt(call, patience)
            except MattermostError as fault:
                if isinstance(fault, AnswerLost):
                    lost.append(fault)
                wait = self._wait_before_repeating(call.route, fault, patience)
                if wait is None and not (lost and _leaves_doubt(fault)):
                    raise
            if wait is None:
                # An earlier attempt may have acted, and this one told nothing about it.
                raise lost[-1]
            self.pace.retries += 1
            await self._timing.sleep(wait)

    def _wait_before_repeating(self, route: Route[T], fault: MattermostError, patience: Patience) -> float | None:
        """Seconds until the next attempt; None when there is none."""
        if isinstance(fault, Throttled):
            # The limiter turns calls away before anything is done, creates too. The pace makes everybody wait.
            return 0.0 if patience.bears(fault.retry_after) else None
        if not _is_harmless(route.effect, fault) or self._breaker.is_open:
            return None
        return patience.after_failure()

    async def _attempt(self, call: _Call[T], patience: Patience) -> tuple[T, Answer]:
        generation = await self.pace.enter()
        try:
            probe = self._breaker.admit()
            try:
                answered = await self._send(call, patience)
            except (Unreachable, ServerFault):
                self._breaker.failed(probe=probe)
                self.pace.slow_down(generation)
                raise
            except Throttled:
                self._breaker.succeeded()
                self.pace.slow_down(generation)
                raise
            except BaseException as fault:
                self._settle(fault, probe=probe)
                raise
            self._breaker.succeeded()
            self.pace.speed_up()
            return answered
        finally:
            self.pace.leave()

    def _settle(self, fault: BaseException, *, probe: bool) -> None:
        """A refusal is a sign of life; somebody else's answer and a call given up say nothing."""
        if isinstance(fault, MattermostError) and not isinstance(fault, Garbled):
            self._breaker.succeeded()
        else:
            self._breaker.abandoned(probe=probe)

    async def _send(self, call: _Call[T], patience: Patience) -> tuple[T, Answer]:
        started = self._timing.clock()
        status, name = 0, ""
        try:
            answer = await self._deliver(call)
            status = answer.status
            return self._understood(call, answer, patience), answer
        except BaseException as fault:
            name = type(fault).__name__
            if isinstance(fault, MattermostError):
                fault.request_id = self.last_request_id
            raise
        finally:
            if self._on_diagnostic is not None:
                ms = (self._timing.clock() - started) * 1000
                self._on_diagnostic(HttpDiagnostic(call.route.method, call.route.pattern, status, ms, name))

    async def _deliver(self, call: _Call[T]) -> Answer:
        _REQUEST_ID.set("")
        try:
            response = await self._transport.handle_async_request(call.request)
            answer = await read_answer(response)
        except httpx.RequestError as fault:
            raise self.translator.of_wire(fault, call.route) from fault
        _REQUEST_ID.set(answer.header("X-Request-Id")[:_LONGEST_REQUEST_ID])
        if not answer.header("Age"):
            self.clock.hear(answer.header("Date"))
        return answer

    def _understood(self, call: _Call[T], answer: Answer, patience: Patience) -> T:
        exhausted_for = answer.exhausted_for(now=self._timing.now())
        if answer.status == httpx.codes.TOO_MANY_REQUESTS:
            asked = answer.retry_after(now=self._timing.now())
            wait = patience.after_throttle(exhausted_for if asked is None else asked)
            self.pace.pause(wait)
            raise Throttled(server=self.server, call=call.route.name, retry_after=wait)
        if exhausted_for is not None:
            self.pace.pause(exhausted_for)
        if not httpx.codes.is_success(answer.status):
            raise self.translator.of_status(answer, call.route, as_admin=call.as_admin)
        said = self._decoded(call.route, answer)
        if call.about is not None and not call.about(said):
            raise self.translator.of_content(answer, call.route, "it is about something else")
        return said

    def _decoded(self, route: Route[T], answer: Answer) -> T:
        try:
            return route.decoder.decode(answer.body)
        except msgspec.DecodeError as fault:
            why = str(fault)
        except UnicodeDecodeError:
            why = "it is not UTF-8"
        # Raised out here, because the exception of a decoder may hold the body, and that a new secret.
        raise self.translator.of_content(answer, route, why)


def _leaves_doubt(fault: MattermostError) -> bool:
    """Whether a fault is no answer to the call, so that it says nothing of an attempt before it."""
    return isinstance(fault, Unreachable | BreakerOpen | ServerFault | Throttled | Garbled)


def _is_harmless(effect: Effect, fault: MattermostError) -> bool:
    """Whether the same call may be made again after this fault, and could fare better."""
    if isinstance(fault.__cause__, CertificateError | AnswerTooLong) or isinstance(fault, NotMattermost):
        return False
    if effect is Effect.ONCE:
        return isinstance(fault, Unreachable) and not isinstance(fault, AnswerLost)
    return isinstance(fault, Unreachable | ServerFault | Garbled)
