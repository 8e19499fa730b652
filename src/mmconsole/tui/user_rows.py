"""Users as rows of a table: their ids in order at once, what is drawn of them when it is seen."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mmconsole.domain.filters import NO_TEAMS, Filter, Sort, Teams
from mmconsole.domain.health import ENDING, STATUSES, AsOf
from mmconsole.domain.tokens import Health
from mmconsole.domain.users import User, UserId
from mmconsole.tui.moments import NONE, ago, distance
from mmconsole.tui.privacy import mask, mask_within
from mmconsole.tui.virtual_table import Cell, Column, Row

if TYPE_CHECKING:
    from mmconsole.domain.accounts import AccountId
    from mmconsole.services.overview import ListedUser, Overview

USER: Final = Column("user", "USER", 22, weight=1)
STATUS: Final = Column("status", "STATUS", 12)
EXPIRES: Final = Column("expires", "EXPIRES", 7)
CHECKED: Final = Column("checked", "CHECKED", 8)
MADE: Final = Column("made", "MADE", 8)
WHY: Final = Column("why", "WHY", 12, weight=3, sortable=False)
COLUMNS: Final = (USER, STATUS, EXPIRES, CHECKED, MADE, WHY)
_CLOSE: Final = {USER: 18, WHY: 10}
ID: Final = Column("id", "ID", 8)
NAME: Final = Column("name", "NAME", 16, weight=2)
TEAM: Final = Column("team", "TEAM", 8, sortable=False)
"""Only the server knows it, so it is there for whoever asks."""
TOKEN: Final = Column("token", "TOKEN ID", 26, sortable=False)
ALL_COLUMNS: Final = (*COLUMNS[:-1], TEAM, ID, NAME, TOKEN, WHY)
"""Those of the beginning, and those that can be had."""
NARROW: Final = (USER, STATUS, EXPIRES, CHECKED, WHY)
SLIM: Final = (USER, STATUS, WHY)
SORTS: Final = {
    USER.key: Sort.EMAIL,
    STATUS.key: Sort.STATUS,
    EXPIRES.key: Sort.EXPIRES,
    CHECKED.key: Sort.CHECKED,
    MADE.key: Sort.CREATED,
    ID.key: Sort.ID,
    NAME.key: Sort.NAME,
}
"""What each column sorts by."""
TONES: Final = {"+": "good", "~": "soon", "x": "bad", "!": "care", "?": "quiet", "-": "quiet", "*": "busy"}
"""By the glyph of a status."""
_OF_ITSELF: Final = {
    Health.MISSING: "never generated",
    Health.NO_ACCOUNT: "not synced yet",
    Health.UNKNOWN: "not checked yet",
    Health.OVERDUE: "older than wanted",
    Health.REVOKED: "gone from the server",
    Health.DISABLED: "on the server",
}
"""Why a status is shown that nobody gave a cause for."""
_KEPT: Final = 4_000
"""Users that are remembered; the rest is read again when it is seen again."""


def close(columns: Sequence[Column]) -> tuple[Column, ...]:
    """As narrow as they may be where the details stand beside, which have the whole name and reason."""
    return tuple(replace(column, width=_CLOSE.get(column, column.width)) for column in columns)


class SeenUsers:
    """Users that were read because somebody looked at them."""

    def __init__(self, overview: "Overview") -> None:
        self._overview = overview
        self._users: dict[str, ListedUser | None] = {}

    def find(self, key: str) -> "ListedUser | None":
        return self._users.get(key)

    def knows(self, key: str) -> bool:
        return key in self._users

    async def load(self, keys: Sequence[str]) -> None:
        """Read these users. Whoever is gone is known as gone. Raises DatabaseError."""
        found = await self._overview.rows([UserId(key) for key in keys])
        if len(self._users) + len(keys) > _KEPT:
            self._users = {}
        self._users |= dict.fromkeys(keys)
        self._users |= {listed.user.id: listed for listed in found}

    def forget(self, keys: Iterable[str] | None = None) -> None:
        """Read these anew the next time, or everybody."""
        for key in list(self._users) if keys is None else keys:
            self._users.pop(key, None)


class UserRows:
    """A source of rows for one filter and one order."""

    def __init__(  # noqa: PLR0913 - what decides which rows there are, and how they look
        self,
        ids: Sequence[UserId],
        seen: SeenUsers,
        wanted: Filter,
        *,
        teams: Teams = NO_TEAMS,
        now: Callable[[], datetime],
        masked: bool,
        word_of: Callable[[str], str | None] | None = None,
        teams_of: "Callable[[AccountId], Sequence[str] | None] | None" = None,
    ) -> None:
        """`word_of` says what is being done for a user just now, `teams_of` which teams the server has named."""
        self._ids = ids
        self._word_of = word_of
        self._teams_of = teams_of
        self._places: dict[str, int] = {}
        self._seen = seen
        self._wanted = wanted
        self._teams = teams
        self._now = now
        self._masked = masked
        self.columns: tuple[Column, ...] = COLUMNS

    def __len__(self) -> int:
        return len(self._ids)

    def key_at(self, index: int) -> str:
        return self._ids[index]

    def index_of(self, key: str) -> int | None:
        # 100,000 places are written down when the first is asked for, not when the list is made.
        if not self._places:
            self._places = {user_id: place for place, user_id in enumerate(self._ids)}
        return self._places.get(key)

    def row_of(self, key: str) -> Row | None:
        if not self._seen.knows(key):
            return None
        listed = self._seen.find(key)
        if listed is None:
            return Row((Cell(key), Cell("- gone", "quiet")), dimmed=True)
        cells = cells_of(listed, self._now(), masked=self._masked)
        if TEAM in self.columns:
            cells[TEAM.key] = self._team_cell(listed.record.account_id)
        word = self._word_of(key) if self._word_of is not None else None
        if word is not None:
            cells |= {STATUS.key: Cell(STATUSES[Health.WORKING], "busy"), WHY.key: Cell(f"{word}…", "busy")}
        dimmed = word is None and not self._belongs(listed)
        return Row(tuple(cells[column.key] for column in self.columns), dimmed=dimmed)

    async def load(self, keys: Sequence[str]) -> None:
        await self._seen.load(keys)

    def _team_cell(self, account_id: "AccountId | None") -> Cell:
        """Its teams; `?` before the server has said."""
        if account_id is None:
            return Cell(NONE, "quiet")
        teams = self._teams_of(account_id) if self._teams_of is not None else None
        return Cell("?", "quiet") if teams is None else Cell(", ".join(teams) or NONE)

    def _belongs(self, listed: "ListedUser") -> bool:
        if not self._wanted:
            return True
        return self._wanted.matches(listed.user, listed.record, AsOf(self._now()), teams=self._teams)


def cells_of(listed: "ListedUser", now: datetime, *, masked: bool) -> dict[str, Cell]:
    """What stands in each column."""
    record, status = listed.record, STATUSES[listed.status]
    soon = "soon" if listed.status in ENDING else ""
    return {
        USER.key: Cell(label(listed, masked=masked)),
        STATUS.key: Cell(status, TONES[status[0]]),
        EXPIRES.key: Cell(distance(record.expires_at, now), soon),
        CHECKED.key: Cell(ago(record.checked_at, now), "quiet"),
        MADE.key: Cell(ago(record.created_at, now), "quiet"),
        ID.key: Cell(listed.user.id),
        NAME.key: Cell(mask(name_of(listed.user), hidden=masked)),
        TOKEN.key: Cell(record.token_id or NONE, "quiet"),
        WHY.key: Cell(mask_within(explained(listed, now), hidden=masked)),
    }


def reason(listed: "ListedUser") -> str:
    """Why the status is what it is; empty when there is nothing to say."""
    if not listed.user.active:
        return listed.record.cause or "inactive or deleted in the application"
    return listed.record.cause


def explained(listed: "ListedUser", now: datetime) -> str:
    """The reason, or what time and silence alone explain."""
    record = listed.record
    if (found := reason(listed)) and found != listed.status:
        return found
    if listed.status is Health.EXPIRED and record.expires_at is not None:
        return f"ended {ago(record.expires_at, now)}"
    if listed.status is Health.EXPIRING and record.expires_at is not None:
        return f"{distance(record.expires_at, now).removeprefix('+')} left"
    return _OF_ITSELF.get(listed.status, "")


def label(listed: "ListedUser", *, masked: bool) -> str:
    """What a user is called in a line."""
    user = listed.user
    return mask(user.username or user.address or name_of(user), hidden=masked) or f"user {user.id}"


def name_of(user: User) -> str:
    """First and last name, as far as there are any."""
    return f"{user.first_name or ''} {user.last_name or ''}".strip()
