"""The second sync: nothing to do, so it must cost next to nothing, in calls, time, writes and memory."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.peers import bare_look
from benchmarks.roster import in_step
from benchmarks.stage import Server, calls_so_far, core_for, peak_of, run_as_commands_do, settings_for, simulator, timed
from benchmarks.table import Figure, Judged, per, times
from mmconsole.config import Settings
from mmconsole.database import open_database
from mmconsole.services.look import BATCH
from mmconsole.services.summary import SyncRequest

_MEASURE = "import asyncio, sys; from benchmarks.second_sync import in_this_process; in_this_process(*sys.argv[1:])"


async def unchanged(count: int, turns: int) -> list[Figure]:
    """Calls and rows written, and the time beside a bare loop of the same calls (in turn, the best of each)."""
    with simulator(users=count, with_tokens=True) as server, tempfile.TemporaryDirectory() as folder:
        settings = settings_for(server, Path(folder))
        users = await in_step(settings, server)
        ids, since = await _links(settings)
        before_rows, before_calls = await _written(settings), calls_so_far(server)
        seconds = await _sync(settings, server)
        calls, rows = calls_so_far(server) - before_calls, await _written(settings) - before_rows
        bare, bare_calls = await bare_look(server, ids, since=since, batch=BATCH, at_once=8)
        for _ in range(turns - 1):
            seconds = min(seconds, await _sync(settings, server))
            bare = min(bare, (await bare_look(server, ids, since=since, batch=BATCH, at_once=8))[0])
    what = f"sync of {users:,} unchanged users"
    made = (per(calls / users, "user", "≤ 0.01"),)
    spent = (times(seconds / bare, "bare", "≤ 3"),)
    return [
        Figure(what, f"{seconds:.2f} s", bare=f"{bare:.2f} s", judged=spent, brief=True),
        Figure(f"{what}, calls", f"{calls}", bare=f"{bare_calls}", judged=made),
        Figure(f"{what}, rows written", f"{rows}", judged=(Judged(rows, "≤ 0"),)),
    ]


async def memory(count: int, *, brief: bool) -> list[Figure]:
    """The peak memory of a process that syncs so many users with nothing to do."""
    with simulator(users=count, with_tokens=True) as server, tempfile.TemporaryDirectory() as folder:
        settings = settings_for(server, Path(folder))
        users = await in_step(settings, server)
        command = [sys.executable, "-c", _MEASURE, server.url, server.token, folder]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: ASYNC221 - nothing else runs meanwhile
    peak, seconds = json.loads(said)
    what, judged = f"memory of a sync of {users:,} unchanged users", Judged(peak, "≤ 250 MiB")
    return [Figure(what, f"{peak:.0f} MiB, {seconds:.1f} s", judged=(judged,), brief=brief)]


def in_this_process(url: str, token: str, folder: str) -> None:
    """Sync, and print the peak memory of this process in MiB and the seconds."""
    server = Server(url, token)
    seconds = run_as_commands_do(_sync(settings_for(server, Path(folder)), server))
    print(json.dumps([peak_of(os.getpid()), seconds]))


async def _sync(settings: Settings, server: Server) -> float:
    async with core_for(settings, server) as core:
        summary, seconds = await timed(core.sync.run(SyncRequest()))
    if summary.counts["unchanged"] != summary.users:
        message = f"not everybody was unchanged: {dict(summary.counts)}, {summary.listed[:3]}"
        raise RuntimeError(message)
    return seconds


async def _links(settings: Settings) -> tuple[list[str], int]:
    async with open_database(settings) as database:
        records = await database.read(lambda db: db.tokens.page(None, 10_000_000))
        since = await database.read(lambda db: db.meta.last_look)
    return [record.account_id or "" for record in records], since


async def _written(settings: Settings) -> int:
    """Numbers that grow with every row of a job or the activity log, and with every changed record."""
    async with open_database(settings) as database:
        jobs = await database.read(lambda db: sum(job.counts.total for job in db.jobs.page(limit=100)))
        newest = await database.read(lambda db: db.activity.page(limit=1))
        return jobs + sum(row.id for row in newest)
