"""What crosses the transport port: httpx messages that are taken apart only if somebody looks into them.

Any transport may stand there, so a request is an `httpx.Request` and an answer an `httpx.Response`. Ours needs neither
a parsed URL, which costs httpx 40 µs, nor its headers, 5 µs a time: a quarter of a call's CPU.
"""

from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from typing import Final

import httpx
from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping

_NO_HEADERS: Final = httpx.Headers()
_AFTER_SCHEME: Final = len("http://h")
"""Where at the earliest an address's path begins."""
_OF_THE_WIRE: Final = frozenset({"host", "content-length", "transfer-encoding"})
"""Headers that whoever writes the request decides about."""


class WholeBody(httpx.AsyncByteStream):
    """A body that is there already. httpx takes 60 µs to read its own from a stream, these are handed over whole."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


class PlainRequest(httpx.Request):
    """A request of this room. It is not changed once it is made; `headers` and `url` are for looking."""

    def __init__(self, method: str, address: str, fields: Mapping[str, str], body: bytes) -> None:
        # httpx's own would make a URL and headers of nothing, in place of the properties below.
        self.method = method
        self.extensions = {}
        self.stream = WholeBody(body)
        self.address = address
        self.body = body
        self.fields = fields
        """Its headers but for Host."""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self.address[: self._path_at]

    def written(self, *, host: str) -> bytes:
        """All its bytes. Raises ValueError for what would be read as something else."""
        target = self.address[self._path_at :] or "/"
        lines = [f"{self.method} {target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.fields.items()]
        if " " in target or not "".join(lines).isprintable():
            # Nothing of it is shown: a secret is among it.
            raise ValueError("a request with a control character, or with a space in its address")
        return "\r\n".join((*lines, "", "")).encode() + self.body

    @property
    def _path_at(self) -> int:
        found = self.address.find("/", _AFTER_SCHEME)
        return found if found > 0 else len(self.address)

    @cached_property
    def url(self) -> httpx.URL:  # type: ignore[override] # it can be set all the same
        return httpx.URL(self.address)

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override] # as above
        return httpx.Headers({"Host": self.url.netloc.decode("ascii"), **self.fields})


class PlainResponse(httpx.Response):
    """An answer of our own transport, read to its end and decompressed."""

    def __init__(self, status: int, fields: CIMultiDictProxy[str], body: bytes) -> None:
        super().__init__(status, headers=_NO_HEADERS, stream=WholeBody(body))
        del self.headers
        self.fields = fields
        """Its headers as aiohttp has them: UTF-8, and any other byte as a surrogate."""

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override] # as above
        lines = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in self.fields.items()]
        # With this one httpx would decompress again.
        return httpx.Headers([(name, value) for name, value in lines if name.lower() != b"content-encoding"])


async def plain(request: httpx.Request) -> PlainRequest:
    """A request as one of this room's."""
    if isinstance(request, PlainRequest):
        return request
    url, body = request.url, await request.aread()
    fields = _decoded(request.headers)
    for name in _OF_THE_WIRE:
        fields.popall(name, None)
    if body or request.method != "GET":
        fields["Content-Length"] = str(len(body))
    address = f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"
    return PlainRequest(request.method, address, fields, body)


async def body_of(response: httpx.Response) -> bytes:
    """An answer's whole body, without the way through httpx where there is a shorter one."""
    stream = response.stream
    return stream.content if isinstance(stream, WholeBody) else await response.aread()


def headers_of(response: httpx.Response) -> MultiMapping[str]:
    """An answer's headers by their names in any case."""
    return response.fields if isinstance(response, PlainResponse) else _decoded(response.headers)


def _decoded(headers: httpx.Headers) -> CIMultiDict[str]:
    """As aiohttp would have them."""
    lines = [(name.decode("ascii"), value.decode("utf-8", "surrogateescape")) for name, value in headers.raw]
    return CIMultiDict(lines)
