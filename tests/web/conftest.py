"""The service over ASGI, as a browser and an application see it, beside a simulated Mattermost."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mmconsole.core import Core
from mmconsole.domain.callers import Scope
from mmconsole.web import make_app

if TYPE_CHECKING:
    from tests.conftest import World

HOST = "https://chat.example.org"


@dataclass
class Site:
    """The service, one application with a key, and browsers that know nothing but what they are sent."""

    core: Core
    world: "World"
    app: Any
    key: str = ""
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def browser(self, *, address: str = "192.0.2.1") -> httpx.AsyncClient:
        """A browser with cookies of its own, that follows nothing by itself."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 4711))
        client = httpx.AsyncClient(transport=transport, base_url=HOST)
        self.clients.append(client)
        return client

    async def ask(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        """A call of the application's back end."""
        headers = {"authorization": f"Bearer {key or self.key}"} | more.pop("headers", {})
        return await self.browser(address="198.51.100.7").request(method, path, headers=headers, **more)

    async def link(self, user_id: str, **query: str) -> str:
        """The URL of a new link, below our own host."""
        answer = await self.ask("GET", "/api/mattermost/magic-link", params={"user": user_id} | query)
        assert answer.status_code == 200, answer.text
        url: str = answer.json()["url"]
        return url

    async def synced(self, email: str = "ann@example.org") -> str:
        """A user with an account and a token that works."""
        user_id = self.world.add(email, verified=True)
        await self.world.sync()
        return user_id

    async def new_key(self, *scopes: Scope, **more: Any) -> str:
        older = len(await self.core.callers.list())
        name = f"test-{older + 1}" if older else "test"
        made = await self.core.callers.create(name, scopes or tuple(Scope), **more)
        return made.text.reveal()


OpenSite = Callable[..., Any]


@pytest.fixture
async def open_site(world: "World") -> AsyncIterator[OpenSite]:
    """Opens a service with these settings; `body_within` is passed on to it."""
    stack = AsyncExitStack()

    async def make(*, body_within: float = 10.0, **settings: Any) -> Site:
        world.set(**{f"web__{name}": value for name, value in ({"mattermost_url": HOST} | settings).items()})
        core = await stack.enter_async_context(world.core())
        site = Site(core, world, make_app(core.gateway, body_within=body_within))
        stack.push_async_callback(_close, site)
        site.key = await site.new_key()
        return site

    async with stack:
        yield make


async def _close(site: Site) -> None:
    for client in site.clients:
        await client.aclose()


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    opened: Site = await open_site()
    return opened


@pytest.fixture
async def ann(site: Site) -> str:
    """A user with an account and a token that works."""
    return await site.synced()
