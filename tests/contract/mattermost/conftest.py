"""A client of every Mattermost there is: simulated over a socket and in process, and real."""

import os
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from mmconsole.domain.accounts import Account, NewAccount
from mmconsole.domain.secrets import Secret
from mmconsole.mattermost import open_client
from mmconsole.mattermost.client import MattermostClient
from mmconsole.simulator import Simulator, SimulatorOptions, serve

REAL_URL = os.environ.get("MMCONSOLE_TEST_MATTERMOST_URL")
REAL_TOKEN = os.environ.get("MMCONSOLE_TEST_ADMIN_TOKEN")
SERVERS = ["socket", "subpath", "in process", "newer", *(["real"] if REAL_URL and REAL_TOKEN else [])]


@pytest.fixture(params=SERVERS)
async def client(request: pytest.FixtureRequest) -> AsyncIterator[MattermostClient]:
    if request.param == "real":
        async with open_client(REAL_URL or "", Secret(REAL_TOKEN or ""), allow_http=True) as opened:
            yield opened
        return
    subpath = "/chat" if request.param == "subpath" else ""
    version = "11.10.0" if request.param == "newer" else "11.6.0"
    simulator = Simulator(SimulatorOptions(users=3, with_tokens=True, subpath=subpath, version=version))
    admin = Secret(simulator.admin_token)
    if request.param == "in process":
        transport = httpx.ASGITransport(app=simulator.app)
        async with open_client("http://localhost", admin, transport=transport) as opened:
            yield opened
        return
    async with serve(simulator) as url, open_client(url, admin) as opened:
        yield opened


@pytest.fixture
async def ann(client: MattermostClient) -> Account:
    name = f"ann-{uuid.uuid4().hex[:12]}"
    return await client.create_account(
        NewAccount(name, f"{name}@acme.test", "Ann", "Lee", locale="de", email_verified=True),
        password=Secret(uuid.uuid4().hex + "Aa1!"),
    )
