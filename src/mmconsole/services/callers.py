"""Who may call the HTTP service: API keys are made and revoked here, and every caller is recognised here."""

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from mmconsole.config import JwtSecretSettings, ProxySecretSettings, Settings
from mmconsole.database import Database, SanctumToken, Snapshot, Transaction
from mmconsole.domain.activity import Activity
from mmconsole.domain.callers import KEY_PREFIX, ApiKey, Caller, Scope, digest_of, end_user, key_id_of
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId
from mmconsole.errors import AmbiguousName, ApiKeyThere, ApiKeyUnknown, NotAuthenticated
from mmconsole.secrets.jwt import JwtVerifier
from mmconsole.secrets.places import place_of

_USE_IS_KNOWN_TO: Final = timedelta(minutes=1)
_KEY_IS_KEPT_FOR: Final = 1.0
"""Seconds, by which a key may outlive its revocation by another process."""
_LONGEST: Final = 8_192
_A_JWT: Final = 2
"""Dots in one."""
_ABILITIES: Final = frozenset({"*", "mattermost"})
_LARGEST_ID: Final = 2**63
_NOBODYS: Final = 0
"""An id that no token has."""
_DIGITS: Final = 19
"""In the largest id. Python itself turns no text of thousands of them into a number."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. Its text is shown once and stored nowhere."""

    key: ApiKey
    text: Secret


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request shows of who sends it."""

    bearer: Secret | None = None
    headers: Mapping[str, str] | None = None
    """By names in lower case; None when they come from nobody whose word counts (`web.proxy.trusted`)."""


@dataclass(frozen=True, slots=True)
class _KeptKey:
    found: tuple[ApiKey, str] = field(repr=False)
    read_at: float


class Callers:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        web = settings.values.web
        self._settings = web
        self._database = database
        self._actor = actor
        self._now = now
        self._keys: dict[str, _KeptKey] = {}
        profile = settings.profile
        self._jwt = JwtVerifier(web.jwt, secret=_once(lambda: _read_secret(web.jwt.secret, "jwt", profile)))
        self._proxy_secret = _once(lambda: _read_secret(web.proxy.secret, "proxy", profile))

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────

    async def create(self, name: str, scopes: Sequence[Scope], *, expires_in: timedelta | None = None) -> NewKey:
        """Make a key. Raises ApiKeyThere while another one of this name works."""
        now, key_id = self._now(), secrets.token_hex(4)
        text = Secret(f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(32)}")
        key = ApiKey(key_id, name, frozenset(scopes), now, None if expires_in is None else now + expires_in)
        detail = f"{name} ({key_id}): {', '.join(sorted(scopes))}"
        row = Activity(now, self._actor, "API key created", None, detail)

        def store(tx: Transaction) -> None:
            # The log and the metrics tell callers apart by their names alone.
            other = next((one for one in tx.callers.named(name) if one.name == name and one.works(now)), None)
            if other is not None:
                raise ApiKeyThere(name=name, key_id=other.id)
            tx.callers.add(key, digest_of(text.reveal()))
            tx.activity.add(row)

        await self._database.write(store)
        return NewKey(key, text)

    async def list(self) -> list[ApiKey]:
        return await self._database.read(lambda db: db.callers.all())

    async def revoke(self, name: str) -> ApiKey:
        """End the key of this id or name. Raises ApiKeyUnknown and AmbiguousName."""
        live = [key for key in await self._database.read(lambda db: db.callers.named(name)) if key.revoked_at is None]
        if not live:
            raise ApiKeyUnknown(name=name)
        if len(live) > 1:
            raise AmbiguousName(name=name, of="keys", ids=", ".join(key.id for key in live))
        (key,), now = live, self._now()
        row = Activity(now, self._actor, "API key revoked", None, f"{key.name} ({key.id})")

        def store(tx: Transaction) -> None:
            if tx.callers.revoke(key.id, now):
                tx.activity.add(row)

        await self._database.write(store)
        self._keys.pop(key.id, None)
        return key

    # ── callers ──────────────────────────────────────────────────────────────────────────────────

    async def check_settings(self) -> None:
        """Look whether everybody who is to be accepted can be. Raises SecretError, DatabaseError."""
        await asyncio.to_thread(self._jwt.check_settings)
        if self._settings.proxy.header:
            await asyncio.to_thread(self._proxy_secret)
        if self._settings.sanctum.enabled:
            table = self._settings.sanctum.table
            await self._database.read(lambda db: db.callers.sanctum(_NOBODYS, table=table))

    async def authenticate(self, presented: Presented) -> Caller:
        """Who this is. Raises NotAuthenticated, whatever is wrong, and what the database and keys raise."""
        if presented.bearer is not None:
            return await self._by_bearer(presented.bearer)
        if presented.headers is not None and self._settings.proxy.header:
            return await self._by_proxy(presented.headers, self._settings.proxy.header)
        raise NotAuthenticated

    async def _by_bearer(self, bearer: Secret) -> Caller:
        text = bearer.reveal()
        if len(text) > _LONGEST:
            raise NotAuthenticated
        if text.startswith(KEY_PREFIX):
            return await self._by_key(text)
        if "|" in text and self._settings.sanctum.enabled:
            return await self._by_sanctum(text)
        if text.count(".") == _A_JWT and self._settings.jwt.algorithms:
            return await self._by_jwt(bearer)
        raise NotAuthenticated

    async def _by_key(self, text: str) -> Caller:
        key_id = key_id_of(text)
        found = await self._stored_key(key_id) if key_id else None
        if found is None:
            raise NotAuthenticated
        key, digest = found
        now = self._now()
        if not hmac.compare_digest(digest, digest_of(text)) or not key.works(now):
            raise NotAuthenticated
        if key.last_used_at is None or now - key.last_used_at >= _USE_IS_KNOWN_TO:
            self._keys[key.id] = _KeptKey((replace(key, last_used_at=now), digest), time.monotonic())
            await self._database.write(lambda tx: tx.callers.set_used(key.id, now))
        return Caller(f"key {key.name}", key.scopes)

    async def _stored_key(self, key_id: str) -> tuple[ApiKey, str] | None:
        """A key with its digest, at most a second old: a busy application asks for the same one all the time."""
        kept = self._keys.get(key_id)
        if kept is not None and time.monotonic() - kept.read_at < _KEY_IS_KEPT_FOR:
            return kept.found
        found = await self._database.read(lambda db: db.callers.find(key_id))
        if found is None:
            # Only keys that are there are kept, so that made-up ones fill no memory.
            self._keys.pop(key_id, None)
        else:
            self._keys[key_id] = _KeptKey(found, time.monotonic())
        return found

    async def _by_sanctum(self, text: str) -> Caller:
        number, _, plain = text.partition("|")
        if not (number.isascii() and number.isdecimal()) or len(number) > _DIGITS or int(number) >= _LARGEST_ID:
            raise NotAuthenticated
        table = self._settings.sanctum.table
        row = await self._database.read(lambda db: db.callers.sanctum(int(number), table=table))
        if row is None or not hmac.compare_digest(row.digest.encode(), digest_of(plain).encode()):
            raise NotAuthenticated
        if row.model != self._settings.sanctum.model or not self._is_in_time(row):
            raise NotAuthenticated
        if _ABILITIES.isdisjoint(_abilities(row.abilities)):
            raise NotAuthenticated
        return end_user(UserId(row.user_id))

    def _is_in_time(self, row: SanctumToken) -> bool:
        """Both ends count, as in Sanctum: the token's own, and `sanctum.expiration` from its making."""
        now, life = self._now(), self._settings.sanctum.expiration
        if row.expires_at is not None and _laravel_moment(row.expires_at) <= now:
            return False
        return life is None or (row.created_at is not None and now < _laravel_moment(row.created_at) + life)

    async def _by_jwt(self, bearer: Secret) -> Caller:
        claims = await asyncio.to_thread(self._jwt.claims, bearer)
        if self._settings.jwt.claim == "sub":
            return end_user(UserId(str(claims["sub"])))
        email = claims.get("email")
        if not isinstance(email, str) or claims.get("email_verified") is not True:
            raise NotAuthenticated
        user_id = await self._database.read(lambda db: _only_with_address(db, email))
        if user_id is None:
            raise NotAuthenticated
        return end_user(user_id)

    async def _by_proxy(self, headers: Mapping[str, str], name: str) -> Caller:
        user, given = headers.get(name.lower(), ""), headers.get(self._settings.proxy.secret_header.lower(), "")
        secret = await asyncio.to_thread(self._proxy_secret)
        if secret is None or not user or not hmac.compare_digest(given.encode(), secret.reveal().encode()):
            raise NotAuthenticated
        return end_user(UserId(user))


def _once(read: Callable[[], Secret | None]) -> Callable[[], Secret | None]:
    """Read a secret at its first use, and keep it."""
    kept: list[Secret | None] = []

    def secret() -> Secret | None:
        if not kept:
            kept.append(read())
        return kept[0]

    return secret


def _read_secret(chosen: JwtSecretSettings | ProxySecretSettings, what: str, profile: str) -> Secret | None:
    return place_of(chosen, key=f"web.{what}.secret.source", name=f"{profile}.{what}-secret").read()


def _only_with_address(db: Snapshot, email: str) -> UserId | None:
    """The one user who has this address; usernames and ids that look like it do not count."""
    wanted = email.strip().lower()
    users = [user for user, _ in db.roster.rows(db.roster.find(email)) if user.address == wanted]
    return users[0].id if len(users) == 1 else None


def _abilities(text: str) -> frozenset[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return frozenset()
    return frozenset(one for one in found if isinstance(one, str)) if isinstance(found, list) else frozenset()


def _laravel_moment(value: object) -> datetime:
    """A moment of the application's: its column knows no time zone, and Laravel writes UTC unless told otherwise.

    One that cannot be read has passed.
    """
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
