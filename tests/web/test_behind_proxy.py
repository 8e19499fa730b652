"""The whole way of a link: nginx or Caddy with our own files, the service, a simulated Mattermost, and Chromium."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.web.chromium import Tab, needs_chromium, open_tab
from tests.web.proxies import HOST, Proxy, needs, running
from tests.web.proxies import Site as Behind

from mmconsole.config import WebSettings
from mmconsole.services.doctor.web import NAMES, WebCheck
from mmconsole.web import listening, serve

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.web.conftest import OpenSite, Site

CHAT = f"https://{HOST}"
EVIL = "http://evil.example"
REDIRECT = "/api/mattermost/redirect"
SUBMIT = "<script>document.forms[0].submit()</script>"
BOTH = pytest.mark.parametrize(
    "name", [pytest.param("nginx", marks=needs("nginx")), pytest.param("caddy", marks=needs("caddy"))]
)


@pytest.fixture
async def world(new_world: Callable[..., Any]) -> AsyncIterator["World"]:
    """Mattermost has a page that says who is signed in, and calls its API as the web client does."""
    async with new_world(page=True) as made:
        yield made


class Told:
    """Signals of an operator who is this test."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.under_way: Callable[[], int] | None = None


@dataclass
class Stage:
    """Everything there is, and somebody who wants a link."""

    site: "Site"
    proxy: Proxy
    user_id: str
    pages: dict[str, str]
    """What another site shows."""
    rules: list[str]
    folder: Path
    stop: asyncio.Event

    async def link(self, to: str = "") -> str:
        query = {"user": self.user_id} | ({"to": to} if to else {})
        answer = await self.site.ask("GET", "/api/mattermost/magic-link", params=query)
        url: str = answer.json()["url"]
        assert url.startswith(f"{CHAT}{REDIRECT}?ticket=")
        return url

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Tab]:
        names = f"--host-resolver-rules={','.join(self.rules)}"
        async with open_tab(self.folder, names, "--ignore-certificate-errors") as tab:
            yield tab

    def client(self) -> httpx.AsyncClient:
        """Something that is no browser, as a mail scanner."""
        return httpx.AsyncClient(verify=False, base_url=f"https://127.0.0.1:{self.proxy.port}", headers={"host": HOST})

    @property
    def spent(self) -> list[bool]:
        return [
            at is not None for (at,) in self.site.world.sql("SELECT spent_at FROM mmconsole_tickets ORDER BY issued_at")
        ]

    @property
    def nickname(self) -> str:
        return self.site.world.server.account("ann@example.org").nickname


@asynccontextmanager
async def staged(
    open_site: "OpenSite", folder: Path, name: str, *, changes: dict[str, str] | None = None, **settings: Any
) -> AsyncIterator[Stage]:
    """`changes` are made to our own file of the proxy."""
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(WebSettings(listen="127.0.0.1:0")))
        site: Site = await open_site(rate__address=1_000, **settings)
        user_id = await site.synced()
        signals = Told()
        serving = asyncio.create_task(serve(site.core.gateway, listener, signals))
        stack.push_async_callback(asyncio.wait, [serving])
        stack.callback(signals.stop.set)
        behind = Behind(
            listener.address.removeprefix("http://"), site.world.url.removeprefix("http://"), folder, changes or {}
        )
        proxy = await stack.enter_async_context(running(name, behind))
        pages: dict[str, str] = {}
        evil = await asyncio.start_server(_site_of(pages), "127.0.0.1", 0)
        stack.callback(evil.close)
        elsewhere = evil.sockets[0].getsockname()[1]
        rules = [f"MAP {HOST}:443 127.0.0.1:{proxy.port}", f"MAP evil.example:80 127.0.0.1:{elsewhere}"]
        yield Stage(site, proxy, user_id, pages, rules, folder, signals.stop)


