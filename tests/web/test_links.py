"""Magic links as a browser sees them: the button, the click, the cookies, and who is kept out."""

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from tests.web.clicks import A_CLICK

from mmconsole.database import TokenRepository
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.errors import LinkRefused
from mmconsole.services.link_tokens import Held, LinkTokens
from mmconsole.services.magic_links import SignIn
from mmconsole.simulator import Fault
from mmconsole.web.cookies import sign_in_cookies

if TYPE_CHECKING:
    from tests.web.conftest import OpenSite, Site


HOST = "https://chat.example.org"
LINK = "/api/mattermost/magic-link"
REDIRECT = "/api/mattermost/redirect"
_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def fields_of(page: httpx.Response) -> dict[str, str]:
    """What the form of a page would send."""
    return dict(_FIELD.findall(page.text))


def ticket_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["ticket"][0]


def cookies_of(answer: httpx.Response) -> list[str]:
    found: list[str] = answer.headers.get_list("set-cookie")
    return found


def signed_in(answer: httpx.Response) -> bool:
    return any(line.startswith("MMAUTHTOKEN=") and "Max-Age=0" not in line for line in cookies_of(answer))


def spent(site: "Site") -> list[bool]:
    return [row[0] is not None for row in site.world.sql("SELECT spent_at FROM mmconsole_tickets")]


async def test_the_answer_is_what_callers_of_the_laravel_version_read(site: "Site", ann: str) -> None:
    answer = await site.ask("GET", LINK, params={"user": ann})

    assert answer.status_code == 200
    assert set(answer.json()) == {"token", "url", "expires_at"}
    assert answer.json()["token"] == site.world.secret(ann)
    assert answer.json()["url"].startswith(f"{HOST}{REDIRECT}?ticket=")
    assert answer.headers["cache-control"] == "no-store"


async def test_the_token_can_be_left_out(open_site: "OpenSite") -> None:
    site = await open_site(include_token=False)
    ann = await site.synced()

    answer = await site.ask("GET", LINK, params={"user": ann})

    assert set(answer.json()) == {"url", "expires_at"}


async def test_the_address_is_the_one_of_the_settings_whatever_the_request_says(site: "Site", ann: str) -> None:
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil.example"}

    answer = await site.ask("GET", LINK, params={"user": ann}, headers=headers)

    assert answer.json()["url"].startswith(f"{HOST}/")


async def test_a_slash_too_many_sends_no_ticket_to_the_host_that_the_request_names(site: "Site") -> None:
    answer = await site.browser().get(f"{REDIRECT}/?ticket=abc", headers={"host": "evil.example"})

    assert (answer.status_code, answer.headers.get("location")) == (404, None)


async def test_a_click_on_a_page_of_this_site_signs_in_at_once(site: "Site", ann: str) -> None:
    url = await site.link(ann)

    answer = await site.browser().get(url, headers=A_CLICK)

    assert answer.status_code == 303
    assert answer.headers["location"] == f"{HOST}/"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert cookies_of(answer)[3:6] == [
        "MMCSRF=; Path=/; SameSite=Lax; Secure; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        f"MMAUTHTOKEN={site.world.secret(ann)}; Path=/; SameSite=Lax; Secure; HttpOnly",
        f"MMUSERID={site.world.record(ann)['account_id']}; Path=/; SameSite=Lax; Secure",
    ]
    assert all("Domain=chat.example.org" in line and "Max-Age=0" in line for line in cookies_of(answer)[:3])


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("HEAD", A_CLICK),
        ("GET", A_CLICK | {"sec-fetch-site": "cross-site"}),
        ("GET", A_CLICK | {"sec-fetch-site": "same-site"}),
        ("GET", A_CLICK | {"sec-fetch-site": "none"}),
        ("GET", A_CLICK | {"sec-fetch-dest": "iframe"}),
        ("GET", A_CLICK | {"sec-fetch-mode": "no-cors"}),
        ("GET", {name: value for name, value in A_CLICK.items() if name != "sec-fetch-user"}),
        ("GET", A_CLICK | {"sec-purpose": "prefetch"}),
        ("GET", A_CLICK | {"purpose": "prefetch"}),
    ],
)
async def test_whatever_else_opens_a_link_gets_a_button_and_burns_nothing(
    site: "Site", ann: str, method: str, headers: dict[str, str]
) -> None:
    url = await site.link(ann)

    answer = await site.browser().request(method, url, headers=headers)

    assert answer.status_code == 200
    assert not signed_in(answer)
    assert spent(site) == [False]
    if method == "GET":
        assert "<form method=" in answer.text


