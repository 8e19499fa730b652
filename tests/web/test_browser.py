"""A real browser, without a screen: the button, the cookies it keeps, and Mattermost behind them.

It goes from one port of this machine to another, as from the service to Mattermost: cookies know hosts, not ports.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.web.chromium import Tab, needs_chromium, open_tab

from mmconsole.config import WebSettings
from mmconsole.web import listening, serve

if TYPE_CHECKING:
    from tests.web.conftest import OpenSite, Site

pytestmark = needs_chromium


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    async with open_tab(tmp_path) as tab:
        yield tab


class Told:
    """Signals of an operator who is this test."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.under_way: Callable[[], int] | None = None


@contextlib.asynccontextmanager
async def served(open_site: "OpenSite") -> AsyncIterator["Site"]:
    """The service on a port of the host that the simulated Mattermost is on."""
    with listening(WebSettings(listen="127.0.0.1:0")) as listener:
        site: Site = await open_site(mattermost_url=None, public_url=listener.address)
        signals = Told()
        serving = asyncio.create_task(serve(site.core.gateway, listener, signals))
        try:
            yield site
        finally:
            signals.stop.set()
            await serving


async def link(site: "Site", user_id: str, to: str = "") -> str:
    issued = await site.ask("GET", "/api/mattermost/magic-link", params={"user": user_id, "to": to})
    url: str = issued.json()["url"]
    return url


@pytest.mark.parametrize(("language", "title"), [("en", "Sign in to Mattermost"), ("de", "Bei Mattermost anmelden")])
async def test_the_page_fits_a_phone_and_a_screen_reader(
    open_site: "OpenSite", tab: Tab, language: str, title: str
) -> None:
    async with served(open_site) as site:
        user_id = await site.synced(f"{'annegret-' * 5}lee@{'very-' * 6}long.example.org")
        await tab.tell("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
        await tab.tell("Network.enable")
        await tab.tell("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        await tab.go(await link(site, user_id))

        width = await tab.run("document.documentElement.scrollWidth")
        spoken = (await tab.tell("Accessibility.getFullAXTree"))["nodes"]

    told = [(node["role"]["value"], node["name"]["value"]) for node in spoken if node.get("name", {}).get("value")]
    assert width <= 390
    assert ("heading", title) in told
    assert [role for role, _ in told].count("button") == 1
    assert ("RootWebArea", title) in told


async def test_a_browser_presses_the_button_and_is_signed_in(open_site: "OpenSite", tab: Tab) -> None:
    async with served(open_site) as site:
        ann = await site.synced()
        await tab.go(await link(site, ann, "/main/channels/town-square"))
        page = await tab.sees()

        await tab.click("button")

        address = await tab.address()
        cookies = await tab.cookies(site.world.url)
        await tab.go(f"{site.world.url}/api/v4/users/me")
        me = json.loads(await tab.sees())

    assert "ann@example.org" in page
    assert address == f"{site.world.url}/main/channels/town-square"
    assert me["email"] == "ann@example.org"
    assert cookies["MMAUTHTOKEN"]["httpOnly"]
    assert cookies["MMAUTHTOKEN"]["session"]
    assert cookies["MMAUTHTOKEN"]["sameSite"] == "Lax"
    assert not cookies["MMUSERID"]["httpOnly"]
    assert set(cookies) == {"MMAUTHTOKEN", "MMUSERID"}


async def test_what_an_earlier_sign_in_left_is_replaced(open_site: "OpenSite", tab: Tab) -> None:
    async with served(open_site) as site:
        ann = await site.synced()
        for name in ("MMAUTHTOKEN", "MMUSERID", "MMCSRF"):
            await tab.tell("Network.setCookie", name=name, value="old", url=site.world.url, path="/")
        await tab.go(await link(site, ann))

        await tab.click("button")

        cookies = await tab.cookies(site.world.url)

    assert {name: cookie["value"] for name, cookie in cookies.items()} == {
        "MMAUTHTOKEN": site.world.secret(ann),
        "MMUSERID": site.world.record(ann)["account_id"],
    }


async def test_a_link_that_was_opened_by_another_site_waits_for_its_button(open_site: "OpenSite", tab: Tab) -> None:
    async with served(open_site) as site:
        ann = await site.synced()
        url = await link(site, ann)
        elsewhere = url.replace("127.0.0.1", "localhost").partition("/api/")[0]
        await tab.go(f"{elsewhere}/healthz")
        await tab.run(f"location.href = {url!r}", by_hand=True)
        await tab.heard("Page.loadEventFired")
        page = await tab.sees()
        cookies = await tab.cookies(site.world.url)

    assert "ann@example.org" in page
    assert "MMAUTHTOKEN" not in cookies
    assert site.world.sql("SELECT spent_at FROM mmconsole_tickets") == [(None,)]


async def test_a_click_on_a_page_of_the_same_origin_needs_no_button(open_site: "OpenSite", tab: Tab) -> None:
    async with served(open_site) as site:
        ann = await site.synced()
        url = await link(site, ann)
        await tab.go(f"{url.partition('/api/')[0]}/healthz")

        await tab.follow(url)

        cookies = await tab.cookies(site.world.url)

    assert cookies["MMAUTHTOKEN"]["value"] == site.world.secret(ann)
