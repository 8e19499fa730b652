"""Tickets of magic links. Only their digests are here, and each can be spent once, by one statement."""

from datetime import datetime
from typing import Final

from mmconsole.database.connection import Connection
from mmconsole.database.times import moment_of, moment_or_none, stored
from mmconsole.domain.magic_links import Ticket, TicketDigest
from mmconsole.domain.users import UserId

_ADD: Final = (
    "INSERT INTO mmconsole_tickets (digest, user_id, issued_by, issued_at, expires_at, reused)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_FIND: Final = (
    "SELECT digest, user_id, issued_by, issued_at, expires_at, spent_at FROM mmconsole_tickets WHERE digest = ?"
)
# Of many who come at once, the database lets exactly one change this row.
_SPEND: Final = "UPDATE mmconsole_tickets SET spent_at = ? WHERE digest = ? AND spent_at IS NULL AND expires_at > ?"
_REUSED: Final = "UPDATE mmconsole_tickets SET reused = ? WHERE digest = ? AND spent_at IS NOT NULL AND reused = ?"


class TicketRepository:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, ticket: Ticket) -> None:
        issued, expires = stored(ticket.issued_at), stored(ticket.expires_at)
        self._connection.run(_ADD, (ticket.digest, ticket.user_id, ticket.issued_by, issued, expires, False))

    def find(self, digest: TicketDigest) -> Ticket | None:
        row = self._connection.row(_FIND, (digest,))
        if row is None:
            return None
        found, user_id, issued_by, issued, expires, spent = row
        moments = moment_of(issued), moment_of(expires), moment_or_none(spent)
        return Ticket(TicketDigest(found), UserId(user_id), issued_by, *moments)

    def spend(self, digest: TicketDigest, now: datetime) -> bool:
        """Use a ticket up. False when it was used before, has expired, or never was."""
        return bool(self._connection.run(_SPEND, (stored(now), digest, stored(now))))

    def note_reuse(self, digest: TicketDigest) -> bool:
        """Remember that somebody came with a spent ticket. Returns whether that is the first time."""
        return bool(self._connection.run(_REUSED, (True, digest, False)))

    def prune(self, before: datetime) -> int:
        """Forget tickets that ended before a moment. Returns how many there were."""
        return self._connection.run("DELETE FROM mmconsole_tickets WHERE expires_at < ?", (stored(before),))
