"""The simulated server as an ASGI application: dispatch, the order of checks around a call, and the answer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

from mmconsole.simulator import auth, control, costs, delivery
from mmconsole.simulator.calls import Calls
from mmconsole.simulator.costs import cost_of
from mmconsole.simulator.delivery import Answer, Exchange
from mmconsole.simulator.errors import AppError
from mmconsole.simulator.faults import Faults
from mmconsole.simulator.headers import Headers
from mmconsole.simulator.options import SimulatorOptions
from mmconsole.simulator.ratelimit import RateLimiter
from mmconsole.simulator.routes import ROUTES
from mmconsole.simulator.routes.sessions import clear_cookie
from mmconsole.simulator.routing import Router
from mmconsole.simulator.seed import Seeded, seed
from mmconsole.simulator.state import State
from mmconsole.simulator.wire import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmconsole.simulator.delivery import Header, Receive, Scope, Send
    from mmconsole.simulator.faults import Fault
    from mmconsole.simulator.routing import Route

API: Final = "/api/v4/"
BODILESS: Final = frozenset({"GET", "HEAD"})
LARGEST_BODY_READ: Final = 4_000_000
INSTEAD: Final = frozenset({"drop_before", "status", "redirect", "login_page"})
"""Faults that take the place of the call."""


class Simulator:
    """A Mattermost in one process. `app` is its ASGI callable; `state` is its memory, for tests to look into."""

    def __init__(self, options: SimulatorOptions | None = None, *, now: Callable[[], float] = time.time) -> None:
        self.options = options or SimulatorOptions()
        self.now = now
        self.state = State(self.options, now)
        self.faults = Faults()
        self.calls = Calls()
        self.workers = costs.Workers()
        self._router = Router(ROUTES, self.options.release)
        self._headers = Headers(self.state)
        self._limiter = RateLimiter(self.options.rate_limit) if self.options.rate_limit else None
        seeded = Seeded() if self.options.empty else seed(self.state)
        self.admin_token = seeded.admin_token
        self.bot_token = seeded.bot_token

    # --- ASGI -------------------------------------------------------------------------------------------------

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await delivery.refuse(scope, receive, send)
            return
        path: str = scope["path"]
        exchange, base = Exchange(scope, receive, send), self.options.base
        if path.startswith((control.DOOR, base + control.DOOR)):
            await self._control(exchange, path.removeprefix(base))
        elif base and not path.startswith(base + "/"):
            await exchange.respond(404, delivery.HTML, delivery.NOT_FOUND_PAGE)
        elif self._limiter is None:
            await self._dispatch(exchange, path[len(base) :], ())
        else:
            await self._limited(exchange, path[len(base) :], self._limiter)

    async def _control(self, exchange: Exchange, path: str) -> None:
        body = await exchange.read_body(LARGEST_BODY_READ)
        status, content = control.handle(self, exchange.scope["method"], path, body)
        await exchange.respond(status, [(b"content-type", b"application/json")], content)

    async def _limited(self, exchange: Exchange, path: str, limiter: RateLimiter) -> None:
        address, _ = exchange.scope.get("client") or ("", 0)
        verdict = limiter.check(address, self.now())
        if verdict.passes:
            await self._dispatch(exchange, path, verdict.headers)
            return
        self.calls.note("429", exchange.scope["method"], path, 429)
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"date", self._headers.date()), *verdict.headers]
        await exchange.respond(429, headers, b"limit exceeded\n")

    async def _dispatch(self, exchange: Exchange, path: str, extra: tuple[Header, ...]) -> None:
        if not path.startswith(API):
            body = self._page(exchange, path) if self.options.page else delivery.WEB_APP_PAGE
            await exchange.respond(200, self._headers.page(), body)
            return
        path, method = path[len(API) - 1 :], exchange.scope["method"]
        found = self._router.find(method, path)
        if found is None:
            self.calls.note("404", method, path, 404)
            detail = delivery.no_such_call(exchange.scope["path"])
            await exchange.respond(404, [*self._headers.bare(), *extra], detail)
            return
        route, params = found
        await self._api(exchange, Call(self.state, exchange.scope, path, params), route, extra)

    async def _api(self, exchange: Exchange, call: Call, route: Route, extra: tuple[Header, ...]) -> None:
        fault = self.faults.take(call.method, route.pattern) if self.faults else None
        if fault is not None and await self._fails_before(fault, exchange, call, route):
            return
        if self.options.latency:
            await asyncio.sleep(self.options.latency)
        if call.method not in BODILESS:
            call.body = await exchange.read_body(LARGEST_BODY_READ)
        reply, headers = self._act(exchange, call, route)
        headers += extra
        if self.options.cost == "real":
            await self.workers.serve(cost_of(route.name), call.units, warm=call.warm)
        if reply.wait:
            await asyncio.sleep(reply.wait)
        dropped = fault is not None and fault.kind == "drop_after"
        self.calls.note(route.name, call.method, call.path, 0 if dropped else reply.status)
        if fault is None:
            await exchange.respond(reply.status, headers, reply.body)
        else:
            await exchange.spoil(fault, Answer(reply.status, headers, reply.body))

    def _page(self, exchange: Exchange, path: str) -> bytes:
        call = Call(self.state, exchange.scope, path, ())
        with contextlib.suppress(AppError):
            auth.identify(call, required=False)
        return delivery.who_page(call.asker.username if call.asker else None, self.options.base)

    # --- one call ---------------------------------------------------------------------------------------------

    def _act(self, exchange: Exchange, call: Call, route: Route) -> tuple[Reply, list[Header]]:
        """The checks in the server's order: length of the URL, who asks, the call itself; the body within it."""
        request_id = delivery.new_request_id()
        if exchange.url_length() > self.state.config.max_url:
            refusal = AppError("basic_security_check.url.too_long_error", 414)
            return Reply(refusal.encode(request_id), 414), [*self._headers.bare(), (b"vary", b"Accept-Encoding")]
        try:
            auth.identify(call, required=route.session)
            reply = route.handler(call)
        except AppError as refusal:
            reply = Reply(refusal.encode(request_id), refusal.status)
            if isinstance(refusal, auth.DeadCookie):
                reply.headers = (clear_cookie(self.options.base),)
        return reply, [*self._headers.api(call.method, request_id), *reply.headers]

    async def _fails_before(self, fault: Fault, exchange: Exchange, call: Call, route: Route) -> bool:
        """Faults that strike before the call is done. True when they took its place."""
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "hold":
            await fault.passed()
        elif fault.kind == "stale_reads":
            call.hidden_since = self.state.millis() - int(fault.seconds * 1000)
        if fault.kind not in INSTEAD:
            return False
        self.calls.note(route.name, call.method, call.path, delivery.status_of(fault))
        return await exchange.replace(fault)
