"""Magic links: issued for one user, and redeemed once.

The order of redeeming is its security: find the ticket, try the token, spend the ticket, and only then hand out the
secret. So an outage burns no link, and nobody gets in twice.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database, Transaction
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.health import WORKS
from mmconsole.domain.magic_links import TICKET_BYTES, Standing, Ticket, TicketDigest, ticket_digest
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId
from mmconsole.errors import LinkRefused, MagicLinkError, TicketExpired, TicketSpent, TicketUnknown
from mmconsole.services.link_tokens import Held, LinkTokens, StoredToken, trusted
from mmconsole.services.runs import asked_by

_REMEMBERED: Final = timedelta(days=1)
"""How long an ended ticket is still known, to tell a used one from a made-up one."""
_PRUNED_EVERY: Final = timedelta(minutes=1)
_SAID: Final[dict[Standing, type[MagicLinkError]]] = {Standing.SPENT: TicketSpent, Standing.EXPIRED: TicketExpired}


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """A new link: the code for its URL, and the user's token."""

    user_id: UserId
    code: Secret
    token: Secret
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """As whom a ticket signs somebody in; it says nothing about whether the token works."""

    user_id: UserId
    account_id: AccountId | None
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a browser needs to be signed in."""

    user_id: UserId
    account_id: AccountId
    token: Secret


class MagicLinks:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        tokens: LinkTokens,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._life = settings.values.web.link_life
        self._database = database
        self._tokens = tokens
        self._now = now
        self._installation_id = ""
        self._prune_at = datetime.min.replace(tzinfo=UTC)

    async def issue(self, user_id: UserId, *, by: str) -> IssuedLink:
        """A link for a user, whose token is made if it is missing. `by` is who asked.

        Raises what `LinkTokens.working` raises.
        """
        code = Secret(secrets.token_urlsafe(TICKET_BYTES))
        ticket = await self._ticket(code, user_id, by=by)
        prune = self._is_time_to_prune(ticket.issued_at)
        stored = await self._database.write(partial(_store_if_trusted, ticket=ticket, prune=prune))
        if stored is not None:
            held = await self._tokens.opened(stored)
            return IssuedLink(user_id, code, held.secret, ticket.expires_at)
        with asked_by(by):
            held = await self._tokens.working(user_id)
        # Trying it, or making another, may have taken a while.
        ticket = await self._ticket(code, user_id, by=by)
        await self._database.write(partial(_store, ticket=ticket))
        return IssuedLink(user_id, code, held.secret, ticket.expires_at)

    async def look(self, code: Secret, *, at: str) -> Invitation:
        """As whom a ticket would sign somebody in; nothing is changed. `at` is where the request came from.

        Raises TicketUnknown, TicketExpired, TicketSpent, LinkRefused.
        """
        ticket = await self._find(code, at=at)
        user, record = await self._database.read(lambda db: db.roster.row(ticket.user_id))
        if user is None:
            raise LinkRefused(user_id=ticket.user_id, why="the user is gone")
        name = " ".join(part for part in (user.first_name, user.last_name) if part)
        return Invitation(user.id, record.account_id if record else None, name, user.address or "")

    async def redeem(self, code: Secret, *, at: str) -> SignIn:
        """Sign somebody in, once. A ticket that was not spent stays good when this raises.

        Raises what `look` and `LinkTokens.working` raise.
        """
        ticket = await self._find(code, at=at)
        with asked_by(ticket.issued_by):
            held = await self._tokens.working(ticket.user_id)
        if not await self._database.write(partial(_spend, ticket=ticket, held=held, now=self._now(), at=at)):
            await self._find(code, at=at)
            raise TicketExpired
        return SignIn(ticket.user_id, held.account_id, held.secret)

    async def _find(self, code: Secret, *, at: str) -> Ticket:
        digest = await self._digest(code)
        ticket = await self._database.read(lambda db: db.tickets.find(digest)) if digest else None
        if ticket is None:
            raise TicketUnknown
        standing = ticket.standing(self._now())
        if standing is Standing.SPENT:
            await self._note_reuse(ticket, at)
        if standing is not Standing.OPEN:
            raise _SAID[standing]
        return ticket

    async def _ticket(self, code: Secret, user_id: UserId, *, by: str) -> Ticket:
        digest, now = await self._digest(code), self._now()
        assert digest is not None  # noqa: S101 - a code of our own making
        return Ticket(digest, user_id, by, now, now + self._life)

    async def _digest(self, code: Secret) -> TicketDigest | None:
        if not self._installation_id:
            self._installation_id = await self._database.read(lambda db: db.meta.installation_id)
        return ticket_digest(code, installation_id=self._installation_id)

    def _is_time_to_prune(self, now: datetime) -> bool:
        if now < self._prune_at:
            return False
        self._prune_at = now + _PRUNED_EVERY
        return True

    async def _note_reuse(self, ticket: Ticket, at: str) -> None:
        """A second use is worth a warning; a thousand of them are worth no more than one."""
        detail = f"from {at}" if at else ""
        row = Activity(self._now(), ticket.issued_by, "link used again", ticket.user_id, detail, Level.WARNING)

        def change(tx: Transaction) -> None:
            if tx.tickets.note_reuse(ticket.digest):
                tx.activity.add(row)

        await self._database.write(change)


def _store_if_trusted(tx: Transaction, *, ticket: Ticket, prune: bool) -> StoredToken | None:
    """Nearly always one change is all that a link needs. None when its token must be tried first."""
    if prune:
        tx.tickets.prune(ticket.issued_at - _REMEMBERED)
    found = trusted(tx, ticket.user_id, ticket.issued_at)
    if found is not None:
        _store(tx, ticket=ticket)
    return found


def _store(tx: Transaction, *, ticket: Ticket) -> None:
    tx.tickets.add(ticket)
    ends = f"good until {ticket.expires_at:%H:%M:%S} UTC"
    tx.activity.add(Activity(ticket.issued_at, ticket.issued_by, "link issued", ticket.user_id, ends))


def _spend(tx: Transaction, *, ticket: Ticket, held: Held, now: datetime, at: str) -> bool:
    """Spend the ticket, if the token that was tried is still the one that is stored. Raises LinkRefused."""
    record = tx.tokens.get(ticket.user_id)
    if record.withheld or record.account_id != held.account_id or tx.roster.envelope(ticket.user_id) != held.envelope:
        raise LinkRefused(user_id=ticket.user_id, why="its token was changed this very moment; try again")
    if not tx.tickets.spend(ticket.digest, now):
        return False
    if record.health in WORKS:
        # Not the whole record: on a server an operator may withhold the token between our look and our commit.
        tx.tokens.set_checked([record], now)
    detail = f"from {at}" if at else ""
    tx.activity.add(Activity(now, ticket.issued_by, "link redeemed", ticket.user_id, detail))
    return True
