"""A sync that is killed at its n-th step: run as a program, told what to do by lines of JSON, one answer a line.

Steps are counted without knowing what they are: before and after every call to the server, before and after every
transaction. Each sync runs in a process of its own that has not started a thread yet.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import httpx

from mmconsole.config import Settings, load_settings
from mmconsole.core import Keys, open_core
from mmconsole.database import Database, Transaction
from mmconsole.domain.secrets import Secret
from mmconsole.mattermost.transport import AiohttpTransport
from mmconsole.secrets import seal_keys
from mmconsole.secrets.ciphers import Vault
from mmconsole.secrets.forms import Form
from mmconsole.services.sync import SyncRequest

T = TypeVar("T")


class Steps:
    """Counts, and dies at the given one."""

    def __init__(self, deadly: int) -> None:
        self._left = deadly

    def pass_one(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _count_steps(steps: Steps) -> None:
    write, send = Database.write, AiohttpTransport.handle_async_request

    async def counted_write(database: Database, change: Callable[[Transaction], T]) -> T:
        steps.pass_one()
        written = await write(database, change)
        steps.pass_one()
        return written

    async def counted_send(transport: AiohttpTransport, request: httpx.Request) -> httpx.Response:
        steps.pass_one()
        answer = await send(transport, request)
        steps.pass_one()
        return answer

    setattr(Database, "write", counted_write)  # noqa: B010 - mypy does not let a method be assigned
    setattr(AiohttpTransport, "handle_async_request", counted_send)  # noqa: B010 - as above


async def _sync(order: dict[str, Any]) -> None:
    flags = {key: ("test", value) for key, value in order["flags"].items()}
    settings = replace(load_settings(environment={}, flags=flags), profile=order["profile"])
    seals = seal_keys.from_text(Secret(order["seal_keys"]))

    def vault(told: Settings, installation: str) -> Vault:
        table = told.users_table
        place = (installation, table.table, table.token)
        return Vault(storage=Form.SEALED, keys=seals, installation_id=place[0], table=place[1], column=place[2])

    keys = Keys(admin_token=lambda _: Secret(order["admin_token"]), vault=vault)
    async with open_core(settings, face="killed", keys=keys) as core:
        await core.sync.run(SyncRequest(full=True))


def _run(order: dict[str, Any]) -> str:
    child = os.fork()
    if child == 0:
        try:
            _count_steps(Steps(order["deadly"]))
            asyncio.run(_sync(order))
        except BaseException as fault:  # noqa: BLE001 - the parent must hear of it, whatever it is
            sys.stderr.write(f"{type(fault).__name__}: {fault}\n")
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "killed"
    return "finished" if os.WEXITSTATUS(status) == 0 else "failed"


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(_run(json.loads(line)) + "\n")
        sys.stdout.flush()
