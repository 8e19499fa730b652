"""A console over a real database of made-up people, with a clock that stands still and nothing that moves."""

import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from textual.pilot import Pilot

from mmconsole.config import Settings, load_settings
from mmconsole.core import open_core
from mmconsole.database import JobState, NewItem, Transaction, migrate, open_database
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.tokens import Health, TokenId, TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.services.standings import Standing
from mmconsole.tui.app import Console
from mmconsole.tui.opening import already

if TYPE_CHECKING:
    from tests.conftest import World

NOW = datetime(2026, 3, 2, 14, 32, tzinfo=UTC)
TABLE = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR, email VARCHAR, email_verified_at DATETIME,
    mattermost_user_id VARCHAR, mattermost_token TEXT
)
"""
PLANTED = "qwertyuiopasdfghjklzxcvbnm"
"""A token as the application stores it; no part of it may ever be seen."""
NAMES = (
    ("Anna Keller", "anna.k"),
    ("Build Bot", "build-bot"),
    ("Carla Montés", "carla.m"),
    ("Дмитрий Орлов", "dmitri"),
    ("Elif Tunç", "elif.t"),
    ("王小明", "xiaoming"),
    ("\x1b[31mRed\x1b[0m \u202eesreveR", "grafana"),
    ("हर्ष वर्मा", "harsh"),
    ("[@click=app.quit]Ida[/]", "ida"),
)
CASES = (
    (Health.REVOKED, "401 no such token"),
    (Health.OK, ""),
    (Health.DENIED, "MFA is required"),
    (Health.EXPIRING, ""),
    (Health.MISSING, ""),
    (Health.UNKNOWN, "429 not rechecked"),
    (Health.WORKING, "making a new token"),
    (Health.INACTIVE, "the account is deactivated"),
    (Health.OK, ""),
    (Health.CONFLICT, "another account has this address"),
)


class Office:
    """The settings and the file behind a console, changed from outside."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self.settings = settings
        self.file = file

    async def write(self, change: Callable[[Transaction], Any]) -> None:
        async with open_database(self.settings) as database:
            await database.write(change)

    def sql(self, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.file, timeout=60, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    async def fill(self, count: int) -> None:
        """So many people of every health, two jobs and what they did."""
        rows = [(*_name(n), "2025-01-01", f"{n:026d}", PLANTED if _has_token(n) else None) for n in range(count)]
        with closing(sqlite3.connect(self.file)) as connection, connection:
            connection.executemany(
                "INSERT INTO users (name, email, email_verified_at, mattermost_user_id, mattermost_token)"
                " VALUES (?, ?, ?, ?, ?)",
                rows,
            )
        await self.write(lambda tx: tx.tokens.save_many([_record(n) for n in range(count)]))
        await self.write(_work)


def _name(n: int) -> tuple[str, str]:
    name, local = NAMES[n % len(NAMES)]
    return name, f"{local}{n // len(NAMES) or ''}@example.org"


def _has_token(n: int) -> bool:
    return CASES[n % len(CASES)][0] is not Health.MISSING


def _record(n: int) -> TokenRecord:
    health, cause = CASES[n % len(CASES)]
    if not _has_token(n):
        return TokenRecord(UserId(str(n + 1)), AccountId(f"{n:026d}"), health=health)
    return TokenRecord(
        UserId(str(n + 1)),
        AccountId(f"{n:026d}"),
        TokenId(f"token{n:021d}"),
        health=Health.OK if health is Health.EXPIRING else health,
        cause=cause,
        checked_at=NOW - timedelta(minutes=6 + n),
        created_at=NOW - timedelta(days=4 + n),
        expires_at=NOW + timedelta(days=2) if health is Health.EXPIRING else NOW + timedelta(days=60),
    )


def _work(tx: Transaction) -> None:
    for title, users in (("sync --missing", 4), ("sync --all", 40)):
        job_id = tx.jobs.create(kind="sync", title=title, actor="ops1@cli", at=NOW - timedelta(minutes=5))
        tx.jobs.items.add(job_id, [NewItem(UserId(str(n)), "{}") for n in range(users)])
        tx.jobs.start(job_id, fence=1, at=NOW - timedelta(minutes=5))
    tx.jobs.finish(1, JobState.DONE, fence=1, at=NOW - timedelta(minutes=4))
    tx.meta.last_look = int((NOW - timedelta(minutes=4)).timestamp() * 1000)
    for n in range(12):
        level = Level.WARNING if n % 5 == 4 else Level.INFO
        at = NOW - timedelta(seconds=12 - n)
        tx.activity.add(Activity(at, "ops1@cli", "token generated", UserId(str(n + 1)), "it was missing", level, 2))


class Watched(Console):
    """A console that can be looked at, and does not look closer by itself."""

    CURSOR_RESTS = math.inf

    def look(self) -> None:
        """Read at once what is read now and then."""
        assert self.reader is not None
        self.reader.look()

    def text(self) -> str:
        """The screen as text."""
        width, height = self.size
        strips = self.screen._compositor.render_strips(self.size)
        assert len(strips) == height
        assert {strip.cell_length for strip in strips} == {width}
        return "\n".join(strip.text.rstrip() for strip in strips)

    def drawn(self) -> str:
        """The same as it goes to the terminal, after the filters."""
        filters = self.get_line_filters()
        strips = self.screen._compositor.render_strips(self.size)
        background = self.screen.background_colors[1]
        for one in filters:
            strips = [strip.apply_filter(one, background) for strip in strips]
        return "\n".join(strip.text.rstrip() for strip in strips)

    def server_says(self, standing: Standing) -> None:
        """What the server said just now of the account under the cursor."""
        key = self.users.table().cursor
        listed = self.seen.find(key) if self.seen is not None and key is not None else None
        if self.core is not None and listed is not None and listed.record.account_id is not None:
            self.core.standings._keep(listed.record.account_id, standing)

    async def rest(self, pilot: Pilot[None]) -> None:
        """Let the cursor rest, until all that is looked up then is shown."""
        assert self._closer_look is not None
        self.CURSOR_RESTS = 0.0
        self._closer_look.tick()
        self._closer_look.tick()
        self.CURSOR_RESTS = math.inf
        await self.settled(pilot)

    async def settled(self, pilot: Pilot[None]) -> None:
        """Wait until nothing is being read but the log, which is read for ever."""
        for _ in range(3):
            await pilot.pause()
            busy = [worker for worker in self.workers if worker.group != "activity" and not worker.is_finished]
            if busy:
                await self.workers.wait_for_complete(busy)
        await pilot.pause()


OpenConsole = Callable[..., AbstractAsyncContextManager[tuple[Watched, Pilot[None]]]]


@contextmanager
def new_office() -> Iterator[Office]:
    """A migrated database without people."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "application.sqlite3"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(TABLE)
        flags = {"database.url": ("test", f"sqlite:///{file}"), "mattermost.url": ("test", "https://chat.example.org")}
        settings = load_settings(environment={}, flags=flags)
        migrate(settings)
        yield Office(settings, file)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said stands until somebody has read it, and a second key is never too late, on however busy a machine."""
    monkeypatch.setattr("mmconsole.tui.key_bar._SPOKEN_FOR", 3600.0)
    monkeypatch.setattr("mmconsole.tui.app._AGAIN_WITHIN", 3600.0)
    monkeypatch.setattr("mmconsole.tui.clipboard._TMUX_ANSWERS_WITHIN", 60.0)


@pytest.fixture
def office() -> Iterator[Office]:
    with new_office() as office:
        yield office


@asynccontextmanager
async def console_over(
    office: Office, size: tuple[int, int] = (80, 24), **options: Any
) -> AsyncIterator[tuple[Watched, Pilot[None]]]:
    """A console of a size over the office, when all it reads at the start is shown."""
    async with open_core(office.settings, face="test") as core:
        core.overview._now = lambda: NOW
        core._actor = "ops1@machine test"
        looks: dict[str, Any] = {"now": lambda: NOW, "theme": "dark", "plain_signs": False}
        app = Watched(office.settings, already(core), **looks | options)
        app.animation_level = "none"
        async with app.run_test(size=size) as pilot:
            await app.settled(pilot)
            yield app, pilot
            await app.aclose()


@pytest.fixture
def console(office: Office) -> OpenConsole:
    return partial(console_over, office)


class AtWork(Watched):
    """A console whose work can be waited for."""

    async def until(self, pilot: Pilot[None], so: Callable[[], object]) -> None:
        """Wait until something is so, but not for a console that has crashed."""
        deadline = time.monotonic() + 120
        while not so():
            assert time.monotonic() < deadline, f"it never became so:\n{self.text()}"
            if self.crash is not None:
                raise self.crash
            await pilot.pause(0.01)

    async def asked(self, pilot: Pilot[None], screen: type[Any]) -> Any:
        """Wait for a screen that listens."""
        await self.until(pilot, lambda: isinstance(self.screen, screen) and getattr(self.screen, "awake", True))
        await pilot.pause()
        return self.screen

    async def done(self, pilot: Pilot[None]) -> None:
        """Wait until nothing is under way, and what became of it is shown."""
        assert self.running is not None
        running = self.running
        await self.until(pilot, lambda: not running.works and len(self.screen_stack) == 1)
        await self.settled(pilot)

    @property
    def now_job(self) -> int | None:
        """The job of what is under way."""
        work = self.running.current if self.running is not None else None
        return work.job_id if work is not None else None

    @property
    def now_done(self) -> int:
        """How many users the work that is under way has brought to a good end."""
        work = self.running.current if self.running is not None else None
        return work.ok if work is not None else 0

    @property
    def told_to_stop(self) -> bool:
        """Whether the work that is under way begins with nobody else."""
        work = self.running.current if self.running is not None else None
        return work is not None and work.stop.is_set()

    def row(self, user_id: str) -> list[str]:
        row = self.users.table().source.row_of(user_id)
        assert row is not None
        return [cell.text for cell in row.cells]

    def status(self, user_id: str) -> str:
        return self.row(user_id)[1]


OpenAtWork = Callable[..., AbstractAsyncContextManager[tuple[AtWork, Pilot[None]]]]


@pytest.fixture
def at_work(world: "World") -> OpenAtWork:
    """Opens a console over the world, with rows sorted by address."""

    @asynccontextmanager
    async def open_(size: tuple[int, int] = (120, 36), **options: Any) -> AsyncIterator[tuple[AtWork, Pilot[None]]]:
        async with world.core() as core:
            app = AtWork(core.settings, already(core), theme="dark", plain_signs=False, **options)
            app.animation_level = "none"
            async with app.run_test(size=size) as pilot:
                await app.settled(pilot)
                await pilot.press("less_than_sign")
                await app.settled(pilot)
                try:
                    yield app, pilot
                finally:
                    await app.aclose()

    return open_
