"""A TCP proxy between mmconsole and the server that spoils chosen calls: it sees bytes, and knows no handler.

The simulator's own faults are made by the server itself. These are made on the way, by whoever stands between, so that
what the server did is known from its own memory and what the client heard from nobody else.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

from tests.faults.messages import read_message


class Spoil(Enum):
    """What happens to a call."""

    REFUSE = "closed before the server read it"
    DROP = "done by the server, then closed without a byte of the answer"
    RESET = "done by the server, then reset in the middle of the answer"
    CUT = "done by the server, then closed in the middle of the answer"
    LATE = "done by the server, and the answer comes when nobody waits for it any more"
    DRIBBLE = "done by the server, and the answer comes byte by byte"


Choose = Callable[[int], Spoil | None]
"""What happens to the n-th call, counted from 1; None lets it pass."""


@dataclass
class Proxy:
    """Counts the calls that come by. `choose` may be replaced at any time."""

    upstream: tuple[str, int]
    patience: float
    """Seconds after which a client has given up."""
    choose: Choose = lambda _: None
    calls: int = 0
    spoilt: list[str] = field(default_factory=list)
    """The calls that were: their first lines, without the query."""
    url: str = ""
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    def spoil(self, choose: Choose) -> None:
        """Count anew, and spoil these."""
        self.calls, self.choose = 0, choose

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until one of its ends is closed."""
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)
        ends = [writer]
        try:
            # Told to end, it ends quietly: asyncio's streams (Python 3.11) report a cancelled task as a fault.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._pass_on(reader, writer, ends)
        finally:
            for end in ends:
                end.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: list[asyncio.StreamWriter]
    ) -> None:
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while True:
            request = await read_message(reader)
            self.calls += 1
            how = self.choose(self.calls)
            if how is not None:
                self.spoilt.append(request.partition(b"?")[0].partition(b"\r\n")[0].decode())
            if how is Spoil.REFUSE:
                return
            if server is None:
                server = await asyncio.open_connection(*self.upstream)
                ends.append(server[1])
            server[1].write(request)
            answer = await read_message(server[0])
            if how is not None:
                await self._spoil(how, answer, writer)
                return
            writer.write(answer)
            await writer.drain()

    async def _spoil(self, how: Spoil, answer: bytes, writer: asyncio.StreamWriter) -> None:
        if how is Spoil.LATE:
            await asyncio.sleep(self.patience * 2)
            writer.write(answer)
        elif how is Spoil.DRIBBLE:
            for byte in answer:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(self.patience / 50)
        elif how in {Spoil.CUT, Spoil.RESET}:
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
        if how is Spoil.RESET:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


@asynccontextmanager
async def between(url: str, *, patience: float) -> AsyncIterator[Proxy]:
    """A proxy before the server at this URL."""
    parts = urlsplit(url)
    proxy = Proxy((parts.hostname or "", parts.port or 80), patience)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with listener:
        proxy.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield proxy
        listener.close()
        for task in proxy.serving:
            task.cancel()
        await asyncio.gather(*proxy.serving, return_exceptions=True)