async def test_another_host_of_the_site_is_trusted_if_the_settings_say_so(open_site: "OpenSite") -> None:
    site = await open_site(trust_same_site=True)
    ann = await site.synced()
    url = await site.link(ann)

    answer = await site.browser().get(url, headers=A_CLICK | {"sec-fetch-site": "same-site"})

    assert signed_in(answer)


async def test_the_button_signs_in(site: "Site", ann: str) -> None:
    browser, url = site.browser(), await site.link(ann, to="/main/channels/town-square")
    page = await browser.get(url)

    answer = await browser.post(REDIRECT, data=fields_of(page))

    (nonce,) = cookies_of(page)
    assert nonce.startswith("__Host-mmconsole-link=")
    assert nonce.endswith("; Path=/; HttpOnly; SameSite=Strict; Max-Age=600; Secure")
    assert answer.status_code == 303
    assert signed_in(answer)
    assert answer.headers["location"] == f"{HOST}/main/channels/town-square"
    assert spent(site) == [True]


@pytest.mark.parametrize("secret", ["", "x; Domain=example.org", "x\r\nset-cookie: y=z", "x" * 201])
def test_what_cannot_be_a_cookie_is_not_sent_as_one(secret: str) -> None:
    entered = SignIn(UserId("1"), AccountId("a" * 26), Secret(secret))

    with pytest.raises(LinkRefused):
        sign_in_cookies(entered, public_url=HOST, mattermost_url=HOST)


async def test_the_page_says_as_whom_and_runs_nothing(site: "Site") -> None:
    user_id = site.world.add("ann@example.org", "<b>Ann</b>", '"Lee\u202e', verified=True)
    await site.world.sync()

    page = await site.browser().get(await site.link(user_id))

    assert "&lt;b&gt;Ann&lt;/b&gt; &quot;Lee⟨U+202E⟩ (ann@example.org)" in page.text
    assert "<script" not in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("language", "word"),
    [
        ("", "Sign in"),
        ("de-AT,de;q=0.9,en;q=0.5", "Anmelden"),
        ("en,de;q=0.9", "Sign in"),
        ("fr,de;q=0.3", "Anmelden"),
        ("de;q=nonsense", "Sign in"),
    ],
)
async def test_the_page_speaks_the_browsers_language(site: "Site", ann: str, language: str, word: str) -> None:
    page = await site.browser().get(await site.link(ann), headers={"accept-language": language})

    assert f'<button type="submit">{word}</button>' in page.text
    assert "charset=utf-8" in page.headers["content-type"]


@pytest.mark.parametrize("stolen", ["no cookie", "no field", "other cookie", "other site"])
async def test_a_form_of_another_site_signs_nobody_in(site: "Site", ann: str, stolen: str) -> None:
    """Else it could sign a victim in as the attacker, whose ticket it is."""
    attacker, victim, url = site.browser(), site.browser(), await site.link(ann)
    fields, headers = fields_of(await attacker.get(url)), {}
    if stolen == "no field":
        fields["nonce"] = ""
        victim = attacker
    if stolen == "other cookie":
        await victim.get(url)
    if stolen == "other site":
        victim, headers = attacker, {"sec-fetch-site": "cross-site"}

    answer = await victim.post(REDIRECT, data=fields, headers=headers)

    assert answer.status_code == 403
    assert not signed_in(answer)
    assert spent(site) == [False]
    assert "<form method=" in answer.text


async def test_the_origin_of_our_own_form_may_be_null(site: "Site", ann: str) -> None:
    """Under `no-referrer` Chromium says so of the form that we sent ourselves."""
    browser, url = site.browser(), await site.link(ann)
    fields = fields_of(await browser.get(url))

    answer = await browser.post(REDIRECT, data=fields, headers={"origin": "null", "sec-fetch-site": "same-origin"})

    assert signed_in(answer)


async def test_a_link_is_used_once(site: "Site", ann: str) -> None:
    url = await site.link(ann)
    await site.browser().get(url, headers=A_CLICK)

    again = await site.browser().get(url, headers=A_CLICK)

    assert again.status_code == 410
    assert not signed_in(again)
    assert "already been used" in again.text
    rows = site.world.sql("SELECT verb, detail FROM mmconsole_activity WHERE level = 'warning'")
    assert rows == [("link used again", "from 192.0.2.1")]


async def test_a_thousand_clicks_at_once_sign_in_one(open_site: "OpenSite") -> None:
    site = await open_site(rate__address=100_000)
    ann = await site.synced()
    url = await site.link(ann)
    browser = site.browser()

    answers = await asyncio.gather(*(browser.get(url, headers=A_CLICK) for _ in range(1_000)))

    assert sum(map(signed_in, answers)) == 1
    assert sorted({answer.status_code for answer in answers}) == [303, 410]


