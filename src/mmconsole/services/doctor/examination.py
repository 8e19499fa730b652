"""What a doctor needs for looking: the parts of an installation, each opened when first wanted and for reading only.

Nothing of it goes through the core, which is only opened when all is in order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mmconsole.config import Settings
from mmconsole.database import Database, open_database
from mmconsole.domain.accounts import ServerFacts
from mmconsole.domain.secrets import Secret
from mmconsole.errors import MmconsoleError
from mmconsole.mattermost import open_client
from mmconsole.secrets import admin_token

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient

T = TypeVar("T")

_PATIENCE: Final = 5.0
"""Seconds for an answer of the server: who looks whether all is well need not wait as long as a sync does."""


def token_of(settings: Settings) -> Secret:
    """The admin token, without waiting for somebody to unlock a keyring."""
    return admin_token.load(settings, interactive=False)


class Examination:
    """One look. Every part is asked for once, and whoever asks again gets the same part or the same error."""

    def __init__(
        self,
        settings: Settings,
        *,
        load_token: Callable[[Settings], Secret] = token_of,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.now = now
        self._load_token = load_token
        self._stack = AsyncExitStack()
        self._parts: dict[str, asyncio.Future[Any]] = {}

    async def token(self) -> Secret:
        """The administrator's token. Raises SecretError, MissingSetting."""
        return await self._once("token", lambda: asyncio.to_thread(self._load_token, self.settings))

    async def client(self) -> "MattermostClient":
        """The server; without a token it tells what it tells everybody. Raises MissingSetting, InsecureTransport."""
        return await self._once("client", self._open_client)

    async def answered_in(self) -> float:
        """Seconds that the server took for its first answer. Raises MattermostError."""
        return await self._once("ping", self._ping)

    async def facts(self) -> ServerFacts:
        """What the server says of itself. Raises MattermostError."""
        await self.answered_in()
        client = await self.client()
        return await self._once("facts", client.facts)

    async def database(self) -> Database:
        """The database. Raises DatabaseError."""
        return await self._once("database", lambda: self._stack.enter_async_context(open_database(self.settings)))

    async def aclose(self) -> None:
        await self._stack.aclose()

    async def _open_client(self) -> "MattermostClient":
        values = self.settings.values.mattermost
        try:
            token = await self.token()
        except MmconsoleError:
            token = None
        opened = open_client(
            self.settings.server,
            token,
            timeout=min(values.timeout, _PATIENCE),
            max_concurrency=values.max_concurrency,
            allow_http=values.allow_http,
        )
        return await self._stack.enter_async_context(opened)

    async def _ping(self) -> float:
        client = await self.client()
        begun = perf_counter()
        await client.ping()
        return perf_counter() - begun

    async def _once(self, name: str, make: Callable[[], Awaitable[T]]) -> T:
        if name not in self._parts:
            self._parts[name] = asyncio.ensure_future(make())
        # The group that asked first may be given up; the others go on waiting for the same part.
        found: T = await asyncio.shield(self._parts[name])
        return found
