"""The observer: how long after a change a token is stored, and what the triggers cost the application."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing

from tests.servers.application import ask

from benchmarks.database import application
from benchmarks.stage import core_for, simulator
from benchmarks.table import Figure, Judged, times
from mmconsole.config import Settings, load_settings
from mmconsole.database import install_triggers, remove_triggers
from mmconsole.database.address import address_of, make_engine
from mmconsole.services.observer import Followed

_A_SECOND = 100
_LOOKS_EVERY = 0.01
_PATIENCE = 60.0
"""Seconds after the last change until what has no token yet gets none."""
_APPLICATION = "import sys; from benchmarks.observer import be_application; be_application(*sys.argv[1:])"
_ADD = "INSERT INTO users (name, email) VALUES ('Ann Lee', 'ann{number}.{begun}@example.org') RETURNING id"
_STORED = "SELECT id FROM users WHERE id >= {oldest} AND mattermost_token IS NOT NULL"


class _Nobody:
    """Hears and forgets."""

    def followed(self, some: Sequence[Followed]) -> None:
        pass

    def said(self, line: str) -> None:
        pass


async def followed(kind: str, changes: int) -> list[Figure]:
    """From the application's commit to the token in its row, p50 and p99, at 100 new users a second."""
    with simulator() as server, application(kind, 0, mattermost__url=server.url, sync__teams=["main"]) as settings:
        install_triggers(settings)
        async with core_for(settings, server) as core:
            stop = asyncio.Event()
            observer = asyncio.create_task(core.observer.watch(_Nobody(), stop))
            async with asyncio.timeout(_PATIENCE):
                await _first(settings)
            begun = time.process_time()
            waits = sorted(await _application(settings, changes))
            each = (time.process_time() - begun) / changes
            stop.set()
            await observer
    p50, p99 = (waits[int((len(waits) - 1) * share)] for share in (0.5, 0.99))
    what = f"event to token stored, {changes:,} at {_A_SECOND} a second, {kind}"
    half = f"p50 {p50:.2f} s, p99 {p99:.2f} s"
    return [
        Figure(what, half, judged=(Judged(p99, "≤ 2 s"),), brief=kind == "postgresql"),
        Figure(f"observer's CPU for each event, {kind}", f"{each * 1000:.1f} ms"),
    ]


async def _first(settings: Settings) -> None:
    """The first change finds out who the administrator is, and makes the vault."""
    ask(settings, _ADD.format(number=0, begun=0))
    while not ask(settings, _STORED.format(oldest=0)):  # noqa: ASYNC110 - a database has no event to tell
        await asyncio.sleep(_LOOKS_EVERY)


async def triggers(kind: str, rows: int, turns: int) -> list[Figure]:
    """A mass update with the triggers beside the same one without them: in turn, the best of each."""
    plain = noted = float("inf")
    with application(kind, rows) as settings:
        for turn in range(turns):
            plain = min(plain, _update(settings, f"Plain {turn}"))
            install_triggers(settings)
            noted = min(noted, _update(settings, f"Noted {turn}"))
            remove_triggers(settings)
    ours = f"{noted:.2f} s, {(noted - plain) / rows * 1e6:.0f} µs a row more"
    what, judged = f"mass update of {rows:,} rows with triggers, {kind}", times(noted / plain, "bare")
    return [Figure(what, ours, bare=f"{plain:.2f} s", judged=(judged,))]


def be_application(url: str, changes: str) -> None:
    """Add users at an even pace, look for their tokens, and print how long each took."""
    waiting: dict[int, float] = {}
    waits: list[float] = []
    settings = load_settings(environment={}, flags={"database.url": ("benchmark", url)})
    engine = make_engine(address_of(settings), plain=True)
    begun, added = time.perf_counter(), 0
    until = begun + int(changes) / _A_SECOND + _PATIENCE
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        while len(waits) < int(changes) and time.perf_counter() < until:
            if added < int(changes) and time.perf_counter() - begun >= added / _A_SECOND:
                cursor.execute(_ADD.format(number=added, begun=begun))
                key = cursor.fetchall()[0][0]
                waiting[key], added = time.perf_counter(), added + 1
                continue
            cursor.execute(_STORED.format(oldest=min(waiting, default=0)))
            stored, now = cursor.fetchall(), time.perf_counter()
            waits += [now - waiting.pop(key) for (key,) in stored if key in waiting]
            time.sleep(_LOOKS_EVERY)
    sys.stdout.write(json.dumps(waits))


async def _application(settings: Settings, changes: int) -> list[float]:
    """What `be_application` says in a process of its own."""
    command = (sys.executable, "-c", _APPLICATION, settings.database_url, str(changes))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    waits: list[float] = json.loads(said)
    if len(waits) < changes:
        raise RuntimeError(f"{len(waits)} of {changes} new users got a token in time")
    return waits


def _update(settings: Settings, name: str) -> float:
    ask(settings, "DELETE FROM mmconsole_user_events")
    begun = time.perf_counter()
    ask(settings, "UPDATE users SET name = ?", name)
    return time.perf_counter() - begun
