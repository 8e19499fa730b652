"""Plans: what a sync will do, as data.

`plan_user` decides for one user from what the database and the server said; nobody else decides. A plan that was
applied leaves nothing to plan. What is not known for certain never becomes a removal.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from mmconsole.domain.accounts import Account, AccountChanges, AccountId
from mmconsole.domain.checks import Cause
from mmconsole.domain.text import EMAIL_LIMIT, fitting_name, is_numbered, legal_username
from mmconsole.domain.tokens import Health, Token, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId

CONFIRM: Final = "if that account is theirs, say `sync USER --link-existing`"
LOCALE_LIMIT: Final = 5
"""Characters of a locale the server takes."""
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{2})?\Z")
# A slash is legal, but an address with one cannot be asked for: it would be two parts of a path.
_WORD: Final = r"[^\s@<>,;:\"()\[\]\\/.]+"
# A dot stands between two words, never beside another one: the server reads addresses as RFC 5322 has them.
_ADDRESS: Final = re.compile(rf"{_WORD}(\.{_WORD})*@{_WORD}(\.{_WORD})*\Z")


class Kind(StrEnum):
    """What a step does, in the order in which a user's steps are applied."""

    CREATE = "create account"
    LINK = "link"
    REACTIVATE = "reactivate"
    UPDATE = "update"
    JOIN = "join team"
    ADOPT = "adopt token"
    GENERATE = "generate token"
    REPLACE = "replace token"
    """Make a new one before the old one, which works, is broken."""
    ENABLE = "enable token"
    DISABLE = "disable token"
    """Revoke it, but not before the time to undo is over."""
    REVOKE = "revoke token"
    DEACTIVATE = "deactivate"
    ADD = "add to channel"
    ARCHIVE = "archive channel"
    FOLLOW = "follow project"
    """Some are never part of a sync."""


REMOVING: Final = frozenset({Kind.DISABLE, Kind.REVOKE, Kind.DEACTIVATE, Kind.ARCHIVE})
"""What the guard counts."""


class Finding(StrEnum):
    """Why a user needs no step, or may get none."""

    UNCHANGED = "unchanged"
    LEFT = "left alone"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class UserPlan:
    """What will be done for one user: steps, or a finding that says why there are none."""

    user_id: UserId
    digest: str = ""
    """`User.digest` when it was planned; a step is skipped when the row says something else by then."""
    steps: tuple[Kind, ...] = ()
    finding: Finding | None = None
    health: Health | None = None
    """What a finding says of the token; None leaves it."""
    why: str = ""
    """The reason and the cure, for people."""
    links: str = ""
    """The username of the account that will be linked."""
    notices: int = 0
    """Mails that the server sends about a changed address or username."""
    asks: str = ""
    """Why an operator should be asked before it is done."""
    gone: bool = False
    """The linked account is gone from the server: another one may have the address by now."""
    asked: bool = False
    """The operator named this user: a token is made although it was withheld."""
    confirmed: bool = False
    """The operator confirmed the link to an existing account, which is that of `links`."""

    @property
    def removes(self) -> bool:
        return not REMOVING.isdisjoint(self.steps)


