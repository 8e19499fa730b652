"""Who calls the HTTP service: an application with a key of ours, or one of its people, who acts only on themselves."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from mmconsole.domain.users import UserId

KEY_PREFIX: Final = "mmc_"
"""How our own keys begin, so that a leaked one is recognised, and no other token is looked up as one."""


class Scope(StrEnum):
    """What a caller may ask for."""

    LINK = "link"
    SYNC = "sync"
    CHANNEL = "channel"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the application's back end. Its secret is known to nobody but its holder."""

    id: str
    """Part of the key itself, by which its row is found; it is no secret."""
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    """To about a minute."""
    revoked_at: datetime | None = None

    def works(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever was authenticated."""

    name: str
    """As the activity log and the limits call it: `key billing`, `user 7`."""
    scopes: frozenset[Scope]
    user_id: UserId | None = None
    """The only user this caller may act on; None for an application, which may act on all."""

    def may(self, scope: Scope, *, user_id: UserId | None = None) -> bool:
        own = self.user_id is None or self.user_id == user_id
        return scope in self.scopes and own


def end_user(user_id: UserId) -> Caller:
    """Somebody of the application's people: a link for themselves, and nothing else."""
    return Caller(f"user {user_id}", frozenset({Scope.LINK}), user_id)


def key_id_of(text: str) -> str | None:
    """The id within a key of ours, `mmc_<id>_<secret>`; None for what is none."""
    key_id, _, secret = text.removeprefix(KEY_PREFIX).partition("_")
    return key_id if text.startswith(KEY_PREFIX) and key_id and secret else None


def digest_of(text: str) -> str:
    """What is stored of a key or ticket: 256 random bits need no slower hash."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