async def test_a_dead_token_is_replaced_before_the_ticket_is_spent(site: "Site", ann: str) -> None:
    url = await site.link(ann)
    site.world.server.state.remove_token(site.world.token(ann))

    answer = await site.browser().get(url, headers=A_CLICK)

    assert f"MMAUTHTOKEN={site.world.secret(ann)};" in "\n".join(cookies_of(answer))
    site.world.assert_in_step(ann)


async def test_an_outage_burns_nothing_and_the_link_works_afterwards(site: "Site", ann: str) -> None:
    url = await site.link(ann)
    site.world.server.faults.add(Fault("status", path="/users/{id}", times=None))

    away = await site.browser().get(url, headers=A_CLICK)
    site.world.server.faults.clear()
    back = await site.browser().get(url, headers=A_CLICK)

    assert away.status_code == 503
    assert "stays good" in away.text
    assert signed_in(back)


@pytest.mark.parametrize("ticket", ["", "x", "x" * 43, "%00", "%ff%fe", "a" * 2_000, "<script>alert(1)</script>"])
async def test_a_made_up_ticket_gets_a_page_that_repeats_nothing_of_it(site: "Site", ticket: str) -> None:
    answer = await site.browser().get(f"{REDIRECT}?ticket={ticket}", headers=A_CLICK)

    assert answer.status_code == 404
    assert "not known here" in answer.text
    assert "alert" not in answer.text


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/main/../../x",
        "/main/%2e%2e/x",
        "main/x",
        "/main/x?y=z",
        "/main/x#y",
        "/main//x",
        "/a\r\nSet-Cookie: x=y",
        "/" + "a/" * 300,
    ],
)
async def test_a_link_leads_to_mattermost_and_nowhere_else(site: "Site", ann: str, to: str) -> None:
    asked = await site.ask("GET", LINK, params={"user": ann, "to": to})
    url = await site.link(ann)
    opened = await site.browser().get(url, params={"ticket": ticket_of(url), "to": to}, headers=A_CLICK)

    assert asked.status_code == 400
    assert asked.json()["kind"] == "LandingElsewhere"
    assert opened.status_code == 400
    assert not signed_in(opened)
    assert spent(site) == [False]


async def test_mattermost_below_a_path_gets_its_cookies_there(open_site: "OpenSite") -> None:
    site = await open_site(mattermost_url="https://example.org/chat")
    ann = await site.synced()
    url = await site.link(ann)
    browser = site.browser()

    asked = await browser.get(url, headers=A_CLICK)
    answer = await browser.post(f"https://example.org{REDIRECT}", data=fields_of(asked))

    # Whether somebody is signed in cannot be seen there, so no click signs in by itself.
    assert not signed_in(asked)
    assert url.startswith("https://example.org/api/mattermost/redirect?")
    assert answer.headers["location"] == "https://example.org/chat/"
    assert all("Path=/chat;" in line for line in cookies_of(answer)[:6])


async def test_below_mattermosts_own_path_a_click_signs_in_at_once(open_site: "OpenSite") -> None:
    chat = "https://chat.example.org/chat"
    site = await open_site(mattermost_url=chat, public_url=chat)
    url = await site.link(await site.synced())

    answer = await site.browser().get(url.replace(chat, HOST), headers=A_CLICK)

    assert url.startswith(f"{chat}/api/mattermost/redirect?")
    assert signed_in(answer)


async def test_without_a_ticket_an_authenticated_caller_is_sent_to_a_new_link(site: "Site", ann: str) -> None:
    answer = await site.ask("GET", REDIRECT, params={"user": ann})

    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{HOST}{REDIRECT}?ticket=")
    assert answer.headers["cache-control"] == "no-store"
    assert (await site.browser().get(REDIRECT)).status_code == 401


async def test_the_cookie_that_is_set_signs_in_to_mattermost(site: "Site", ann: str) -> None:
    answer = await site.browser().get(await site.link(ann), headers=A_CLICK)
    token = next(line for line in cookies_of(answer) if line.startswith("MMAUTHTOKEN=") and "Max-Age" not in line)
    cookie = token.partition(";")[0]

    async with httpx.AsyncClient(base_url=site.world.url) as browser:
        me = await browser.get("/api/v4/users/me", headers={"cookie": cookie})

    assert me.json()["email"] == "ann@example.org"


