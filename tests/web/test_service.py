"""What surrounds every request: limits, problems, probes, and a log that keeps secrets."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.web.clicks import A_CLICK

from mmconsole.config import WebSettings
from mmconsole.database import Database
from mmconsole.errors import DatabaseBusy, MmconsoleError, SealKeyMissing, TooManyRequests
from mmconsole.services.storage import Storage
from mmconsole.simulator import Fault
from mmconsole.web import journal, listening, serve
from mmconsole.web.addresses import Origin
from mmconsole.web.rates import Rate

if TYPE_CHECKING:
    from tests.web.conftest import OpenSite, Site

LINK = "/api/mattermost/magic-link"
REDIRECT = "/api/mattermost/redirect"


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


def test_a_rate_is_so_many_a_minute_for_each_name() -> None:
    now = 0.0
    rate = Rate(2, clock=lambda: now)

    def taken(name: str) -> bool:
        try:
            rate.take(name)
        except TooManyRequests:
            return False
        return True

    at_once = [taken("a"), taken("a"), taken("a"), taken("b")]
    now = 30.0
    later = [taken("a"), taken("a")]

    assert at_once == [True, True, False, True]
    assert later == [True, False]


def test_a_flood_of_names_fills_no_memory() -> None:
    now = 0.0
    rate = Rate(1, clock=lambda: now)
    before = len(rate._memory)

    for number in range(50_000):
        now += 1
        rate.take(str(number))

    assert len(rate._memory) == before
    with pytest.raises(TooManyRequests):
        rate.take("49999")


TWO_PROCESSES = """
import os
from mmconsole.errors import TooManyRequests
from mmconsole.web.rates import Rate
rate = Rate(2)
if not os.fork():
    rate.take("ann")
    os._exit(0)
os.wait()
print("taken", end="")
rate.take("ann")
try:
    rate.take("ann")
    print(", taken", end="")
except TooManyRequests:
    print(", taken, too many", end="")
"""


def test_processes_of_one_service_count_together() -> None:
    done = subprocess.run([sys.executable, "-c", TWO_PROCESSES], capture_output=True, text=True, check=True)

    assert done.stdout == "taken, taken, too many"


def test_the_addresses_of_one_household_are_counted_together() -> None:
    counted = [Origin(address, by_proxy=False, local=False).counted for address in ("2001:db8::1", "2001:db8::2")]

    assert counted[0] == counted[1] == "2001:db8::/64"
    assert Origin("192.0.2.1", by_proxy=False, local=False).counted == "192.0.2.1"


@pytest.mark.parametrize("limit", ["rate__caller", "rate__user"])
async def test_a_caller_who_asks_too_much_is_told_when_to_come_again(open_site: "OpenSite", limit: str) -> None:
    site = await open_site(**{limit: 2})
    ann = await site.synced()

    answers = [await site.ask("GET", LINK, params={"user": ann}) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


async def test_who_tries_keys_is_stopped_and_who_has_one_is_not(open_site: "OpenSite") -> None:
    site = await open_site(rate__address=3)
    ann = await site.synced()
    browser = site.browser(address="192.0.2.66")

    tries = [await browser.get(LINK, headers={"authorization": f"Bearer x{n}"}) for n in range(5)]
    other = await site.ask("GET", LINK, params={"user": ann})

    assert [answer.status_code for answer in tries] == [401, 401, 401, 429, 429]
    assert other.status_code == 200


async def test_who_tries_tickets_is_stopped(open_site: "OpenSite") -> None:
    site = await open_site(rate__address=3)
    browser = site.browser()

    opened = [await browser.get(REDIRECT, params={"ticket": f"x{n}"}) for n in range(2)]
    clicked = [await browser.post(REDIRECT, data={"ticket": f"y{n}"}) for n in range(3)]

    assert [answer.status_code for answer in (*opened, *clicked)] == [404, 404, 404, 429, 429]


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("127.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "203.0.113.5, 127.0.0.1", "203.0.113.5"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),
        ("::ffff:127.0.0.1", "::ffff:203.0.113.5", "203.0.113.5"),
        ("fe80::2%eth0", "203.0.113.5", "fe80::2"),
    ],
)
async def test_an_address_is_what_a_trusted_proxy_says(
    site: "Site", ann: str, peer: str, forwarded: str, counted: str
) -> None:
    url = await site.link(ann)
    await site.browser(address=peer).get(
        url,
        headers=A_CLICK | {"x-forwarded-for": forwarded},
    )

    rows = site.world.sql("SELECT detail FROM mmconsole_activity WHERE verb = 'link redeemed'")
    assert rows == [(f"from {counted}",)]


async def test_a_proxy_may_add_the_address_on_a_line_of_its_own(site: "Site", ann: str) -> None:
    url = await site.link(ann)
    lines = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.5")]
    await site.browser(address="127.0.0.1").get(url, headers=[*A_CLICK.items(), *lines])

    rows = site.world.sql("SELECT detail FROM mmconsole_activity WHERE verb = 'link redeemed'")
    assert rows == [("from 203.0.113.5",)]


async def test_a_body_has_64_kib(site: "Site") -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000

    announced = await site.browser().post(REDIRECT, content=b"x" * 65_537)
    chunked = await site.browser().post(REDIRECT, content=endless())

    assert [announced.status_code, chunked.status_code] == [413, 413]
    assert announced.json()["kind"] == "BodyTooLarge"


async def test_a_slow_body_is_not_waited_for(open_site: "OpenSite") -> None:
    site = await open_site(body_within=0.05)

    async def never() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    sent: list[Any] = []
    body = aiter(never())

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": await anext(body), "more_body": True}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": REDIRECT, "raw_path": b"", "query_string": b"", "headers": [],
        "client": ("192.0.2.1", 1), "server": ("x", 80), "scheme": "http", "root_path": "", "http_version": "1.1",
    }  # fmt: skip
    await site.app(scope, receive, send)

    assert sent[0]["status"] == 408


async def test_a_slow_head_is_not_waited_for(site: "Site", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmconsole.web.serving._HEAD_WITHIN", 0.5)
    signals = Told()

    with listening(WebSettings(listen="127.0.0.1:0")) as listener:
        serving = asyncio.create_task(serve(site.core.gateway, listener, signals))
        host, port = listener.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        answered = await reader.readuntil(b"}")
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        rest = await reader.read()
        writer.close()
        signals.stop.set()
        await serving

    assert answered.startswith(b"HTTP/1.1 200")
    assert rest == b""


class Told:
    """Signals of an operator who is this test."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.under_way: Callable[[], int] | None = None


