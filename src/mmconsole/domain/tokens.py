"""Personal access tokens, and what their last check says about them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Final, NamedTuple, NewType

from mmconsole.domain.accounts import AccountId
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId

TokenId = NewType("TokenId", str)
OperationId = NewType("OperationId", str)

MARKER: Final = "mmconsole:v1"
_KEY_BYTES: Final = 64


class Health(StrEnum):
    """What the last check says. The view maps it to a glyph and never computes it."""

    OK = "ok"
    EXPIRING = "expiring"
    OVERDUE = "overdue"
    MISSING = "missing"
    REVOKED = "revoked"
    EXPIRED = "expired"
    DISABLED = "disabled"
    WITHHELD = "withheld"
    INACTIVE = "inactive"
    DENIED = "denied"
    NO_ACCOUNT = "noaccount"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    WORKING = "working"


Held = tuple[TokenId, AccountId]
"""A token, and whose it is."""


class Token(NamedTuple):
    """A token as the server lists it: never its secret. A tuple, since a sync makes one of every token there is."""

    id: TokenId
    account_id: AccountId
    description: str = ""
    active: bool = True
    expires_at: int = 0
    """The server's milliseconds since 1970; 0 means never, or a server before 11.9."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """The answer to a create: the only one that carries the secret."""

    token: Token
    secret: Secret
    request_id: str = ""
    """The server's X-Request-Id of the create; the calls that try the token have others."""


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What we remember of one user: the link, the token, its health. One row of `mmconsole_tokens`."""

    user_id: UserId
    account_id: AccountId | None = None
    token_id: TokenId | None = None
    description: str = ""
    fingerprint: str = ""
    health: Health = Health.UNKNOWN
    cause: str = ""
    """A short reason for people: why the health is what it is."""
    checked_at: datetime | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    pushed_digest: str = ""
    """`User.digest` of what the account last got from us; empty when it must be compared again."""
    account_update_at: int = 0
    """`update_at` of the answer to our own last write, so that we do not take it for somebody else's."""
    waiting_email: str = ""
    """An address that the server took but has not applied (RequireEmailVerification); it is not sent again."""
    withheld: bool = False
    deactivated_by_us: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """A note written before an external create, so that a crash leaves no unknown token (or unknown account)."""

    operation_id: OperationId
    user_id: UserId
    kind: str
    """`token`, `account`, `drop` (a replaced token), `revoke` and `enable` (a revocation, and that it is taken back),
    `member` (of a channel), or `channel`, whose `user_id` is a project's id or empty."""
    account_id: AccountId | None
    description: str
    """The marker of a new token, the id of a known one; the username of an account; team, name and marker of a channel;
    a member's channel."""
    opened_at: datetime
    """By the server's clock, as far as it is known; of a revocation, when the time to undo it is over."""


def describe(installation_id: str, user_id: UserId, operation_id: OperationId) -> str:
    """The description that marks a token as ours: `mmconsole:v1:<installation>:<user>:<operation>`.

    A long user id is hashed, so that the whole stays within Mattermost's 255 bytes (seen on 11.6.0).
    """
    return f"{MARKER}:{installation_id}:{short_id(user_id)}:{operation_id}"


def is_ours(description: str, *, installation_id: str | None = None) -> bool:
    """Whether a description carries our marker (and, if given, this installation's)."""
    prefix = f"{MARKER}:{installation_id}:" if installation_id else f"{MARKER}:"
    return description.startswith(prefix)


def short_id(key: str) -> str:
    """A row's key as it stands in a marker: at most 64 bytes, without a colon."""
    raw = key.encode()
    # A colon in an id would make the parts of the marker ambiguous.
    if len(raw) <= _KEY_BYTES and b":" not in raw:
        return key
    return "#" + blake2b(raw, digest_size=16).hexdigest()
