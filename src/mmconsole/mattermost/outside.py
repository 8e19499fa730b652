"""An address as strangers see it: one request without a token, and whatever answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from mmconsole.errors import Unreachable
from mmconsole.mattermost.transport import tls_context

_PATIENCE: Final = 10.0
"""Seconds."""
_READ: Final = 65_536
"""Bytes of a body: enough to tell what it is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What answered."""

    status: int
    headers: Mapping[str, str]
    """By names in lower case; of those that are there twice, the last."""
    body: str


async def look_from_outside(url: str, **headers: str) -> Seen:
    """GET an address as a stranger does; redirects are not followed. Raises Unreachable."""
    limit = aiohttp.ClientTimeout(total=_PATIENCE)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, headers=headers, allow_redirects=False, ssl=tls_context()) as answer,
        ):
            body = await answer.content.read(_READ)
            told = {name.lower(): text for name, text in answer.headers.items()}
            return Seen(answer.status, told, body.decode("utf-8", "replace"))
    except (aiohttp.ClientError, TimeoutError, ValueError) as fault:
        raise Unreachable(server=url.partition("?")[0], why=_why(fault)) from fault


def _why(fault: Exception) -> str:
    if isinstance(fault, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return "its certificate is not trusted here"
    if isinstance(fault, TimeoutError):
        return f"no answer within {_PATIENCE:.0f} s"
    return "nobody answers there" if isinstance(fault, aiohttp.ClientConnectorError) else "what answers is no HTTP"
