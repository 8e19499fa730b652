"""A sync, what is asked for tokens, or a verb of the channels, that is killed at its n-th step.

Steps are counted without knowing what they are: before and after every call to the server, before and after every
transaction.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import httpx
from tests.faults.services.killing import Order, Steps, obey

from mmconsole.config import Settings, load_settings
from mmconsole.core import Core, Keys, open_core
from mmconsole.database import Database, Transaction
from mmconsole.domain.secrets import Secret
from mmconsole.domain.token_plans import Act
from mmconsole.mattermost.transport import AiohttpTransport
from mmconsole.secrets import seal_keys
from mmconsole.secrets.ciphers import Vault
from mmconsole.secrets.forms import Form
from mmconsole.services.summary import SyncRequest
from mmconsole.services.tokens.tokens import TokenRequest

T = TypeVar("T")


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


async def _act(order: Order) -> None:
    flags = {key: ("test", value) for key, value in order["flags"].items()}
    settings = replace(load_settings(environment={}, flags=flags), profile=order["profile"])
    seals = seal_keys.from_text(Secret(order["seal_keys"]))

    def vault(told: Settings, installation: str) -> Vault:
        table = told.users_table
        place = (installation, table.table, table.token)
        return Vault(storage=Form.SEALED, keys=seals, installation_id=place[0], table=place[1], column=place[2])

    keys = Keys(admin_token=lambda _: Secret(order["admin_token"]), vault=vault)
    async with open_core(settings, face="killed", keys=keys) as core:
        verb, *about = order["act"]
        if verb == "sync":
            await core.sync.run(SyncRequest(full=True))
        elif verb == "tokens":
            await _act_on_tokens(core, *about)
        else:
            await getattr(core.channels, verb)(*about)


async def _act_on_tokens(core: Core, words: str, *names: str) -> None:
    act, _, at_once = words.partition(" ")
    await core.tokens.run(TokenRequest(Act(act), names, at_once=bool(at_once)))


if __name__ == "__main__":
    obey(_act, _count_steps)
