"""Input that nobody who means well makes: it is read, or refused by an error of ours, and never anything else.

More of it: the filter language in `unit/domain/test_filters.py`, lists of users in `unit/domain/test_user_lists.py`,
HTTP in `web/test_fuzz.py`, envelopes in `unit/secrets`, names in `unit/domain/test_text.py`. All of this is Python, in
which Hypothesis knows the shapes; a fuzzer that goes by coverage (atheris) is for what parses bytes in C.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmconsole.config import JwtSettings, leaf_keys, load_settings
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.channels import ChannelId
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import TokenId
from mmconsole.errors import CannotOpen, IssuerUnreachable, MattermostError, NotAuthenticated, PlanError, SettingsError
from mmconsole.mattermost import open_client
from mmconsole.mattermost.exchange import Timing
from mmconsole.secrets import Signing, laravel_keys
from mmconsole.secrets.jwt import JwtVerifier
from mmconsole.secrets.laravel import Crypt
from mmconsole.services.plans.files import FORMAT, PlanFile, PlannedUser

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mmconsole.mattermost.client import MattermostClient

EXAMPLES = int(os.environ.get("MMCONSOLE_TEST_EXAMPLES", "60"))
often = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)

WORDS = st.sampled_from(["", "x", "\ud800", "a" * 300, "1e999", "'; DROP TABLE users", "\x1b[31m", "2026-01-01", "é💥"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(10**30, 10**31) | st.floats() | WORDS | st.text(max_size=5)
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def shaped(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of these fields, each of any kind, and with others."""
    return st.dictionaries(st.sampled_from(names) | st.text(max_size=3), TREES, max_size=len(names))


# ── settings ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as made:
        yield Path(made)


@often
@given(st.dictionaries(st.sampled_from(leaf_keys()), TREES, max_size=4))
def test_settings_of_any_kind_are_taken_or_refused(folder: Path, given_: dict[str, Any]) -> None:
    tree: dict[str, Any] = {}
    for key, value in given_.items():
        *sections, leaf = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[leaf] = value
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(tree), encoding="utf-8", errors="surrogatepass")

    with suppress(SettingsError):
        assert set(load_settings(file=file, environment={}).origins) == set(leaf_keys())


# ── plan files ───────────────────────────────────────────────────────────────────────────────────

SIGNING = Signing({"k": b"s" * 32})
HEADER: dict[str, Any] = {
    "mmconsole_plan": FORMAT,
    **dict.fromkeys(("kind", "title", "server", "server_id", "actor", "version"), "x"),
    "installation": "i",
    "made_at": "2026-01-01T00:00:00+00:00",
    "expires_at": "2099-01-01T00:00:00+00:00",
    "key": "k",
}
TOTALS = {"users": 1, "planned": 1, "removals": 0, "links": 0, "steps": {}, "forecast": {}}
LINES = shaped("user_id", "email", "digest", "steps", "finding", "why", "totals", "signature", "account", "name")


def _signed(lines: list[Any]) -> bytes:
    written = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    signature = SIGNING.begin("k")
    assert signature is not None
    signature.update(written)
    return written + json.dumps({"signature": signature.hexdigest()}).encode() + b"\n"


def _is_a_plan_or_refused(file: Path, content: bytes) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(content)
    with suppress(PlanError), PlanFile(file) as plan:
        plan.check(SIGNING, installation="i", now=datetime(2026, 6, 1, tzinfo=UTC))
        plan.check_server(server="x", server_id="x")
        assert all(isinstance(one, PlannedUser) for one in plan.users(SIGNING))


@often
@given(st.lists(LINES | TREES, max_size=4), st.binary(max_size=8))
def test_lines_that_somebody_signed_are_a_plan_or_are_refused(folder: Path, lines: list[Any], tail: bytes) -> None:
    """Who can sign has the key; a program of theirs may still have made the file."""
    _is_a_plan_or_refused(folder / "plan.json", _signed([HEADER, *lines, {"totals": TOTALS}]) + tail)


@often
@given(shaped(*HEADER), st.sampled_from([b"", b'{"signature": "\\ud800"}', b'{"signature": 1', b'{"signature": []}']))
@example({"key": []}, b"")
@example({"expires_at": "2099-01-01T00:00:00"}, b"")
def test_any_first_line_is_one_of_a_plan_or_is_refused(folder: Path, first: dict[str, Any], last: bytes) -> None:
    header = json.dumps(HEADER | first).encode() + b"\n"

    _is_a_plan_or_refused(folder / "plan.json", header + last)
    _is_a_plan_or_refused(folder / "plan.json", _signed([HEADER | first, {"totals": TOTALS}]))


# ── JSON web tokens ──────────────────────────────────────────────────────────────────────────────

SHARED = "s" * 40
CLAIMS = {"iss": "https://id.test", "aud": "mm", "exp": 4_000_000_000, "sub": "1"}


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _verifier(fetch: Callable[[str], Any] = lambda _: None, *algorithms: str) -> JwtVerifier:
    how: dict[str, Any] = {"algorithms": algorithms or ("HS256",), "issuer": "https://id.test", "audience": "mm"}
    how |= {"jwks_url": "https://id.test/keys"} if algorithms else {}
    return JwtVerifier(JwtSettings(**how), secret=lambda: Secret(SHARED), fetch=fetch)


