"""The items of a job: one user's steps each, journaled before and after."""

# ruff: noqa: S608 - the variable parts are conditions written in this file

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mmconsole.database.connection import Connection, Row
from mmconsole.database.times import moment_or_none, stored
from mmconsole.domain.users import UserId
from mmconsole.errors import LeaseLost

_SELECT: Final = (
    "SELECT job_id, position, user_id, steps, digest, state, outcome, note, removals, started_at, finished_at"
    " FROM mmconsole_job_items"
)
_ADD: Final = (
    "INSERT INTO mmconsole_job_items (job_id, position, user_id, steps, digest, state, outcome, note, removals)"
    " VALUES (?, ?, ?, ?, ?, 'planned', '', '', 0)"
)
# Whoever lost the lease finds another number in the job, and changes nothing.
_FENCED: Final = (
    " WHERE job_id = ? AND position = ?"
    " AND EXISTS (SELECT 1 FROM mmconsole_jobs j WHERE j.id = job_id AND j.fence = ? AND j.state = 'running')"
)
_START: Final = f"UPDATE mmconsole_job_items SET state = 'running', started_at = ?{_FENCED}"
_FINISH: Final = (
    "UPDATE mmconsole_job_items SET state = ?, outcome = ?, note = ?, removals = removals + ?, finished_at = ?"
    f"{_FENCED}"
)


class ItemState(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


_STATES: Final = {state.value: state for state in ItemState}


@dataclass(frozen=True, slots=True)
class NewItem:
    user_id: UserId
    steps: str
    """What is to be done, in the words of whoever planned it; opaque here."""
    digest: str = ""
    """Of the user the plan was made for."""


@dataclass(frozen=True, slots=True)
class JobItem:
    job_id: int
    position: int
    user_id: UserId
    steps: str
    digest: str
    state: ItemState
    outcome: str
    """A short word that can be counted, as `created`."""
    note: str
    """For people."""
    removals: int
    started_at: datetime | None
    finished_at: datetime | None


class ItemRepository:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def page(
        self, job_id: int, *, limit: int, state: ItemState | None = None, after_position: int | None = None
    ) -> list[JobItem]:
        """Items in their order, all or those of one state, after a position."""
        after = -1 if after_position is None else after_position
        if state is None:
            rows = self._connection.rows(
                f"{_SELECT} WHERE job_id = ? AND position > ? ORDER BY position LIMIT ?", (job_id, after, limit)
            )
        else:
            rows = self._connection.rows(
                f"{_SELECT} WHERE job_id = ? AND state = ? AND position > ? ORDER BY position LIMIT ?",
                (job_id, state.value, after, limit),
            )
        return [_item_of(row) for row in rows]

    def find(self, job_id: int, position: int) -> JobItem | None:
        row = self._connection.row(f"{_SELECT} WHERE job_id = ? AND position = ?", (job_id, position))
        return _item_of(row) if row else None

    def states(self, job_id: int) -> dict[ItemState, int]:
        rows = self._connection.rows(
            "SELECT state, COUNT(*) FROM mmconsole_job_items WHERE job_id = ? GROUP BY state", (job_id,)
        )
        return {_STATES[state]: int(count) for state, count in rows}

    def outcomes(self, job_id: int) -> dict[str, int]:
        """How many ended items there are of each outcome."""
        rows = self._connection.rows(
            "SELECT outcome, COUNT(*) FROM mmconsole_job_items WHERE job_id = ? AND finished_at IS NOT NULL"
            " GROUP BY outcome",
            (job_id,),
        )
        return {outcome: int(count) for outcome, count in rows}

    def removals_since(self, moment: datetime) -> int:
        return self._connection.number(
            "SELECT SUM(removals) FROM mmconsole_job_items WHERE removals > 0 AND finished_at >= ?", (stored(moment),)
        )

    def add(self, job_id: int, items: Iterable[NewItem]) -> int:
        first = 1 + self._connection.number("SELECT MAX(position) FROM mmconsole_job_items WHERE job_id = ?", (job_id,))
        rows = ((job_id, n, item.user_id, item.steps, item.digest) for n, item in enumerate(items, first))
        return self._connection.run_many(_ADD, rows)

    def start(self, job_id: int, position: int, *, fence: int, at: datetime) -> None:
        self._demand(self._connection.run(_START, (stored(at), job_id, position, fence)), job_id)

    def finish(  # noqa: PLR0913 - an item ends with all of this, in one statement
        self,
        job_id: int,
        position: int,
        state: ItemState,
        *,
        fence: int,
        at: datetime,
        outcome: str,
        note: str,
        removals: int,
    ) -> None:
        values = (state.value, outcome, note, removals, stored(at), job_id, position, fence)
        self._demand(self._connection.run(_FINISH, values), job_id)

    def _demand(self, met: int, job_id: int) -> None:
        if not met:
            raise LeaseLost(lease=f"job {job_id}")


def _item_of(row: Row) -> JobItem:
    return JobItem(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        _STATES[row[5]],
        row[6],
        row[7],
        row[8],
        moment_or_none(row[9]),
        moment_or_none(row[10]),
    )