# ── problems ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/api/v4/users/me", 404),
        ("GET", "/api/mattermost/../../etc/passwd", 404),
        ("PATCH", LINK, 405),
        ("TRACE", LINK, 405),
        ("GET", "/api/mattermost/users/x/sync", 405),
        ("POST", "/api/mattermost/users/" + "x" * 300 + "/sync", 400),
        ("PUT", "/api/mattermost/projects/7/channel", 401),
    ],
)
async def test_what_is_not_there_is_a_problem_with_an_id(site: "Site", method: str, path: str, status: int) -> None:
    answer = await site.browser().request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_mistake_of_ours_is_a_problem_and_a_line_in_the_log(
    site: "Site", caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("with a secret in it")

    monkeypatch.setattr(type(site.core.gateway.callers), "authenticate", broken)

    with caplog.at_level(logging.INFO, "mmconsole.web"):
        answer = await site.ask("GET", LINK)

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert f"{answer.json()['request_id']} mistake: RuntimeError at test_service.py:" in caplog.text
    assert "with a secret" not in caplog.text + answer.text


async def test_bodies_that_are_no_json_are_told_so(site: "Site") -> None:
    path = "/api/mattermost/channels/main/x/members"
    bodies: list[Any] = [b"", b"{", b"[]", b"\xff", b'{"user": 7}', b'{"user": ""}']

    answers = [await site.ask("POST", path, content=body) for body in bodies]

    assert {answer.status_code for answer in answers} == {400}


# ── other sites ──────────────────────────────────────────────────────────────────────────────────


async def test_other_sites_may_read_nothing_unless_they_are_named(open_site: "OpenSite") -> None:
    site = await open_site(allowed_origins=["https://app.example.org"])
    ann = await site.synced()

    named = await site.ask("GET", LINK, params={"user": ann}, headers={"origin": "https://app.example.org"})
    other = await site.ask("GET", LINK, params={"user": ann}, headers={"origin": "https://evil.example"})

    assert named.headers["access-control-allow-origin"] == "https://app.example.org"
    assert "access-control-allow-origin" not in other.headers


async def test_by_default_no_other_site_may_read_anything(site: "Site", ann: str) -> None:
    answer = await site.ask("GET", LINK, params={"user": ann}, headers={"origin": "https://app.example.org"})

    assert not [name for name in answer.headers if name.startswith("access-control")]


# ── probes ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_probes_tell_life_from_readiness(site: "Site") -> None:
    ready = await site.browser().get("/readyz")

    assert (await site.browser().get("/healthz")).json() == {"status": "ok"}
    assert ready.json() == {"status": "ok", "database": "ok", "server": "ok", "keys": "ok"}


async def test_a_server_that_is_away_makes_the_service_unready(site: "Site") -> None:
    site.world.server.faults.add(Fault("status", times=None))

    ready = await site.browser().get("/readyz")

    assert ready.status_code == 503
    assert ready.json() == {"status": "failing", "database": "ok", "server": "failing", "keys": "ok"}
    assert (await site.browser().get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("part", "way", "fault"),
    [
        ("database", (Database, "read"), DatabaseBusy(database="x")),
        ("keys", (Storage, "vault"), SealKeyMissing(which="", source="x")),
    ],
)
async def test_a_part_that_is_gone_makes_the_service_unready(
    site: "Site", monkeypatch: pytest.MonkeyPatch, part: str, way: tuple[type, str], fault: MmconsoleError
) -> None:
    async def gone(*_: object) -> None:
        raise fault

    monkeypatch.setattr(*way, gone)
    ready = await site.browser().get("/readyz")

    assert ready.status_code == 503
    assert ready.json()[part] == "failing"


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/openapi.json"])
async def test_what_shows_the_inside_is_for_this_machine(site: "Site", path: str) -> None:
    here = await site.browser(address="127.0.0.1").get(path)
    there = await site.browser().get(path)
    proxied = await site.browser(address="127.0.0.1").get(path, headers={"x-forwarded-for": "127.0.0.1"})

    assert [here.status_code, there.status_code, proxied.status_code] == [200, 404, 404]


async def test_the_metrics_count_by_route_and_never_by_what_a_client_wrote(site: "Site", ann: str) -> None:
    await site.ask("GET", LINK, params={"user": ann})
    await site.browser().get("/made/up/by/a/client")

    text = (await site.browser(address="127.0.0.1").get("/metrics")).text

    assert f'mmconsole_http_requests_total{{method="GET",route="{LINK}",status="200"}} 1.0' in text
    assert 'route="unknown",status="404"' in text
    assert "made" not in text


# ── the log ──────────────────────────────────────────────────────────────────────────────────────


async def test_no_secret_is_in_any_log_or_table(
    open_site: "OpenSite", caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    site = await open_site()
    ann = await site.synced()
    caplog.set_level(logging.DEBUG)
    for quiet in ("aiosqlite", "asyncio"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    # The browser's own library logs the addresses it asks for, and is no part of the service.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    url = await site.link(ann)
    ticket = httpx.URL(url).params["ticket"]
    browser = site.browser()
    await browser.get(url)
    await browser.get(f"/api/mattermost/redirect/{ticket}")
    await browser.get(f"/{site.key}")
    await browser.get(f"/{'x/' * 50}{ticket}")
    await browser.get(LINK, headers={"authorization": f"Bearer {site.world.secret(ann)}"})
    await browser.post(REDIRECT, data={"ticket": ticket, "nonce": "x"})
    await browser.get(url, params={"ticket": ticket, "to": "//x"})
    site.world.server.faults.add(Fault("status", path="/users/{id}", times=None))
    await browser.get(url, headers={"sec-fetch-mode": "navigate"})

    said = caplog.text + "".join(capfd.readouterr()) + repr(site.world.dump())
    assert "GET /api/mattermost/redirect 200" in caplog.text
    for secret in (ticket, site.key.split("_", 2)[2], site.world.secret(ann), site.world.admin_token):
        assert not [at for at in range(len(secret) - 8) if secret[at : at + 8] in said]


@pytest.mark.parametrize("form", [journal._Text, journal._Json])
def test_a_line_break_in_an_error_begins_no_line_of_its_own(form: type[logging.Formatter]) -> None:
    record = logging.makeLogRecord({"msg": "%s", "args": ("x\n2026-01-01 00:00:00 INFO forged\x1b[2J\u2028",)})

    line = form().format(record)

    assert line.isprintable()
    assert "forged" in line


# ── the description of the calls ─────────────────────────────────────────────────────────────────


async def test_the_description_needs_nothing_from_elsewhere(site: "Site") -> None:
    page = await site.browser(address="127.0.0.1").get("/docs")

    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in page.text
    assert not [word for word in ("http://", "src=") if word in page.text]
    for call in ("GET /api/mattermost/magic-link", "POST /api/mattermost/users/{user}/sync", "GET /readyz"):
        assert call in page.text
    assert "tion/problem+json" in page.text
    assert "<code>Retry-After</code>" in page.text
    assert "`" not in page.text


async def test_the_description_says_by_example_what_is_answered(site: "Site") -> None:
    document = (await site.browser(address="127.0.0.1").get("/openapi.json")).json()

    told = document["paths"][LINK]["get"]["responses"]
    assert set(told["200"]["content"]["application/json"]["example"]) == {"token", "url", "expires_at"}
    assert {"400", "401", "403", "404", "409", "429", "503"} <= set(told)
    assert set(told["503"]["content"]["application/problem+json"]["example"]) == {
        *("type", "title", "status", "kind", "detail", "request_id"),
    }


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_the_description_can_be_switched_off(open_site: "OpenSite", path: str) -> None:
    site = await open_site(docs="nobody")

    assert (await site.browser(address="127.0.0.1").get(path)).status_code == 404
