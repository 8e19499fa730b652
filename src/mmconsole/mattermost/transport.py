"""The wire: an httpx transport over aiohttp, which says for each fault whether the request can have been read.

httpx's own connection pool is an eighth as fast at 32 calls at once, and httpx-aiohttp 0.2.0 hides what must be known
here: it names a connection dropped after the server read a POST `ConnectTimeout`, which looks safe to repeat. So this
transport keeps three promises, each with a test over a real socket:

- `ConnectError` and `ConnectTimeout` mean that nothing was sent. Every other fault means that it may have been.
- Nothing is sent twice. aiohttp repeats idempotent methods when a kept-alive connection drops; that is switched off.
- No cookie is kept or sent: a kept MMAUTHTOKEN would win over the Authorization header (seen on 11.6.0).

Proxies of the environment (HTTPS_PROXY) are not used: a token goes to the configured address and nowhere else.
Certificates are always verified, against the system's store and certifi's; SSL_CERT_FILE and SSL_CERT_DIR are honoured.
"""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
import httpx
import yarl

from mmconsole.mattermost.deadline import Deadline
from mmconsole.mattermost.messages import PlainResponse, address_of, body_of, sent_headers_of

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of the longest answer that is read: ten times what 10,000 accounts take."""
_CONNECT_WITHIN: Final = 10.0
_KEEP_ALIVE: Final = 15.0
"""Seconds an idle connection is kept: less than any usual proxy keeps it, so a create seldom meets a closed one."""


class CertificateError(httpx.ConnectError):
    """The server's certificate is not one to trust. Trying again changes nothing."""


class AnswerTooLong(httpx.ReadError):
    """The answer is longer than `MAX_ANSWER`."""


class _DroppedError(Exception):
    """The connection was there, and broke while the request or its answer was on the way."""


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends `httpx.Request`s through one aiohttp session. The caller bounds how many are on the way at once."""

    def __init__(self, *, timeout: float, encrypted: bool = True, max_answer: int = MAX_ANSWER) -> None:
        # Connecting has only half of the time, so a call that is out of time was certainly sent.
        limits = aiohttp.ClientTimeout(total=None, connect=min(_CONNECT_WITHIN, timeout / 2))
        self._deadline = Deadline(timeout)
        self._max_answer = max_answer
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_KEEP_ALIVE, ssl=_tls_context() if encrypted else True
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=limits,
            trust_env=False,
            middlewares=(_never_twice,),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = asyncio.Timeout(None)
        self._deadline.begin(call)
        try:
            async with call:
                answer = await self._session.request(
                    request.method,
                    yarl.URL(address_of(request), encoded=True),
                    headers=sent_headers_of(request),
                    data=await body_of(request) or None,
                    allow_redirects=False,
                )
                body = await self._read(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, _DroppedError) as fault:
            problem = _translated(fault)
        else:
            if body is not None:
                return PlainResponse(answer.status, answer.headers, body)
            problem = AnswerTooLong(f"the answer is longer than {self._max_answer} bytes")
        finally:
            self._deadline.end(call)
        # Raised out here, so that aiohttp's exception, which may hold the request's headers, is not in its context.
        raise problem

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes | None:
        """The whole body, None when it is too long."""
        announced = answer.content_length
        try:
            if announced is not None and announced <= self._max_answer and "Content-Encoding" not in answer.headers:
                return await answer.read()
            return await self._read_part_by_part(answer)
        finally:
            # Read to its end it went back to the pool by itself, and this does nothing; else the connection is useless.
            answer.close()

    async def _read_part_by_part(self, answer: aiohttp.ClientResponse) -> bytes | None:
        parts: list[bytes] = []
        length = 0
        async for part in answer.content.iter_any():
            length += len(part)
            if length > self._max_answer:
                return None
            parts.append(part)
        return b"".join(parts)

    async def aclose(self) -> None:
        self._deadline.close()
        await self._session.close()


async def _never_twice(
    request: aiohttp.ClientRequest, send: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
) -> aiohttp.ClientResponse:
    """Turn a drop into an exception that aiohttp does not know, for it repeats a dropped GET or PUT by itself."""
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientConnectionError, OSError) as fault:
        if isinstance(fault, TimeoutError):
            raise
        raise _DroppedError(_reason(fault)) from fault


def _translated(fault: Exception) -> httpx.TransportError:
    """The httpx exception of an aiohttp one. Only words of ours and of the operating system are taken over."""
    if isinstance(fault, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return CertificateError(_certificate_reason(fault))
    if isinstance(fault, aiohttp.ClientConnectorDNSError):
        return httpx.ConnectError("its name cannot be resolved")
    if isinstance(fault, aiohttp.ClientConnectorError):
        return httpx.ConnectError(_reason(fault.os_error))
    if isinstance(fault, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout("no connection in time")
    if isinstance(fault, TimeoutError):
        return httpx.ReadTimeout("no whole answer in time")
    if isinstance(fault, aiohttp.ClientPayloadError):
        return httpx.RemoteProtocolError("the answer broke off")
    if isinstance(fault, aiohttp.ClientResponseError):
        return httpx.RemoteProtocolError("the answer is not HTTP")
    return httpx.ReadError(str(fault) if isinstance(fault, _DroppedError) else _reason(fault))


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
    return "it does not speak TLS as expected"


def _tls_context() -> ssl.SSLContext:
    context = httpx.create_ssl_context(verify=True, trust_env=True)
    context.load_default_certs()
    return context