async def test_a_form_that_is_none_is_told_so(site: "Site") -> None:
    browser = site.browser()

    json = await browser.post(REDIRECT, json={"ticket": "x"})
    nothing = await browser.post(REDIRECT, data={})
    files: Any = {"ticket": ("x", b"y")}
    upload = await browser.post(REDIRECT, files=files)
    empty = await browser.post(REDIRECT, data={"ticket": ""})

    assert [answer.status_code for answer in (json, nothing, upload, empty)] == [400, 400, 400, 404]


# ── the token behind a link ──────────────────────────────────────────────────────────────────────


async def test_a_token_that_was_tried_today_costs_no_call_until_its_link_is_opened(site: "Site", ann: str) -> None:
    before = sum(site.world.server.calls.values())

    url = await site.link(ann)
    asked = sum(site.world.server.calls.values())
    await site.browser().get(url, headers=A_CLICK)

    assert asked == before
    assert sum(site.world.server.calls.values()) > asked


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE mmconsole_tokens SET checked_at = checked_at - 90000000000",
        "UPDATE mmconsole_tokens SET checked_at = checked_at + 90000000000",
        "UPDATE mmconsole_tokens SET health = 'unknown'",
        "UPDATE mmconsole_tokens SET expires_at = 1",
        "UPDATE users SET mattermost_token = NULL",
    ],
    ids=["long ago", "by a clock that was put back", "unknown", "past its end", "none"],
)
async def test_a_token_that_may_be_dead_is_tried_before_its_link_is_made(site: "Site", ann: str, change: str) -> None:
    site.world.sql(change)
    before = sum(site.world.server.calls.values())

    answer = await site.ask("GET", LINK, params={"user": ann})

    assert answer.status_code == 200
    assert answer.json()["token"] == site.world.secret(ann)
    assert sum(site.world.server.calls.values()) > before


async def test_a_link_that_was_opened_counts_as_a_check(site: "Site", ann: str) -> None:
    site.world.sql("UPDATE mmconsole_tokens SET checked_at = checked_at - 90000000000")
    url = await site.link(ann)

    await site.browser().get(url, headers=A_CLICK)

    asked = sum(site.world.server.calls.values())
    await site.link(ann)
    assert sum(site.world.server.calls.values()) == asked


async def test_what_an_operator_decides_while_a_link_is_redeemed_stays(
    site: "Site", ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, get = await site.link(ann), TokenRepository.get

    def decided_meanwhile(self: TokenRepository, user_id: UserId) -> TokenRecord:
        record = get(self, user_id)
        self.save(replace(record, withheld=True))
        return record

    monkeypatch.setattr(TokenRepository, "get", decided_meanwhile)
    answer = await site.browser().get(url, headers=A_CLICK)

    assert answer.status_code == 303
    assert site.world.record(ann)["withheld"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ("UPDATE users SET mattermost_token = mattermost_token || 'x'", 409),
        ("UPDATE mmconsole_tickets SET expires_at = 0", 410),
    ],
)
async def test_what_changes_after_the_token_was_tried_signs_nobody_in(
    site: "Site", ann: str, monkeypatch: pytest.MonkeyPatch, change: str, status: int
) -> None:
    url, working = await site.link(ann), LinkTokens.working

    async def changed_meanwhile(self: LinkTokens, user_id: UserId) -> Held:
        held = await working(self, user_id)
        site.world.sql(change)
        return held

    monkeypatch.setattr(LinkTokens, "working", changed_meanwhile)
    answer = await site.browser().get(url, headers=A_CLICK)

    assert (answer.status_code, cookies_of(answer), spent(site)) == (status, [], [False])


async def test_a_token_that_was_stored_plainly_is_tried_each_time(open_site: "OpenSite") -> None:
    """Whoever can write the application's table may have put another one there."""
    site = await open_site()
    site.world.set(tokens__storage="plain")
    ann = await site.synced("plain@example.org")
    async with site.world.core() as core:
        before = sum(site.world.server.calls.values())
        await core.gateway.links.issue(UserId(ann), by="test")

    assert sum(site.world.server.calls.values()) >= before + 2


async def test_a_click_never_replaces_another_session_without_the_button(site: "Site", ann: str) -> None:
    url, browser = await site.link(ann), site.browser()
    account = site.world.record(ann)["account_id"]
    another = "MMAUTHTOKEN=x; MMUSERID=somebodyelse"

    asked = await browser.get(url, headers=A_CLICK | {"cookie": another})
    own = await browser.get(url, headers=A_CLICK | {"cookie": f"MMAUTHTOKEN=x; MMUSERID={account}"})

    assert asked.status_code == 200
    assert "replaced" in asked.text
    assert not signed_in(asked)
    assert signed_in(own)