def _is_good_or_refused(verifier: JwtVerifier, text: str) -> None:
    try:
        claims = verifier.claims(Secret(text))
    except (NotAuthenticated, IssuerUnreachable):
        return
    assert claims["iss"] == "https://id.test"


@often
@given(
    shaped("alg", "typ", "kid", "crit", "b64", "jku", "jwk"),
    shaped("iss", "aud", "exp", "nbf", "iat", "sub", "jti") | TREES,
)
@example({}, {"exp": float("inf")})
def test_a_token_that_the_issuer_signed_is_good_or_refused(header: dict[str, Any], claims: Any) -> None:
    told = CLAIMS | claims if isinstance(claims, dict) else claims
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'} | header)}.{_part(told)}"
    mac = hmac.new(SHARED.encode(), signed.encode(), hashlib.sha256).digest()

    _is_good_or_refused(_verifier(), f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}")


@often
@given(st.text(max_size=40) | st.lists(TREES.map(_part), max_size=4).map(".".join))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    _is_good_or_refused(_verifier(), text)


@often
@given(
    shaped("keys") | shaped("kty", "kid", "n", "e", "alg", "use", "crv", "x").map(lambda key: {"keys": [key]}) | TREES
)
def test_any_key_set_is_keys_or_refused(found: Any) -> None:
    text = f"{_part({'alg': 'RS256', 'kid': 'x'})}.{_part(CLAIMS)}.eHg"

    _is_good_or_refused(_verifier(lambda _: found, "RS256"), text)


# ── what Laravel writes ──────────────────────────────────────────────────────────────────────────

APP_KEY = bytes(range(32))
CRYPT = Crypt(
    laravel_keys.from_text(Secret(f"base64:{base64.b64encode(APP_KEY).decode()}"), cipher="AES-256-CBC", source="x")
)


@often
@given(st.binary(max_size=40), st.binary(max_size=64), shaped("iv", "value", "mac", "tag"))
def test_a_payload_with_the_right_mac_opens_or_is_refused(iv: bytes, value: bytes, more: dict[str, Any]) -> None:
    parts = {"iv": base64.b64encode(iv).decode(), "value": base64.b64encode(value).decode()}
    parts |= {name: part for name, part in more.items() if isinstance(part, str) and part.isascii()}
    mac = hmac.new(APP_KEY, f"{parts['iv']}{parts['value']}".encode(), hashlib.sha256).hexdigest()
    payload = base64.b64encode(json.dumps(more | parts | {"mac": mac}).encode()).decode()

    with suppress(CannotOpen):
        assert isinstance(CRYPT.open(payload, b""), Secret)


# ── answers of a server ──────────────────────────────────────────────────────────────────────────

A, T, C = AccountId("a" * 26), TokenId("t" * 26), ChannelId("c" * 26)
CALLS: dict[str, Callable[[MattermostClient], Awaitable[Any]]] = {
    "me": lambda client: client.me(Secret("u" * 26)),
    "my teams": lambda client: client.my_teams(Secret("u" * 26)),
    "account": lambda client: client.find_account(A),
    "teams of": lambda client: client.teams_of(A),
    "by e-mail": lambda client: client.find_account_by_email("ann@x.test"),
    "by ids": lambda client: client.accounts_by_ids([A], since=1),
    "tokens": lambda client: client.tokens_page(0),
    "tokens of": lambda client: client.tokens_of(A),
    "token": lambda client: client.find_token(T),
    "new token": lambda client: client.create_token(A, description="x"),
    "revoke": lambda client: client.revoke_token(T),
    "sessions": lambda client: client.tokens_in_use(A),
    "active": lambda client: client.set_account_active(A, active=False),
    "channel": lambda client: client.find_channel(C),
    "members": lambda client: client.channel_members(C, [A]),
    "facts": lambda client: client.facts(),
    "limits": lambda client: client.user_limits(),
}
ROW = shaped(
    "id", "email", "username", "roles", "delete_at", "update_at", "token", "user_id", "is_active", "props", "type"
)
BODIES = ROW | st.lists(ROW, max_size=3) | TREES
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 413, 429, 500, 501, 503, 599])
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "retry-after",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "date",
            "x-version-id",
            "x-request-id",
            "location",
        ]
    ),
    st.sampled_from(
        ["", "0", "-1", "1e999", "nan", "tomorrow", "Mon, 99 Foo 2026 25:61:61 GMT", "11.6", "é", "x" * 500]
    ),
    max_size=4,
)


async def _asked(call: str, answer: httpx.Response) -> None:
    async def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    seconds = 0.0

    async def sleep(wanted: float) -> None:
        nonlocal seconds
        seconds += wanted
        await asyncio.sleep(0)

    timing = Timing(clock=lambda: seconds, now=lambda: 1_800_000_000 + seconds, sleep=sleep, random=lambda: 1.0)
    transport = httpx.MockTransport(handle)
    async with open_client("https://chat.test", Secret("d" * 26), transport=transport, timing=timing) as client:
        with suppress(MattermostError):
            await CALLS[call](client)


@often
@given(
    st.sampled_from(list(CALLS)),
    STATUSES,
    HEADERS,
    BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=30),
    st.sampled_from(["application/json", "text/html", "text/plain", ""]),
)
def test_any_answer_of_a_server_is_understood_or_refused(
    call: str, status: int, headers: dict[str, str], body: bytes, kind: str
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in (headers | {"content-type": kind}).items()]
    asyncio.run(_asked(call, httpx.Response(status, headers=raw, content=body)))
