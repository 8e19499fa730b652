"""All users as a list or the console sees them: who, in which order, how many. Answered by the database alone."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mmconsole.config import Settings
from mmconsole.database import Database, Job, Snapshot
from mmconsole.domain.accounts import moment_of
from mmconsole.domain.activity import Activity
from mmconsole.domain.filters import NO_TEAMS, Filter, Order, Teams
from mmconsole.domain.health import USELESS, AsOf, status_of
from mmconsole.domain.plans import Outcome
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.secrets.forms import form_of, seal_key_of
from mmconsole.services.leases import OBSERVER

EVERYBODY: Final = Filter()
_PAGE: Final = 1_000
_CAUSES: Final = 8


@dataclass(frozen=True, slots=True)
class ListedUser:
    """A user, what we remember of them, and the status to show. The token's secret is no part of it."""

    user: User
    record: TokenRecord
    status: Health

    def document(self) -> dict[str, Any]:
        """Everything about them, by the names that programs know."""
        user, record = self.user, self.record
        return {
            "id": user.id,
            "email": user.email,
            "email_verified": user.email_verified,
            "username": user.username,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "locale": user.locale,
            "active": user.active,
            "health": self.status,
            "cause": record.cause,
            "account_id": record.account_id,
            "token_id": record.token_id,
            "checked_at": record.checked_at,
            "created_at": record.created_at,
            "expires_at": record.expires_at,
            "withheld": record.withheld,
        }


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a user's token is kept, and who made it. The token itself is no part of it."""

    form: str = ""
    """`sealed`, `laravel`, `plain` or `unknown`, by the look of what is stored; empty when nothing is."""
    key_id: str = ""
    """The seal key that the envelope names."""
    made: Activity | None = None
    """How the token came about that we remember; None where the log does not tell."""
    job: Job | None = None
    """In which job."""


@dataclass(frozen=True, slots=True)
class Glance:
    """Everything at once, as of one moment."""

    by_status: Mapping[Health, int]
    expiring: tuple[int, ...]
    """How many working tokens end within each of the next days."""
    looked_at: datetime | None
    """The server's time of the last look at its accounts; None for never."""
    causes: tuple[tuple[str, int], ...] = ()
    """Why tokens are broken, the most frequent reasons first, each with its number of users."""
    next_sync: datetime | None = None
    """When the observer compares all rows again, and syncs who differs; None where none is at work."""

    @property
    def users(self) -> int:
        return sum(self.by_status.values())


class Overview:
    def __init__(
        self, settings: Settings, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._settings = settings
        self._database = database
        self._now = now

    async def ids(self, wanted: Filter, *, order: Order, teams: Teams = NO_TEAMS) -> list[UserId]:
        """Everybody whom a filter means, in order. Raises BadFilter for a team that is not given (`teams_of`)."""
        as_of = self._settings.as_of(self._now())
        return await self._database.read(lambda db: db.listing.ids(wanted, as_of, order=order, teams=teams))

    async def rows(self, ids: Sequence[UserId]) -> list[ListedUser]:
        """These users; those who are gone meanwhile are left out."""
        found = await self._database.read(lambda db: db.roster.rows(ids))
        as_of = self._settings.as_of(self._now())
        return [
            ListedUser(user, record or TokenRecord(user.id), status_of(user, record, as_of)) for user, record in found
        ]

    async def origin(self, user_id: UserId) -> Origin:
        return await self._database.read(lambda db: _origin(db, user_id))

    async def all(self, wanted: Filter = EVERYBODY) -> AsyncIterator[ListedUser]:
        """Everybody whom a filter means, in the order of the users table; read in pages. Raises BadFilter."""
        ids = await self.ids(wanted, order=Order())
        for start in range(0, len(ids), _PAGE):
            for listed in await self.rows(ids[start : start + _PAGE]):
                yield listed

    async def count(self, wanted: Filter, *, teams: Teams = NO_TEAMS) -> int:
        """How many users a filter means. Raises BadFilter for a team that is not given."""
        as_of = self._settings.as_of(self._now())
        return await self._database.read(lambda db: db.listing.count(wanted, as_of, teams=teams))

    async def glance(self) -> Glance:
        as_of = self._settings.as_of(self._now())
        every = self._settings.values.observer.compare_every
        return await self._database.read(lambda db: _glance(db, as_of, compared_every=every))


def _origin(db: Snapshot, user_id: UserId) -> Origin:
    held, record = db.roster.envelope(user_id), db.tokens.find(user_id)
    made = db.activity.newest(user_id, Outcome.GENERATED) if record is not None and record.token_id else None
    if made is not None and record is not None and made.detail != f"token {record.token_id}":
        made = None
    return Origin(
        form=str(form_of(held) or "unknown") if held else "",
        key_id=seal_key_of(held or ""),
        made=made,
        job=db.jobs.find(made.job_id) if made is not None and made.job_id is not None else None,
    )


def _glance(db: Snapshot, as_of: AsOf, *, compared_every: timedelta) -> Glance:
    compared = db.meta.compared_at
    followed = compared is not None and db.leases.find(OBSERVER, now=as_of.now) is not None
    return Glance(
        by_status=db.listing.counts_by_status(as_of),
        expiring=tuple(db.listing.expiring_by_day(as_of)),
        looked_at=moment_of(db.meta.last_look),
        # A conflict has a reason of its own for each user.
        causes=tuple(db.listing.causes(USELESS, as_of, limit=_CAUSES)),
        next_sync=compared + compared_every if compared is not None and followed else None,
    )
