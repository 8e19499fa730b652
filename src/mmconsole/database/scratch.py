"""What a sync saw on the server, kept aside on disk, so that a million rows do not weigh on memory.

SQLite keeps a database without a name in a temporary file that it removes by itself, even when the process is
killed: nothing of it is ever read again.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final, TypeVar

from mmconsole.database.connection import IN_LIST, chunks, marks
from mmconsole.domain.accounts import Account, AccountId
from mmconsole.domain.tokens import Token, TokenId

T = TypeVar("T")

_SET_UP: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16000;
    CREATE TABLE tokens (id TEXT, account_id TEXT, description TEXT, active INTEGER, expires_at INTEGER);
    CREATE TABLE accounts (id TEXT, email TEXT, username TEXT, facts TEXT);
    CREATE TABLE reserved (username TEXT PRIMARY KEY);
    BEGIN;
"""
# Made at the first question: ids are random, and rows that only go to the end go in many times faster.
_INDEXES: Final = """
    CREATE INDEX IF NOT EXISTS tokens_id ON tokens (id);
    CREATE INDEX IF NOT EXISTS tokens_account_id ON tokens (account_id);
    CREATE INDEX IF NOT EXISTS accounts_id ON accounts (id);
    CREATE INDEX IF NOT EXISTS accounts_email ON accounts (email);
    CREATE INDEX IF NOT EXISTS accounts_username ON accounts (username);
"""
_facts_of: Final = attrgetter(*(field.name for field in fields(Account)))


class Scratch:
    """Tokens and accounts of a server, by what a plan looks them up by. Awaited from one loop, run in one thread."""

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._opened: sqlite3.Connection | None = None
        self._indexed = False

    async def add_tokens(self, tokens: Iterable[Token]) -> None:
        """Add tokens of a page. One that comes twice, as pages move while they are read, counts as it came last."""
        rows = [(one.id, one.account_id, one.description, one.active, one.expires_at) for one in tokens]
        await self._run(lambda db: db.executemany("INSERT INTO tokens VALUES (?, ?, ?, ?, ?)", rows))

    async def tokens_by_id(self, ids: Sequence[TokenId]) -> dict[TokenId, Token]:
        rows = await self._select("SELECT * FROM tokens WHERE id", ids)
        return {token.id: token for token in map(_token_of, rows)}

    async def tokens_of(self, account_ids: Sequence[AccountId]) -> dict[AccountId, list[Token]]:
        """The tokens of each account; those without any are left out."""
        found: dict[AccountId, list[Token]] = {}
        rows = await self._select("SELECT * FROM tokens WHERE account_id", account_ids)
        for token in {token.id: token for token in map(_token_of, rows)}.values():
            found.setdefault(token.account_id, []).append(token)
        return found

    async def count_tokens(self) -> int:
        return int(await self._run(lambda db: db.execute("SELECT COUNT(DISTINCT id) FROM tokens").fetchone()[0]))

    async def add_accounts(self, accounts: Iterable[Account]) -> None:
        rows = [(one.id, one.email.lower(), one.username.lower(), json.dumps(_facts_of(one))) for one in accounts]
        await self._run(lambda db: db.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?)", rows))

    async def accounts_by_email(self, addresses: Sequence[str]) -> dict[str, Account]:
        """Accounts by their address in lower case."""
        rows = await self._select("SELECT email, facts FROM accounts WHERE email", [one.lower() for one in addresses])
        return {email: _account_of(facts) for email, facts in rows}

    async def accounts_by_id(self, ids: Sequence[AccountId]) -> dict[AccountId, Account]:
        rows = await self._select("SELECT id, facts FROM accounts WHERE id", ids)
        return {AccountId(account_id): _account_of(facts) for account_id, facts in rows}

    async def count_accounts(self) -> int:
        return int(await self._run(lambda db: db.execute("SELECT COUNT(DISTINCT id) FROM accounts").fetchone()[0]))

    async def usernames_taken(self, names: Sequence[str]) -> set[str]:
        """Those of these usernames that an account has or this run has reserved."""
        taken = await self._select("SELECT username FROM accounts WHERE username", names)
        reserved = await self._select("SELECT username FROM reserved WHERE username", names)
        return {name for (name,) in (*taken, *reserved)}

    async def reserve_username(self, name: str) -> bool:
        """Keep a username for one new account. False when another one of this run has it."""
        changed = await self._run(lambda db: db.execute("INSERT OR IGNORE INTO reserved VALUES (?)", (name,)).rowcount)
        return bool(changed)

    # ── in the thread ────────────────────────────────────────────────────────────────────────────

    async def _run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: query(self._connection()))

    async def _select(self, query: str, values: Sequence[str]) -> list[tuple[Any, ...]]:
        """Run a query for each list of values that its column may have."""

        def select(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            self._index(db)
            found: list[tuple[Any, ...]] = []
            for chunk in chunks(list(dict.fromkeys(values)), IN_LIST):
                found += db.execute(f"{query} IN ({marks(len(chunk))}) ORDER BY rowid", chunk).fetchall()
            return found

        return await self._run(select)

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = sqlite3.connect("", isolation_level=None)
            self._opened.executescript(_SET_UP)
        return self._opened

    def _index(self, db: sqlite3.Connection) -> None:
        if not self._indexed:
            for statement in _INDEXES.split(";"):
                db.execute(statement)
            self._indexed = True

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


@contextmanager
def open_scratch() -> Iterator[Scratch]:
    """A scratch of its own for one run. Its file is gone when it ends, however it ends."""
    with ThreadPoolExecutor(1, thread_name_prefix="mmconsole-scratch") as thread:
        scratch = Scratch(thread)
        try:
            yield scratch
        finally:
            thread.submit(scratch.close)


def _token_of(row: tuple[Any, ...]) -> Token:
    return Token(row[0], row[1], row[2], bool(row[3]), row[4])


def _account_of(facts: str) -> Account:
    return Account(*json.loads(facts))
