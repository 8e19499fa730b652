"""The server process: uvicorn, stopped by whoever owns the signals, after the requests under way."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mmconsole.core import Gateway
from mmconsole.errors import CannotListen
from mmconsole.web.app import make_app
from mmconsole.web.listener import Listener
from mmconsole.web.shared import Shared

_HEAD_WITHIN: Final = 10.0
_LARGEST_HEAD: Final = 65_536
_GRACE: Final = 15
"""Seconds that requests under way have when the service is stopped."""
_KEEP_ALIVE: Final = 30
_CONNECTIONS: Final = 2_000


class Signals(Protocol):
    """Whoever hears the operator."""

    stop: asyncio.Event
    under_way: Callable[[], int] | None


class _Protocol(HttpToolsProtocol):
    """A client who says the head of a request too slowly, or without end, is not waited for.

    uvicorn itself limits neither.
    """

    _waiting: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._waiting is not None:
            self._head += len(data)
            if self._head > _LARGEST_HEAD:
                self.transport.abort()
                return
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait()

    def on_headers_complete(self) -> None:
        self._wait_no_more()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(_HEAD_WITHIN, self.transport.abort)

    def _wait_no_more(self) -> None:
        self._head = 0
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class _Server(uvicorn.Server):
    """Leaves signals to whoever owns the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(gateway: Gateway, listener: Listener, signals: Signals, shared: Shared | None = None) -> None:
    """Serve until `signals.stop` is set, then let the requests under way come to their end.

    Several processes are given what they `shared` before they parted.

    Raises SecretError and DatabaseError when somebody is to be accepted who cannot be checked, and CannotListen.
    """
    await gateway.callers.check_settings()
    server = _Server(_config(make_app(gateway, shared), listener))
    signals.under_way = lambda: len(server.server_state.tasks)
    serving = asyncio.create_task(server.serve(sockets=[listener.socket]))
    stopping = asyncio.create_task(signals.stop.wait())
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving


def _config(app: Any, listener: Listener) -> uvicorn.Config:  # noqa: ANN401 - uvicorn's type of an app
    config = uvicorn.Config(
        app,
        interface="asgi3",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_GRACE,
        limit_concurrency=_CONNECTIONS,
        ssl_certfile=listener.certificate,
        ssl_keyfile=listener.key,
    )
    try:
        config.load()
    except OSError as fault:
        # A certificate that cannot be read, or does not fit its key.
        why = f"{fault.strerror or 'it cannot be used'}; correct `web.tls_certificate` and `web.tls_key`"
        raise CannotListen(address=listener.address, why=why) from fault
    return config
