"""Checks: the quick one of many tokens in calls, the deep one beside the same calls made by others."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.peers import bare_loop, one_at_a_time, probe
from benchmarks.roster import in_step
from benchmarks.stage import add_users, calls_so_far, core_for, settings_for, simulator, timed, users, vault_for
from benchmarks.table import Figure, InTurn, per
from mmconsole.config import Settings
from mmconsole.core import Core
from mmconsole.database import Snapshot, Stored, Transaction, open_database
from mmconsole.domain.tokens import Health
from mmconsole.domain.users import UserId
from mmconsole.secrets import seal_keys
from mmconsole.secrets.seal_keys import SealKeys
from mmconsole.services.checks.checks import CheckRequest
from mmconsole.services.summary import SyncRequest

_SHARE = 10
"""One in ten is tried one at a time: the pace is the same, and the rest would take minutes."""


async def quick(count: int) -> list[Figure]:
    """Calls per token of a check of all, nothing of which has changed."""
    with simulator(users=count, with_tokens=True) as server, tempfile.TemporaryDirectory() as folder:
        settings = settings_for(server, Path(folder))
        tokens = await in_step(settings, server)
        before = calls_so_far(server)
        async with core_for(settings, server) as core:
            seconds = await _check(core, CheckRequest(), tokens)
        calls = calls_so_far(server) - before
    judged = per(calls / tokens, "token", "≤ 0.01")
    return [Figure(f"quick check of {tokens:,} tokens", f"{calls} calls, {seconds:.2f} s", judged=(judged,))]


async def deep(count: int, turns: int) -> list[Figure]:
    """Each secret tried by two calls, and what was found stored; before, nothing was known, so each is a change."""
    keys = seal_keys.in_memory()
    with simulator() as server, tempfile.TemporaryDirectory() as folder:
        settings = settings_for(server, Path(folder))
        await add_users(settings, users(count))
        async with core_for(settings, server, keys) as core:
            await core.sync.run(SyncRequest())
        secrets = await _opened(settings, keys)
        some = list(secrets.values())[: max(1, count // _SHARE)]
        seen = InTurn()
        for _ in range(turns):
            await _forget(settings, list(secrets))
            async with core_for(settings, server, keys) as core:
                seen.ours.append(await _check(core, CheckRequest(deep=True), count))
            seen.bare.append(await bare_loop(server, map(probe, secrets.values())))
            seen.naive.append(one_at_a_time(server, map(probe, some)) * count / len(some))
    return [seen.figure(f"deep check of {count:,} tokens", count, wanted=("", "≥ 0.4"), brief=True)]


async def _opened(settings: Settings, keys: SealKeys) -> dict[UserId, str]:
    """All secrets."""
    secrets: dict[UserId, str] = {}
    async with open_database(settings) as database:
        vault = vault_for(keys, settings, await database.read(lambda db: db.meta.installation_id))
        page = await database.read(lambda db: db.envelopes.page(None))
        while page:
            secrets |= {one.user_id: vault.open(one.text, one.user_id).reveal() for one in page}
            page = await database.read(partial(_after, last=page[-1]))
    return secrets


def _after(db: Snapshot, *, last: Stored) -> list[Stored]:
    return db.envelopes.page(last)


async def _forget(settings: Settings, ids: list[UserId]) -> None:
    """Nothing is known of any token."""

    def forget(tx: Transaction) -> None:
        for record in tx.tokens.of(ids).values():
            tx.tokens.save(replace(record, health=Health.UNKNOWN, cause=""))

    async with open_database(settings) as database:
        await database.write(forget)


async def _check(core: Core, request: CheckRequest, tokens: int) -> float:
    summary, seconds = await timed(core.checks.run(request))
    if summary.counts[Health.OK, ""] != tokens:
        message = f"a check of {tokens} tokens ended with {dict(summary.counts)}, {summary.broken[:3]}"
        raise RuntimeError(message)
    return seconds