class Outcome(StrEnum):
    """What became of one user in a run: every user is in exactly one of these or has a finding."""

    CREATED = "created"
    LINKED = "linked"
    REACTIVATED = "reactivated"
    UPDATED = "updated"
    GENERATED = "token generated"
    REPLACED = "token replaced"
    ADOPTED = "token adopted"
    ENABLED = "token enabled"
    DISABLED = "token disabled"
    JOINED = "team joined"
    REMOVED = "revoked"
    ADDED = "added"
    THERE = "already there"
    ARCHIVED = "archived"
    REFUSED = "refused"
    """A rule or the server said no; trying again would not help."""
    WAITING = "waiting at the server"
    KEPT = "kept"
    """The plan thought the token gone, but asked by its id the server knows it."""
    SKIPPED = "skipped"
    CONFLICT = "conflict"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """How one user's steps ended, with the reason and the cure where there is something to say."""

    user_id: UserId
    outcome: Outcome | Finding
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator and the settings allow."""

    reactivate: bool = True
    deactivate: bool = False
    update_username: bool = False
    teams: bool = False
    """Whether membership of linked users is checked again (`--teams`)."""
    joins: bool = True
    """Whether there is a team that newcomers join."""
    confirmed: frozenset[UserId] = frozenset()
    """Users whose link to an existing account the operator confirmed (`--link-existing`)."""
    asked: frozenset[UserId] = frozenset()
    """Users whom the operator named: they get a token although it was withheld."""
    shared_usernames: frozenset[UserId] = frozenset()
    """Users whose wanted username another row wants too: theirs is left as it is."""

    def confirms(self, user_id: UserId) -> bool:
        return user_id in self.confirmed


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server and the database said about one batch of users."""

    accounts: Mapping[AccountId, Account] = field(default_factory=dict)
    """Accounts that were asked for, or changed since the last look. A linked account not in here has not changed."""
    gone: frozenset[AccountId] = frozenset()
    """Linked accounts that a complete answer did not have."""
    by_address: Mapping[str, Account] = field(default_factory=dict)
    """Accounts by lower-case address, for users without a link."""
    tokens: Mapping[TokenId, Token] | None = None
    """All tokens of the batch's accounts; None when they were not read."""
    shared_addresses: frozenset[UserId] = frozenset()
    """Users whose address another row has too."""
    claimed: Mapping[AccountId, UserId] = field(default_factory=dict)
    """Who holds the link to an account, for accounts that users without a link point at."""
    claimed_twice: frozenset[AccountId] = frozenset()
    """Accounts that more than one user is linked to."""
    outside_teams: frozenset[AccountId] = frozenset()
    """Linked accounts that miss a configured team; asked with `--teams`, and for links that were never completed."""


def plan_user(user: User, record: TokenRecord | None, seen: Seen, rules: Rules) -> UserPlan:
    """Decide what one user needs."""
    if not user.active:
        return _plan_leaver(user, record, seen, rules)
    if user.id in seen.shared_addresses:
        return _conflict(user, "another row has the same e-mail address: correct one of them in the application")
    if not is_address(user.address):
        return _conflict(user, "no usable e-mail address: enter one in the application")
    if record is None or record.account_id is None:
        return _plan_newcomer(user, record, seen, rules)
    return _plan_linked(user, record, record.account_id, seen, rules)


def looks_settled(user: User, record: TokenRecord) -> bool:
    """Whether our own side has nothing to ask for, so that a user needs nothing unless the server says otherwise.

    `plan_user` finds such a user unchanged when the row was pushed as it is, the account has not changed and the
    token is listed as active. It spares the many the making of a plan.
    """
    return user.active and user.has_stored_token and not record.withheld and record.health is Health.OK


def plan_removed(record: TokenRecord, account: Account | None, rules: Rules) -> UserPlan:
    """Decide what follows from a row that is gone. The caller has looked for it by its key."""
    steps = _farewell(record, account, rules)
    if not steps:
        return UserPlan(record.user_id, finding=Finding.UNCHANGED)
    return UserPlan(record.user_id, steps=steps, why="the row was deleted")


def _farewell(record: TokenRecord, account: Account | None, rules: Rules) -> tuple[Kind, ...]:
    """Our token goes. The account is deactivated if that is wanted, and it was seen to be active and ours to change."""
    ordinary = account is not None and account.active and not account.privileged and not account.foreign
    wanted = ((Kind.REVOKE, record.token_id is not None), (Kind.DEACTIVATE, rules.deactivate and ordinary))
    return tuple(kind for kind, needed in wanted if needed)


def is_address(address: str | None) -> bool:
    """Whether Mattermost would take this as an e-mail address (at most 128 characters, one @, nothing invisible)."""
    if address is None or len(address) > EMAIL_LIMIT or not address.isprintable():
        return False
    return bool(_ADDRESS.match(address))


