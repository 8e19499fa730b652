"""A simulated server without a socket, and a client that says who asks in every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mmconsole.simulator import Simulator, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Api:
    """Calls the API of one simulator, as its administrator unless another token is given."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        transport = httpx.ASGITransport(app=simulator.app)
        self.http = httpx.AsyncClient(transport=transport, base_url=f"http://chat.test{simulator.options.base}/api/v4")

    async def __call__(
        self, method: str, path: str, body: object = None, *, token: str | None = None, **more: Any
    ) -> httpx.Response:
        headers = dict(more.pop("headers", {}))
        secret = self.simulator.admin_token if token is None else token
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        self.http.cookies.clear()
        return await self.http.request(method, path, json=body, headers=headers, **more)

    async def refusal(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, str]:
        """Status and error id of a call that is to be refused."""
        response = await self(method, path, body, **more)
        return response.status_code, response.json()["id"]

    async def user(self, name: str = "ann", **fields: Any) -> dict[str, Any]:
        """A new account."""
        body = {"username": name, "email": f"{name}@example.test", "password": "a-long-password", **fields}
        response = await self("POST", "/users", body)
        assert response.status_code == 201, response.text
        return dict(response.json())

    async def token(self, user_id: str, description: str = "test", **fields: Any) -> dict[str, Any]:
        """A new token for somebody."""
        response = await self("POST", f"/users/{user_id}/tokens", {"description": description, **fields})
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def member(self, name: str = "ann") -> tuple[str, str]:
        """A new account in the team, as its id and the secret of its token."""
        user = await self.user(name)
        body = {"team_id": self.team, "user_id": user["id"]}
        assert (await self("POST", f"/teams/{self.team}/members", body)).status_code == 201
        return user["id"], (await self.token(user["id"]))["token"]

    async def settings(self, **sections: dict[str, Any]) -> httpx.Response:
        return await self("PUT", "/config/patch", sections)

    @property
    def team(self) -> str:
        return self.simulator.state.teams_by_name["main"].id

    @property
    def admin(self) -> str:
        return self.simulator.state.by_username["admin"].id


@pytest.fixture
async def make_api() -> AsyncIterator[Callable[..., Api]]:
    """Makes a server with the options that a test needs."""
    made: list[Api] = []

    def make(*, now: Callable[[], float] | None = None, **options: Any) -> Api:
        wanted = SimulatorOptions(**options)
        simulator = Simulator(wanted) if now is None else Simulator(wanted, now=now)
        made.append(Api(simulator))
        return made[-1]

    yield make
    for api in made:
        await api.http.aclose()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api(users=5, with_tokens=True)
