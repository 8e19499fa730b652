"""An answer as it came: status, body, and the few headers that mean something here."""

from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from mmconsole.mattermost.transport import body_of

_TELLING: Final = frozenset(
    {
        b"content-type",
        b"date",
        b"age",
        b"location",
        b"retry-after",
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
        b"x-request-id",
        b"x-version-id",
    }
)

_AN_INSTANT: Final = 1_000_000_000
"""No wait is that long, and every date of this century is longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(repr=False)
    """It may hold a new secret."""
    headers: dict[bytes, list[str]]
    """Only the telling ones, by lower-case name. A rate limiter that counts twice says its headers twice."""

    def header(self, name: bytes) -> str:
        """The header's first value, empty when it is not there."""
        values = self.headers.get(name)
        return values[0] if values else ""

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people, as proxies and sign-in walls send."""
        return self.header(b"content-type").startswith("text/html") or self.body[:64].lstrip()[:1] == b"<"

    def exhausted_for(self, *, now: float) -> float | None:
        """Seconds until the rate limiter lets calls pass again, if this answer used up what was left."""
        remaining = _numbers(self.headers.get(b"x-ratelimit-remaining"))
        if not remaining or min(remaining) > 0:
            return None
        resets = _numbers(self.headers.get(b"x-ratelimit-reset"))
        # Mattermost says seconds; the limiters of some gateways say when, in seconds since 1970.
        return max((reset - now if reset > _AN_INSTANT else reset for reset in resets), default=None)

    def retry_after(self, *, now: float) -> float | None:
        """Seconds that Retry-After asks for; None when it does not say. It may be a number or a date."""
        said = self.header(b"retry-after").strip()
        if said.isdecimal():
            return float(said)
        try:
            until = parsedate_to_datetime(said)
        except ValueError:
            return None
        return max(0.0, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now)


async def read_answer(response: httpx.Response) -> Answer:
    body = await body_of(response)
    headers: dict[bytes, list[str]] = {}
    for name, value in response.headers.raw:
        lower = name.lower()
        if lower in _TELLING:
            headers.setdefault(lower, []).append(value.decode("latin-1"))
    return Answer(response.status_code, body, headers)


def _numbers(values: list[str] | None) -> list[float]:
    return [float(value) for value in values or () if value.strip().isdecimal()]
