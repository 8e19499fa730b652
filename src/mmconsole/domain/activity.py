"""Activity: one thing that happened, in the past tense, kept in the database."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mmconsole.domain.users import UserId


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Activity:
    """Who did what to which user, with which result. `at` is UTC. No secret is ever part of it."""

    at: datetime
    actor: str
    """The operating system's user and the face, as `ops1@cli`."""
    verb: str
    """As `token generated`, `account created`."""
    user_id: UserId | None = None
    detail: str = ""
    level: Level = Level.INFO
    job_id: int | None = None
    request_id: str = ""
    """The server's X-Request-Id of the call that did it, to find it in the server's own log."""
    id: int = 0
    """Grows with time; 0 before it is stored."""
