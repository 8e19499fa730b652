"""What a check says of a user's token: the verdict, what of it is remembered, and what to do about it.

A verdict of unknown is an outage or somebody else's trouble. It is shown and never remembered, so that no outage makes
a working token a broken one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from mmconsole.domain.accounts import Account
from mmconsole.domain.health import WORKS
from mmconsole.domain.tokens import Health, Token, TokenRecord
from mmconsole.domain.users import User


class Cause(StrEnum):
    """Why a token does not work, or why that is not known, in the words that are shown, and kept of what is known."""

    REVOKED = "revoked"
    EXPIRED = "expired"
    DISABLED = "disabled"
    PERHAPS_DISABLED = "perhaps disabled: its id is not known"
    INACTIVE = "account inactive"
    GONE = "account gone"
    ANOTHERS = "belongs to another account"
    PRIVILEGED = "account has administrator rights"
    MFA = "MFA demanded"
    OTHER_SECRET = "stored secret is not this token's"  # noqa: S105 - a sentence
    SWITCHED_OFF = "tokens switched off"
    ADMIN_REFUSED = "administrator's token refused: it is dead, or tokens are switched off"
    THROTTLED = "server asks to slow down"
    GARBLED = "answer not understood"
    NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the server says of one token. The cause is empty for one that works, and for one that is missing."""

    health: Health
    cause: str = ""

    @property
    def definite(self) -> bool:
        """Whether anything may be remembered of it."""
        return self.health is not Health.UNKNOWN


WORKING: Final = Verdict(Health.OK)
_MISSING: Final = Verdict(Health.MISSING)
_VERDICTS: Final = {
    Cause.REVOKED: Health.REVOKED,
    Cause.EXPIRED: Health.EXPIRED,
    Cause.DISABLED: Health.DISABLED,
    Cause.PERHAPS_DISABLED: Health.DISABLED,
    Cause.INACTIVE: Health.INACTIVE,
    Cause.GONE: Health.CONFLICT,
    Cause.ANOTHERS: Health.CONFLICT,
    Cause.PRIVILEGED: Health.DENIED,
    Cause.MFA: Health.DENIED,
    Cause.OTHER_SECRET: Health.REVOKED,
}
CANNOT_OPEN: Final = "cannot be opened"
"""How the cause begins of a stored secret that nobody can read."""
_CAUSES: Final = frozenset(Cause)
_ASKED_OF_ACCOUNTS: Final = frozenset({Cause.GONE, Cause.ANOTHERS, Cause.PRIVILEGED})
"""What a quick check sees for itself, so that it may also find that it is over."""
_ASKED_OF_SECRETS: Final = frozenset({Cause.MFA, Cause.OTHER_SECRET})


def verdict_of(cause: Cause) -> Verdict:
    return Verdict(_VERDICTS.get(cause, Health.UNKNOWN), cause)


def is_left_out(user: User, record: TokenRecord | None) -> bool:
    """Whether there is nothing to check because there should be nothing: no token of who is inactive."""
    return not user.active and not user.has_stored_token and not (record and record.token_id)


def assess(user: User, record: TokenRecord, account: Account | None, token: Token | None, *, now: datetime) -> Verdict:
    """What follows from what an administrator sees. None stands for what the server said does not exist."""
    if account is None:
        return verdict_of(Cause.GONE)
    if not account.active:
        return verdict_of(Cause.INACTIVE)
    if account.privileged:
        return verdict_of(Cause.PRIVILEGED)
    if not user.has_stored_token:
        return _MISSING
    if token is None:
        ended = record.expires_at is not None and record.expires_at <= now
        # The server deletes an expired token within the hour (from 11.9).
        return verdict_of(Cause.EXPIRED if ended else Cause.REVOKED)
    return _assess_token(record, token, now)


def _assess_token(record: TokenRecord, token: Token, now: datetime) -> Verdict:
    if token.account_id != record.account_id:
        return verdict_of(Cause.ANOTHERS)
    if not token.active:
        return verdict_of(Cause.DISABLED)
    return verdict_of(Cause.EXPIRED) if has_ended(token, now) else WORKING


def has_ended(token: Token, now: datetime) -> bool:
    return 0 < token.expires_at <= now.timestamp() * 1000


