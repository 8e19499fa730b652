"""The status that is shown of a user: one word, from what we remember, what is stored, and the time.

Nobody else computes it, but for the same rule in SQL (`database/filters.py`), which a test holds to this one.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.domain.users import User

OF_THE_ACCOUNT: Final = frozenset({Health.CONFLICT, Health.DENIED, Health.INACTIVE, Health.WORKING})
"""Shown as remembered, whatever is known of a token: no token would change it."""
OF_A_LOST_TOKEN: Final = frozenset({Health.REVOKED, Health.EXPIRED, Health.WITHHELD})
"""Shown as remembered although nothing may be stored: it says why."""
USELESS: Final = OF_A_LOST_TOKEN | {Health.DISABLED, Health.DENIED, Health.INACTIVE}
"""There is or was a token, and it does not work."""
ENDING: Final = frozenset({Health.EXPIRING, Health.OVERDUE})
"""It works, and should not stay as it is."""
WORKS: Final = ENDING | {Health.OK}
"""What time turns into one another, and at last into expired."""

GRAVEST_FIRST: Final = (
    Health.EXPIRED,
    Health.REVOKED,
    Health.DISABLED,
    Health.WITHHELD,
    Health.DENIED,
    Health.INACTIVE,
    Health.CONFLICT,
    Health.NO_ACCOUNT,
    Health.OVERDUE,
    Health.EXPIRING,
    Health.MISSING,
    Health.UNKNOWN,
    Health.WORKING,
    Health.OK,
)
"""The order of a list that is sorted by status."""

STATUSES: Final = {
    Health.OK: "+ ok",
    Health.EXPIRING: "~ expiring",
    Health.OVERDUE: "~ overdue",
    Health.MISSING: "- missing",
    Health.REVOKED: "x revoked",
    Health.EXPIRED: "x expired",
    Health.DISABLED: "x disabled",
    Health.WITHHELD: "x withheld",
    Health.INACTIVE: "! inactive",
    Health.DENIED: "! denied",
    Health.NO_ACCOUNT: "! no account",
    Health.CONFLICT: "! conflict",
    Health.UNKNOWN: "? unknown",
    Health.WORKING: "* working",
}
"""A glyph for those who see no colours, and a word for those who hear."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """The moment that a status or a filter is about, and what counts as soon and as old."""

    now: datetime
    """It must know its time zone."""
    soon: timedelta = timedelta(days=7)
    """A token that ends within it is `expiring`."""
    lifetime: timedelta | None = None
    """How old a token without an end may get before it is `overdue`; None for any age."""


def status_of(user: User, record: TokenRecord | None, as_of: AsOf) -> Health:
    """The status to show of a user, with what we remember of them (None: nothing)."""
    if record is None:
        return Health.NO_ACCOUNT
    if record.health in OF_THE_ACCOUNT:
        return record.health
    if record.account_id is None:
        return Health.NO_ACCOUNT
    if record.health is Health.DISABLED:
        return Health.DISABLED
    if record.withheld:
        return Health.WITHHELD
    if record.health in OF_A_LOST_TOKEN:
        return record.health
    if not user.has_stored_token:
        return Health.MISSING
    return _of_a_working_token(record, as_of) if record.health in WORKS else Health.UNKNOWN


def _of_a_working_token(record: TokenRecord, as_of: AsOf) -> Health:
    if record.expires_at is not None:
        if record.expires_at <= as_of.now:
            return Health.EXPIRED
        return Health.EXPIRING if record.expires_at <= as_of.now + as_of.soon else Health.OK
    if record.created_at is None or as_of.lifetime is None:
        return Health.OK
    return Health.OVERDUE if record.created_at <= as_of.now - as_of.lifetime else Health.OK
