"""Signing in: the administrator's token is tried before it is stored. It needs no database."""

import asyncio
from dataclasses import dataclass

from mmconsole.config import Settings
from mmconsole.domain.secrets import Secret
from mmconsole.errors import AdminTokenTooWeak, SecretError, TokensSwitchedOff
from mmconsole.mattermost import open_client
from mmconsole.secrets import admin_token


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A token that works and is stored."""

    username: str
    version: str
    stored_in: str
    """The place, as it follows "in the"."""
    warning: str
    """What to say about that place; empty when there is nothing."""


async def log_in(settings: Settings, token: Secret) -> LoggedIn:
    """Try a token on the server, store it, and read it back.

    Raises AdminTokenDead, AdminTokenTooWeak, TokensSwitchedOff, InsecureTransport, what the way to the server can
    raise, and SecretError for a place that does not keep it.
    """
    username, version = await _tried(settings, token)
    # The keyring may hang until its deadline; the loop must go on meanwhile.
    await asyncio.to_thread(admin_token.store, settings, token)
    if await asyncio.to_thread(admin_token.load, settings) != token:
        raise SecretError(why="what was stored does not come back")
    place = admin_token.place(settings)
    return LoggedIn(username, version, place.description, place.warning)


async def _tried(settings: Settings, token: Secret) -> tuple[str, str]:
    """Whose token it is, and the server's version."""
    values = settings.values.mattermost
    async with open_client(settings.server, token, timeout=values.timeout, allow_http=values.allow_http) as client:
        whoami = await client.whoami()
        if "system_admin" not in whoami.roles.split():
            raise AdminTokenTooWeak(username=f"@{whoami.username}", server=settings.server)
        facts = await client.facts()
    if facts.tokens_enabled is False:
        raise TokensSwitchedOff(server=settings.server)
    return whoami.username, ".".join(map(str, facts.version))
