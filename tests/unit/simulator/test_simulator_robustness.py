"""No call, however wrong, may break the simulated server: it answers with something a Mattermost could answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from mmconsole.simulator.routes import ROUTES

if TYPE_CHECKING:
    from tests.unit.simulator.conftest import Api

    from mmconsole.simulator.routing import Route

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
VALUES = ("me", "a" * 26, "short", "%F0%9F%98%80")
POSSIBLE = {200, 201, 400, 401, 403, 404, 409, 501}


def name_of(route: Route) -> str:
    return f"{route.method} {route.pattern}"


async def statuses(api: Api, route: Route, secret: str) -> set[int]:
    user = await api.user("bob")
    headers = {"Authorization": f"Bearer {secret}"}
    found = set()
    for value in (*VALUES, api.team, user["id"]):
        path = re.sub(r"\{[^}]*\}", value, route.pattern)
        for number, body in enumerate(BODIES):
            query = QUERIES[number % len(QUERIES)]
            found.add((await api.http.request(route.method, path + query, content=body, headers=headers)).status_code)
    return found


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_nonsense_from_a_plain_user_is_answered(api: Api, route: Route) -> None:
    _, secret = await api.member("ann")

    assert await statuses(api, route, secret) <= POSSIBLE


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
async def test_nonsense_from_an_administrator_is_answered(api: Api, route: Route) -> None:
    assert await statuses(api, route, api.simulator.bot_token) <= POSSIBLE
