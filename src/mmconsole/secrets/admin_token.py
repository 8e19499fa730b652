"""The administrator's token: from exactly one place, and only for the server it was stored for."""

import json
import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from mmconsole.config import Settings
from mmconsole.domain.hosts import is_loopback
from mmconsole.domain.secrets import Secret
from mmconsole.errors import AdminTokenElsewhere, AdminTokenMissing, InsecureTransport, SecretError
from mmconsole.secrets.places import Place, place_of

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,200}\Z")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def load(settings: Settings, *, interactive: bool | None = None, environment: Mapping[str, str] = os.environ) -> Secret:
    """The token for the configured server.

    We store it as `{"server": origin, "token": …}`. A file, credential or variable made by hand may hold the bare
    token: it counts for the configured server. Raises InsecureTransport, AdminTokenMissing, AdminTokenElsewhere, and
    SecretError for what cannot be a token or a place that fails.
    """
    server = origin_of(settings.server)
    check_transport(settings.server, allow_http=settings.values.mattermost.allow_http)
    where = place(settings, interactive=interactive, environment=environment)
    stored = where.read()
    if stored is None:
        raise AdminTokenMissing(server=server, source=where.description)
    known, token = _taken_apart(stored, where, bare=settings.values.admin_token.source != "keyring")
    if known not in {None, server}:
        raise AdminTokenElsewhere(known=known, server=server)
    if not token:
        raise AdminTokenMissing(server=server, source=where.description)
    return _checked(token)


def store(
    settings: Settings,
    token: Secret,
    *,
    interactive: bool | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Keep the token for the configured server. Raises SecretError where only others can write."""
    check_transport(settings.server, allow_http=settings.values.mattermost.allow_http)
    good = _checked(Secret(token.reveal().strip()))
    kept = {"server": origin_of(settings.server), "token": good.reveal()}
    place(settings, interactive=interactive, environment=environment).write(Secret(json.dumps(kept)))


def forget(settings: Settings, *, interactive: bool | None = None, environment: Mapping[str, str] = os.environ) -> None:
    """Remove the token from where it is kept; it goes on working on the server."""
    place(settings, interactive=interactive, environment=environment).delete()


def place(settings: Settings, *, interactive: bool | None = None, environment: Mapping[str, str] = os.environ) -> Place:
    """Where this profile's token lives."""
    return place_of(
        settings.values.admin_token,
        key="admin_token.source",
        name=f"{settings.profile}.admin-token",
        interactive=interactive,
        environment=environment,
    )


def check_transport(url: str, *, allow_http: bool) -> None:
    """Raises InsecureTransport for http to anything but this machine, unless it is allowed."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and (allow_http or is_loopback(parts.hostname or ""))):
        raise InsecureTransport(server=origin_of(url))


def origin_of(url: str) -> str:
    """Scheme, host, port where it is not the usual one, and path: what a token is bound to."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def _taken_apart(stored: Secret, where: Place, *, bare: bool) -> tuple[str | None, Secret]:
    """The server it was stored for (None: not said) and the token."""
    text = stored.reveal()
    if bare and not text.startswith("{"):
        return None, stored
    kept = _parsed(text)
    server, token = kept.get("server"), kept.get("token")
    if not isinstance(server, str) or not isinstance(token, str):
        raise SecretError(why=f"what is in the {where.description} is no admin token; store it with `mmconsole login`")
    return server, Secret(token.strip())


def _parsed(text: str) -> dict[str, object]:
    """The JSON object in it, or an empty one. An error of parsing would carry the token along."""
    try:
        kept = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _checked(token: Secret) -> Secret:
    if not _TOKEN.match(token.reveal()):
        raise SecretError(
            why="what was given as the admin token cannot be one: a token is one word "
            "of at most 200 letters, digits and signs, without spaces"
        )
    return token
