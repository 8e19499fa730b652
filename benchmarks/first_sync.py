"""The first sync: accounts, teams and tokens for everybody, journal and database included."""

import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.peers import Chore, bare_loop, new_user, one_at_a_time, team_of
from benchmarks.stage import Server, add_users, core_for, settings_for, simulator, timed, users
from benchmarks.table import Figure, InTurn, times
from mmconsole.services.summary import SyncRequest
from mmconsole.simulator import capacity_seconds


async def beside_peers(
    count: int, turns: int, *, wanted: tuple[str, str], latency: float = 0.0, brief: bool = False
) -> list[Figure]:
    """Each against a new server."""
    seen = InTurn()
    for _ in range(turns):
        with simulator(latency=latency) as server:
            seen.naive.append(one_at_a_time(server, _new_users(server, count)))
        with simulator(latency=latency) as server:
            seen.bare.append(await bare_loop(server, _new_users(server, count)))
        with simulator(latency=latency) as server:
            seen.ours.append(await _ours(server, count))
    what = f"first sync of {count:,} users" + (f", {latency * 1000:.0f} ms away" if latency else "")
    return [seen.figure(what, count, wanted=wanted, brief=brief)]


async def at_real_cost(count: int) -> list[Figure]:
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
        seconds = await _ours(server, count)
    what, judged = f"first sync of {count} users, real costs", times(limit / seconds, "bare", "≥ 0.95")
    ours, bare = (f"{count / spent:.1f}/s" for spent in (seconds, limit))
    return [Figure(what, ours, bare=bare, judged=(judged,), brief=True)]


def _new_users(server: Server, count: int) -> list[Chore]:
    team = team_of(server)
    return [new_user(number, team) for number in range(count)]


async def _ours(server: Server, count: int) -> float:
    """Seconds of one first sync."""
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_for(server, Path(folder))
        await add_users(settings, users(count))
        async with core_for(settings, server) as core:
            summary, seconds = await timed(core.sync.run(SyncRequest()))
    if summary.counts["created"] != count:
        message = f"a first sync of {count} users ended with {dict(summary.counts)}, {summary.listed[:3]}"
        raise RuntimeError(message)
    return seconds
