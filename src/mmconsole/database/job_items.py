"""The items of a job: one user's steps each, journaled before and after."""

# ruff: noqa: S608 - the variable parts are conditions written in this file

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mmconsole.database.connection import Connection, Row, chunks, marks
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
# Whoever lost the lease finds another number in the job, and changes nothing. `{held}`: until our transaction ends,
# nobody can take the job over, and believe that what we write here was not begun.
_UNDER_WAY: Final = (
    " AND EXISTS (SELECT 1 FROM mmconsole_jobs j WHERE j.id = job_id AND j.fence = ?"
    " AND j.state IN ('running', 'pausing', 'stopping'){held})"
)
_FENCED: Final = f" WHERE job_id = ? AND position = ?{_UNDER_WAY}"
_START: Final = f"UPDATE mmconsole_job_items SET state = 'running', started_at = ?{_FENCED}"
_FINISH: Final = (
    "UPDATE mmconsole_job_items SET state = ?, outcome = ?, note = ?, removals = removals + ?, finished_at = ?"
    f"{_FENCED}"
)
_WAIT_AGAIN: Final = (
    "UPDATE mmconsole_job_items SET state = 'planned', started_at = NULL WHERE job_id = ? AND state = 'running'"
    f"{_UNDER_WAY}"
)
_LEAVE: Final = (
    "UPDATE mmconsole_job_items SET state = 'skipped', outcome = ?, finished_at = ?"
    " WHERE job_id = ? AND state IN ('planned', 'running')"
    " AND EXISTS (SELECT 1 FROM mmconsole_jobs j WHERE j.id = job_id AND j.fence = ?{held})"
)
_REVISE: Final = f"UPDATE mmconsole_job_items SET steps = ?, digest = ?{_FENCED}"


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
    __slots__ = ("_connection", "_finish", "_leave", "_revise", "_start", "_wait_again")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        held = connection.dialect.held
        fenced = (statement.format(held=held) for statement in (_START, _FINISH, _WAIT_AGAIN, _REVISE, _LEAVE))
        self._start, self._finish, self._wait_again, self._revise, self._leave = fenced

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

    def met(self, job_id: int, outcome: str, ids: Sequence[UserId]) -> set[UserId]:
        """Those of some users with whom this job ended like this."""
        return self._met("job_id = ?", job_id, outcome, ids)

    def met_later(self, job_id: int, outcome: str, ids: Sequence[UserId]) -> set[UserId]:
        """Those of some users with whom a later job ended like this."""
        return self._met("job_id > ?", job_id, outcome, ids)

    def _met(self, which: str, job_id: int, outcome: str, ids: Sequence[UserId]) -> set[UserId]:
        found: set[UserId] = set()
        for chunk in chunks(list(ids)):
            rows = self._connection.rows(
                f"SELECT DISTINCT user_id FROM mmconsole_job_items WHERE {which} AND outcome = ?"
                f" AND user_id IN ({marks(len(chunk))})",
                (job_id, outcome, *chunk),
            )
            found |= {UserId(row[0]) for row in rows}
        return found

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
        """How much the items of all jobs removed since then: what the guard counts."""
        return self._connection.number(
            "SELECT SUM(removals) FROM mmconsole_job_items WHERE removals > 0 AND finished_at >= ?", (stored(moment),)
        )

    def add(self, job_id: int, items: Iterable[NewItem]) -> int:
        """Add items behind those there are, thousands at once. Returns how many."""
        first = 1 + self._connection.number("SELECT MAX(position) FROM mmconsole_job_items WHERE job_id = ?", (job_id,))
        rows = ((job_id, n, item.user_id, item.steps, item.digest) for n, item in enumerate(items, first))
        return self._connection.run_many(_ADD, rows)

    def start(self, job_id: int, position: int, *, fence: int, at: datetime) -> None:
        """Write down that this item is begun, before it is. Raises LeaseLost."""
        self._demand(self._connection.run(self._start, (stored(at), job_id, position, fence)), job_id)

    def revise(self, job_id: int, position: int, *, steps: str, digest: str, fence: int) -> None:
        """Less is to be done than was planned. Raises LeaseLost."""
        self._demand(self._connection.run(self._revise, (steps, digest, job_id, position, fence)), job_id)

    def finish(  # noqa: PLR0913 - an item ends with all of this, in one statement
        self,
        job_id: int,
        position: int,
        state: ItemState,
        *,
        fence: int,
        at: datetime,
        outcome: str = "",
        note: str = "",
        removals: int = 0,
    ) -> None:
        """Write down how it ended, and how much it removed. Raises LeaseLost."""
        values = (state.value, outcome, note, removals, stored(at), job_id, position, fence)
        self._demand(self._connection.run(self._finish, values), job_id)

    def wait_again(self, job_id: int, *, fence: int) -> int:
        """Take back that items are begun whose end nobody wrote down. Returns how many."""
        return self._connection.run(self._wait_again, (job_id, fence))

    def span(self, job_id: int, positions: range, states: Sequence[ItemState]) -> list[JobItem]:
        """The items at some positions that are in one of these states."""
        rows = self._connection.rows(
            f"{_SELECT} WHERE job_id = ? AND position BETWEEN ? AND ? AND state IN ({marks(len(states))})"
            " ORDER BY position",
            (job_id, positions.start, positions.stop - 1, *(state.value for state in states)),
        )
        return [_item_of(row) for row in rows]

    def span_waits_again(self, job_id: int, positions: range, *, fence: int) -> int:
        """The same as `wait_again` for some positions, while others are at work on the rest."""
        return self._connection.run(
            f"{self._wait_again} AND position BETWEEN ? AND ?", (job_id, fence, positions.start, positions.stop - 1)
        )

    def leave(self, job_id: int, *, outcome: str, fence: int, at: datetime) -> int:
        """Give up what was not begun, or whose end nobody wrote down: another job plans it anew. Returns how many."""
        return self._connection.run(self._leave, (outcome, stored(at), job_id, fence))

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
