"""The HTTP service beside a bare FastAPI route on the same uvicorn, each in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.load import Load, load, request
from benchmarks.stage import Server, add_users, core_for, peak_of, settings_for, simulator, users
from benchmarks.table import Figure, milliseconds, times
from mmconsole.config import Settings
from mmconsole.database import open_database
from mmconsole.domain.callers import Scope
from mmconsole.secrets import seal_keys
from mmconsole.services.summary import SyncRequest

_AT_ONCE: Final = 64
"""Each link is one commit that reaches the disk: of 16 all wait for the same one, and the disk is what is measured."""
_CLICK: Final = {
    "sec_fetch_mode": "navigate",
    "sec_fetch_dest": "document",
    "sec_fetch_user": "?1",
    "sec_fetch_site": "same-origin",
}
_LISTENS: Final = re.compile(r"listens on (\S+)\n")
_BARE: Final = """
import asyncio, socket, sys
import uvicorn
from fastapi import FastAPI
from mmconsole.cli.loop import new_loop, spare_the_collector
app = FastAPI()
@app.get("/bare")
async def bare(user: str):
    return {"user": user}
listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print("bare listens on http://127.0.0.1:%d" % listening.getsockname()[1], file=sys.stderr, flush=True)
server = uvicorn.Server(uvicorn.Config(app, http="httptools", log_config=None, access_log=False, lifespan="off"))
spare_the_collector()
with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(server.serve(sockets=[listening]))
"""


@dataclass(frozen=True, slots=True)
class _Pace:
    """The best of several runs."""

    rate: float
    cpu: float
    """Seconds for one request, of all runs."""


async def service(count: int, asked: int, turns: int) -> list[Figure]:
    """Links for `count` users are asked for `asked` times, and redeemed."""
    with simulator() as server, tempfile.TemporaryDirectory() as folder:
        stage = await _Stage.made(server, Path(folder), count)
        with stage.serving() as one:
            await stage.ask(one, count)
            bare, ours = await _beside_bare(stage, one, asked, turns)
            half = await stage.ask(one, asked, per_second=ours.rate / 2)
            redeemed = await stage.redeem(one, min(count, asked))
            memory = peak_of(stage.process.pid)
        with stage.serving(workers=2) as two:
            await stage.ask(two, count)
            both = await _alone(stage, two, asked, turns)
    waits = f"half within {milliseconds(half.percentile(0.5))}, 99 % within {milliseconds(half.percentile(0.99))}"
    return [
        *_compared(f"magic links, {_AT_ONCE} at once", ours, bare, "bare", "≥ 0.3"),
        Figure("magic links at half that pace", waits),
        Figure("magic links redeemed, two calls to the server each", _rate(redeemed.rate)),
        *_compared("magic links by two processes", both, ours, "one process", "≥ 1.7 on free cores"),
        Figure("memory of the service, one process", f"{memory:.0f} MiB"),
    ]


async def _beside_bare(stage: "_Stage", address: str, asked: int, turns: int) -> tuple[_Pace, _Pace]:
    """The bare route and ours in turn."""
    peer = ours = 0.0
    with _bare() as (bare, process):
        cost = _Cost(process, stage.process)
        for _ in range(turns):
            peer = max(peer, (await load(bare, stage.bare(asked), at_once=_AT_ONCE)).rate)
            ours = max(ours, (await stage.ask(address, asked)).rate)
        theirs, own = cost.each(turns * asked)
    return _Pace(peer, theirs), _Pace(ours, own)


async def _alone(stage: "_Stage", address: str, asked: int, turns: int) -> _Pace:
    cost = _Cost(stage.process)
    best = max([(await stage.ask(address, asked)).rate for _ in range(turns)])
    (each,) = cost.each(turns * asked)
    return _Pace(best, each)


def _compared(what: str, ours: _Pace, other: _Pace, than: str, wanted: str) -> list[Figure]:
    faster, dearer = times(ours.rate / other.rate, than, wanted), times(ours.cpu / other.cpu, than)
    beside = than == "bare"
    rate, cpu = (_rate(other.rate), _micro(other.cpu)) if beside else ("", "")
    return [
        Figure(what, _rate(ours.rate), bare=rate, judged=(faster,), brief=beside),
        Figure(f"{what}, CPU for each", _micro(ours.cpu), bare=cpu, judged=(dearer,)),
    ]


def _rate(a_second: float) -> str:
    return f"{a_second:,.0f}/s"


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs"


class _Stage:
    """A database with users, and what is needed to serve it."""

    process: "subprocess.Popen[str]"

    def __init__(self, folder: Path, server: Server, key: str, ids: list[str]) -> None:
        self._folder = folder
        self._server = server
        self._key = key
        self._ids = ids

    @classmethod
    async def made(cls, server: Server, folder: Path, count: int) -> "_Stage":
        settings, keys = settings_for(server, folder), seal_keys.in_memory()
        await add_users(settings, users(count))
        async with core_for(settings, server, keys) as core:
            await core.sync.run(SyncRequest())
            key = await core.callers.create("benchmark", (Scope.LINK,))
        for name, secret in (("seal-keys", seal_keys.as_text(keys).reveal()), ("admin-token", server.token)):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(secret, encoding="utf-8")
        return cls(folder, server, key.text.reveal(), await _ids(settings))

    @contextmanager
    def serving(self, *, workers: int = 1) -> Iterator[str]:
        config = self._folder / "config.yaml"
        config.write_text(json.dumps(self._settings()), encoding="utf-8")
        command = [str(Path(sys.executable).with_name("mmconsole")), "--headless", "serve", "--listen", "127.0.0.1:0"]
        environment = os.environ | {"MMCONSOLE_CONFIG": str(config), "XDG_DATA_HOME": str(self._folder)}
        with _process([*command, "--workers", str(workers)], environment) as (address, self.process):
            yield address

    def _settings(self) -> dict[str, Any]:
        return {
            "mattermost": {"url": self._server.url},
            "admin_token": {"source": "file", "file": str(self._folder / "admin-token")},
            "seal": {"source": "file", "file": str(self._folder / "seal-keys")},
            "sync": {"teams": ["main"]},
            "web": {"rate": dict.fromkeys(("caller", "user", "address"), 100_000_000)},
        }

    def bare(self, asked: int) -> list[bytes]:
        return [request(f"/bare?user={self._id(at)}", host="x") for at in range(asked)]

    async def ask(self, address: str, asked: int, *, per_second: float | None = None, keep: bool = False) -> Load:
        by_key = {"authorization": f"Bearer {self._key}"}
        paths = (f"/api/mattermost/magic-link?user={self._id(at)}" for at in range(asked))
        requests = [request(path, host="x", **by_key) for path in paths]
        return _fine(await load(address, requests, at_once=_AT_ONCE, per_second=per_second, keep=keep), 200)

    async def redeem(self, address: str, count: int) -> Load:
        links = [json.loads(body)["url"] for body in (await self.ask(address, count, keep=True)).bodies]
        paths = [url.removeprefix("{0.scheme}://{0.netloc}".format(urlsplit(url))) for url in links]
        return _fine(await load(address, [request(path, host="x", **_CLICK) for path in paths], at_once=_AT_ONCE), 303)

    def _id(self, at: int) -> str:
        return self._ids[at % len(self._ids)]


async def _ids(settings: Settings) -> list[str]:
    async with open_database(settings) as database:
        return [str(record.user_id) for record in await database.read(lambda db: db.tokens.page(None, 1_000_000))]


def _fine(seen: Load, status: int) -> Load:
    if set(seen.statuses) != {status}:
        message = f"answers were {dict(seen.statuses)}, where all should be {status}"
        raise RuntimeError(message)
    return seen


class _Cost:
    """What some processes take from now on, each with those it has started."""

    def __init__(self, *processes: "subprocess.Popen[str]") -> None:
        self._processes = processes
        self._before = [_cpu(process.pid) for process in processes]

    def each(self, requests: int) -> list[float]:
        """Seconds of CPU for one request."""
        now = [_cpu(process.pid) for process in self._processes]
        return [(after - before) / requests for before, after in zip(self._before, now, strict=True)]


def _cpu(process: int) -> float:
    proc = Path(f"/proc/{process}")
    fields = (proc / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    children = (proc / f"task/{process}/children").read_text(encoding="ascii").split()
    return own + sum(_cpu(int(child)) for child in children)


@contextmanager
def _bare() -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    with _process([sys.executable, "-c", _BARE], dict(os.environ)) as beside:
        yield beside


@contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A server that says on stderr where it listens; its log goes into a file, as in earnest."""
    with (
        tempfile.NamedTemporaryFile("w+") as said,
        subprocess.Popen(command, env=environment, stderr=said, text=True) as process,
    ):
        try:
            yield _address(process, Path(said.name)), process
        finally:
            process.send_signal(signal.SIGTERM)


def _address(process: "subprocess.Popen[str]", said: Path) -> str:
    while (found := _LISTENS.search(said.read_text(encoding="utf-8"))) is None:
        if process.poll() is not None:
            message = f"the server ended: {said.read_text(encoding='utf-8')}"
            raise RuntimeError(message)
        time.sleep(0.02)
    return found[1]
