"""An answer as it came: status, body, and headers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
from multidict import MultiMapping

from mmconsole.mattermost.messages import body_of, headers_of

_AN_INSTANT: Final = 1_000_000_000
"""No wait is that long, and every date of this century is longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = field(repr=False)
    """It may hold a new secret."""
    headers: MultiMapping[str] = field(repr=False)
    """By names in any case. A rate limiter that counts twice says its headers twice."""

    def header(self, name: str) -> str:
        """The header's first value, empty when it is not there."""
        value = self.headers.get(name, "")
        # What is not ASCII may hold surrogates, which nothing can write.
        return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("latin-1")

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people, as proxies and sign-in walls send."""
        return self.header("Content-Type").startswith("text/html") or self.body[:64].lstrip()[:1] == b"<"

    def exhausted_for(self, *, now: float) -> float | None:
        """Seconds until the rate limiter lets calls pass again, if this answer used up what was left."""
        remaining = _numbers(self.headers.getall("X-Ratelimit-Remaining", ()))
        if not remaining or min(remaining) > 0:
            return None
        resets = _numbers(self.headers.getall("X-Ratelimit-Reset", ()))
        # Mattermost says seconds; the limiters of some gateways say when, in seconds since 1970.
        return max((reset - now if reset > _AN_INSTANT else reset for reset in resets), default=None)

    def retry_after(self, *, now: float) -> float | None:
        """Seconds that Retry-After asks for; None when it does not say. It may be a number or a date."""
        said = self.header("Retry-After").strip()
        if said.isdecimal():
            return float(said)
        try:
            until = parsedate_to_datetime(said)
        except (ValueError, OverflowError):
            return None
        return max(0.0, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now)


async def read_answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, await body_of(response), headers_of(response))


def _numbers(values: Sequence[str]) -> list[float]:
    return [float(value) for value in values if value.strip().isdecimal()]
