"""What a sync saw on the server, kept so that a million rows do not weigh on memory.

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
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeVar

from mmconsole.database.connection import IN_LIST, chunks, marks
from mmconsole.domain.accounts import Account
from mmconsole.domain.tokens import Held, Token, TokenId

T = TypeVar("T")

_SET_UP: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16000;
    CREATE TABLE disabled (id TEXT, account_id TEXT, description TEXT, expires_at INTEGER);
    CREATE TABLE accounts (id TEXT, email TEXT, facts TEXT);
    BEGIN;
"""
# Made at the first question: ids are random, and rows that only go to the end go in many times faster.
_TOKENS_INDEX: Final = "CREATE INDEX IF NOT EXISTS disabled_id ON disabled (id)"
_ACCOUNTS_INDEX: Final = "CREATE INDEX IF NOT EXISTS accounts_email ON accounts (email)"
# What is done for each of a million tokens is done without a step of the interpreter for each.
_held_of: Final = itemgetter(Token._fields.index("id"), Token._fields.index("account_id"))
_is_active: Final = itemgetter(Token._fields.index("active"))
_facts_of: Final = attrgetter(*(field.name for field in fields(Account)))


class Scratch:
    """Tokens and accounts of a server, by what a plan looks them up by. Awaited from one loop, run in one thread.

    Of an active token only a 64-bit hash of whose it is is kept: 0.1 GB for a million. Two that collide (1 in 10^7 for
    a million tokens) would make one dead token pass as active until the next sync.
    """

    def __init__(self, thread: ThreadPoolExecutor) -> None:
        self._thread = thread
        self._opened: sqlite3.Connection | None = None
        self._active: set[int] = set()

    async def add_tokens(self, tokens: Iterable[Token]) -> None:
        """Add tokens of a page. One may come twice, as pages move while they are read."""
        seen = list(tokens)
        self._active.update(map(hash, map(_held_of, filter(_is_active, seen))))
        if disabled := [(one.id, one.account_id, one.description, one.expires_at) for one in seen if not one.active]:
            await self._insert("INSERT INTO disabled VALUES (?, ?, ?, ?)", disabled)

    def all_active(self, held: Iterable[Held]) -> bool:
        """Whether `active` would say yes of each."""
        return all(map(self._active.__contains__, map(hash, held)))

    def active(self, held: Iterable[Held]) -> list[bool]:
        """Of each token, whether its account was seen with it, and it was active."""
        active = self._active
        return [hash(pair) in active for pair in held]

    async def disabled(self, ids: Sequence[TokenId]) -> dict[TokenId, Token]:
        """Those of these tokens that were seen, but not active."""
        query = "SELECT id, account_id, description, expires_at FROM disabled WHERE id"
        rows = await self._select(query, ids, index=_TOKENS_INDEX)
        return {row[0]: Token(row[0], row[1], row[2], active=False, expires_at=row[3]) for row in rows}

    async def add_accounts(self, accounts: Iterable[Account]) -> None:
        rows = [(one.id, one.email.lower(), json.dumps(_facts_of(one))) for one in accounts]
        await self._insert("INSERT INTO accounts VALUES (?, ?, ?)", rows)

    async def accounts_by_email(self, addresses: Sequence[str]) -> dict[str, Account]:
        """Accounts by their address in lower case."""
        wanted = [one.lower() for one in addresses]
        rows = await self._select("SELECT email, facts FROM accounts WHERE email", wanted, index=_ACCOUNTS_INDEX)
        return {email: _account_of(facts) for email, facts in rows}

    # ── in the thread ────────────────────────────────────────────────────────────────────────────

    async def _run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: query(self._connection()))

    async def _insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        def insert(db: sqlite3.Connection) -> None:
            # A cursor that came out of the thread would reset the statement, as it is dropped, under the next insert.
            db.executemany(statement, rows)

        await self._run(insert)

    async def _select(self, query: str, values: Sequence[str], *, index: str) -> list[tuple[Any, ...]]:
        """Run a query for each list of values that its column may have."""

        def select(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
            db.execute(index)
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


def _account_of(facts: str) -> Account:
    return Account(*json.loads(facts))