def remembered(record: TokenRecord, verdict: Verdict, *, probed: bool) -> TokenRecord:
    """The record after a definite verdict; the very same when it says that already.

    `probed` tells whether the secret itself was tried, which sees more than a look at the token. What a check cannot
    see, such as an operator's decision, stays as it is.
    """
    if record.health is Health.WITHHELD:
        # An operator's revocation, which may still be undone.
        return record
    if verdict.health in {Health.OK, Health.MISSING}:
        return _cleared(record, verdict, probed=probed)
    if record.withheld and verdict.health in {Health.REVOKED, Health.EXPIRED}:
        # It is to be gone, and the record says why.
        return record
    if record.health is verdict.health and record.cause and record.cause not in _CAUSES:
        # A sync has put the same into more words.
        return record
    # What somebody disabled stays withheld, also when it is deleted on the server later.
    withheld = record.withheld or verdict.health is Health.DISABLED
    found = replace(record, health=verdict.health, cause=verdict.cause, withheld=withheld)
    return record if found == record else found


def _cleared(record: TokenRecord, verdict: Verdict, *, probed: bool) -> TokenRecord:
    """The record of a token with which nothing is wrong, but that it may be missing."""
    works = verdict.health is Health.OK
    if record.withheld and not (works and record.health is Health.DISABLED):
        over = record.health is Health.INACTIVE
        return replace(record, health=Health.WITHHELD, cause="") if over else record
    if record.health is verdict.health or (works and record.health in WORKS) or _stands(record, probed=probed):
        return record
    if not works and record.health in {Health.REVOKED, Health.EXPIRED, Health.DISABLED}:
        return record
    return replace(record, health=verdict.health, cause="", withheld=False)


def is_known_by_trial(record: TokenRecord) -> bool:
    """Whether only a trial of the secret itself can tell that what is remembered is over."""
    return record.cause in _ASKED_OF_SECRETS


def _stands(record: TokenRecord, *, probed: bool) -> bool:
    """Whether what is remembered cannot be refuted by this kind of check."""
    if record.cause in _ASKED_OF_ACCOUNTS:
        return False
    if record.health is Health.CONFLICT:
        return True
    return not probed and (record.health is Health.DENIED or is_known_by_trial(record))


# ── what to do about it ──────────────────────────────────────────────────────────────────────────

_REPAIR: Final = "`mmconsole tokens repair USER` makes a new one"
_CURES: Final = {
    Health.MISSING: _REPAIR,
    Health.REVOKED: _REPAIR,
    Health.EXPIRED: _REPAIR,
    Health.DISABLED: f"enable it on the server, or {_REPAIR}",
    Health.WITHHELD: f"an operator wanted it gone; {_REPAIR} all the same",
    Health.INACTIVE: "reactivate the account on the server, if its deactivation was a mistake",
    Health.DENIED: "such an account gets no token: revoke this one on the server",
    Health.NO_ACCOUNT: "`mmconsole sync USER` makes or links one",
    Health.CONFLICT: "`mmconsole sync USER` says what is to be decided",
    Health.UNKNOWN: "nothing is known, and nothing was changed: check again later",
}
_CURES_OF_CAUSES: Final[Mapping[str, str]] = {
    Cause.MFA: "its owner must set up multi-factor authentication on the server",
    Cause.OTHER_SECRET: _REPAIR,
    Cause.SWITCHED_OFF: "switch personal access tokens on in System Console > Integrations",
    Cause.ADMIN_REFUSED: "switch them on in System Console > Integrations, or `mmconsole login` with another token",
}
_CURE_OF_CLOSED: Final = "bring back its key, or `mmconsole tokens repair USER --force` makes a new one"


def cure_of(status: Health, cause: str) -> str:
    """What an operator can do; empty where nothing is wrong."""
    if status is Health.UNKNOWN and cause.startswith(CANNOT_OPEN):
        return _CURE_OF_CLOSED
    return _CURES_OF_CAUSES.get(cause) or _CURES.get(status, "")


def is_broken(status: Health) -> bool:
    """Whether a check that finds this ends with exit code 3."""
    return status not in WORKS
