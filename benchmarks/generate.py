"""Tokens for users who have accounts and no tokens, beside the same calls made by others."""

import tempfile
from functools import partial
from pathlib import Path

from benchmarks.peers import bare_loop, one_at_a_time, token_for
from benchmarks.stage import add_users, core_for, settings_for, simulator, timed, users
from benchmarks.table import Figure, InTurn
from mmconsole.config import Settings
from mmconsole.core import Core
from mmconsole.database import Snapshot, Transaction, open_database
from mmconsole.domain.filters import parse
from mmconsole.domain.token_plans import Act
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.secrets import seal_keys
from mmconsole.services.summary import SyncRequest
from mmconsole.services.tokens.tokens import TokenRequest


async def beside_peers(count: int, turns: int, *, latency: float = 0.0, brief: bool = False) -> list[Figure]:
    """Journal, database and sealing are ours alone."""
    keys = seal_keys.in_memory()
    seen = InTurn()
    with simulator(latency=latency) as server, tempfile.TemporaryDirectory() as folder:
        settings = settings_for(server, Path(folder))
        await add_users(settings, users(count))
        async with core_for(settings, server, keys) as core:
            await core.sync.run(SyncRequest())
        for _ in range(turns):
            accounts = await _without_tokens(settings)
            seen.naive.append(one_at_a_time(server, map(token_for, accounts)))
            seen.bare.append(await bare_loop(server, map(token_for, accounts)))
            async with core_for(settings, server, keys) as core:
                seen.ours.append(await _generate(core, count))
    what = f"generate {count:,} tokens" + (f", {latency * 1000:.0f} ms away" if latency else "")
    return [seen.figure(what, count, wanted=("≥ 3", ""), brief=brief)]


async def _generate(core: Core, count: int) -> float:
    summary, seconds = await timed(core.tokens.run(TokenRequest(Act.GENERATE, wanted=parse("status:missing"))))
    if summary.counts["token generated"] != count:
        message = f"generating {count} tokens ended with {dict(summary.counts)}, {summary.listed[:3]}"
        raise RuntimeError(message)
    return seconds


async def _without_tokens(settings: Settings) -> list[str]:
    """Forget all tokens. Returns the accounts."""
    async with open_database(settings) as database:
        records = await database.read(_all)
        await database.write(partial(_forget, records=records))
    return [record.account_id or "" for record in records]


def _all(db: Snapshot) -> list[TokenRecord]:
    return db.tokens.page(None, 10_000_000)


def _forget(tx: Transaction, *, records: list[TokenRecord]) -> None:
    for record in records:
        tx.roster.store(record.user_id, envelope=None)
        tx.tokens.save(TokenRecord(record.user_id, record.account_id, health=Health.MISSING))
