"""What crosses the transport port: httpx messages that are taken apart only if somebody looks into them.

Any transport may stand there, so a request is an `httpx.Request` and an answer an `httpx.Response`. Ours needs neither
a parsed URL, which costs httpx 40 µs, nor its headers, 5 µs a time: a quarter of a call's CPU.
"""

from collections.abc import AsyncIterator, Mapping
from functools import cached_property
from typing import Final

import httpx
from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping

_UNPARSED: Final = httpx.URL("")
_NO_HEADERS: Final = httpx.Headers()


class WholeBody(httpx.AsyncByteStream):
    """A body that is there already. httpx takes 60 µs to read its own from a stream, these are handed over whole."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


class PlainRequest(httpx.Request):
    """A request of this room. It is not changed once it is made; `headers` and `url` are for looking."""

    def __init__(self, method: str, address: str, fields: dict[str, str], content: bytes) -> None:
        super().__init__(method, _UNPARSED, headers=_NO_HEADERS, stream=WholeBody(content))
        # What httpx made of nothing gives way to the properties below.
        del self.url, self.headers
        self.address = address
        self.fields = fields
        """Its headers but for Host."""

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


async def body_of(message: httpx.Request | httpx.Response) -> bytes:
    """The whole body of a request or an answer, without the way through httpx where there is a shorter one."""
    stream = message.stream
    return stream.content if isinstance(stream, WholeBody) else await message.aread()


def address_of(request: httpx.Request) -> str:
    return request.address if isinstance(request, PlainRequest) else str(request.url)


def sent_headers_of(request: httpx.Request) -> Mapping[str, str]:
    """A request's headers, but for the Host of our own: that is the address's."""
    return request.fields if isinstance(request, PlainRequest) else _decoded(request.headers)


def headers_of(response: httpx.Response) -> MultiMapping[str]:
    """An answer's headers by their names in any case."""
    return response.fields if isinstance(response, PlainResponse) else _decoded(response.headers)


def _decoded(headers: httpx.Headers) -> CIMultiDict[str]:
    """As aiohttp would have them."""
    lines = [(name.decode("ascii"), value.decode("utf-8", "surrogateescape")) for name, value in headers.raw]
    return CIMultiDict(lines)