def changes_for(user: User, account: Account, rules: Rules, *, waiting_email: str = "") -> AccountChanges:
    """The fields of an account that differ from what the application says.

    An address the application has not verified is never pushed to an existing account. Of an account that signs in
    elsewhere the server refuses new names and drops a new address (11.6.0), so they are left as they are.
    """
    locale = _if_other(locale_of(user), account.locale)
    if account.signs_in_elsewhere:
        return AccountChanges(locale=locale)
    email = user.address if user.email_verified and user.address != waiting_email else None
    return AccountChanges(
        email=_if_other(email, account.email.lower()),
        username=None if user.id in rules.shared_usernames else _other_username(user, account, rules),
        first_name=_if_other(_name(user.first_name), account.first_name),
        last_name=_if_other(_name(user.last_name), account.last_name),
        locale=locale,
    )


def _other_username(user: User, account: Account, rules: Rules) -> str | None:
    """The username that the account should have and has not. A number behind it, from its creation, stays."""
    wanted = legal_username(user.username or "") if rules.update_username else ""
    return wanted if wanted and not is_numbered(account.username, wanted) else None


def locale_of(user: User) -> str | None:
    """The user's locale in Mattermost's spelling (`pt_BR` → `pt-BR`), or None when there is none it would take."""
    locale = (user.locale or "").strip().replace("_", "-")
    return locale if len(locale) <= LOCALE_LIMIT and _LOCALE.match(locale) else None


def _name(name: str | None) -> str | None:
    return None if name is None else fitting_name(name)


def _if_other(wanted: str | None, current: str) -> str | None:
    return None if wanted is None or wanted == current else wanted


# ── one case each ────────────────────────────────────────────────────────────────────────────────


def _plan_leaver(user: User, record: TokenRecord | None, seen: Seen, rules: Rules) -> UserPlan:
    """The application says this user is inactive or deleted: our token goes, the account only if that is wanted."""
    steps: tuple[Kind, ...] = ()
    if record is not None and record.account_id is not None:
        steps = _farewell(record, seen.accounts.get(record.account_id), rules)
    if steps:
        return UserPlan(user.id, user.digest, steps, why="inactive in the application")
    if user.has_stored_token and not (record and record.token_id):
        why = "inactive in the application, but its stored token has no known id: revoke it on the server"
        return UserPlan(user.id, user.digest, finding=Finding.LEFT, health=Health.UNKNOWN, why=why)
    return UserPlan(user.id, finding=Finding.UNCHANGED)


def _plan_newcomer(user: User, record: TokenRecord | None, seen: Seen, rules: Rules) -> UserPlan:
    """A user without a link: link the account that is theirs, or make one."""
    account = seen.by_address.get(user.address or "")
    named = AccountId(user.stored_account_id) if user.stored_account_id else None
    if named and (account is None or account.id != named):
        if not rules.confirms(user.id):
            return _named_another(user, named, seen)
        account = seen.accounts.get(named, account)
    if account is None:
        return _steps(user, record, rules, Kind.CREATE)
    if (why := _why_not_linked(user, account, seen, rules)) is not None:
        return why
    if record is not None and _was_refused(user, record, account) and not rules.confirms(user.id):
        return UserPlan(user.id, user.digest, finding=Finding.CONFLICT, health=Health.CONFLICT, why=record.cause)
    return _link(user, record, account, rules)


def _link(user: User, record: TokenRecord | None, account: Account, rules: Rules) -> UserPlan:
    notices = _notices(changes_for(user, account, rules))
    return replace(_steps(user, record, rules, Kind.LINK), links=account.username, notices=notices)


def _notices(changes: AccountChanges) -> int:
    """How many mails changes cause: the server writes about another address, and about another username."""
    return (changes.email is not None) + (changes.username is not None)


