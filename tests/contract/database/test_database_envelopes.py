"""The token column, read in pages and exchanged value by value."""

from collections.abc import Callable

import pytest

from mmconsole.config import Settings
from mmconsole.database import Database, Stored, Transaction, migrate, open_database
from mmconsole.domain.tokens import TokenRecord
from mmconsole.domain.users import UserId

Attach = Callable[..., Settings]
ANN, BO = UserId("7"), UserId("8")


async def keep(database: Database, **texts: str) -> None:
    def store(tx: Transaction) -> None:
        for name, text in texts.items():
            tx.roster.store(UserId(name.removeprefix("u")), envelope=text)

    await database.write(store)


async def test_pages_hold_every_stored_value_once_in_the_order_of_the_key(laravel: Database) -> None:
    await keep(laravel, u9="nine", u7="seven", u8="")

    first = await laravel.read(lambda db: db.envelopes.page(None, 1))
    second = await laravel.read(lambda db: db.envelopes.page(first[-1], 1))
    third = await laravel.read(lambda db: db.envelopes.page(second[-1], 1))

    assert (first, second, third) == ([Stored(7, "seven")], [Stored(9, "nine")], [])
    assert first[0].user_id == ANN
    assert repr(first[0]) == "Stored(7)"


async def test_a_value_is_exchanged_only_for_the_one_that_was_seen(laravel: Database) -> None:
    await keep(laravel, u7="old", u8="old")

    met = await laravel.write(lambda tx: tx.envelopes.exchange(ANN, "old", "new"))
    late = await laravel.write(lambda tx: tx.envelopes.exchange(ANN, "old", "newer"))
    case = await laravel.write(lambda tx: tx.envelopes.exchange(BO, "OLD", "newer"))
    gone = await laravel.write(lambda tx: tx.envelopes.exchange(UserId("99"), "old", "new"))
    never = await laravel.write(lambda tx: tx.envelopes.exchange(UserId("seven"), "old", "new"))

    assert (met, late, case, gone, never) == (True, False, False, False, False)
    assert await laravel.read(lambda db: db.envelopes.page(None)) == [Stored(7, "new"), Stored(8, "old")]


async def test_keys_and_columns_may_be_called_anything(attach: Attach) -> None:
    script = """
        CREATE TABLE "the users" ("the id" text primary key, email text, "a {token}" text, mattermost_user_id text);
        INSERT INTO "the users" VALUES ('b', 'b@x.test', 'old', NULL), ('a', 'a@x.test', 'old', NULL);
    """
    names = {"name": None, "email_verified_at": None}
    settings = attach(script, table="the users", id="the id", token="a {token}", **names)
    migrate(settings)

    async with open_database(settings) as database:
        await database.write(lambda tx: tx.envelopes.exchange(UserId("b"), "old", "new"))
        stored = await database.read(lambda db: db.envelopes.page(None))

    assert stored == [Stored("a", "old"), Stored("b", "new")]


@pytest.mark.parametrize("fingerprint", ["f" * 64, ""])
async def test_a_fingerprint_is_set_for_whom_we_know(database: Database, fingerprint: str) -> None:
    await database.write(lambda tx: tx.tokens.save(TokenRecord(ANN, fingerprint="0" * 64, pushed_digest="kept")))

    await database.write(lambda tx: tx.tokens.set_fingerprint(ANN, fingerprint))
    await database.write(lambda tx: tx.tokens.set_fingerprint(BO, fingerprint))

    assert await database.read(lambda db: db.tokens.find(ANN)) == TokenRecord(
        ANN, fingerprint=fingerprint, pushed_digest="kept"
    )
    assert await database.read(lambda db: db.tokens.find(BO)) is None
