"""A real browser without a screen, told what to do over its debugging socket."""

import asyncio
import itertools
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("CI") != "true", reason="there is no Chromium here"
)
_ADDRESS = re.compile(rb"DevTools listening on (ws://\S+)")


class Tab:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._said: list[dict[str, Any]] = []
        """What the browser said by itself and nobody has asked for yet."""

    async def open(self) -> None:
        target = await self.tell("Target.createTarget", url="about:blank")
        attached = await self.tell("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        await self.tell("Page.enable")

    async def tell(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send_json({"id": number, "method": method, "params": parameters, **session})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._said.append(answer)

    async def heard(self, method: str) -> Any:
        """Wait for something that the browser says by itself."""
        while True:
            said = self._said.pop(0) if self._said else await self._socket.receive_json()
            if said.get("method") == method:
                return said["params"]

    async def go(self, url: str) -> None:
        """As if somebody had typed the address, or opened it from a mail."""
        self._said.clear()
        await self.tell("Page.navigate", url=url)
        await self.heard("Page.loadEventFired")

    async def run(self, script: str, *, by_hand: bool = False) -> Any:
        """The value of a script; promises are waited for. `by_hand`: as if a person had just clicked."""
        answer = await self.tell(
            "Runtime.evaluate", expression=script, userGesture=by_hand, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def sees(self) -> str:
        return str(await self.run("document.body.innerText"))

    async def address(self) -> str:
        return str(await self.run("location.href"))

    async def click(self, selector: str) -> None:
        """Click what leads to another page."""
        self._said.clear()
        await self.run(f"document.querySelector({selector!r}).click()", by_hand=True)
        await self.heard("Page.loadEventFired")

    async def follow(self, url: str) -> None:
        """Click a link to an address, on the page that is shown."""
        make = f"let a = document.createElement('a'); a.href = {url!r}; a.textContent = 'x'; document.body.append(a)"
        await self.run(f"{{ {make} }}")
        await self.click("a:last-of-type")

    async def cookies(self, url: str) -> dict[str, dict[str, Any]]:
        found = await self.tell("Network.getCookies", urls=[url])
        return {cookie["name"]: cookie for cookie in found["cookies"]}


@asynccontextmanager
async def open_tab(folder: Path, *more: str) -> AsyncIterator[Tab]:
    """A browser with a profile of its own; `more` are its arguments."""
    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "about:blank"]
    arguments += ["--no-first-run", "--disable-background-networking", f"--user-data-dir={folder / 'profile'}"]
    process = await asyncio.create_subprocess_exec(
        CHROMIUM or "chromium", *arguments, *more, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        while (line := await process.stderr.readline()) and (found := _ADDRESS.search(line)) is None:
            pass
        assert found, "the browser did not start"
        async with aiohttp.ClientSession() as session, session.ws_connect(found[1].decode(), max_msg_size=0) as socket:
            opened = Tab(socket)
            await opened.open()
            yield opened
    finally:
        process.kill()
        await process.communicate()