def _named_another(user: User, named: AccountId, seen: Seen) -> UserPlan:
    if named in seen.accounts:
        return _conflict(user, f"the row names the account {named}, whose address is another one", CONFIRM)
    cure = "to go by the address instead, say `sync USER --link-existing`"
    return _conflict(user, f"the row names the account {named}, which the server does not know", cure)


def _why_not_linked(user: User, account: Account, seen: Seen, rules: Rules) -> UserPlan | None:
    if (why := _why_never_linked(user, account, seen)) is not None:
        return why
    if not user.email_verified and not rules.confirms(user.id):
        return _conflict(user, f"@{account.username} has this address, which the application has not verified", CONFIRM)
    return None


def _why_never_linked(user: User, account: Account, seen: Seen) -> UserPlan | None:
    """What no confirmation helps against."""
    if account.foreign:
        return _conflict(user, f"the address belongs to a bot or remote account (@{account.username})")
    if account.privileged:
        return _denied(user, account)
    if (holder := seen.claimed.get(account.id)) is not None and holder != user.id:
        return _conflict(user, f"the account @{account.username} is linked to the user {holder} already")
    if not account.active:
        return _conflict(user, f"the account @{account.username} is deactivated: reactivate it on the server first")
    return None


def _was_refused(user: User, record: TokenRecord, account: Account) -> bool:
    """Whether this link was tried and refused, and neither side has changed since."""
    same = record.pushed_digest == user.digest and record.account_update_at == account.update_at
    return record.health is Health.CONFLICT and same


def _plan_linked(user: User, record: TokenRecord, account_id: AccountId, seen: Seen, rules: Rules) -> UserPlan:
    if account_id in seen.claimed_twice:
        return _conflict(user, "the account is linked to another user too")
    if account_id in seen.gone:
        return plan_successor(user, record, seen.by_address.get(user.address or ""), seen, rules)
    account = seen.accounts.get(account_id)
    if account is not None and account.privileged:
        return _denied(user, account)
    if account is not None and account.foreign:
        return _conflict(user, f"@{account.username} has become a bot or remote account")
    if account is not None and not account.active and not (record.deactivated_by_us and rules.reactivate):
        why = "the account is deactivated on the server: reactivate it there if that was a mistake"
        return UserPlan(user.id, user.digest, finding=Finding.LEFT, health=Health.INACTIVE, why=why)
    steps: list[Kind] = []
    if account is not None and record.deactivated_by_us:
        # Also of one that is active again: then only our own note of it is out of date.
        steps.append(Kind.REACTIVATE)
    changes = changes_for(user, account, rules, waiting_email=record.waiting_email) if account else AccountChanges()
    if account is not None and (changes.named() or _waits_no_longer(user, record, account)):
        steps.append(Kind.UPDATE)
    if account_id in seen.outside_teams:
        steps.append(Kind.JOIN)
    plan = _with_token(user, record, account_id, seen, steps, asked=user.id in rules.asked)
    if account is not None and plan.finding is Finding.UNCHANGED and _shares_username(user, account, rules):
        why = f"another row wants the username {user.username} too: give one of them another in the application"
        return UserPlan(user.id, user.digest, finding=Finding.CONFLICT, why=why)
    return replace(plan, notices=_notices(changes))


def plan_successor(user: User, record: TokenRecord, account: Account | None, seen: Seen, rules: Rules) -> UserPlan:
    """Decide about a user whose account is gone from the server, and whose address `account` has by now, if any."""
    if account is None and rules.confirms(user.id):
        return replace(_steps(user, record, rules, Kind.CREATE), gone=True)
    if account is None:
        cure = "for a new one say `sync USER --link-existing`"
        return replace(_conflict(user, "the account is gone from the server", cure), gone=True)
    if (why := _why_never_linked(user, account, seen)) is not None:
        return why
    if rules.confirms(user.id):
        return _link(user, record, account, rules)
    return _conflict(user, f"the account is gone from the server, and @{account.username} has its address", CONFIRM)


