"""The one place where the parts meet."""

import getpass
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from mmconsole.config import Settings
from mmconsole.database import open_database
from mmconsole.domain.secrets import Secret
from mmconsole.secrets import admin_token
from mmconsole.secrets.ciphers import Vault, open_vault
from mmconsole.services.activity import ActivityLog
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage
from mmconsole.services.sync import Sync
from mmconsole.services.users import Users


@dataclass(frozen=True, slots=True)
class Core:
    """What an operator can do. A face is given one; none builds one."""

    settings: Settings
    sync: Sync
    users: Users
    activity: ActivityLog
    server: Server


@dataclass(frozen=True, slots=True)
class Keys:
    """How a core gets at its secrets; the demo and tests bring their own."""

    admin_token: Callable[[Settings], Secret] = admin_token.load
    vault: Callable[[Settings, str], Vault] = lambda settings, installation: open_vault(
        settings, installation_id=installation
    )


@asynccontextmanager
async def open_core(settings: Settings, *, face: str, keys: Keys | None = None) -> AsyncIterator[Core]:
    """Open the database of a profile and wire the services; `face` is part of the actor in the activity log.

    Neither the server nor a keyring is asked before an operation needs it. Raises DatabaseError.
    """
    actor = f"{_user_name()}@{socket.gethostname()} {face}"
    given = keys or Keys()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings))
        server = Server(settings, database, load_token=given.admin_token)
        stack.push_async_callback(server.aclose)
        storage = Storage(settings, database, open_with=given.vault)
        users = Users(database)
        yield Core(
            settings=settings,
            sync=Sync(settings, database, server, storage, users, actor=actor),
            users=users,
            activity=ActivityLog(database),
            server=server,
        )


def _user_name() -> str:
    """Who runs this. In a container there may be nobody of this number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
