"""A database that is in step with a simulated server already, made from what the server lists."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from benchmarks.stage import Server
from mmconsole.config import Settings
from mmconsole.database import EmbeddedUser, Transaction, migrate, open_database
from mmconsole.domain.accounts import Account, AccountId
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import Health, Token, TokenRecord
from mmconsole.mattermost import open_client
from mmconsole.mattermost.client import MattermostClient

T = TypeVar("T")


async def in_step(settings: Settings, server: Server) -> int:
    """Fill the embedded database with users, links and tokens of all seeded accounts. Returns how many."""
    migrate(settings)
    filled = 0
    async with open_client(server.url, Secret(server.token)) as client, open_database(settings) as database:
        facts = await client.facts()
        tokens = {token.account_id: token async for token in _all(client.tokens_page)}
        looked_at = client.server_time_ms()
        async for chunk in _chunks(_seeded(client), 10_000):
            await database.write(partial(_fill, accounts=chunk, tokens=tokens))
            filled += len(chunk)
        await database.write(lambda tx: _remember(tx, looked_at, diagnostic_id=facts.diagnostic_id, url=server.url))
    return filled


async def _seeded(client: MattermostClient) -> AsyncIterator[Account]:
    async for account in _all(client.accounts_page):
        if not account.privileged and not account.is_bot:
            yield account


def _fill(tx: Transaction, *, accounts: list[Account], tokens: dict[AccountId, Token]) -> None:
    users = [
        EmbeddedUser(
            email=account.email,
            username=account.username,
            first_name=account.first_name,
            last_name=account.last_name,
            email_verified_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for account in accounts
    ]
    ids = tx.roster.embedded.add_many(users)
    digests = {user.id: user.digest for user, _ in tx.roster.rows(ids)}
    records = []
    for user_id, account in zip(ids, accounts, strict=True):
        token = tokens[account.id]
        tx.roster.store(user_id, account_id=account.id, envelope="mm1$benchmark$not-to-be-opened")
        records.append(
            TokenRecord(
                user_id,
                account.id,
                token.id,
                token.description,
                health=Health.OK,
                pushed_digest=digests[user_id],
                account_update_at=account.update_at,
            )
        )
    tx.tokens.save_many(records)


def _remember(tx: Transaction, looked_at: int, *, diagnostic_id: str, url: str) -> None:
    tx.meta.bind_server(diagnostic_id=diagnostic_id, url=url)
    tx.meta.last_look = looked_at
    tx.meta.last_full_look = datetime.now(UTC)


async def _all(fetch: Callable[[int], Awaitable[list[T]]]) -> AsyncIterator[T]:
    page = 0
    while rows := await fetch(page):
        for row in rows:
            yield row
        page += 1


async def _chunks(rows: AsyncIterator[T], size: int) -> AsyncIterator[list[T]]:
    chunk: list[T] = []
    async for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
