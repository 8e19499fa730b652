"""No call, however wrong, may break the simulated server: it answers with something a Mattermost could answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from mmconsole.simulator.routes import ROUTES

if TYPE_CHECKING:
    from tests.unit.simulator.conftest import Api

BODIES = (
    b"",
    b"null",
    b"5",
    b'"text"',
    b"[]",
    b"[null]",
    b'["' + b"a" * 26 + b'"]',
    b"{}",
    b"{not json",
    b'{"a": "\xff"}',
    b'{"user_id": {}, "team_id": [], "name": 1, "roles": 2, "token_id": 3, "expires_at": 1e400}',
    b"[" * 5000,
)
QUERIES = ("", "?page=x&per_page=&since=&page_size=9&sort_column=CreateAt&from_column_value=x&in_team=%ff&role=%00")
PARAMETERS = ("me", "a" * 26, "short", "%F0%9F%98%80")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.pattern}")
async def test_nonsense_is_answered(api: Api, route: object) -> None:
    method, pattern = route.method, route.pattern  # type: ignore[attr-defined]
    _, plain = await api.member("ann")
    bot = api.simulator.state.by_username["consolebot"]
    statuses = set()

    for value in (*PARAMETERS, api.team, bot.id):
        path = re.sub(r"\{[^}]*\}", value, pattern)
        for query in QUERIES:
            for body in BODIES:
                for secret in (plain, "", "nonsense"):
                    headers = {"Authorization": f"Bearer {secret}"}
                    response = await api.http.request(method, path + query, content=body, headers=headers)
                    statuses.add(response.status_code)

    assert statuses <= {200, 201, 400, 401, 403, 404, 409, 414, 501}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.pattern}")
async def test_nonsense_from_an_administrator_is_answered(api: Api, route: object) -> None:
    method, pattern = route.method, route.pattern  # type: ignore[attr-defined]
    user = await api.user("ann")
    statuses = set()

    for value in (*PARAMETERS, api.team, user["id"]):
        path = re.sub(r"\{[^}]*\}", value, pattern)
        for query in QUERIES:
            for body in BODIES:
                headers = {"Authorization": f"Bearer {api.simulator.bot_token}"}
                response = await api.http.request(method, path + query, content=body, headers=headers)
                statuses.add(response.status_code)

    assert statuses <= {200, 201, 400, 401, 403, 404, 409, 414, 501}
