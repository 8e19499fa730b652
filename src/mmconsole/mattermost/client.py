"""The client of one Mattermost server: one method per call, each answering with values of the domain.

Calls made for a user take that user's secret; all others are made with the admin token given to `open_client`. Which
credential an operation uses is decided by the services, never here.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from mmconsole.domain.secrets import Secret
from mmconsole.mattermost.accounts import AccountCalls
from mmconsole.mattermost.addresses import checked_address
from mmconsole.mattermost.exchange import Exchange, HttpDiagnostic, Timing
from mmconsole.mattermost.pace import Pace
from mmconsole.mattermost.server import ServerCalls
from mmconsole.mattermost.teams import TeamCalls
from mmconsole.mattermost.tokens import TokenCalls
from mmconsole.mattermost.transport import AiohttpTransport


class MattermostClient(AccountCalls, TokenCalls, TeamCalls, ServerCalls):
    """What can be asked of a server. Every method raises leaves of MattermostError and nothing else of this room's."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    @property
    def server(self) -> str:
        """The server's address."""
        return self._exchange.server

    @property
    def pace(self) -> Pace:
        """How many calls are on the way at once, and how long the server wants everybody to wait."""
        return self._exchange.pace

    @property
    def last_request_id(self) -> str:
        """The server's id of the last call that this task made, for the activity row; empty when it said none."""
        return self._exchange.last_request_id

    def server_time_ms(self) -> int:
        """The server's milliseconds since 1970 by its last answer, to about a second."""
        return self._exchange.clock.now_ms()


@asynccontextmanager
async def open_client(  # noqa: PLR0913 - each is a setting, or something tests replace
    url: str,
    admin_token: Secret | None = None,
    *,
    timeout: float = 30.0,  # noqa: ASYNC109 - the time for each answer, not for this function
    max_concurrency: int = 16,
    allow_http: bool = False,
    transport: httpx.AsyncBaseTransport | None = None,
    timing: Timing | None = None,
    on_diagnostic: Callable[[HttpDiagnostic], None] | None = None,
) -> AsyncIterator[MattermostClient]:
    """Open a client; nothing is sent yet. A transport that is given stays open afterwards.

    Raises InsecureTransport for http to another machine without `allow_http`.
    """
    address = checked_address(url, allow_http=allow_http)
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
