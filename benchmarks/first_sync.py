"""The first sync: accounts, teams and tokens for everybody, journal and database included."""

import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.peers import bare_loop, one_at_a_time
from benchmarks.stage import Server, add_users, core_for, settings_for, simulator
from benchmarks.table import Figure, middle
from mmconsole.database import EmbeddedUser
from mmconsole.services.summary import SyncRequest
from mmconsole.simulator import capacity_seconds

AT_ONCE = 16


def users(count: int) -> list[EmbeddedUser]:
    return [EmbeddedUser(f"person{n}@example.test", first_name="Per", last_name=f"Son {n}") for n in range(count)]


async def ours(server: Server, count: int) -> float:
    """Seconds of one first sync."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_for(server, Path(folder))
        await add_users(settings, users(count))
        async with core_for(settings, server) as core:
            began = time.perf_counter()
            summary = await core.sync.run(SyncRequest())
            seconds = time.perf_counter() - began
    if summary.counts["created"] != count:
        message = f"a first sync of {count} users ended with {dict(summary.counts)}, {summary.listed[:3]}"
        raise RuntimeError(message)
    return seconds


async def beside_peers(
    what: str,
    count: int,
    wanted: tuple[str, str],
    *,
    turns: int = 5,
    **options: Any,  # noqa: ANN401 - the simulator's own
) -> list[Figure]:
    """Sequential, bare and ours in turn, each against a new server; the middle ratio counts."""
    sequential, bare, own = [], [], []
    for _ in range(turns):
        with simulator(**options) as server:
            sequential.append(one_at_a_time(server, count))
        with simulator(**options) as server:
            bare.append(await bare_loop(server, count, at_once=AT_ONCE))
        with simulator(**options) as server:
            own.append(await ours(server, count))

    def beside(peer: str, theirs: list[float], ratio: str, limit: str) -> Figure:
        rates = f"{count / median(own):,.0f} users/s : {count / median(theirs):,.0f}"
        return Figure(what, peer, rates, ratio, limit)

    return [
        beside("httpx, one at a time", sequential, f"{middle(own, sequential):.1f}", wanted[0]),
        beside(f"bare aiohttp, {AT_ONCE} at once", bare, f"{middle(own, bare):.2f}", wanted[1]),
    ]


async def at_real_cost(count: int) -> Figure:
    """Against two virtual workers with a real server's costs: the limit is what these can do."""
    calls = (
        "POST /users",
        "POST /teams/{id}/members",
        "POST /users/{id}/tokens",
        "GET /users/{id}",
        "GET /users/{id}/teams",
    )
    limit = capacity_seconds(Counter(dict.fromkeys(calls, count)))
    with simulator(cost="real") as server:
        seconds = await ours(server, count)
    figures = f"{count / seconds:.1f} users/s : {count / limit:.1f}"
    return Figure(
        f"first sync of {count} users, real costs",
        "what that server can do",
        figures,
        f"{limit / seconds:.2f}",
        "≥ 0.95",
    )
