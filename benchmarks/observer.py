"""The observer: how long after a change a token is stored, and what the triggers cost the application."""

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.servers.application import ask

from benchmarks.database import application, kinds
from benchmarks.stage import core_for, settings_for, simulator
from benchmarks.table import Figure
from mmconsole.config import Settings
from mmconsole.database import install_triggers, migrate, remove_triggers
from mmconsole.services.observer import Followed

_A_SECOND = 100
_AGAIN = 3
_LOOKS_EVERY = 0.01
_APPLICATION = "import sys; from benchmarks.observer import be_application; be_application(*sys.argv[1:])"
_ADD = "INSERT INTO users (email, first_name, last_name, active) VALUES (?, 'Ann', 'Lee', 1)"
_STORED = "SELECT id FROM users WHERE id >= ? AND mattermost_token IS NOT NULL"


class _Nobody:
    """Hears and forgets."""

    def followed(self, some: Sequence[Followed]) -> None:
        pass

    def said(self, line: str) -> None:
        pass


async def followed(changes: int) -> list[Figure]:
    """From the application's commit to the token in its row, p50 and p99, at 100 new users a second."""
    with simulator() as server, tempfile.TemporaryDirectory() as folder:
        settings = settings_for(server, Path(folder))
        migrate(settings)
        install_triggers(settings)
        async with core_for(settings, server) as core:
            stop = asyncio.Event()
            observer = asyncio.create_task(core.observer.watch(_Nobody(), stop))
            # The first one finds out who the administrator is, and makes the vault.
            await _application(settings, 1)
            begun = time.process_time()
            waits = sorted(await _application(settings, changes))
            each = (time.process_time() - begun) / changes
            stop.set()
            await observer
    p50, p99 = (waits[int(len(waits) * share)] for share in (0.5, 0.99))
    what = f"event to token stored, {changes:,} new users at {_A_SECOND} a second"
    return [
        Figure(what, "p50, p99", f"{p50:.2f} s, {p99:.2f} s", f"{p99:.2f} s", "≤ 2 s"),
        Figure("  CPU of the observer for each", "", f"{each * 1000:.1f} ms", ""),
    ]


def triggers(rows: int) -> list[Figure]:
    """A mass update with the triggers beside the same one without them: in turn, the best of each."""
    return [_with_triggers(kind, rows) for kind in kinds()]


def _with_triggers(kind: str, rows: int) -> Figure:
    plain = noted = float("inf")
    with application(kind, rows) as settings:
        for turn in range(_AGAIN):
            plain = min(plain, _update(settings, f"Plain {turn}"))
            install_triggers(settings)
            noted = min(noted, _update(settings, f"Noted {turn}"))
            remove_triggers(settings)
    figures = f"{noted:.2f} s : {plain:.2f} s, {(noted - plain) / rows * 1e6:.0f} µs a row more"
    return Figure(f"mass update of {rows:,} rows with triggers, {kind}", "without", figures, f"{noted / plain:.1f}")


def be_application(file: str, changes: str) -> None:
    """Add users at an even pace, look for their tokens, and print how long each took."""
    waiting: dict[int, float] = {}
    waits: list[float] = []
    begun, added = time.perf_counter(), 0
    with closing(sqlite3.connect(file, timeout=30, isolation_level=None)) as connection:
        while len(waits) < int(changes):
            if added < int(changes) and time.perf_counter() - begun >= added / _A_SECOND:
                address = f"user{added}.{begun}@example.org"
                key = connection.execute(f"{_ADD} RETURNING id", (address,)).fetchall()[0][0]
                waiting[key], added = time.perf_counter(), added + 1
                continue
            oldest = min(waiting, default=0)
            stored = connection.execute(_STORED, (oldest,)).fetchall()
            now = time.perf_counter()
            waits += [now - waiting.pop(key) for (key,) in stored if key in waiting]
            time.sleep(_LOOKS_EVERY)
    sys.stdout.write(json.dumps(waits))


async def _application(settings: Settings, changes: int) -> list[float]:
    """What `be_application` says in a process of its own."""
    command = (sys.executable, "-c", _APPLICATION, str(settings.embedded_file), str(changes))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    waits: list[float] = json.loads(said)
    return waits


def _update(settings: Settings, name: str) -> float:
    ask(settings, "DELETE FROM mmconsole_user_events")
    begun = time.perf_counter()
    ask(settings, "UPDATE users SET name = ?", name)
    return time.perf_counter() - begun
