"""What every benchmark stands on: a simulator in a process of its own, and a database with users."""

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mmconsole.cli.loop import new_loop, spare_the_collector
from mmconsole.config import Settings, load_settings
from mmconsole.core import Core, Keys, open_core
from mmconsole.database import EmbeddedUser, Transaction, migrate, open_database
from mmconsole.domain.secrets import Secret
from mmconsole.secrets import seal_keys
from mmconsole.secrets.ciphers import Vault
from mmconsole.secrets.forms import Form
from mmconsole.secrets.seal_keys import SealKeys

T = TypeVar("T")

_SERVER = """
import json, sys
from mmconsole.simulator import SimulatorOptions, run
options = SimulatorOptions(**json.loads(sys.argv[1]))
def announce(url, simulator):
    print(json.dumps({"url": url, "token": simulator.admin_token}), flush=True)
run(options, "127.0.0.1", 0, announce=announce)
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A simulated server that was started for one measurement."""

    url: str
    token: str


@contextmanager
def simulator(**options: Any) -> Iterator[Server]:  # noqa: ANN401 - the simulator's own options
    """A simulator in its own process, so that it does not share our interpreter."""
    command = [sys.executable, "-c", _SERVER, msgspec.json.encode(options).decode()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            message = "the simulator says nothing"
            raise RuntimeError(message)
        try:
            said = msgspec.json.decode(process.stdout.readline())
            yield Server(said["url"], said["token"])
        finally:
            process.terminate()


def calls_so_far(server: Server) -> int:
    """All calls that the server has answered."""
    with urllib.request.urlopen(f"{server.url}/_simulator/calls") as answer:
        return sum(msgspec.json.decode(answer.read())["counts"].values())


def peak_of(process: int) -> float:
    """MiB that a process has had at most so far. Not by getrusage, which begins with what the parent had."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def timed(work: Awaitable[T]) -> tuple[T, float]:
    """What it returns, and the seconds it took."""
    began = time.perf_counter()
    return await work, time.perf_counter() - began


def run_as_commands_do(work: Coroutine[Any, Any, T]) -> T:
    """Run on the event loop and with the garbage collection of the commands: peers get the same."""
    spare_the_collector()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(work)


def settings_for(server: Server, folder: Path) -> Settings:
    """The settings of a profile whose embedded database lies in a folder."""
    os.environ["XDG_DATA_HOME"] = str(folder)
    return load_settings(flags=flags_for(server), environment={})


def flags_for(server: Server) -> dict[str, tuple[str, Any]]:
    return {"mattermost.url": ("--url", server.url), "sync.teams": ("--teams", ["main"])}


def users(count: int) -> list[EmbeddedUser]:
    return [EmbeddedUser(f"person{n}@example.test", first_name="Per", last_name=f"Son {n}") for n in range(count)]


async def add_users(settings: Settings, users: list[EmbeddedUser]) -> None:
    migrate(settings)
    async with open_database(settings) as database:
        for start in range(0, len(users), 10_000):
            await database.write(partial(_add, users=users[start : start + 10_000]))


def _add(tx: Transaction, *, users: list[EmbeddedUser]) -> None:
    tx.roster.embedded.add_many(users)


def vault_for(keys: SealKeys, settings: Settings, installation: str) -> Vault:
    table = settings.users_table
    return Vault(storage=Form.SEALED, keys=keys, installation_id=installation, table=table.table, column=table.token)


@asynccontextmanager
async def core_for(settings: Settings, server: Server, keys: SealKeys | None = None) -> AsyncIterator[Core]:
    """A core with keys in memory, as the demo has it; its own, if none are given."""
    vault = partial(vault_for, keys or seal_keys.in_memory())
    given = Keys(admin_token=lambda _: Secret(server.token), vault=vault)
    async with open_core(settings, face="benchmark", keys=given) as core:
        yield core
