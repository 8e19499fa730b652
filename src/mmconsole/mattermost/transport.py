"""The wire: an httpx transport over aiohttp, which says for each fault whether the request can have been read.

aiohttp finds, opens, encrypts and keeps the connections and reads the answers. Its session is left out: it costs more
CPU than all the rest of a call, and repeats dropped GETs and PUTs by itself. httpx's own pool is an eighth as fast at
32 calls at once, and httpx-aiohttp 0.2.0 names a connection dropped after the server read a POST `ConnectTimeout`,
which looks safe to repeat. This transport keeps three promises, each with a test over a real socket:

- `ConnectError` and `ConnectTimeout` mean that nothing was sent. Every other fault means that it may have been.
- Nothing is sent twice, and no redirect is followed.
- No cookie is kept or sent: a kept MMAUTHTOKEN would win over the Authorization header (seen on 11.6.0).

Proxies of the environment (HTTPS_PROXY) are not used: a token goes to the configured address and nowhere else.
Certificates are always verified, against the system's store and certifi's; SSL_CERT_FILE and SSL_CERT_DIR are honoured.
"""

import asyncio
import os
import ssl
from typing import Final

import aiohttp
import httpx
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from mmconsole.mattermost.deadline import Deadline
from mmconsole.mattermost.messages import PlainRequest, PlainResponse, plain

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of the longest answer that is read: ten times what 10,000 accounts take."""
_CONNECT_WITHIN: Final = 10.0
_KEEP_ALIVE: Final = 15.0
"""Seconds an idle connection is kept: less than any usual proxy keeps it, so a create seldom meets a closed one."""
_INTERIM: Final = frozenset(range(100, 200)) - {101}
"""Statuses that another answer follows."""


class CertificateError(httpx.ConnectError):
    """The server's certificate is not one to trust. Trying again changes nothing."""


class AnswerTooLong(httpx.ReadError):
    """The answer is longer than `MAX_ANSWER`."""


class _UnfitError(Exception):
    """The connection broke, or the server spoke on it, before anything was asked."""


_FAULTS: Final = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError, _UnfitError)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends `httpx.Request`s over aiohttp's connections. The caller bounds how many are on the way at once."""

    def __init__(self, *, timeout: float, encrypted: bool = True, max_answer: int = MAX_ANSWER) -> None:
        # Connecting has only half of the time, so a call that is out of time was certainly sent.
        self._limits = aiohttp.ClientTimeout(total=None, connect=min(_CONNECT_WITHIN, timeout / 2))
        self._deadline = Deadline(timeout)
        self._max_answer = max_answer
        self._connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=_KEEP_ALIVE, ssl=tls_context() if encrypted else True
        )
        self._places: dict[str, ClientRequest] = {}
        """By origin, what aiohttp must know to connect there, and how it names the host. They are never sent."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        message = await plain(request)
        call = asyncio.Timeout(None)
        self._deadline.begin(call)
        try:
            async with call:
                answer = await self._converse(message)
        except _FAULTS as fault:
            problem = _translated(fault)
            # aiohttp's frames hold their own fault, and would hold ours by its traceback.
            fault.__traceback__ = None
        else:
            if answer is not None:
                return answer
            problem = AnswerTooLong(f"the answer is longer than {self._max_answer} bytes")
        finally:
            self._deadline.end(call)
        # Raised out here, so that aiohttp's exception, which may hold parts of the answer, is not in its context.
        try:
            raise problem
        finally:
            # A frame that holds its own fault, or the task whose fault it becomes, lives until the collector comes, and
            # the token of the request with it.
            del problem, call

    async def _converse(self, message: PlainRequest) -> PlainResponse | None:
        """Send and read on one connection; None when the answer is too long."""
        place = self._places.get(message.origin) or self._new_place(message.origin)
        content = message.written(host=place.headers["Host"])
        connection = await self._connected(place)
        body = None
        try:
            protocol = _protocol_of(connection)
            protocol.set_response_params(read_until_eof=True)
            protocol.transport.write(content)  # type: ignore[union-attr] # it is connected
            head, payload = await protocol.read()
            while head.code in _INTERIM:
                head, payload = await protocol.read()
            body = await self._read(payload)
        finally:
            # Half a conversation must not be met by the next call.
            if body is None:
                connection.close()
            else:
                connection.release()
        return None if body is None else PlainResponse(head.code, head.headers, body)

    def _new_place(self, origin: str) -> ClientRequest:
        url = yarl.URL(origin, encoded=True)
        place = self._places[origin] = ClientRequest("GET", url, loop=asyncio.get_running_loop())
        return place

    async def _connected(self, place: ClientRequest) -> Connection:
        """A connection that is kept or new. Whatever goes wrong here, nothing was sent."""
        try:
            connection = await self._connector.connect(place, [], self._limits)
        except TimeoutError as late:
            raise aiohttp.ConnectionTimeoutError from late
        protocol = _protocol_of(connection)
        if protocol.should_close or not protocol.is_connected():
            # What came without being asked for would pass for the answer.
            connection.close()
            raise _UnfitError
        return connection

    async def _read(self, payload: StreamReader) -> bytes | None:
        """The whole body, None when it is too long."""
        part = await payload.readany()
        if payload.at_eof():
            return part if len(part) <= self._max_answer else None
        parts: list[bytes] = []
        length = 0
        while part:
            length += len(part)
            if length > self._max_answer:
                return None
            parts.append(part)
            part = await payload.readany()
        return b"".join(parts)

    async def aclose(self) -> None:
        self._deadline.close()
        await self._connector.close()


def _protocol_of(connection: Connection) -> ResponseHandler:
    return connection.protocol  # type: ignore[return-value] # it has one until it is given back


def _translated(fault: Exception) -> httpx.TransportError:
    """The httpx exception of an aiohttp one. Only words of ours and of the operating system are taken over."""
    if isinstance(fault, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return CertificateError(_certificate_reason(fault))
    if isinstance(fault, aiohttp.ClientConnectorDNSError):
        return httpx.ConnectError("its name cannot be resolved")
    if isinstance(fault, aiohttp.ClientConnectorError):
        return httpx.ConnectError(_reason(fault.os_error))
    if isinstance(fault, _UnfitError):
        return httpx.ConnectError("the connection broke before anything was asked")
    if isinstance(fault, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout("no connection in time")
    if isinstance(fault, TimeoutError):
        return httpx.ReadTimeout("no whole answer in time")
    if isinstance(fault, aiohttp.ClientPayloadError):
        return httpx.RemoteProtocolError("the answer broke off")
    if isinstance(fault, HttpProcessingError):
        return httpx.RemoteProtocolError("the answer is not HTTP")
    return httpx.ReadError(_reason(fault))


def _reason(fault: Exception) -> str:
    # The exception's own text is not used: aiohttp puts the URL into it.
    if isinstance(fault, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    if isinstance(fault, OSError) and fault.errno and not isinstance(fault, ssl.SSLError):
        return os.strerror(fault.errno).lower()
    return "the connection broke"


def _certificate_reason(fault: aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError) -> str:
    cause = fault.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    return "it does not speak TLS as expected (or not at all: then its address begins with http://)"


def tls_context() -> ssl.SSLContext:
    context = httpx.create_ssl_context(verify=True, trust_env=True)
    context.load_default_certs()
    return context
