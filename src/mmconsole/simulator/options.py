"""What a simulated server is told when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A bucket per client address: `per_second` refill it, `burst` calls may come on top of the first."""

    per_second: float = 10.0
    burst: int = 100


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """One simulated server. `empty` is a new installation; otherwise there is a team, an administrator and users.

    `latency` is in seconds and added to each call. `page` makes the web page beside the API say who is signed in by
    the cookie, so that a magic link can be tried in a browser.
    """

    users: int = 0
    seed: int = 1
    empty: bool = False
    rate_limit: RateLimit | None = None
    user_cap: int | None = None
    latency: float = 0.0
    cost: Literal["none", "real"] = "none"
    version: str = "11.6.0"
    subpath: str = ""
    with_tokens: bool = False
    page: bool = False

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version, by which features appear."""
        major, minor, *_ = (*self.version.split("."), "0")
        return int(major), int(minor)

    @property
    def base(self) -> str:
        """The subpath without a slash at its end; empty when the server owns the whole host."""
        trimmed = self.subpath.strip("/")
        return f"/{trimmed}" if trimmed else ""
