"""What the console reads, and when: who is shown, the rows in sight, counts, jobs and what happens. Never the server.

Everything is a worker of the app, so that nothing waits for a database, and every fault is said and tried again.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mmconsole.domain.activity import Activity
from mmconsole.domain.users import UserId
from mmconsole.errors import MmconsoleError
from mmconsole.tui.log_pane import line_of, line_of_call
from mmconsole.tui.log_view import Gravity, LogLine
from mmconsole.tui.user_rows import SeenUsers, UserRows, label

if TYPE_CHECKING:
    from datetime import datetime

    from textual.worker import WorkType

    from mmconsole.core import Core
    from mmconsole.domain.accounts import AccountId
    from mmconsole.mattermost.exchange import HttpDiagnostic
    from mmconsole.services.overview import Glance
    from mmconsole.tui.app import Console

LOOK_EVERY: Final = 5.0
"""Seconds between two looks at the rows in sight, at counts and at jobs."""
_REST: Final = 20
"""Counting 100,000 users takes 0.1 s and more. It rests so many times as long as it took, so that it costs little."""
_LONG_REST: Final = 40
"""So many times longer while nothing is heard of any change,"""
_LONGEST_REST: Final = 300.0
"""but no more than so many seconds, for the application changes its users without a word."""
_JOBS_EVERY: Final = 1.0
"""Seconds between two looks at the jobs while one of ours goes on."""
_SHOWN_JOBS: Final = 100
_SHOWN_ENTRIES: Final = 500
"""Entries of the activity log that are read at the start."""
_KEPT_NAMES: Final = 20_000
_KEPT_CALLS: Final = 200
"""The newest calls, for whoever lowers the level of the log."""


class Reader:
    def __init__(self, console: "Console", core: "Core") -> None:
        self._console = console
        self._core = core
        self.seen = SeenUsers(core.overview)
        """Users that were read already."""
        self._looking = False
        self._counted_at = 0.0
        self._rest = 0.0
        """Seconds to the next count."""
        self._changed = False
        """Whether something has happened since everybody was counted."""
        self._jobs_at = 0.0
        self._minute: datetime | None = None
        self._entries: list[Activity] = []
        self._calls: deque[LogLine] = deque(maxlen=_KEPT_CALLS)
        self._naming = False
        self._names: dict[str, str] = {}

    def start(self) -> None:
        self._core.server.heard = self._hear
        self.read_users()
        self._console.run_worker(self._follow(), group="activity")
        self._console.set_interval(LOOK_EVERY, self.look)

    def forget(self) -> None:
        """Read everything anew."""
        self.seen.forget()
        self._names = {}
        self._console.known.teams = {}
        self.read_users()
        self.recount()

    async def _told(self, reading: Coroutine[Any, Any, None]) -> bool:
        """Read something, and say what went wrong. Returns whether all went well."""
        try:
            await reading
        except MmconsoleError as fault:
            self._console.say(str(fault))
            return False
        return True

    # ── who is shown ─────────────────────────────────────────────────────────────────────────────

    def read_users(self, *, after: float = 0.0) -> None:
        """Ask who is shown; whoever is still being asked for is forgotten."""
        # Not the coroutine itself: the next reading may come before this one has begun.
        work: WorkType[bool] = partial(self._read_users_after, after)
        self._console.run_worker(work, group="users", exclusive=True)

    async def _read_users_after(self, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        told = await self._told(self._read_users())
        self._console.shown.set()
        if not self._counted_at:
            # Not beside the first rows: to count everybody takes longer than to show some.
            self.look()
        return told

    async def _read_users(self) -> None:
        console, known = self._console, self._console.known
        wanted = known.wanted
        if wanted.teams() - known.teams.keys():
            known.teams = {**known.teams, **await self._core.checks.teams_of(wanted)}
        ids = await self._core.overview.ids(wanted, order=console.users.order, teams=known.teams)
        if known.chosen is not None:
            ids = [user_id for user_id in ids if user_id in known.chosen.ids]
        rows = UserRows(
            ids,
            self.seen,
            wanted,
            teams=known.teams,
            now=console.now,
            masked=known.masked,
            word_of=console.word_of,
            teams_of=self._teams_of,
        )
        console.users.show(rows)
        console.picture.draw()

    def _teams_of(self, account_id: "AccountId") -> Sequence[str] | None:
        """What the server said last, however old it is by now; the details have its age."""
        standing = self._core.standings.find(account_id)
        return standing.teams if standing is not None else None

    # ── counts, jobs, and the rows in sight ──────────────────────────────────────────────────────

    def look(self) -> None:
        """Read the counts, the jobs and the rows in sight anew."""
        if not self._looking:
            self._looking = True
            self._console.run_worker(self._look(), group="look")

    async def _look(self) -> None:
        try:
            await self._told(self._read_all())
        finally:
            self._looking = False

    async def _read_all(self) -> None:
        await self._refresh(self._console.users.table().keys_in_sight())
        await self._read_jobs()
        await self._count()

    def recount(self) -> None:
        """Count now, however long that took the last time."""
        self._rest = 0.0
        self.look()

    async def _count(self) -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        unheard = max(self._rest, min(self._rest * _LONG_REST, _LONGEST_REST))
        if begun < self._counted_at + (self._rest if self._changed else unheard):
            return
        known = self._console.known
        self._changed = False
        before, known.glance = known.glance, await self._core.overview.glance()
        await self._count_views(known.glance)
        self._counted_at = clock()
        self._rest = _REST * (clock() - begun)
        if before is not None and before.users != known.glance.users and not known.wanted:
            self.read_users()
        self._console.picture.draw()

    async def _count_views(self, glance: "Glance") -> None:
        """Ask for those that the counts by status do not tell; who is in a team is never asked for that."""
        console, teams = self._console, self._console.known.teams
        if console.main.health.display:
            asked = [view for view in console.views.all if view.counted(glance.by_status) is None]
            able = [view.wanted for view in asked if not view.wanted.teams() - teams.keys()]
            console.known.view_counts = {one: await self._core.overview.count(one, teams=teams) for one in able}

    def look_at_jobs(self) -> None:
        """Read the jobs, if that was not done just now."""
        now = asyncio.get_running_loop().time()
        if now - self._jobs_at > _JOBS_EVERY:
            self._jobs_at = now
            self._console.run_worker(self._told(self._read_jobs()), group="jobs", exclusive=True)

    async def _read_jobs(self) -> None:
        console = self._console
        console.known.jobs = await self._core.jobs.latest(limit=_SHOWN_JOBS)
        console.jobs_pane.tell(console.known.jobs, now=console.now())
        console.picture.tell_job_line()

    def refresh(self, keys: Iterable[str]) -> None:
        """Read users anew that were read before, and paint those that are in sight."""
        self._console.run_worker(self._told(self._refresh(keys)), group="touched")

    async def _refresh(self, keys: Iterable[str]) -> None:
        known = [key for key in keys if self.seen.knows(key)]
        if not known:
            return
        before = {key: self.seen.find(key) for key in known}
        await self.seen.load(known)
        minute = self._console.now().replace(second=0, microsecond=0)
        changed = [key for key in known if self.seen.find(key) != before[key]]
        self._console.users.table().update_rows(frozenset(known if minute != self._minute else changed))
        self._minute = minute
        self._console.picture.tell_detail()

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    async def _follow(self) -> None:
        """Keep what happens for the next picture, as long as the console is open."""
        last = 0
        while True:
            try:
                entries = await self._core.activity.latest(limit=_SHOWN_ENTRIES) if not last else []
                self._entries += entries
                last = entries[-1].id if entries else last
                async for entry in self._core.activity.follow(after_id=last):
                    self._entries.append(entry)
                    last = entry.id
            except MmconsoleError as fault:
                self._console.say(str(fault))
                await asyncio.sleep(LOOK_EVERY)

    def _hear(self, call: "HttpDiagnostic") -> None:
        self._calls.append(line_of_call(call, self._console.now()))

    def _show_calls(self) -> None:
        """What this process says of itself, while somebody wants to see it: a big sync makes too much of it."""
        view = self._console.log_pane.view()
        if self._calls and view.level is Gravity.DETAIL:
            view.add(self._calls)
            self._calls.clear()

    def show_entries(self) -> None:
        """Show what has happened since the last time: however many entries there are, they are one change."""
        self._show_calls()
        if self._entries and not self._naming:
            self._naming, self._changed = True, True
            entries, self._entries = self._entries, []
            self._console.run_worker(self._show(entries), group="entries")

    async def _show(self, entries: list[Activity]) -> None:
        try:
            await self._told(self._learn_names(entries))
        finally:
            self._naming = False
        lines = [line_of(entry, self._names.get(entry.user_id or "", "")) for entry in entries]
        self._console.log_pane.view().add(lines)
        self._console.known.last_event = lines[-1]
        self._console.picture.tell_last_event()
        await self._told(self._refresh({entry.user_id for entry in entries if entry.user_id}))

    async def _learn_names(self, entries: Iterable[Activity]) -> None:
        if len(self._names) > _KEPT_NAMES:
            self._names = {}
        new = {entry.user_id for entry in entries if entry.user_id} - self._names.keys()
        if new:
            found = await self._core.overview.rows([UserId(one) for one in new])
            self._names |= {one.user.id: label(one, masked=False) for one in found}
