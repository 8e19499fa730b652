"""Calls about the server itself."""

import re
from typing import Final

import httpx

from mmconsole.domain.accounts import PasswordPolicy, ServerFacts, UserLimits
from mmconsole.errors import Garbled, MfaDemanded, Refused
from mmconsole.mattermost import schemas
from mmconsole.mattermost.exchange import Exchange
from mmconsole.mattermost.routes import Route

_PING: Final = Route("GET", "/system/ping", schemas.STATUS)
_CLIENT_CONFIG: Final = Route("GET", "/config/client", schemas.CLIENT_CONFIG)
_SERVER_CONFIG: Final = Route("GET", "/config", schemas.SERVER_CONFIG)
_LIMITS: Final = Route("GET", "/limits/server", schemas.LIMITS)
_VERSION: Final = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")


class ServerCalls:
    _exchange: Exchange

    async def ping(self) -> None:
        """Return if the server is there and well. It says nothing about tokens: a bad one is ignored here."""
        await self._exchange.ask_server(_PING)

    async def facts(self) -> ServerFacts:
        """What the server is and allows, as far as it tells this administrator. Raises AdminTokenDead.

        Without an admin token it is what the server tells everybody.
        """
        # `format` must be there for 10.11 and is ignored from 11 on.
        client, answer = await self._exchange.ask_server(_CLIENT_CONFIG, query="format=old")
        version = _VERSION.match(answer.header("x-version-id")) or _VERSION.match(client.version)
        if version is None:
            raise Garbled(server=self._exchange.server, call=_CLIENT_CONFIG.name, why="it does not tell its version")
        major, minor, patch = map(int, version.groups())
        server = await self._server_config()
        email, team = server.email or schemas.EmailSettings(), server.team or schemas.TeamSettings()
        return ServerFacts(
            version=(major, minor, patch),
            diagnostic_id=client.diagnostic_id,
            tokens_enabled=None if client.tokens_enabled is None else client.tokens_enabled == "true",
            max_token_days=_number(client.max_token_days),
            password_policy=_password_policy(client, server.password),
            smtp_host=email.smtp_host or "",
            smtp_port=email.smtp_port or "",
            max_users_per_team=team.max_users_per_team or 0,
            calls_per_second=_calls_per_second(server.rate_limit),
        )

    async def user_limits(self) -> UserLimits:
        """How many active users there are and may be. Raises Refused on servers that do not tell."""
        row = await self._exchange.ask(_LIMITS)
        return UserLimits(row.active, row.at_most)

    async def _server_config(self) -> schemas.ServerConfig:
        """The administrator's configuration, empty for who may not read it."""
        if not self._exchange.has_admin:
            return schemas.ServerConfig()
        try:
            return await self._exchange.ask(_SERVER_CONFIG)
        except MfaDemanded:
            raise
        except Refused as fault:
            if fault.status == httpx.codes.FORBIDDEN:
                return schemas.ServerConfig()
            raise


def _password_policy(client: schemas.ClientConfig, settings: schemas.PasswordSettings | None) -> PasswordPolicy:
    """From the settings, or from what everybody is told."""
    if settings is not None:
        return PasswordPolicy(
            minimum_length=settings.minimum_length,
            lowercase=settings.lowercase,
            uppercase=settings.uppercase,
            number=settings.number,
            symbol=settings.symbol,
        )
    return PasswordPolicy(
        minimum_length=_number(client.minimum_length) or PasswordPolicy().minimum_length,
        lowercase=client.lowercase == "true",
        uppercase=client.uppercase == "true",
        number=client.number == "true",
        symbol=client.symbol == "true",
    )


def _calls_per_second(settings: schemas.RateLimitSettings | None) -> int | None:
    if settings is None:
        return None
    return settings.per_second if settings.enabled else 0


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
