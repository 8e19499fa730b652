"""The application's users table: read as it is, written in two columns only."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.application import add_users, ask

from mmconsole.config import Settings
from mmconsole.database import Database, EmbeddedUser, Snapshot, Transaction, UserAndRecord, migrate, open_database
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.tokens import Health, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import NotOurs, RowMissing

Attach = Callable[..., Settings]

MINIMAL = "CREATE TABLE users (id {id} primary key, name text, email text, email_verified_at datetime);"
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


async def everybody(database: Database, *, limit: int = 1000, missing: bool = False) -> list[UserId]:
    def page(after: UserId | None) -> Callable[[Snapshot], list[UserAndRecord]]:
        return lambda db: db.roster.page(after, limit, missing_only=missing)

    ids: list[UserId] = []
    while found := await database.read(page(ids[-1] if ids else None)):
        ids += [user.id for user, _ in found]
    return ids


def stores(user_id: str, envelope: str | None) -> Callable[[Transaction], None]:
    return lambda tx: tx.roster.store(UserId(user_id), envelope=envelope)


def saves(*records: TokenRecord) -> Callable[[Transaction], None]:
    return lambda tx: tx.tokens.save_many(records)


async def the_user(database: Database, user_id: str) -> User:
    return (await database.read(lambda db: db.roster.rows([UserId(user_id)])))[0][0]


async def test_a_laravel_row_is_read_as_it_is(laravel: Database) -> None:
    users = [user for user, _ in await laravel.read(lambda db: db.roster.page(None, 10))]

    assert users[0] == User(
        id=UserId("7"),
        email="Ann@Example.org",
        email_verified=True,
        username=None,
        first_name="Ann",
        last_name="Lee",
        locale=None,
        active=True,
        stored_account_id=None,
        has_stored_token=False,
    )
    assert [(user.email, user.email_verified, user.first_name, user.last_name) for user in users[1:]] == [
        (" bo@example.org ", False, "Bo", ""),
        ("charles@example.org", True, "Charles de", "Gaulle"),
    ]


async def test_storing_writes_our_two_columns_and_nothing_else(laravel: Database) -> None:
    before = ask(laravel, "SELECT * FROM users WHERE id = 7")[0]

    await laravel.write(lambda tx: tx.roster.store(UserId("7"), account_id="a" * 26, envelope="mm1$k$x"))

    assert ask(laravel, "SELECT * FROM users WHERE id = 7")[0] == (*before[:-2], "a" * 26, "mm1$k$x")
    assert (await the_user(laravel, "7")).has_stored_token
    assert (await the_user(laravel, "7")).stored_account_id == "a" * 26
    assert ask(laravel, "SELECT COUNT(*) FROM users WHERE mattermost_token IS NOT NULL") == [(1,)]


async def test_storing_one_of_the_two_leaves_the_other(laravel: Database) -> None:
    await laravel.write(lambda tx: tx.roster.store(UserId("7"), account_id="a" * 26, envelope="sealed"))

    await laravel.write(lambda tx: tx.roster.store(UserId("7"), envelope=None))

    assert ask(laravel, "SELECT mattermost_user_id, mattermost_token FROM users WHERE id = 7") == [("a" * 26, None)]


@pytest.mark.parametrize("user_id", ["99", "x", "", "07", "7 ", "7.0", "9" * 40, "'; DROP TABLE users"])
async def test_storing_for_a_row_that_is_not_there_says_so(laravel: Database, user_id: str) -> None:
    with pytest.raises(RowMissing):
        await laravel.write(lambda tx: tx.roster.store(UserId(user_id), envelope="x"))

    assert await laravel.read(lambda db: db.roster.rows([UserId(user_id)])) == []
    assert ask(laravel, "SELECT COUNT(*) FROM users WHERE mattermost_token IS NOT NULL") == [(0,)]


async def test_secrets_are_read_only_when_they_are_asked_for(laravel: Database) -> None:
    await laravel.write(lambda tx: tx.roster.store(UserId("7"), envelope="sealed"))
    ask(laravel, "UPDATE users SET mattermost_token = '' WHERE id = 8")

    assert await laravel.read(lambda db: db.roster.envelope(UserId("7"))) == "sealed"
    assert await laravel.read(lambda db: db.roster.envelope(UserId("8"))) is None
    assert await laravel.read(lambda db: db.roster.envelope(UserId("99"))) is None
    ids = [UserId("7"), UserId("8"), UserId("x")]
    assert await laravel.read(lambda db: db.roster.envelopes(ids)) == {"7": "sealed"}


async def test_forms_are_counted_by_the_callers_classifier(laravel: Database) -> None:
    for user_id, held in (("7", "mm1$a"), ("8", "plain"), ("9", "mm1$b")):
        await laravel.write(stores(user_id, held))

    forms = await laravel.read(lambda db: db.roster.forms(lambda held: held.split("$")[0]))
    first = await laravel.read(lambda db: db.roster.forms(lambda held: held.split("$")[0], sample=2))

    assert forms == {"mm1": 2, "plain": 1}
    assert first == {"mm1": 1, "plain": 1}


async def test_rows_come_in_the_order_they_are_asked_for(laravel: Database) -> None:
    ids = [UserId(text) for text in ("9", "x", "7", "9", "8")]

    found = await laravel.read(lambda db: db.roster.rows(ids))

    assert [user.id for user, _ in found] == ["9", "7", "8"]


@pytest.mark.parametrize("name", ["7", " 7 ", "ann@example.org", "ANN@EXAMPLE.ORG "])
async def test_a_user_is_found_by_id_and_address(laravel: Database, name: str) -> None:
    assert await laravel.read(lambda db: db.roster.find(name)) == ["7"]


@pytest.mark.parametrize("name", ["", "nobody@example.org", "%", "Ann Lee"])
async def test_nobody_is_found_by_less(laravel: Database, name: str) -> None:
    assert await laravel.read(lambda db: db.roster.find(name)) == []


async def test_an_id_names_its_user_although_somebody_else_has_it_as_username(database: Database) -> None:
    await database.write(lambda tx: add_users(tx, [EmbeddedUser("a@x.org", "Ann"), EmbeddedUser("b@x.org", "1")]))

    assert await database.read(lambda db: db.roster.find("ann")) == ["1"]
    assert await database.read(lambda db: db.roster.find("1")) == ["1"]


SETTLED = TokenRecord(UserId("1"), AccountId("a" * 26), TokenId("t" * 26), health=Health.OK)


async def settle(database: Database, user_id: str) -> None:
    """Make the user look as after a sync that left nothing to do."""
    await database.write(stores(user_id, "sealed"))
    record = replace(SETTLED, user_id=UserId(user_id), pushed_digest=(await the_user(database, user_id)).digest)
    await database.write(saves(record))


async def test_a_glance_tells_who_is_as_last_pushed_and_asks_for_nothing(database: Database) -> None:
    names = ['Ann "the" Lee', "مريم", None, ""]
    await database.write(lambda tx: add_users(tx, [EmbeddedUser(f"{n}@x.org", n) for n in names]))
    for user_id in ("1", "2", "3"):
        await settle(database, user_id)

    seen = await database.read(lambda db: db.roster.glances(None, 3))
    rest = await database.read(lambda db: db.roster.glances(seen.last, 3))

    assert seen.settled.ids == ["1", "2", "3"]
    assert seen.settled.accounts == [SETTLED.account_id] * 3
    assert seen.settled.held == [(SETTLED.token_id, SETTLED.account_id)] * 3
    assert (seen.others, seen.last) == ([], "3")
    assert (rest.settled.ids, rest.others, rest.last) == ([], ["4"], "4")
    assert (await database.read(lambda db: db.roster.glances(UserId("4"), 3))).last is None


@pytest.fixture
async def settled(database: Database) -> Database:
    """One user whom a glance finds settled."""
    await database.write(lambda tx: add_users(tx, [EmbeddedUser("ann@x.org", "ann", "Ann", "Lee")]))
    await settle(database, "1")
    assert (await database.read(lambda db: db.roster.glances(None, 1))).settled
    return database


@pytest.mark.parametrize(
    "change",
    [
        "email = 'other@x.org'",
        "email_verified_at = '2026-01-01 00:00:00'",
        "username = 'anne'",
        "first_name = NULL",
        "first_name = ''",
        "first_name = 'Lee', last_name = 'Ann'",
        "locale = 'de'",
        "active = false",
        "deleted_at = '2026-01-01 00:00:00'",
        "mattermost_token = ''",
        "mattermost_token = NULL",
    ],
)
async def test_a_glance_sees_each_change_of_a_row(settled: Database, change: str) -> None:
    ask(settled, f"UPDATE users SET {change}")

    assert (await settled.read(lambda db: db.roster.glances(None, 1))).others == ["1"]


@pytest.mark.parametrize(
    "change",
    [{"health": Health.REVOKED}, {"withheld": True}, {"token_id": None}, {"account_id": None}, {"pushed_digest": ""}],
    ids=str,
)
async def test_a_glance_sees_what_our_own_record_asks_for(settled: Database, change: dict[str, Any]) -> None:
    record = await settled.read(lambda db: db.tokens.get(UserId("1")))

    await settled.write(saves(replace(record, **change)))

    assert (await settled.read(lambda db: db.roster.glances(None, 1))).others == ["1"]


@pytest.mark.kinds("sqlite")
async def test_a_value_that_is_no_text_hides_nobody(settled: Database) -> None:
    ask(settled, "UPDATE users SET first_name = x'ff00', locale = 7")

    assert (await settled.read(lambda db: db.roster.glances(None, 1))).others == ["1"]
    await settle(settled, "1")
    assert (await settled.read(lambda db: db.roster.glances(None, 1))).settled


async def test_addresses_are_held_twice_in_any_case_and_script(database: Database) -> None:
    addresses = ["Ümlaut@x.org", " ümlaut@X.org", "one@x.org", "gone@x.org", "gone@x.org", None, None, "", " "]
    deleted = [NOW if n == 4 else None for n in range(len(addresses))]
    users = [EmbeddedUser(one, deleted_at=gone) for one, gone in zip(addresses, deleted, strict=True)]
    await database.write(lambda tx: add_users(tx, users))

    assert await database.read(lambda db: db.roster.emails_held_twice()) == {"1", "2"}


async def test_usernames_are_held_twice_where_there_is_a_column(database: Database, laravel: Database) -> None:
    await database.write(lambda tx: add_users(tx, [EmbeddedUser(None, one) for one in ("Bo", "bo", "al", None)]))

    assert await database.read(lambda db: db.roster.wanted_usernames_held_twice()) == {"1", "2"}
    assert await laravel.read(lambda db: db.roster.wanted_usernames_held_twice()) == frozenset()


async def test_only_active_users_without_a_known_token_are_missing(database: Database) -> None:
    users = [EmbeddedUser(f"{n}@x.org", active=n != 3, deleted_at=NOW if n == 4 else None) for n in range(1, 7)]
    record = TokenRecord(UserId("1"), AccountId("a" * 26), TokenId("t" * 26))
    await database.write(lambda tx: add_users(tx, users))
    await database.write(saves(record))
    for user_id, held in (("1", "x"), ("2", "stored by somebody else"), ("5", "")):
        await database.write(stores(user_id, held))

    assert await everybody(database, missing=True, limit=2) == ["2", "5", "6"]
    assert await database.read(lambda db: db.roster.count_missing()) == 3
    assert await database.read(lambda db: db.roster.count_unlinked()) == 3
    assert await database.read(lambda db: db.roster.count()) == 6


@pytest.mark.parametrize(
    ("declared", "stored", "active"),
    [
        ("boolean", 1, True),
        ("boolean", 0, False),
        ("boolean", "t", True),
        ("boolean", "f", False),
        ("text", "true", True),
        ("text", "False", False),
        ("text", "0", False),
        ("integer", 5, True),
        ("integer", None, True),
    ],
)
@pytest.mark.kinds("sqlite")
async def test_active_is_what_the_column_says(attach: Attach, declared: str, stored: object, *, active: bool) -> None:
    settings = attach(more=f"ALTER TABLE users ADD works_here {declared};", active="works_here")
    migrate(settings)
    async with open_database(settings) as database:
        ask(database, "UPDATE users SET works_here = ? WHERE id = 7", stored)

        assert (await the_user(database, "7")).active is active
        assert ("7" in await everybody(database, missing=True)) is active


@pytest.mark.parametrize(
    ("stored", "verified"), [("2024-01-01 00:00:00", True), (None, False), ("", False), (0, False), (1, True)]
)
@pytest.mark.kinds("sqlite")
async def test_an_address_is_verified_when_its_column_says_something(
    laravel: Database, stored: object, *, verified: bool
) -> None:
    ask(laravel, "UPDATE users SET email_verified_at = ? WHERE id = 7", stored)

    assert (await the_user(laravel, "7")).email_verified is verified


async def test_without_a_column_no_address_is_verified(attach: Attach) -> None:
    settings = attach(email_verified_at=None)
    migrate(settings)
    async with open_database(settings) as database:
        assert not (await the_user(database, "7")).email_verified


async def test_soft_deleted_rows_are_inactive(attach: Attach) -> None:
    more = "ALTER TABLE users ADD deleted_at datetime; UPDATE users SET deleted_at = '2024-01-01' WHERE id = 8;"
    settings = attach(more=more, deleted_at="deleted_at")
    migrate(settings)
    async with open_database(settings) as database:
        assert [user.active for user, _ in await database.read(lambda db: db.roster.page(None, 10))] == [
            True,
            False,
            True,
        ]


async def test_a_record_of_a_deleted_row_is_removed_and_one_that_never_fitted_is_not(laravel: Database) -> None:
    for user_id in ("7", "8", "70", "ann", "07"):
        await laravel.write(saves(TokenRecord(UserId(user_id), AccountId(user_id.rjust(26, "a")))))
    await laravel.write(lambda tx: tx.tokens.save(TokenRecord(UserId("71"))))
    ask(laravel, "DELETE FROM users WHERE id = 8")

    assert [one.user_id for one in await laravel.read(lambda db: db.roster.removed(None, 10))] == ["70", "8"]
    assert [one.user_id for one in await laravel.read(lambda db: db.roster.removed(None, 1))] == ["70"]
    assert [one.user_id for one in await laravel.read(lambda db: db.roster.removed(UserId("70"), 10))] == ["8"]


async def test_many_removed_rows_come_in_pages(laravel: Database) -> None:
    records = [TokenRecord(UserId(str(n)), AccountId(f"{n:026d}")) for n in range(10_000, 13_000)]
    await laravel.write(lambda tx: tx.tokens.save_many(records))

    def removed(after: UserId | None) -> Callable[[Snapshot], list[TokenRecord]]:
        return lambda db: db.roster.removed(after, 700)

    found: list[UserId] = []
    while page := await laravel.read(removed(found[-1] if found else None)):
        found += [record.user_id for record in page]

    assert found == [record.user_id for record in records]


async def test_an_applications_users_are_not_ours_to_add(laravel: Database) -> None:
    with pytest.raises(NotOurs):
        await laravel.write(lambda tx: tx.roster.embedded.add_many([EmbeddedUser("x@x.org")]))


@pytest.mark.kinds("sqlite")
async def test_embedded_users_are_added_edited_and_removed(database: Database) -> None:
    ids = await database.write(lambda tx: add_users(tx, [EmbeddedUser("a@x.org"), EmbeddedUser("b@x.org")]))
    cee = EmbeddedUser("c@x.org", "cee", "C", "D", "de", NOW)
    (last,) = await database.write(lambda tx: add_users(tx, [cee]))
    await database.write(lambda tx: tx.roster.embedded.edit(last, {"first_name": "Z", "deleted_at": NOW}))
    await database.write(lambda tx: tx.roster.embedded.remove(UserId("2")))

    assert (ids, last) == (["1", "2"], "3")
    assert await everybody(database) == ["1", "3"]
    assert (await the_user(database, "3")).first_name == "Z"
    assert not (await the_user(database, "3")).active
    with pytest.raises(RowMissing):
        await database.write(lambda tx: tx.roster.embedded.remove(UserId("2")))
    with pytest.raises(RowMissing):
        await database.write(lambda tx: tx.roster.embedded.edit(UserId("2"), {"email": "x"}))
    with pytest.raises(ValueError, match="no such field: mattermost_token"):
        await database.write(lambda tx: tx.roster.embedded.edit(UserId("3"), {"mattermost_token": "x"}))


UUIDS = [f"{n:08x}-0000-4000-8000-{n * 7919 % 65536:012x}" for n in range(0, 2_000_000, 9973)]


async def test_uuids_are_paged_and_joined(attach: Attach) -> None:
    rows = ", ".join(f"('{one}', 'Ann Lee', '{n}@x.org', NULL)" for n, one in enumerate(UUIDS))
    settings = attach(MINIMAL.format(id="uuid") + f"INSERT INTO users VALUES {rows};")
    migrate(settings)
    async with open_database(settings) as database:
        records = [TokenRecord(UserId(one), AccountId("a" * 26), TokenId("t" * 26)) for one in UUIDS[::2]]
        await database.write(lambda tx: tx.tokens.save_many(records))
        await database.write(lambda tx: tx.roster.store(UserId(UUIDS[3]), envelope="x"))

        page = await database.read(lambda db: db.roster.page(None, 1000))

        assert [user.id for user, _ in page] == sorted(UUIDS)
        assert sum(record is not None for _, record in page) == len(UUIDS[::2])
        assert await everybody(database, limit=17) == sorted(UUIDS)
        assert len(await database.read(lambda db: db.roster.rows([UserId(one) for one in UUIDS]))) == len(UUIDS)


async def test_odd_text_of_a_row_survives(attach: Attach, kind: str) -> None:
    settings = attach(MINIMAL.format(id="integer"))
    migrate(settings)
    names = [
        "x" * 10_000,
        "'; DROP TABLE users; --",
        "\x1b[31mred",
        "王 小明",
        "محمد علي",
        "\u202eevil",
        None,
        "",
        *(["a\x00b"] if kind == "sqlite" else []),  # the servers hold no such text
    ]
    async with open_database(settings) as database:
        for number, name in enumerate(names):
            ask(database, "INSERT INTO users (id, name, email) VALUES (?, ?, ?)", number, name, name)

        users = [user for user, _ in await database.read(lambda db: db.roster.page(None, 100))]

        assert [user.email for user in users] == names
        assert users[0].first_name == "x" * 10_000
        assert (users[3].first_name, users[3].last_name) == ("王", "小明")
        assert (users[6].first_name, users[6].last_name) == (None, None)


TEXT_IDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.sets(TEXT_IDS | st.sampled_from(["'", '"', "a:b", "%", "_", "?", "{}", "A", "a", "1", "01"]), max_size=25)
)
async def test_pages_of_any_ids_are_complete_and_without_repetition(texts: Database, ids: set[str]) -> None:
    ask(texts, "DELETE FROM users")
    ask(texts, "DELETE FROM mmconsole_tokens")
    for one in ids:
        ask(texts, "INSERT INTO users (id) VALUES (?)", one)
    known = [TokenRecord(UserId(one), AccountId("a" * 26)) for one in ids]
    await texts.write(lambda tx: tx.tokens.save_many(known))

    found = await everybody(texts, limit=3)
    joined = await texts.read(lambda db: db.roster.rows(found))

    assert len(found) == len(ids)
    assert set(found) == ids
    assert {user.id: record.user_id for user, record in joined if record} == {one: one for one in ids}
    for one in found[:3]:
        await texts.write(stores(one, f"held by {one}"))
    assert await texts.read(lambda db: db.roster.envelopes(found)) == {one: f"held by {one}" for one in found[:3]}
    assert await texts.read(lambda db: db.roster.removed(None, 100)) == []


@pytest.fixture
async def texts(attach: Attach, kind: str) -> AsyncIterator[Database]:
    exact = " collate utf8mb4_nopad_bin" if kind == "mariadb" else ""
    settings = attach(MINIMAL.format(id=f"varchar(20){exact}"))
    migrate(settings)
    async with open_database(settings) as database:
        yield database


async def test_a_table_of_an_odd_name_with_odd_columns_is_read_and_written(attach: Attach) -> None:
    settings = attach(
        'CREATE TABLE "the ?people" (id integer primary key, mail text, "full {name}" text);',
        table="the ?people",
        email="mail",
        name="full {name}",
        email_verified_at=None,
    )
    migrate(settings)
    async with open_database(settings) as database:
        ask(database, "INSERT INTO \"the ?people\" VALUES (1, 'a@x.org', 'Ann Lee', NULL, NULL)")

        await database.write(lambda tx: tx.roster.store(UserId("1"), account_id="a" * 26, envelope="x"))

        assert (await the_user(database, "1")).last_name == "Lee"
        assert await database.read(lambda db: db.roster.find("A@X.org")) == ["1"]
        assert await database.read(lambda db: db.roster.emails_held_twice()) == frozenset()


@pytest.mark.kinds("sqlite")
async def test_the_join_of_many_rows_uses_an_index(laravel: Database) -> None:
    statements = await laravel.read(lambda db: (db.roster._statements.page.next, db.roster._statements.missing.next))

    for statement in statements:
        plan = [str(row[3]) for row in ask(laravel, f"EXPLAIN QUERY PLAN {statement}", 1, 1)]
        assert all("SEARCH" in step for step in plan), plan


@pytest.mark.kinds("sqlite")
async def test_a_row_with_broken_text_keeps_nobody_else_away(attach: Attach) -> None:
    settings = attach(MINIMAL.format(id="integer"))
    migrate(settings)
    async with open_database(settings) as database:
        ask(database, "INSERT INTO users (id, name, email) VALUES (1, CAST(X'41FF42' AS TEXT), 'a@x.org')")
        ask(database, "INSERT INTO users (id, name, email) VALUES (2, 'Bo', 'b@x.org')")

        users = [user for user, _ in await database.read(lambda db: db.roster.page(None, 100))]

        assert [user.first_name for user in users] == ["A\ufffdB", "Bo"]
