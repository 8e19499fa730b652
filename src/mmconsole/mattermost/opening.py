"""The way in: httpx and aiohttp are imported when a client is opened, which takes longer than most commands."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mmconsole.domain.secrets import Secret
from mmconsole.mattermost.addresses import checked_address

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport

    from mmconsole.mattermost.client import MattermostClient
    from mmconsole.mattermost.exchange import HttpDiagnostic, Timing


@asynccontextmanager
async def open_client(  # noqa: PLR0913 - each is a setting, or something tests replace
    url: str,
    admin_token: Secret | None = None,
    *,
    timeout: float = 30.0,  # noqa: ASYNC109 - the time for each answer, not for this function
    max_concurrency: int = 16,
    allow_http: bool = False,
    transport: "AsyncBaseTransport | None" = None,
    timing: "Timing | None" = None,
    on_diagnostic: "Callable[[HttpDiagnostic], None] | None" = None,
) -> AsyncIterator["MattermostClient"]:
    """Open a client; nothing is sent yet. A transport that is given stays open afterwards.

    Raises InsecureTransport for http to another machine without `allow_http`.
    """
    address = checked_address(url, allow_http=allow_http)
    from mmconsole.mattermost.client import MattermostClient  # noqa: PLC0415 - what it is made of takes long to import
    from mmconsole.mattermost.exchange import Exchange, Timing  # noqa: PLC0415
    from mmconsole.mattermost.transport import AiohttpTransport  # noqa: PLC0415

    own = AiohttpTransport(timeout=timeout, encrypted=address.encrypted) if transport is None else None
    exchange = Exchange(
        address,
        transport or own,  # type: ignore[arg-type]
        admin_token=admin_token,
        max_concurrency=max_concurrency,
        timing=timing or Timing(),
        on_diagnostic=on_diagnostic,
    )
    try:
        yield MattermostClient(exchange)
    finally:
        if own is not None:
            await own.aclose()
