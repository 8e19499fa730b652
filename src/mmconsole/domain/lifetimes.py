"""How long a new token lives, where the server ends tokens by itself (from 11.9)."""

from datetime import timedelta
from hashlib import blake2b
from typing import Final

from mmconsole.domain.users import UserId

_DAY: Final = timedelta(days=1)
_PARTS: Final = 10_000
_SPREAD: Final = 0.1
"""The share of a lifetime over which the ends of all tokens are spread."""


def lifetime_for(user_id: UserId, *, wanted: timedelta | None, cap_days: int) -> timedelta | None:
    """The lifetime of this user's next token; None for one without an end. `cap_days` is the server's limit, or 0.

    Always the same for the same user, and at most a tenth less than for anybody else.
    """
    longest = _below(cap_days) if cap_days else wanted
    if longest is None:
        return None
    whole = longest if wanted is None else min(wanted, longest)
    return whole - whole * (_SPREAD * _share(user_id))


def _below(cap_days: int) -> timedelta:
    """A day below the limit, so that clocks that differ a little do not make the server refuse it."""
    cap = cap_days * _DAY
    return cap - _DAY if cap > 2 * _DAY else cap / 2


def _share(user_id: UserId) -> float:
    """A number from 0 to 1 that a user always has."""
    digest = blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % _PARTS / _PARTS
