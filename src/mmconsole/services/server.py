"""The way to the Mattermost server: opened when first needed, checked once, closed with the core."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mmconsole.config import Settings
from mmconsole.database import Database
from mmconsole.domain.accounts import ServerFacts
from mmconsole.domain.secrets import Secret
from mmconsole.errors import AdminTokenDead, AdminTokenTooWeak, TokensSwitchedOff
from mmconsole.mattermost import open_client
from mmconsole.secrets import admin_token

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient
    from mmconsole.mattermost.exchange import HttpDiagnostic


class Server:
    """One client for the whole process.

    The admin token is fetched at the first call, not at the start: commands that only read the database need none. And
    it is fetched again after the server has refused it, for a service outlives the token that it began with.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        load_token: Callable[[Settings], Secret] = admin_token.load,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._load_token = load_token
        self._warn = warn
        self.heard: Callable[[HttpDiagnostic], None] | None = None
        """Told of each attempt at a call, from when it is set."""
        self._stack = AsyncExitStack()
        self._opening: asyncio.Task[MattermostClient] | None = None
        self._client: MattermostClient | None = None
        self._refused = False
        """Whether the server does not accept the admin token any more."""
        self._facts: ServerFacts | None = None

    async def client(self) -> "MattermostClient":
        """The client, after the server was seen to be ours, and the token to be an administrator's.

        Raises AdminTokenTooWeak, AdminTokenDead, TokensSwitchedOff, OtherServer, and what opening can raise.
        """
        if self._client is not None and not self._refused:
            return self._client
        if self._opening is None:
            self._opening = asyncio.create_task(self._opened())
            self._opening.add_done_callback(self._end)
        # One for all who wait: a keyring that hangs would else hold each of them up, one after the other.
        return await asyncio.shield(self._opening)

    async def client_for_users(self) -> "MattermostClient":
        """The client for calls with users' own secrets, whom an admin token that died since keeps from nothing."""
        return self._client or await self.client()

    async def facts(self) -> ServerFacts:
        await self.client()
        if self._facts is None:
            message = "a client is only kept with its facts"
            raise AssertionError(message)
        return self._facts

    async def now(self) -> datetime:
        """The server's own time by its last answer, to about a second."""
        return datetime.fromtimestamp((await self.client()).server_time_ms() / 1000, UTC)

    async def bind(self) -> None:
        """Remember that this database belongs to this server; called before the first write."""
        facts = await self.facts()
        url = self._settings.server
        await self._database.write(lambda tx: tx.meta.bind_server(diagnostic_id=facts.diagnostic_id, url=url))

    async def aclose(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._stack.aclose()
        self._client = None

    async def _opened(self) -> "MattermostClient":
        token = await self._token()
        if self._client is not None:
            return await self._renewed(self._client, token)
        if warning := admin_token.place(self._settings).warning:
            self._warn(warning)
        async with AsyncExitStack() as opened:
            client = await opened.enter_async_context(self._way(token))
            await self._check(client)
            # Only now: a server that is away is asked again and again, and each client would stay until the end.
            self._stack = opened.pop_all()
        self._client = client
        return client

    async def _renewed(self, client: "MattermostClient", token: Secret) -> "MattermostClient":
        """Go on with the token that `mmconsole login` has stored since, if there is another one."""
        # By a way of its own: what is under way must not act with a token that nobody has looked at.
        async with self._way(token) as way:
            await self._check(way)
        client.use_admin_token(token)
        self._refused = False
        return client

    def _end(self, opening: "asyncio.Task[MattermostClient]") -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()

    def _way(self, token: Secret) -> AbstractAsyncContextManager["MattermostClient"]:
        values = self._settings.values.mattermost
        return open_client(
            self._settings.server,
            token,
            timeout=values.timeout,
            max_concurrency=values.max_concurrency,
            allow_http=values.allow_http,
            on_diagnostic=self._tell,
        )

    async def _token(self) -> Secret:
        # The keyring may hang until its deadline; the loop must go on meanwhile.
        return await asyncio.to_thread(self._load_token, self._settings)

    def _tell(self, call: "HttpDiagnostic") -> None:
        if call.fault == AdminTokenDead.__name__:
            self._refused = True
        if self.heard is not None:
            self.heard(call)

    async def _check(self, client: "MattermostClient") -> None:
        whoami = await client.whoami()
        if "system_admin" not in whoami.roles.split():
            raise AdminTokenTooWeak(username=f"@{whoami.username}", server=self._settings.server)
        self._facts = await client.facts()
        # A bot's token goes on working while tokens are switched off, and can say so (seen on 11.6.0).
        if self._facts.tokens_enabled is False:
            raise TokensSwitchedOff(server=self._settings.server)
        found, url = self._facts.diagnostic_id, self._settings.server
        await self._database.read(lambda db: db.meta.check_server(diagnostic_id=found, url=url))
