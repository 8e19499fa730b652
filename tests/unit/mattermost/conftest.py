"""A client over a scripted transport, and a clock that only moves when somebody sleeps."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from mmconsole.domain.secrets import Secret
from mmconsole.mattermost import open_client
from mmconsole.mattermost.client import MattermostClient
from mmconsole.mattermost.exchange import HttpDiagnostic, Timing

ADMIN = Secret("adminq7w8e9r0t1y2u3i4o5p6a")
USER = Secret("userz9x8c7v6b5n4m3l2k1j0h9")


class StoppedClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.seconds

    def now(self) -> float:
        return 1_800_000_000.0 + self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)

    @property
    def timing(self) -> Timing:
        return Timing(clock=self.clock, now=self.now, sleep=self.sleep, random=lambda: 1.0)


class ScriptedServer:
    """Gives the answers it was told, in order, the last one for ever, and remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.script: list[httpx.Response | Exception] = []

    def says(self, status: int = 200, body: Any = None, headers: dict[str, str] | None = None) -> "ScriptedServer":
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) else {"Content-Type": "application/json"}
        self.script.append(httpx.Response(status, headers=kind | (headers or {}), content=content))
        return self

    def refuses(self, status: int, error_id: str, **headers: str) -> "ScriptedServer":
        body = {"id": error_id, "message": "…", "detailed_error": "", "request_id": "r" * 26, "status_code": status}
        return self.says(status, body, headers)

    def breaks(self, fault: Exception) -> "ScriptedServer":
        self.script.append(fault)
        return self

    async def handle(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        await asyncio.sleep(0)
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step.status_code, headers=step.headers, content=step.content)


@pytest.fixture
def stopped() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
def diagnostics() -> list[HttpDiagnostic]:
    return []


@pytest.fixture
async def client(
    server: ScriptedServer, stopped: StoppedClock, diagnostics: list[HttpDiagnostic]
) -> AsyncIterator[MattermostClient]:
    transport = httpx.MockTransport(server.handle)
    async with open_client(
        "https://chat.test/mm",
        ADMIN,
        transport=transport,
        timing=stopped.timing,
        on_diagnostic=diagnostics.append,
    ) as opened:
        yield opened
