"""Requests that no application and no browser would send: whatever comes, nothing breaks, and no secret gets out.

`MMCONSOLE_TEST_REQUESTS=100000` (`make faults`) sends so many in each of both ways; else they are a few thousand.
"""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from mmconsole.domain.callers import Scope
from mmconsole.web import make_app

if TYPE_CHECKING:
    from tests.conftest import World

MANY = int(os.environ.get("MMCONSOLE_TEST_REQUESTS", "3000"))
DESCRIBED = int(os.environ.get("MMCONSOLE_TEST_REQUESTS", "500"))
"""Schemathesis thinks longer about each."""
HOST = "https://chat.example.org"
PLENTY = 1_000_000_000
_FAULT = 500
_PATHS = (
    "/api/mattermost/magic-link",
    "/api/mattermost/redirect",
    "/api/mattermost/users/{}/sync",
    "/api/mattermost/channels/{}/members",
    "/api/mattermost/projects/{}/channel",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/{}",
    "/api/{}/{}",
)
_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "G\xe9T")
_BITS = (
    *("", "1", "-1", "0", "999999999999999999999", "1e9", "null", "true", "..", "../..", "%00", "%2e%2e%2f", "%ff%fe"),
    *("'; DROP TABLE users; --", "<script>", "{{7*7}}", "\u202e", "a" * 300, "main/town-square", "\r\nSet-Cookie: x=y"),
    *("💥", "ß", "a\x00b", "//evil.example", "/main/channels/x", "ann@example.org", "NaN", "[]", "{}", "[[[[", '"'),
)
_HEADERS = (
    *("authorization", "cookie", "content-type", "content-length", "accept-language", "x-forwarded-for", "forwarded"),
    *("host", "origin", "referer", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user", "purpose"),
    *("x-remote-user", "x-mmconsole-proxy-secret", "transfer-encoding", "if-none-match", "range", "expect", "upgrade"),
)
_VALUES = (
    *(
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; charset",
    ),
    *(
        "same-origin",
        "cross-site",
        "navigate",
        "document",
        "?1",
        "de;q=x,en",
        "Bearer",
        "Bearer ",
        "Basic x",
        "Bearer 1|x",
    ),
    *("Bearer a.b.c", "Bearer mmc_", "MMAUTHTOKEN=x; mmconsole-link=", "127.0.0.1", "::1, x, ,", "bytes=0-", "chunked"),
)


class Target:
    """The service and somebody who sends it everything."""

    def __init__(self, world: "World", app: Any, key: str, ticket: str, ann: str) -> None:
        self.world = world
        self.key = key
        self.ticket = ticket
        self.ann = ann
        self.statuses: Counter[int] = Counter()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.1", 4711))
        self._client = httpx.AsyncClient(transport=transport, base_url=HOST)
        self._secrets = (world.secret(ann), world.admin_token)

    async def send(self, method: str, path: str, **more: Any) -> httpx.Response | None:
        """Send, and look at what must hold for every answer. None for what the client cannot even say."""
        try:
            request = self._client.build_request(method, path, **more)
        except (httpx.InvalidURL, UnicodeError, TypeError, ValueError):
            return None
        answer = await self._client.send(request)
        self.statuses[answer.status_code] += 1
        assert answer.status_code < _FAULT, (method, path, more, answer.text)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert self._secrets[1] not in answer.text
        if answer.status_code >= 400 and "text/html" not in answer.headers.get("content-type", ""):
            assert method == "HEAD" or answer.json()["request_id"] == answer.headers["x-request-id"]
        return answer

    async def aclose(self) -> None:
        await self._client.aclose()


@asynccontextmanager
async def _target(worlds: Callable[[], Any]) -> AsyncIterator[Target]:
    """Everybody may ask without end here, and see everything: what stops a fuzzer is not what is looked at."""
    async with worlds() as make, make() as world:
        rates = {f"web__rate__{name}": PLENTY for name in ("caller", "user", "address")}
        world.set(web__mattermost_url=HOST, web__docs="everybody", web__metrics="everybody", **rates)
        ann = world.add("ann@example.org", verified=True)
        await world.sync()
        async with world.core() as core:
            key = (await core.callers.create("fuzz", tuple(Scope))).text.reveal()
            link = await core.gateway.links.issue(ann, by="fuzz")
            target = Target(world, make_app(core.gateway), key, link.code.reveal(), ann)
            yield target
            await target.aclose()


@pytest.fixture
def run(worlds: Callable[[], Any]) -> Iterator[tuple[Target, Callable[..., Any]]]:
    """A target, and what runs something for it in its own loop."""
    with asyncio.Runner() as runner:
        opened = _target(worlds)
        target = runner.run(opened.__aenter__())
        try:
            yield target, runner.run
        finally:
            runner.run(opened.__aexit__(None, None, None))


def test_nothing_that_is_made_up_breaks_it(run: tuple[Target, Callable[..., Any]]) -> None:
    target, do = run
    dice = random.Random(6)

    async def fuzz() -> None:
        for _ in range(MANY):
            await target.send(**_request(dice, target))

    do(fuzz())

    assert target.world.server.state.by_email["ann@example.org"]
    assert sum(target.statuses.values()) > MANY / 2
    assert {200, 400, 401, 404, 405} <= set(target.statuses)


def test_nothing_that_its_own_description_allows_breaks_it(run: tuple[Target, Callable[..., Any]]) -> None:
    target, do = run
    schema = schemathesis.openapi.from_dict(do(target.send("GET", "/openapi.json")).json())
    cases = st.one_of([found.ok().as_strategy() for found in schema.get_all_operations() if isinstance(found, Ok)])

    @settings(
        max_examples=DESCRIBED,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, known=st.booleans())
    def attack(case: Any, known: bool) -> None:  # noqa: FBT001 - Hypothesis passes it by name
        asked = case.as_transport_kwargs(base_url=HOST)
        headers = {name: value for name, value in asked.pop("headers", {}).items() if name.lower() != "user-agent"}
        if known:
            headers["authorization"] = f"Bearer {target.key}"
        if isinstance(asked.get("data"), str | bytes):
            asked["content"] = asked.pop("data")
        asked = {name: asked[name] for name in ("method", "url", "json", "data", "content", "params") if name in asked}
        do(target.send(asked.pop("method"), asked.pop("url"), headers=headers, **asked))

    attack()

    assert {200, 401, 404} <= set(target.statuses)


def _request(dice: random.Random, target: Target) -> dict[str, Any]:
    path = dice.choice(_PATHS)
    bits = [_bit(dice, target) for _ in range(path.count("{}"))]
    asked: dict[str, Any] = {"method": dice.choice(_METHODS[:5] * 3 + _METHODS), "path": path.format(*bits)}
    names = ("user", "to", "ticket", "nonce", "x")
    asked["params"] = {name: _bit(dice, target) for name in names if dice.random() < 0.3}
    headers = {dice.choice(_HEADERS): dice.choice(_VALUES) for _ in range(dice.randrange(5))}
    if dice.random() < 0.5:
        headers["authorization"] = f"Bearer {target.key}"
    asked["headers"] = {name: value.encode("utf-8", "replace") for name, value in headers.items()}
    match dice.randrange(5):
        case 0:
            asked["json"] = _tree(dice, target)
        case 1:
            asked["data"] = {name: _bit(dice, target) for name in names}
        case 2:
            asked["content"] = dice.randbytes(dice.choice((0, 1, 100, 70_000)))
        case 3:
            asked["content"] = json.dumps({"user": _bit(dice, target)})[: dice.randrange(1, 40)]
    return asked


def _bit(dice: random.Random, target: Target) -> str:
    if dice.random() < 0.2:
        return dice.choice((target.ann, target.ticket, target.key))
    return "".join(map(chr, dice.choices(range(0x2000), k=8))) if dice.random() < 0.1 else dice.choice(_BITS)


def _tree(dice: random.Random, target: Target, depth: int = 0) -> Any:
    match dice.randrange(6 if depth < 4 else 4):
        case 0:
            return dice.choice((None, True, 0, -1, 1e308, 10**30))
        case 4:
            return [_tree(dice, target, depth + 1) for _ in range(dice.randrange(4))]
        case 5:
            names = ("user", "name", "team", "", "__proto__")
            return {dice.choice(names): _tree(dice, target, depth + 1) for _ in range(dice.randrange(4))}
    return _bit(dice, target)
