"""Our own tables: records, intents, activity, facts and leases."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.servers.application import ask

from mmconsole.config import Settings
from mmconsole.database import Database, Lease, LeaseHeld, Transaction, open_database
from mmconsole.database import tokens as tokens_module
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.activity import Activity, Level
from mmconsole.domain.tokens import Health, Intent, OperationId, TokenId, TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.errors import DatabaseError, LeaseLost, OtherServer

NOW = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)
ANN, BO = UserId("ann's id"), UserId("9")

FULL = TokenRecord(
    user_id=ANN,
    account_id=AccountId("a" * 26),
    token_id=TokenId("t" * 26),
    description="mmconsole:v1:x:ann:op",
    fingerprint="f" * 64,
    health=Health.EXPIRING,
    cause="ends in 3 days",
    checked_at=NOW,
    created_at=NOW - timedelta(days=200),
    expires_at=NOW + timedelta(days=3),
    pushed_digest="d" * 24,
    account_update_at=1_751_373_015_123,
    waiting_email="ann@new.example.org",
    withheld=True,
    deactivated_by_us=True,
)


def test_the_columns_are_the_fields_in_their_order() -> None:
    assert list(tokens_module._NAMES) == [field.name for field in dataclasses.fields(TokenRecord)]


async def test_a_record_comes_back_as_it_was_saved(database: Database) -> None:
    await database.write(lambda tx: tx.tokens.save(TokenRecord(ANN)))
    assert await database.read(lambda db: db.tokens.get(ANN)) == TokenRecord(ANN)

    await database.write(lambda tx: tx.tokens.save(FULL))

    assert await database.read(lambda db: db.tokens.get(ANN)) == FULL
    assert await database.read(lambda db: db.tokens.find(BO)) is None
    assert await database.read(lambda db: db.tokens.get(BO)) == TokenRecord(BO)


async def test_records_are_found_by_what_they_name(database: Database) -> None:
    await database.write(lambda tx: tx.tokens.save_many([FULL, TokenRecord(BO)]))

    assert await database.read(lambda db: db.tokens.by_account(AccountId("a" * 26))) == [FULL]
    assert await database.read(lambda db: db.tokens.by_token(TokenId("t" * 26))) == FULL
    assert await database.read(lambda db: db.tokens.by_fingerprint("f" * 64)) == [FULL]
    assert await database.read(lambda db: db.tokens.by_fingerprint("")) == []
    assert await database.read(lambda db: db.tokens.of([ANN, BO, UserId("x")])) == {ANN: FULL, BO: TokenRecord(BO)}
    assert await database.read(lambda db: db.tokens.count_live()) == 1
    assert await database.read(lambda db: db.tokens.page(None, 10)) == [TokenRecord(BO), FULL]
    assert await database.read(lambda db: db.tokens.page(BO, 10)) == [FULL]
    assert await database.read(lambda db: db.tokens.page(None, 10, with_token=True)) == [FULL]


async def test_an_account_claimed_by_two_users_shows_both(database: Database) -> None:
    one, two = AccountId("1" * 26), AccountId("2" * 26)
    claims = [(ANN, one), (BO, one), (UserId("c"), two), (UserId("d"), None)]
    await database.write(lambda tx: tx.tokens.save_many(TokenRecord(user, account) for user, account in claims))

    assert await database.read(lambda db: db.tokens.accounts_claimed_twice()) == {one: (BO, ANN)}
    assert await database.read(lambda db: db.tokens.holders([one, two, AccountId("3" * 26)])) == {one: BO, two: "c"}


async def test_whoever_is_forgotten_holds_no_account(database: Database) -> None:
    await database.write(lambda tx: tx.tokens.save(FULL))

    await database.write(lambda tx: tx.tokens.remove(ANN))

    assert await database.read(lambda db: db.tokens.find(ANN)) is None
    assert await database.read(lambda db: db.tokens.holders([AccountId("a" * 26)])) == {}


async def test_an_intent_is_open_until_it_is_closed(database: Database) -> None:
    intent = Intent(OperationId("op1"), ANN, "token", AccountId("a" * 26), "mmconsole:v1:x", NOW)
    other = Intent(OperationId("op2"), BO, "account", None, "bo", NOW + timedelta(seconds=1))
    await database.write(lambda tx: tx.intents.open(intent))
    await database.write(lambda tx: tx.intents.open(other))

    assert await database.read(lambda db: db.intents.open_for(ANN)) == [intent]
    assert await database.read(lambda db: db.intents.all_open()) == [intent, other]
    assert await database.read(lambda db: db.intents.find(OperationId("op2"))) == other
    with pytest.raises(DatabaseError, match=r"(?i)unique|duplicate"):
        await database.write(lambda tx: tx.intents.open(intent))
    assert await database.write(lambda tx: tx.intents.close(OperationId("op1")))
    assert not await database.write(lambda tx: tx.intents.close(OperationId("op1")))
    assert await database.read(lambda db: db.intents.all_open()) == [other]


async def test_activity_is_read_forwards_and_backwards(database: Database) -> None:
    levels = [Level.INFO, Level.WARNING, Level.ERROR]
    rows = [
        Activity(NOW + timedelta(seconds=n), "me@cli", f"verb {n}", ANN if n % 2 else None, "x", levels[n % 3], n, "r")
        for n in range(10)
    ]
    first = await database.write(lambda tx: tx.activity.add(rows[0]))
    await database.write(lambda tx: tx.activity.add_many(rows[1:]))
    kept = [dataclasses.replace(row, id=first + n) for n, row in enumerate(rows)]

    assert await database.read(lambda db: db.activity.page(limit=3)) == kept[:-4:-1]
    assert await database.read(lambda db: db.activity.page(limit=3, before_id=kept[5].id)) == kept[4:1:-1]
    assert await database.read(lambda db: db.activity.page(limit=3, after_id=kept[5].id)) == kept[6:9]
    assert await database.read(lambda db: db.activity.page(limit=9, after_id=0, user_id=ANN)) == kept[1::2]
    assert await database.read(lambda db: db.activity.page(limit=9, job_id=3)) == [kept[3]]
    graver = await database.read(lambda db: db.activity.page(limit=9, after_id=0, level=Level.WARNING))
    assert {row.level for row in graver} == {Level.WARNING, Level.ERROR}


async def test_pruning_takes_the_oldest_rows_and_numbers_go_on(database: Database) -> None:
    rows = [Activity(NOW + timedelta(days=n), "me@cli", f"verb {n}") for n in range(10)]
    await database.write(lambda tx: tx.activity.add_many(rows))
    (last,) = await database.read(lambda db: db.activity.page(limit=1))

    assert await database.write(lambda tx: tx.activity.prune(NOW + timedelta(days=4), limit=3)) == 3
    assert await database.write(lambda tx: tx.activity.prune(NOW + timedelta(days=4))) == 1
    assert await database.write(lambda tx: tx.activity.prune(NOW + timedelta(days=400))) == 6
    assert await database.write(lambda tx: tx.activity.prune(NOW + timedelta(days=400))) == 0

    assert await database.write(lambda tx: tx.activity.add(rows[0])) == last.id + 1


async def test_a_database_belongs_to_one_server(database: Database) -> None:
    assert await database.read(lambda db: db.meta.server) is None
    await database.write(lambda tx: tx.meta.bind_server(diagnostic_id="one", url="https://chat"))
    await database.write(lambda tx: tx.meta.bind_server(diagnostic_id="one", url="https://moved"))

    with pytest.raises(OtherServer, match="https://moved"):
        await database.write(lambda tx: tx.meta.bind_server(diagnostic_id="two", url="https://staging"))

    server = await database.read(lambda db: db.meta.server)
    assert server
    assert (server.diagnostic_id, server.url) == ("one", "https://moved")


async def test_the_last_looks_are_remembered(database: Database) -> None:
    assert await database.read(lambda db: (db.meta.last_look, db.meta.last_full_look)) == (0, None)

    def look(tx: Transaction) -> None:
        tx.meta.last_look = 1_751_373_015_123
        tx.meta.last_full_look = NOW

    await database.write(look)
    assert await database.read(lambda db: (db.meta.last_look, db.meta.last_full_look)) == (1_751_373_015_123, NOW)
    await database.write(lambda tx: tx.meta.set("server.last_look", None))
    assert await database.read(lambda db: db.meta.last_look) == 0


TTL = timedelta(seconds=30)


async def test_a_lease_is_granted_once_until_it_is_released(database: Database, settings: Settings) -> None:
    async with open_database(settings) as other:
        first = await database.write(lambda tx: tx.leases.acquire("sync", holder="one", now=NOW, ttl=TTL))
        second = await other.write(lambda tx: tx.leases.acquire("sync", holder="two", now=NOW, ttl=TTL))

        assert first == Lease("sync", "one", 1, NOW, NOW + TTL)
        assert second == LeaseHeld("one", NOW)
        assert await other.read(lambda db: db.leases.find("sync", now=NOW)) == first
        await database.write(lambda tx: tx.leases.release("sync", 1))
        assert await other.read(lambda db: db.leases.find("sync", now=NOW)) is None
        third = await other.write(lambda tx: tx.leases.acquire("sync", holder="two", now=NOW, ttl=TTL))
        assert isinstance(third, Lease)
        assert third.fence == 2


async def test_a_clock_that_was_years_ahead_holds_no_lease_for_years(database: Database) -> None:
    ahead = NOW + timedelta(days=9_000)
    await database.write(lambda tx: tx.leases.acquire("sync", holder="one", now=ahead, ttl=TTL))

    assert await database.read(lambda db: db.leases.find("sync", now=NOW)) is None
    taken = await database.write(lambda tx: tx.leases.acquire("sync", holder="two", now=NOW, ttl=TTL))
    assert isinstance(taken, Lease)
    assert taken.fence == 2


async def test_an_owner_who_wakes_up_too_late_can_do_nothing(database: Database, settings: Settings) -> None:
    def fenced(tx: Transaction) -> None:
        tx.leases.demand("sync", 1)
        tx.meta.set("x", "written")

    late = NOW + 2 * TTL
    async with open_database(settings) as other:
        await database.write(lambda tx: tx.leases.acquire("sync", holder="one", now=NOW, ttl=TTL))
        taken = await other.write(lambda tx: tx.leases.acquire("sync", holder="two", now=late, ttl=TTL))

        assert isinstance(taken, Lease)
        assert taken.fence == 2
        assert not await database.write(lambda tx: tx.leases.renew("sync", 1, now=late, ttl=TTL))
        with pytest.raises(LeaseLost):
            await database.write(fenced)
        await database.write(lambda tx: tx.leases.release("sync", 1))
        assert await other.write(lambda tx: tx.leases.renew("sync", 2, now=late, ttl=TTL))
        await other.write(lambda tx: tx.leases.demand("sync", 2))
    assert await database.read(lambda db: db.meta.get("x")) is None


async def test_an_owner_who_is_late_but_alone_keeps_its_lease(database: Database) -> None:
    await database.write(lambda tx: tx.leases.acquire("sync", holder="one", now=NOW, ttl=TTL))

    assert await database.write(lambda tx: tx.leases.renew("sync", 1, now=NOW + 3 * TTL, ttl=TTL))
    held = await database.write(lambda tx: tx.leases.acquire("sync", holder="two", now=NOW + 3 * TTL, ttl=TTL))
    assert isinstance(held, LeaseHeld)


async def test_of_two_who_know_that_a_holder_has_ended_one_takes_its_lease(database: Database) -> None:
    def take(holder: str) -> Callable[[Transaction], Lease | LeaseHeld]:
        return lambda tx: tx.leases.acquire("sync", holder=holder, now=NOW, ttl=TTL, process="p9", ended=1)

    first = await database.write(
        lambda tx: tx.leases.acquire("sync", holder="one", now=NOW, ttl=TTL, process="boot/pid:[1]/7/1")
    )
    second, third = await database.write(take("two")), await database.write(take("three"))

    assert isinstance(first, Lease)
    assert (first.holder, first.process) == ("one", "boot/pid:[1]/7/1")
    assert second == Lease("sync", "two", 2, NOW, NOW + TTL)
    assert third == LeaseHeld("two", NOW)


async def test_a_table_dropped_meanwhile_is_not_migrated(database: Database) -> None:
    ask(database, "DROP TABLE mmconsole_intents")

    with pytest.raises(DatabaseError, match="mmconsole migrate"):
        await database.read(lambda db: db.intents.all_open())


async def test_what_a_check_found_is_exchanged_only_for_what_it_began_with(database: Database) -> None:
    await database.write(lambda tx: tx.tokens.save(FULL))
    found = dataclasses.replace(
        FULL, health=Health.REVOKED, cause="revoked", checked_at=NOW + timedelta(hours=1), withheld=False
    )
    others = [
        dataclasses.replace(FULL, token_id=TokenId("u" * 26)),
        dataclasses.replace(FULL, token_id=None),
        dataclasses.replace(FULL, account_id=AccountId("b" * 26)),
        dataclasses.replace(FULL, health=Health.OK),
        dataclasses.replace(FULL, withheld=False),
    ]

    refused = [await database.write(lambda tx, old=old: tx.tokens.exchange(old, found)) for old in others]  # type: ignore[misc]
    assert await database.read(lambda db: db.tokens.get(ANN)) == FULL
    taken = await database.write(lambda tx: tx.tokens.exchange(FULL, found))

    assert (refused, taken) == ([False] * 5, True)
    assert await database.read(lambda db: db.tokens.get(ANN)) == found


async def test_a_token_that_got_its_id_is_exchanged_for_one_without(database: Database) -> None:
    unnamed = dataclasses.replace(FULL, token_id=None, fingerprint="")
    await database.write(lambda tx: tx.tokens.save(unnamed))

    assert await database.write(lambda tx: tx.tokens.exchange(unnamed, FULL))

    assert await database.read(lambda db: db.tokens.get(ANN)) == FULL


async def test_the_time_of_a_check_is_set_for_many_and_not_for_another_token(database: Database) -> None:
    later = NOW + timedelta(hours=1)
    many = [TokenRecord(UserId(f"u{n:04}"), token_id=TokenId(f"{n:026}"), checked_at=NOW) for n in range(1_100)]
    unnamed = [TokenRecord(UserId(f"x{n}"), checked_at=NOW) for n in range(2)]
    await database.write(lambda tx: tx.tokens.save_many([*many, *unnamed]))
    seen = [dataclasses.replace(many[0], token_id=TokenId("z" * 26)), *many[1:], unnamed[0]]
    seen.append(dataclasses.replace(many[1], user_id=unnamed[1].user_id))

    await database.write(lambda tx: tx.tokens.set_checked(seen, later))

    records = await database.read(lambda db: db.tokens.page(None, 2_000))
    assert {one.user_id for one in records if one.checked_at == NOW} == {many[0].user_id, unnamed[1].user_id}
    assert [dataclasses.replace(one, checked_at=NOW) for one in records] == [*many, *unnamed]
