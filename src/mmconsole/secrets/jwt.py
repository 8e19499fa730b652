"""JSON web tokens of the application's identity provider. The only door to PyJWT.

Issuer, audience and the algorithms are settings and never taken from a token. Keys are fetched over https at most once
a minute, and an issuer that is away is survived with the keys that were fetched before.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final

from mmconsole.config import JwtSettings
from mmconsole.domain.secrets import Secret
from mmconsole.errors import IssuerUnreachable, NotAuthenticated, SecretError

_REFETCH_AFTER: Final = 60.0
_OLDEST: Final = 3600.0
"""Seconds after which keys are fetched anew although they fit."""
_LONGEST: Final = 8_192
_LARGEST_SET: Final = 200_000
_WITHIN: Final = 5.0
"""Seconds in which an issuer must answer, and again for all that it says."""
_LEEWAY: Final = 30.0
_SHORTEST_SECRET: Final = 32


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_more: object) -> None:
        """The keys come from the address in the settings, and from no other."""


def fetch_key_set(url: str) -> Any:  # noqa: ANN401 - JSON is anything
    """The key set at an https address. Raises OSError and ValueError."""
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(url, timeout=_WITHIN) as answer:
            return json.loads(_read_in_time(answer))
    except (http.client.HTTPException, RecursionError) as fault:
        # An answer that is none, or was cut off, is no OSError to urllib; nor is one too deep for the decoder.
        raise ConnectionError(type(fault).__name__) from fault


def _read_in_time(answer: http.client.HTTPResponse) -> bytes:
    """The body. An issuer that dribbles would have each byte within the time, and everybody wait for the last one."""
    until = time.monotonic() + _WITHIN
    body = b""
    while part := answer.read1(_LARGEST_SET - len(body)):
        body += part
        if time.monotonic() > until:
            raise TimeoutError
    return body


class JwtVerifier:
    """Checks tokens. It may wait for the issuer, so it is called in a thread."""

    def __init__(
        self,
        settings: JwtSettings,
        *,
        secret: Callable[[], Secret | None],
        fetch: Callable[[str], Any] = fetch_key_set,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._fetch = fetch
        self._clock = clock
        self._fetching = Lock()
        self._keys: dict[str | None, Any] = {}
        self._tried_at: float | None = None
        self._fetched_at: float | None = None

    def check_settings(self) -> None:
        """Raises SecretError when tokens could not be checked with these settings."""
        given = self._settings
        if not given.algorithms:
            return
        if not given.issuer or not given.audience:
            raise SecretError(why="`web.jwt.issuer` and `web.jwt.audience` must be set where JWTs are accepted")
        if given.algorithms == ("HS256",):
            self._shared_secret()
        elif not given.jwks_url:
            raise SecretError(why="`web.jwt.jwks_url` must name the issuer's keys for these algorithms")

    def claims(self, token: Secret) -> Mapping[str, Any]:
        """The claims of a token that is good. Raises NotAuthenticated, IssuerUnreachable, SecretError."""
        import jwt  # noqa: PLC0415 - it imports cryptography

        text = token.reveal()
        if not self._settings.algorithms or len(text) > _LONGEST:
            raise NotAuthenticated
        try:
            header = jwt.get_unverified_header(text)
            if header.get("alg") not in self._settings.algorithms:
                raise NotAuthenticated
            found: Mapping[str, Any] = jwt.decode(
                text,
                self._key(header.get("kid")),
                algorithms=list(self._settings.algorithms),
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            # Not `from`: the fault may quote the token.
            raise NotAuthenticated from None
        return found

    def _key(self, name: object) -> Any:  # noqa: ANN401 - a key of PyJWT's
        if self._settings.algorithms == ("HS256",):
            return self._shared_secret()
        wanted = name if isinstance(name, str) else None
        with self._fetching:
            if self._wants_fetching(wanted):
                self._refresh()
            found = self._find(wanted)
        if found is None:
            raise NotAuthenticated
        return found

    def _shared_secret(self) -> str:
        secret = self._secret()
        if secret is None or len(secret.reveal().encode()) < _SHORTEST_SECRET:
            raise SecretError(why=f"the secret of HS256 must have {_SHORTEST_SECRET} bytes or more")
        return secret.reveal()

    def _find(self, name: str | None) -> Any:  # noqa: ANN401
        if name is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(name)

    def _wants_fetching(self, name: str | None) -> bool:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < _REFETCH_AFTER:
            return False
        old = self._fetched_at is None or now - self._fetched_at > _OLDEST
        return old or self._find(name) is None

    def _refresh(self) -> None:
        import jwt  # noqa: PLC0415

        self._tried_at = self._clock()
        try:
            fetched = jwt.PyJWKSet.from_dict(self._fetch(self._settings.jwks_url or ""))
        except (OSError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as fault:
            if not self._keys:
                raise IssuerUnreachable(issuer=self._settings.issuer, why=type(fault).__name__) from fault
            return
        self._keys = {key.key_id: key.key for key in fetched.keys}
        self._fetched_at = self._tried_at