def _shares_username(user: User, account: Account, rules: Rules) -> bool:
    """Whether the account's username is another one only because two rows want the same."""
    return user.id in rules.shared_usernames and _other_username(user, account, rules) is not None


def _waits_no_longer(user: User, record: TokenRecord, account: Account) -> bool:
    """Whether our note of a waiting address is out of date: it arrived, or is not wanted any more."""
    waiting = record.waiting_email
    return bool(waiting) and (waiting == account.email.lower() or waiting != user.address)


def _with_token(  # noqa: PLR0913 - what a linked user's plan is made from
    user: User, record: TokenRecord, account_id: AccountId, seen: Seen, steps: list[Kind], *, asked: bool
) -> UserPlan:
    held = _token_finding(user, record, account_id, seen, asked=asked)
    if isinstance(held, Kind):
        steps.append(held)
    if steps:
        return UserPlan(user.id, user.digest, tuple(steps))
    if isinstance(held, UserPlan):
        return held
    return UserPlan(user.id, finding=Finding.UNCHANGED)


def _token_finding(
    user: User, record: TokenRecord, account_id: AccountId, seen: Seen, *, asked: bool
) -> Kind | UserPlan | None:
    """What the user's token needs: a step, a finding, or nothing."""
    token = seen.tokens.get(record.token_id) if seen.tokens is not None and record.token_id is not None else None
    if record.withheld and not asked and not _enabled_again(record, token):
        return _withheld(user, record)
    if not user.has_stored_token:
        return Kind.GENERATE
    if record.token_id is None:
        # An adopted token whose id could not be told among several stays as it is.
        return None if record.health is Health.OK else Kind.ADOPT
    if record.cause == Cause.OTHER_SECRET:
        return Kind.GENERATE
    if seen.tokens is None:
        return None
    if token is None:
        return Kind.GENERATE
    if token.account_id != account_id:
        return _conflict(user, "the stored token belongs to another account")
    if not token.active:
        return Kind.GENERATE if asked else _withheld(user, replace(record, health=Health.DISABLED, cause=_DISABLED))
    return None


_DISABLED: Final = (
    "somebody disabled the token on the server: enable it there, or say `tokens repair USER` for a new one"
)
WITHHELD: Final = "an operator revoked the token; say `tokens repair USER` for a new one"


def _enabled_again(record: TokenRecord, token: Token | None) -> bool:
    return record.health is Health.DISABLED and token is not None and token.active


def _withheld(user: User, record: TokenRecord) -> UserPlan:
    """Nothing automatic makes a token for this user; naming the user is an operator's request."""
    known = record.health in {Health.DISABLED, Health.DENIED}
    health, why = (record.health, record.cause or _DISABLED) if known else (Health.WITHHELD, WITHHELD)
    return UserPlan(user.id, user.digest, finding=Finding.LEFT, health=health, why=why)


def _steps(user: User, record: TokenRecord | None, rules: Rules, begin: Kind) -> UserPlan:
    """The steps of a newcomer: account, teams, then the token unless it is withheld."""
    first = (begin, Kind.JOIN) if rules.joins else (begin,)
    if record is not None and record.withheld:
        return UserPlan(user.id, user.digest, first)
    last = Kind.ADOPT if user.has_stored_token and begin is Kind.LINK else Kind.GENERATE
    return UserPlan(user.id, user.digest, (*first, last))


def _conflict(user: User, why: str, cure: str = "") -> UserPlan:
    text = f"{why}; {cure}" if cure else why
    return UserPlan(user.id, user.digest, finding=Finding.CONFLICT, health=Health.CONFLICT, why=text)


def _denied(user: User, account: Account) -> UserPlan:
    why = f"@{account.username} has administrator rights: such an account gets no token, no update and no link"
    return UserPlan(user.id, user.digest, finding=Finding.CONFLICT, health=Health.DENIED, why=why)
