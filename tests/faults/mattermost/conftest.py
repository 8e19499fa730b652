"""Servers that misbehave on a real socket, and a way to see every byte they got."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tests.faults.messages import read_message

Behaviour = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Reads whole requests, remembers them, and leaves each to the next behaviour; the last one stays."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.behaved = asyncio.Event()
        """All that it sends after the first request has been sent."""
        self.connections = 0
        self.url = ""
        self._behaviours = list(behaviours)

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while not writer.is_closing():
                request = await read_message(reader)
                self.requests.append(request)
                self.asked.set()
                behave = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
                await behave(request, reader, writer)
                self.behaved.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def _serving(server: RawServer) -> AsyncIterator[RawServer]:
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(server.serve_connection(reader, writer))
        tasks.add(task)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()


@pytest.fixture
def serving() -> Callable[..., object]:
    """Opens a server that behaves so, one behaviour per request and the last one for ever."""
    return lambda *behaviours: _serving(RawServer(*behaviours))
