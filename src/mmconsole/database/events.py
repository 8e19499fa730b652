"""User events: the observer's outbox. Triggers add to it; what was done is taken out by its numbers.

Numbers are given before a commit and seen after it, so a smaller one may appear after a larger one was read: nothing
here ever says "all up to this one".
"""

# ruff: noqa: S608 - the variable parts are marks, and conditions written in this file

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mmconsole.database.connection import Connection, Row, chunks, marks
from mmconsole.database.times import moment_of, moment_or_none, stored

_TABLE: Final = "mmconsole_user_events"
_SELECT: Final = f"SELECT id, at, subject, subject_id, kind, attempts, due_at, aside_at, why FROM {_TABLE}"
_ADD: Final = (
    f"INSERT INTO {_TABLE} (at, subject, subject_id, kind, attempts, due_at, aside_at, why)"
    " VALUES (?, ?, ?, ?, 0, 0, NULL, NULL)"
)
_SCAN: Final = 4
"""Rows read for each subject that is wanted: a row that is changed again and again has many events."""


class Subject(StrEnum):
    """What a user event is about."""

    USER = "user"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class UserEvent:
    id: int
    at: datetime
    subject: Subject
    subject_id: str
    kind: str
    """`insert`, `update` or `delete`, or `compare` when no trigger saw it."""
    attempts: int
    """How often it was tried in vain."""
    due_at: datetime
    aside_at: datetime | None
    """When it was set aside; nothing tries it again until an operator says so."""
    why: str


@dataclass(frozen=True, slots=True)
class Claim:
    """All events of one user or project: whatever they say, its row says what is to be done."""

    subject: Subject
    subject_id: str
    ids: tuple[int, ...]
    attempts: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many users and projects wait, by what they wait for."""

    due: int = 0
    later: int = 0
    aside: int = 0

    @property
    def waiting(self) -> int:
        """Those that will be tried without anybody's help."""
        return self.due + self.later


class EventRepository:
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def due(self, *, now: datetime, limit: int) -> list[Claim]:
        """Who has waited longest of those who are due, each with all of their events, also those for later."""
        rows = self._connection.rows(
            f"SELECT subject, subject_id FROM {_TABLE} WHERE aside_at IS NULL AND due_at <= ? ORDER BY id LIMIT ?",
            (stored(now), limit * _SCAN),
        )
        wanted = list(dict.fromkeys((str(row[0]), str(row[1])) for row in rows))[:limit]
        events = [event for subject in Subject for event in self._of(subject, _ids_of(subject, wanted))]
        return _claims(events)

    def backlog(self, *, now: datetime) -> Backlog:
        rows = self._connection.rows(
            "SELECT state, COUNT(*) FROM (SELECT MIN(CASE WHEN aside_at IS NOT NULL THEN 2 WHEN due_at <= ? THEN 0"
            f" ELSE 1 END) AS state FROM {_TABLE} GROUP BY subject, subject_id) s GROUP BY state",
            (stored(now),),
        )
        counts = {int(state): int(count) for state, count in rows}
        return Backlog(counts.get(0, 0), counts.get(1, 0), counts.get(2, 0))

    def oldest(self) -> datetime | None:
        """Since when the one waits that has waited longest; what was set aside does not count."""
        row = self._connection.row(f"SELECT MIN(at) FROM {_TABLE} WHERE aside_at IS NULL")
        return moment_or_none(row[0]) if row else None

    def waiting(self, after_id: int, limit: int) -> list[UserEvent]:
        """The next events in the order of their numbers: those set aside, and those that were tried in vain."""
        rows = self._connection.rows(
            f"{_SELECT} WHERE id > ? AND (aside_at IS NOT NULL OR attempts > 0) ORDER BY id LIMIT ?", (after_id, limit)
        )
        return [_event_of(row) for row in rows]

    def known(self, subject: Subject, ids: Sequence[str]) -> set[str]:
        """Those of some users or projects that have an event already."""
        return {event.subject_id for event in self._of(subject, ids)}

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def add(self, subject: Subject, ids: Sequence[str], *, kind: str, at: datetime) -> int:
        """Add events of those who have none. Returns how many."""
        known = self.known(subject, ids)
        rows = [(stored(at), subject.value, one, kind) for one in dict.fromkeys(ids) if one not in known]
        return self._connection.run_many(_ADD, rows) if rows else 0

    def settle(self, claims: Iterable[Claim]) -> None:
        """It is done: take these events out, and none that came meanwhile."""
        self._remove([event_id for claim in claims for event_id in claim.ids])

    def defer(self, claim: Claim, *, until: datetime, why: str) -> None:
        """Try it again later, once for all of its events."""
        self._keep_one(claim, "attempts = ?, due_at = ?, aside_at = NULL", (claim.attempts + 1, stored(until)), why)

    def set_aside(self, claim: Claim, *, at: datetime, why: str) -> None:
        """Leave it to an operator."""
        self._keep_one(claim, "attempts = ?, aside_at = ?", (claim.attempts + 1, stored(at)), why)

    def take_up(self) -> int:
        """Try what was set aside once more, from the beginning. Returns how many events."""
        return self._connection.run(
            f"UPDATE {_TABLE} SET aside_at = NULL, attempts = 0, due_at = 0 WHERE aside_at IS NOT NULL"
        )

    # ── inside ───────────────────────────────────────────────────────────────────────────────────

    def _of(self, subject: Subject, ids: Sequence[str]) -> list[UserEvent]:
        found: list[UserEvent] = []
        for chunk in chunks(list(dict.fromkeys(ids))):
            statement = f"{_SELECT} WHERE subject = ? AND subject_id IN ({marks(len(chunk))})"
            found += [_event_of(row) for row in self._connection.rows(statement, (subject.value, *chunk))]
        return found

    def _keep_one(self, claim: Claim, changes: str, values: tuple[object, ...], why: str) -> None:
        self._connection.run(f"UPDATE {_TABLE} SET {changes}, why = ? WHERE id = ?", (*values, why, claim.ids[0]))
        self._remove(claim.ids[1:])

    def _remove(self, ids: Sequence[int]) -> None:
        for chunk in chunks(ids):
            self._connection.run(f"DELETE FROM {_TABLE} WHERE id IN ({marks(len(chunk))})", chunk)


def _ids_of(subject: Subject, wanted: Iterable[tuple[str, str]]) -> list[str]:
    return [subject_id for of, subject_id in wanted if of == subject.value]


def _claims(events: Iterable[UserEvent]) -> list[Claim]:
    """Who waited longest comes first. What was set aside starts anew with the first event after that."""
    by_subject: defaultdict[tuple[Subject, str], list[UserEvent]] = defaultdict(list)
    for event in sorted(events, key=lambda one: one.id):
        by_subject[event.subject, event.subject_id].append(event)
    claims = [
        Claim(
            subject,
            subject_id,
            tuple(event.id for event in some),
            max((event.attempts for event in some if event.aside_at is None), default=0),
        )
        for (subject, subject_id), some in by_subject.items()
    ]
    return sorted(claims, key=lambda claim: claim.ids[0])


def _event_of(row: Row) -> UserEvent:
    key, at, subject, subject_id, kind, attempts, due_at, aside_at, why = row
    return UserEvent(
        key,
        moment_of(at),
        Subject(subject),
        subject_id,
        kind,
        attempts,
        moment_of(due_at),
        moment_or_none(aside_at),
        why or "",
    )
