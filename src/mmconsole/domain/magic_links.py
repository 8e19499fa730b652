"""Magic links: what a ticket is, when it may be used at once, and where it may lead.

Mail scanners, chat previews and other sites follow links too. Whoever redeems for anything but a person's own click
burns the link, or signs a victim in as the attacker.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, NewType

from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId

TicketDigest = NewType("TicketDigest", str)

TICKET_BYTES: Final = 32
"""256 random bits."""
_LONGEST_CODE: Final = 100
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_@.-]{1,128}\Z")
_LONGEST_PATH: Final = 512
_A_CLICK: Final = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-user": "?1"}


class Standing(StrEnum):
    """What a ticket is worth right now."""

    OPEN = "open"
    SPENT = "spent"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Ticket:
    """The one-time code inside a link, as far as it is stored: its digest, whose it is, and how long it lives."""

    digest: TicketDigest
    user_id: UserId
    issued_by: str
    issued_at: datetime
    expires_at: datetime
    spent_at: datetime | None = None

    def standing(self, now: datetime) -> Standing:
        if self.spent_at is not None:
            return Standing.SPENT
        return Standing.OPEN if now < self.expires_at else Standing.EXPIRED


def ticket_digest(code: Secret, *, installation_id: str) -> TicketDigest | None:
    """What is stored of a code: of another installation it is another one. None for what cannot be a code."""
    text = code.reveal()
    if not text or len(text) > _LONGEST_CODE or not text.isascii():
        return None
    return TicketDigest(sha256(f"mmconsole|ticket|{installation_id}|{text}".encode()).hexdigest())


def redeems_at_once(method: str, headers: Mapping[str, str], *, trust_same_site: bool) -> bool:
    """Whether a request is a person's click on a page of this very site. Anything else gets a page with a button.

    `headers` has names in lower case. Browsers set these headers themselves, and no page can.
    """
    if method != "GET" or headers.get("sec-purpose") or headers.get("purpose"):
        return False
    sites = {"same-origin", "same-site"} if trust_same_site else {"same-origin"}
    clicked = all(headers.get(name) == value for name, value in _A_CLICK.items())
    return clicked and headers.get("sec-fetch-site") in sites


def posted_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that the form was another site's. Without such a header it does not say."""
    return headers.get("sec-fetch-site", "same-origin") != "same-origin"


def landing_path(to: str) -> str | None:
    """Where on the Mattermost server somebody lands, as `/team/channels/name`; None for what is no such path.

    Names of teams, channels and people need no other characters, so nothing can become another host or a script.
    """
    if to in {"", "/"}:
        return ""
    segments = to.removeprefix("/").removesuffix("/").split("/")
    plain = all(_SEGMENT.match(one) and one.strip(".") for one in segments)
    return "/" + "/".join(segments) if to.startswith("/") and plain and len(to) <= _LONGEST_PATH else None
