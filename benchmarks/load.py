"""Load over HTTP/1.1 that costs little itself: bytes that are ready go out, and answers are hardly looked at."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_END_OF_HEAD = b"\r\n\r\n"


@dataclass
class Load:
    """What a load saw."""

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)
    """Seconds from when a request was due to the end of its answer."""
    statuses: Counter[int] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.waits) / self.seconds

    def percentile(self, part: float) -> float:
        return sorted(self.waits)[int(part * (len(self.waits) - 1))]


def request(path: str, *, host: str, **headers: str) -> bytes:
    """A GET, ready to be sent."""
    named = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nhost: {host}\r\n{named}\r\n".encode()


async def load(
    address: str, requests: Sequence[bytes], *, at_once: int = 16, per_second: float | None = None, keep: bool = False
) -> Load:
    """Send all requests over so many connections; so many a second, or each as soon as its connection is free."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    seen, waiting = Load(), iter(requests)
    pace = _Pace(per_second)
    connections = [await asyncio.open_connection(host, int(port)) for _ in range(at_once)]
    began = time.perf_counter()
    await asyncio.gather(*(_one(*connection, waiting, pace, seen, keep=keep) for connection in connections))
    seen.seconds = time.perf_counter() - began
    for _, writer in connections:
        writer.close()
    return seen


class _Pace:
    """When each request is due: who waited in a line of our own making has waited, too."""

    def __init__(self, per_second: float | None) -> None:
        self._step = 1 / per_second if per_second else 0.0
        self._next = time.perf_counter()

    async def due(self) -> float:
        if not self._step:
            return time.perf_counter()
        moment, self._next = self._next, self._next + self._step
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        return moment


async def _one(  # noqa: PLR0913 - what a connection needs
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    waiting: Iterator[bytes],
    pace: _Pace,
    seen: Load,
    *,
    keep: bool,
) -> None:
    for sent in waiting:
        due = await pace.due()
        writer.write(sent)
        head = await reader.readuntil(_END_OF_HEAD)
        body = await reader.readexactly(_length(head))
        seen.waits.append(time.perf_counter() - due)
        seen.statuses[int(head[9:12])] += 1
        if keep:
            seen.bodies.append(body)


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0
