"""What an operator can ask for tokens, and what that means for one user: a step, or a finding that says why not.

`plan_token` is asked twice: when the plan is made, and right before the step, with the user as it is by then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mmconsole.domain.checks import cure_of
from mmconsole.domain.health import WORKS, AsOf, status_of
from mmconsole.domain.plans import Finding, Kind, UserPlan
from mmconsole.domain.tokens import Health, Intent, TokenRecord
from mmconsole.domain.users import User


class Act(StrEnum):
    GENERATE = "generate"
    REPAIR = "repair"
    ROTATE = "rotate"
    REVOKE = "revoke"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What was asked for, and as of when."""

    act: Act
    as_of: AsOf
    named: bool = False
    """Whether an operator named the users, so that one whose token is withheld gets another."""
    force: bool = False
    """Whether a token that works is replaced as well."""
    at_once: bool = False
    """Whether a revocation leaves no time to undo it."""
    older_than: timedelta | None = None
    expiring_within: timedelta | None = None
    """Which tokens `rotate` replaces: those that meet either of the two; with neither, all that work."""


_NOT_CURED: Final = frozenset({Health.INACTIVE, Health.DENIED, Health.CONFLICT, Health.NO_ACCOUNT})
"""Of these a new token cures nothing, and each token mails its owner."""
_BY_SOMEBODY: Final = "somebody disabled the token on the server"
_BY_OPERATOR: Final = "an operator revoked the token"
_THEN_SYNC: Final = "then say `mmconsole sync USER`"


def plan_token(user: User, record: TokenRecord | None, rules: TokenRules, revocation: Intent | None) -> UserPlan:
    """Decide what one user's token needs. `revocation` is the open one of the token we know, if there is one."""
    if rules.act is Act.REVOKE:
        return _plan_revocation(user, record, rules, revocation)
    if rules.act is Act.UNDO:
        return _plan_undo(user, record, revocation)
    if not user.active:
        return _left(user, "inactive in the application, so it gets no token")
    status = status_of(user, record, rules.as_of)
    if record is None or status in _NOT_CURED:
        return _not_cured(user, record, status)
    if rules.act is Act.ROTATE:
        return _plan_rotation(user, record, status, rules)
    return _plan_renewal(user, record, status, rules)


def _plan_renewal(user: User, record: TokenRecord, status: Health, rules: TokenRules) -> UserPlan:
    """Generate and repair: a token for who has none that works."""
    if status is Health.WORKING:
        return _left(user, "it is being worked on")
    if status in {Health.DISABLED, Health.WITHHELD}:
        return _plan_withheld(user, status, rules)
    if status in WORKS:
        return _plan_working(user, record, status, rules)
    # A stored secret whose token is not known by an id may work: its step tries it first.
    unnamed = status is Health.UNKNOWN and record.token_id is None
    return _step(user, Kind.ADOPT if unnamed else Kind.GENERATE, why=record.cause)


def _plan_withheld(user: User, status: Health, rules: TokenRules) -> UserPlan:
    why = _BY_SOMEBODY if status is Health.DISABLED else _BY_OPERATOR
    if rules.named:
        return UserPlan(user.id, steps=(Kind.GENERATE,), why=why, asks=why)
    return _left(user, f"{why}; name the user for a new one")


def _plan_working(user: User, record: TokenRecord, status: Health, rules: TokenRules) -> UserPlan:
    if rules.act is Act.REPAIR and status is not Health.OK:
        return _step(user, Kind.REPLACE, why=_age(record))
    if rules.force:
        return UserPlan(user.id, steps=(Kind.REPLACE,), why="its token works", asks="the token works")
    return _left(user, "its token works; --force puts another one in its place")


def _plan_rotation(user: User, record: TokenRecord, status: Health, rules: TokenRules) -> UserPlan:
    if status not in WORKS:
        return _left(user, "no token that works could be replaced; `mmconsole tokens repair` makes a new one")
    if not _is_due(record, rules):
        return UserPlan(user.id, finding=Finding.UNCHANGED)
    return _step(user, Kind.REPLACE, why=_age(record))


def _is_due(record: TokenRecord, rules: TokenRules) -> bool:
    now = rules.as_of.now
    if rules.older_than is None and rules.expiring_within is None:
        return True
    # Of a token that was there before us nobody knows the age, only that it is older than our link.
    old = rules.older_than is not None and (record.created_at is None or record.created_at <= now - rules.older_than)
    within = rules.expiring_within
    return old or (within is not None and record.expires_at is not None and record.expires_at <= now + within)


def _plan_revocation(user: User, record: TokenRecord | None, rules: TokenRules, revocation: Intent | None) -> UserPlan:
    """Also of who is inactive, privileged or in conflict: a revocation is never wrong."""
    if record is None or record.account_id is None:
        if user.has_stored_token:
            return _conflict(user, f"its stored token is not known yet; `mmconsole sync {user.id}` looks at it")
        return _left(user, "it has no account, so there is no token")
    if record.withheld and record.token_id is None and not user.has_stored_token:
        return _left(user, "its token is revoked already")
    if revocation is not None and record.health is Health.WITHHELD and not rules.at_once:
        return _left(user, f"it is disabled already, and revoked for good after {_moment(revocation.opened_at)}")
    gone = record.token_id is None and not user.has_stored_token
    return _step(user, Kind.REVOKE if rules.at_once or gone else Kind.DISABLE)


def _plan_undo(user: User, record: TokenRecord | None, revocation: Intent | None) -> UserPlan:
    if revocation is not None:
        return _step(user, Kind.ENABLE)
    if record is not None and record.withheld and record.health is not Health.DISABLED:
        return _conflict(user, f"its token is revoked for good; `mmconsole tokens generate {user.id}` makes a new one")
    return _left(user, "there is no revocation that could be undone")


# ── words ────────────────────────────────────────────────────────────────────────────────────────

_CURES: Final[Mapping[Health, str]] = {
    Health.INACTIVE: f"reactivate the account on the server, if that was a mistake, {_THEN_SYNC}",
    Health.DENIED: f"remove the reason, {_THEN_SYNC}",
}


def _not_cured(user: User, record: TokenRecord | None, status: Health) -> UserPlan:
    """Something else than the token is wrong: say what, and what to do."""
    cause = record.cause if record is not None and record.cause else _WHY[status]
    cure = _CURES.get(status) or cure_of(status, cause)
    # What a sync wrote down names its cure itself.
    why = cause if ":" in cause or ";" in cause else f"{cause}; {cure}"
    return _conflict(user, why.replace("USER", user.id))


_WHY: Final[Mapping[Health, str]] = {
    Health.INACTIVE: "the account is deactivated",
    Health.DENIED: "the account may have no token",
    Health.CONFLICT: "who the account belongs to is not decided",
    Health.NO_ACCOUNT: "no account yet",
}


def _age(record: TokenRecord) -> str:
    if record.expires_at is not None:
        return f"ends on {record.expires_at:%Y-%m-%d}"
    return f"made on {record.created_at:%Y-%m-%d}" if record.created_at is not None else "made before mmconsole"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _step(user: User, kind: Kind, *, why: str = "") -> UserPlan:
    return UserPlan(user.id, steps=(kind,), why=why)


def _left(user: User, why: str) -> UserPlan:
    return UserPlan(user.id, finding=Finding.LEFT, why=why)


def _conflict(user: User, why: str) -> UserPlan:
    return UserPlan(user.id, finding=Finding.CONFLICT, why=why)
