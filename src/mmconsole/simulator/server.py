"""The simulated server behind a socket: in this event loop, in a thread of its own, or for a whole process."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mmconsole.simulator.app import Simulator
from mmconsole.simulator.delivery import DROP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from uvicorn._types import ASGI3Application

    from mmconsole.simulator.options import SimulatorOptions

LOOPBACK: Final = "127.0.0.1"
BACKLOG: Final = 2048


class _Gathering:
    """A transport that writes once what one turn of the loop brings: head and body of an answer together.

    So does Mattermost, whose Go server buffers 4 KiB. uvicorn writes them apart, each by a system call.
    """

    __slots__ = ("_later", "_transport", "_written")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._later = asyncio.get_running_loop().call_soon
        self._written: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport can do
        return getattr(self._transport, name)

    def write(self, content: bytes) -> None:
        self._written.append(content)
        if len(self._written) == 1:
            self._later(self._flush)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._written:
            self._transport.write(b"".join(self._written))
            self._written.clear()


class _Protocol(HttpToolsProtocol):
    """Puts into the scope what ASGI has no word for: a way to close the connection without an answer.

    A handler that raises, or returns without an answer, does not do it: uvicorn then sends a 500.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn says so too
        super().connection_made(cast("asyncio.Transport", _Gathering(transport)))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {DROP: {"now": self.transport.close}}


@dataclass(frozen=True, slots=True)
class Running:
    """A simulated server that can be reached."""

    url: str
    simulator: Simulator


@asynccontextmanager
async def serve(simulator: Simulator, host: str = LOOPBACK, port: int = 0) -> AsyncIterator[str]:
    """Serve within the running event loop. Yields the URL; port 0 takes a free one."""
    listener = socket.create_server((host, port), backlog=BACKLOG)
    # Inherited by each connection. asyncio does not set it on these, and then each answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config, state = _config(simulator), ServerState()
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Protocol(config=config, server_state=state, app_state={}), sock=listener, backlog=BACKLOG
    )
    try:
        yield f"http://{host}:{listener.getsockname()[1]}{simulator.options.base}"
    finally:
        server.close()
        await _hang_up(state)


def _config(simulator: Simulator) -> uvicorn.Config:
    return uvicorn.Config(
        cast("ASGI3Application", simulator.app),
        interface="asgi3",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )


async def _hang_up(state: ServerState) -> None:
    """Close at once: a call that hangs on purpose must not hold up the end of a test.

    uvicorn's own server looks every tenth of a second whether it shall end, and then waits for another.
    """
    hanging = list(state.tasks)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    for connection in list(state.connections):
        if connection.transport is not None:
            connection.transport.abort()
    await asyncio.sleep(0)


@contextmanager
def serve_in_thread(
    simulated: Simulator | SimulatorOptions | None = None, *, host: str = LOOPBACK, port: int = 0
) -> Iterator[Running]:
    """Serve from a thread with its own event loop, for code that is not asynchronous."""
    simulator = simulated if isinstance(simulated, Simulator) else Simulator(simulated)
    thread = _Thread(simulator, host, port)
    thread.start()
    try:
        yield Running(thread.wait_for_url(), simulator)
    finally:
        thread.stop()


class _Thread(threading.Thread):
    """One server, one loop, one thread."""

    def __init__(self, simulator: Simulator, host: str, port: int) -> None:
        super().__init__(name="mattermost-simulator", daemon=True)
        self._simulator = simulator
        self._address = host, port
        self._ready = threading.Event()
        self._url = ""
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None

    def run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - told to the thread that waits for the URL
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        async with serve(self._simulator, *self._address) as url:
            self._url = url
            self._ready.set()
            await self._ended.wait()

    def wait_for_url(self) -> str:
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self._url

    def stop(self) -> None:
        if self._loop is not None and self._ended is not None and self.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
        self.join()


def run(
    options: SimulatorOptions,
    host: str = LOOPBACK,
    port: int = 0,
    announce: Callable[[str, Simulator], None] | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM, then return quietly. `announce` is called once the socket is open."""
    simulator = Simulator(options)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_until_told(simulator, host, port, announce))


async def _serve_until_told(
    simulator: Simulator, host: str, port: int, announce: Callable[[str, Simulator], None] | None
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with serve(simulator, host, port) as url:
        if announce is not None:
            announce(url, simulator)
        await ended.wait()
