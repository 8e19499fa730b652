"""What people do all the time: the application changes its users, callers want links, operators type."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx
import psycopg
import sqlalchemy.exc
from tests.conftest import LONG_AGO
from tests.soak.company import COMMAND
from tests.web.clicks import A_CLICK

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.conftest import World

T = TypeVar("T")

MOST_USERS = 120
PROJECTS = 5
COMMANDS = (
    "sync --all --yes --wait",
    "sync --missing --yes --wait",
    "tokens repair --all-broken --yes",
    "tokens rotate --older-than 0d --yes --filter {some}",
    "validate --all --deep",
    "tokens recover",
    "revoke {one} --yes",
    "tokens undo {one}",
    "channel add town-square {one} --yes",
)
ENDINGS = {0, 1, 3, 4, 75, -9}
"""How a command may end while others are at work and things go wrong: never as a mistake of ours."""
ANSWERS = {200, 303, 404, 409, 410, 429, 502, 503, 504}
"""What callers may be told meanwhile: never that there is a mistake of ours."""
KEYS = (b"j", b"k", b"j", b"1", b"1", b"2", b"3", b"4", b"G", b"g", b"t", b"r", b"s", b"\r", b"\r", b"\x1b", b"R", b" ")
"""Those of a console's keys that look, and those that repair, test and sync, with what such work asks."""


async def by_somebody_else(act: Callable[..., T], *about: Any, **more: Any) -> T:
    """What the application does to its database, and does again when that throws it out."""
    while True:
        try:
            return await asyncio.to_thread(act, *about, **more)
        except (psycopg.OperationalError, sqlalchemy.exc.OperationalError):
            await asyncio.sleep(0.1)


class Application:
    """It knows nothing but its own table."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self._world = world
        self._dice = dice
        self.users: list[str] = []

    def add(self, number: int) -> None:
        for n in range(len(self.users), len(self.users) + number):
            self.users.append(self._world.add(f"p{n}@x.test", f"First{n}", verified=True))

    async def change(self) -> None:
        """One change of those that applications make."""
        one, world = self._dice.choice(self.users), self._world
        match self._dice.randrange(6):
            case 0 if len(self.users) < MOST_USERS:
                await by_somebody_else(self.add, 1)
            case 1:
                await by_somebody_else(world.rename, one, f"First{self._dice.randrange(1000)}", "Lee")
            case 2:
                address = f"p{one}.{self._dice.randrange(1_000_000)}@x.test"
                await by_somebody_else(world.edit, one, email=address, email_verified_at=LONG_AGO)
            case 3:
                await by_somebody_else(world.leave, one)
            case 4:
                await by_somebody_else(world.edit, one, mattermost_token=None)
            case _:
                await by_somebody_else(world.sql, "UPDATE users SET deleted_at = NULL")


class Callers:
    """The application's back end and the browsers of its people, at the service's socket."""

    def __init__(self, world: World, application: Application, socket: Path, key: str, dice: random.Random) -> None:
        self._world = world
        self._application = application
        self._dice = dice
        self._key = {"authorization": f"Bearer {key}"}
        # One connection per request, as from many callers.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._service = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=limits), base_url="http://service", timeout=60
        )
        self.answers: Counter[int] = Counter()
        self.signed_in = 0

    async def go_on(self) -> None:
        while True:
            # A service that was killed is not there for a moment.
            with suppress(httpx.TransportError):
                await self._one()
            await asyncio.sleep(0.05)

    async def aclose(self) -> None:
        await self._service.aclose()

    async def _one(self) -> None:
        user = self._dice.choice(self._application.users)
        match self._dice.randrange(6):
            case 0:
                await self._ask("POST", f"/api/mattermost/users/{user}/sync")
            case 1:
                await self._ask("POST", "/api/mattermost/channels/main/town-square/members", json={"user": user})
            case 2:
                project = self._dice.randrange(PROJECTS)
                about = {"name": f"Project {project}", "team": "main"}
                await self._ask("PUT", f"/api/mattermost/projects/{project}/channel", json=about)
            case _:
                answer = await self._ask("GET", "/api/mattermost/magic-link", params={"user": user})
                if answer.status_code == httpx.codes.OK:
                    await self._follow(user, answer.json()["url"])

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = await self._service.request(method, path, headers=self._key, **more)
        self._note(answer)
        return answer

    async def _follow(self, user: str, link: str) -> None:
        """Click, and click again at the same time: one of them signs in at most, and as this user."""
        parts = urlsplit(link)
        # As another browser, which is not signed in yet.
        self._service.cookies.clear()
        clicks = (self._service.get(f"{parts.path}?{parts.query}", headers=A_CLICK) for _ in range(2))
        ended = [
            one for one in await asyncio.gather(*clicks, return_exceptions=True) if isinstance(one, httpx.Response)
        ]
        entered = [answer for answer in ended if answer.status_code == httpx.codes.SEE_OTHER]
        for answer in ended:
            self._note(answer)
        assert len(entered) <= 1, "a link was redeemed twice"
        for answer in entered:
            self.signed_in += 1
            token = self._world.server.state.by_secret.get(answer.cookies["MMAUTHTOKEN"])
            record = await by_somebody_else(self._world.record, user)
            assert token is None or token.user_id == record["account_id"], "somebody was signed in as somebody else"

    def _note(self, answer: httpx.Response) -> None:
        self.answers[answer.status_code] += 1
        assert answer.status_code in ANSWERS, f"{answer.status_code} for {answer.request.url.path}: {answer.text}"


class Operator:
    """Somebody, or cron, who types one command after the other. Some are killed in the middle."""

    def __init__(self, application: Application, environment: Mapping[str, str], dice: random.Random) -> None:
        self._application = application
        self._environment = environment
        self._dice = dice
        self.endings: Counter[int] = Counter()
        self.ran: Counter[str] = Counter()

    async def go_on(self) -> None:
        while True:
            await self.run(self._dice.choice(COMMANDS), deadly=self._dice.random() < 0.3)

    async def run(self, words: str, *, deadly: bool = False) -> None:
        arguments = [self._about(word) for word in words.split()]
        process = self._begin(arguments)
        try:
            ended = asyncio.create_task(asyncio.to_thread(process.communicate))
            if deadly:
                await asyncio.wait([ended], timeout=self._dice.uniform(1, 6))
                process.kill()
            said, _ = await asyncio.shield(ended)
        finally:
            process.kill()
        self.endings[process.returncode] += 1
        self.ran[words.split(maxsplit=1)[0]] += 1
        assert process.returncode in ENDINGS, f"{words} ended with {process.returncode}:\n{said.decode()[-3000:]}"

    def _begin(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._environment,
        )

    def _about(self, word: str) -> str:
        one = self._dice.choice(self._application.users)
        return word.replace("{one}", one).replace("{some}", f"p{self._dice.randrange(10)}")
