"""The console as orders see it: whom a key is about, where it is said how that ended."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from textual.screen import Screen

from mmconsole.tui.actions import Pane
from mmconsole.tui.targets import Targets
from mmconsole.tui.user_rows import label
from mmconsole.tui.work import Work

if TYPE_CHECKING:
    from mmconsole.tui.app import Console

T = TypeVar("T")


class ConsoleDesk:
    def __init__(self, console: "Console") -> None:
        self._console = console

    # ── the room ─────────────────────────────────────────────────────────────────────────────────

    def say(self, word: str) -> None:
        if self._console.is_running:
            self._console.say(word)

    def open(self, screen: Screen[T], answered: Callable[[T | None], None]) -> None:
        if self._console.is_running:
            self._console.push_screen(screen, answered)
        else:
            answered(None)

    def work_ended(self, work: Work) -> None:
        if self._console.is_running:
            self._console.work_ended(work)

    def broke(self, fault: BaseException) -> None:
        self._console.broke(fault)

    # ── whom and what ────────────────────────────────────────────────────────────────────────────

    @property
    def profile(self) -> str:
        return self._console.profile

    @property
    def masked(self) -> bool:
        return self._console.masked

    def targets(self) -> Targets:
        table = self._console.users.table()
        if table.marks:
            hidden = tuple(key for key in table.marks if table.source.index_of(key) is None)
            gone = frozenset(hidden)
            return Targets(tuple(key for key in table.marks if key not in gone), hidden, marked=True)
        return Targets((table.cursor,)) if table.cursor is not None else Targets()

    def name_of(self, user_id: str) -> str:
        listed = self._console.seen.find(user_id) if self._console.seen is not None else None
        return label(listed, masked=self.masked) if listed is not None else f"user {user_id}"

    async def learn(self, ids: Sequence[str]) -> None:
        """Read users who were not seen yet, so that they have names. Raises DatabaseError."""
        seen = self._console.seen
        if seen is not None and (unseen := [one for one in ids if not seen.knows(one)]):
            await seen.load(unseen)

    def in_sight(self, user_id: str) -> bool:
        pane = self._console.users
        return pane.display and user_id in pane.table().keys_in_sight()

    def job_meant(self) -> int | None:
        """The job under the cursor of their pane, else the one that runs here, else the newest that has not ended."""
        if (under := self.job_under()) is not None:
            return under
        current = self._console.running.current if self._console.running is not None else None
        if current is not None:
            return current.job_id
        return next((known.job.id for known in self._console.jobs if not known.job.state.ended), None)

    def job_under(self) -> int | None:
        """The job under the cursor, for who is in their pane."""
        return self._console.jobs_pane.cursor if self._console.main.pane is Pane.JOBS else None

    def show_only(self, label_: str, ids: Sequence[str]) -> None:
        self._console.show_only(label_, ids)