def _site_of(pages: dict[str, str]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    """Another site, which shows these pages by their paths."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        page = pages.get(head.split(b" ")[1].decode(), "").encode()
        writer.write(b"HTTP/1.0 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n" + page)
        await writer.drain()
        writer.close()

    return answer


# ── a person's way ───────────────────────────────────────────────────────────────────────────────


@needs_chromium
@BOTH
async def test_a_person_opens_a_link_and_works_in_mattermost(open_site: "OpenSite", tmp_path: Path, name: str) -> None:
    async with staged(open_site, tmp_path, name) as stage, stage.browser() as tab:
        for cookie in ("MMAUTHTOKEN", "MMCSRF"):
            await tab.tell("Network.setCookie", name=cookie, value="old", url=CHAT, secure=True)
        url = await stage.link("/main/channels/town-square")
        await tab.go(url)
        page = await tab.sees()

        await tab.click("button")

        address, shown, cookies = await tab.address(), await tab.sees(), await tab.cookies(CHAT)
        await tab.run("document.querySelector('#change').onclick()", by_hand=True)
        changed = await tab.run("document.querySelector('output').textContent")
        await tab.go(url)
        again = await tab.sees()
        await stage.proxy.logged("town-square")

        assert "ann@example.org" in page
        assert address == f"{CHAT}/main/channels/town-square"
        assert "Signed in as ann" in shown
        assert {key: cookie["value"] for key, cookie in cookies.items()} == {
            "MMAUTHTOKEN": stage.site.world.secret(stage.user_id),
            "MMUSERID": stage.site.world.record(stage.user_id)["account_id"],
        }
        assert all(cookie["secure"] for cookie in cookies.values())
        assert changed == "Changed."
        assert stage.nickname.startswith("Changed at")
        assert "already been used" in again
        assert "ticket" not in stage.proxy.logs
        assert url.partition("ticket=")[2][:8] not in stage.proxy.logs


@needs_chromium
@needs("nginx")
async def test_a_click_in_mattermost_signs_in_at_once_and_never_somebody_else(
    open_site: "OpenSite", tmp_path: Path
) -> None:
    """Otherwise a link that somebody posts in a channel would sign its readers in as them."""
    async with staged(open_site, tmp_path, "nginx") as stage, stage.browser() as tab:
        await tab.go(f"{CHAT}/")
        await tab.follow(await stage.link())
        stranger = await tab.sees()
        stage.user_id = await stage.site.synced("bob@example.org")
        await tab.follow(await stage.link())
        signed_in = await tab.sees()
        cookies = await tab.cookies(CHAT)

        assert "Signed in as ann" in stranger
        assert "bob@example.org" in signed_in
        assert "replaced" in signed_in
        assert cookies["MMAUTHTOKEN"]["value"] != stage.site.world.secret(stage.user_id)
        assert stage.spent == [True, False]


# ── who must not ─────────────────────────────────────────────────────────────────────────────────


@BOTH
async def test_a_mail_scanner_burns_nothing(open_site: "OpenSite", tmp_path: Path, name: str) -> None:
    async with staged(open_site, tmp_path, name) as stage, stage.client() as scanner:
        url = await stage.link()

        answers = [await scanner.request(method, url.removeprefix(CHAT)) for method in ("GET", "HEAD", "OPTIONS")]

        assert [answer.status_code for answer in answers] == [200, 200, 405]
        assert stage.spent == [False]
        assert not [line for answer in answers for line in answer.headers.get_list("set-cookie") if "MMAUTH" in line]


@needs_chromium
@needs("nginx")
async def test_a_prefetch_burns_nothing(open_site: "OpenSite", tmp_path: Path) -> None:
    async with staged(open_site, tmp_path, "nginx") as stage, stage.browser() as tab:
        await tab.go(f"{CHAT}/")
        url = await stage.link()
        rules = json.dumps({"prerender": [{"source": "list", "urls": [url], "eagerness": "immediate"}]})
        await tab.run(
            f"""new Promise(done => {{
                let fetched = document.createElement('link');
                fetched.rel = 'prefetch'; fetched.href = {url!r}; fetched.onload = fetched.onerror = done;
                let rules = document.createElement('script');
                rules.type = 'speculationrules'; rules.textContent = {rules!r};
                document.head.append(fetched, rules);
            }})"""
        )
        await tab.run(f"fetch({url!r}, {{mode: 'no-cors'}}).then(answer => answer.status)")
        before, cookies = stage.spent, await tab.cookies(CHAT)
        await tab.go(url)
        await tab.click("button")

        assert before == [False]
        assert "MMAUTHTOKEN" not in cookies
        assert stage.spent == [True]


@needs_chromium
@needs("nginx")
@pytest.mark.parametrize(
    "page",
    [
        "<form method=post action=REDIRECT><input name=ticket value=TICKET><input name=nonce value=x></form>SUBMIT",
        "<form method=get action=REDIRECT><input name=ticket value=TICKET></form>SUBMIT",
        "<script>location.href = 'LINK'</script>",
        "<meta http-equiv=refresh content='0; url=LINK'>",
    ],
    ids=["form that posts", "form that gets", "navigation", "refresh"],
)
async def test_another_site_signs_nobody_in(open_site: "OpenSite", tmp_path: Path, page: str) -> None:
    """The attacker's own link, which would sign the victim in as the attacker."""
    async with staged(open_site, tmp_path, "nginx") as stage, stage.browser() as tab:
        url = await stage.link()
        ticket = url.partition("ticket=")[2]
        words = {"LINK": url, "REDIRECT": f"{CHAT}{REDIRECT}", "TICKET": ticket, "SUBMIT": SUBMIT}
        for word, meant in words.items():
            page = page.replace(word, meant)
        stage.pages["/"] = page

        await tab.go(f"{EVIL}/")
        while urlsplit(await tab.address()).hostname != HOST:
            await tab.heard("Page.loadEventFired")

        assert "ann@example.org" in await tab.sees()
        assert "MMAUTHTOKEN" not in await tab.cookies(CHAT)
        assert stage.spent == [False]


@needs_chromium
@needs("nginx")
async def test_another_site_can_neither_frame_nor_embed_a_link(open_site: "OpenSite", tmp_path: Path) -> None:
    async with staged(open_site, tmp_path, "nginx") as stage, stage.browser() as tab:
        url = await stage.link()
        stage.pages["/"] = f"<iframe hidden src='{url}'></iframe><img src='{url}'><object data='{url}'></object>"

        await tab.go(f"{EVIL}/")

        frames = await tab.run("[...document.querySelectorAll('iframe')].map(one => one.contentDocument === null)")
        assert frames == [True]
        assert "MMAUTHTOKEN" not in await tab.cookies(CHAT)
        assert stage.spent == [False]


@needs_chromium
@needs("nginx")
@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example/", "/\\evil.example", "/%2f/evil.example"])
async def test_a_link_leads_nowhere_else(open_site: "OpenSite", tmp_path: Path, to: str) -> None:
    async with staged(open_site, tmp_path, "nginx") as stage, stage.browser() as tab:
        await tab.go(f"{CHAT}/")

        await tab.follow(f"{await stage.link()}&to={to}")

        assert urlsplit(await tab.address()).hostname == HOST
        assert stage.spent == [False]


# ── what the web server writes down ──────────────────────────────────────────────────────────────


@BOTH
async def test_no_ticket_is_in_the_web_servers_logs_when_the_service_is_away_either(
    open_site: "OpenSite", tmp_path: Path, name: str
) -> None:
    async with staged(open_site, tmp_path, name) as stage, stage.client() as browser:
        url = await stage.link()
        stage.stop.set()
        await stage.site.world.until(lambda: True)
        ticket = url.partition("ticket=")[2]
        while (answer := await browser.get(url.removeprefix(CHAT))).status_code != 502:
            pass
        await browser.get("/to-mattermost?that-is=logged")
        await stage.proxy.logged("to-mattermost")

        assert answer.status_code == 502
        assert "that-is=logged" in stage.proxy.logs
        assert ticket[:8] not in stage.proxy.logs


# ── the look from outside ────────────────────────────────────────────────────────────────────────


async def looked(stage: Stage) -> dict[str, str]:
    """What `doctor --web` finds of a stage, by the names of the findings."""
    address = f"https://127.0.0.1:{stage.proxy.port}"
    stage.site.world.set(web__mattermost_url=address)
    found = await WebCheck(stage.site.world.load()).run()
    return {finding.name: str(finding.verdict) for finding in found}


@BOTH
async def test_a_look_from_outside_finds_all_in_order(
    open_site: "OpenSite", tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with staged(open_site, tmp_path, name) as stage:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))

        found = await looked(stage)

        assert found == dict.fromkeys(NAMES, "yes")
        assert "a-look-from-outside" not in stage.proxy.logs


@needs("nginx")
async def test_a_look_from_outside_finds_a_web_server_that_believes_strangers(
    open_site: "OpenSite", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It proves itself to the service, and passes on whatever user a stranger names."""
    monkeypatch.setenv("TEST_PROXY_SECRET", "s" * 32)
    by_header = {"header": "X-Remote-User", "secret": {"source": "environment", "variable": "TEST_PROXY_SECRET"}}
    changes = {
        'proxy_set_header X-Remote-User "";': "",
        'X-Mmconsole-Proxy-Secret ""': f"X-Mmconsole-Proxy-Secret {'s' * 32}",
        "proxy_set_header X-Forwarded-For $remote_addr;": "",
        "location ^~ /api/mattermost/": "location ~ ^/(api/mattermost/|metrics)",
        "proxy_http_version 1.1;": "proxy_http_version 1.1; proxy_hide_header Referrer-Policy;",
    }
    async with staged(open_site, tmp_path, "nginx", changes=changes, proxy=by_header) as stage:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))

        found = await looked(stage)

        assert found["forwarded"] == "yes"
        assert found["proxy header"] == "no"
        assert found["headers kept"] == "no"
        assert found["inside hidden"] == "no"
