"""The certificate that the server shows: how long it is still good."""

import asyncio
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

from mmconsole.errors import Unreachable
from mmconsole.mattermost.transport import tls_context


async def certificate_ends_at(url: str) -> datetime:
    """When the certificate of an https address ends. Raises Unreachable where none is shown that can be trusted."""
    parts = urlsplit(url)
    try:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=tls_context())
    except (OSError, ssl.SSLError) as fault:
        raise Unreachable(server=url, why="its certificate cannot be read") from fault
    try:
        shown = writer.get_extra_info("peercert")
    finally:
        writer.close()
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)
