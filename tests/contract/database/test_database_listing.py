"""Filters, orders and statuses in SQL: the same answers as the domain gives user by user."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.application import add_users, ask, ask_many

from mmconsole.config import Settings
from mmconsole.database import Database, EmbeddedUser, UserAndRecord, migrate, open_database
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.filters import (
    EVERYWHERE,
    FLAG_FIELDS,
    ID_FIELDS,
    MOMENT_FIELDS,
    TEXT_FIELDS,
    Compared,
    Comparison,
    Contains,
    Equals,
    Filter,
    InTeam,
    Is,
    Never,
    Order,
    Shows,
    Sort,
    Term,
    parse,
    searchable,
)
from mmconsole.domain.health import GRAVEST_FIRST, AsOf, status_of
from mmconsole.domain.tokens import Health, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import BadFilter

Attach = Callable[..., Settings]

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
AS_OF = AsOf(NOW, soon=timedelta(days=7), lifetime=timedelta(days=90))
EVERYBODY = Filter()
# Everything may be there or not, and every flag may be said in words of its own.
LOOSE = """
    CREATE TABLE users (
        id integer primary key, name, email, nick, tongue, first, last, confirmed, works, gone,
        mattermost_user_id text, mattermost_token text
    );
"""
NAMES = {
    "username": "nick",
    "locale": "tongue",
    "email_verified_at": "confirmed",
    "active": "works",
    "deleted_at": "gone",
}
SPLIT = NAMES | {"name": None, "first_name": "first", "last_name": "last"}
COLUMNS = ("id", "name", "email", "nick", "tongue", "first", "last", "confirmed", "works", "gone", "mattermost_token")

# Few letters, so that they meet: with cases of other scripts, wildcards, odd spaces, and what SQL might trip over.
letters = st.sampled_from(
    [*"aAnN1%_|?'", "ü", "Ü", "ß", "Σ", "ς", "İ", "K", "王", "\x01", "\t", " ", "  ", "\xa0", "\u2028", '"']
)
words = st.lists(letters, max_size=5).map("".join)
flags = st.sampled_from(
    [
        None,
        0,
        1,
        0.0,
        2,
        "",
        "0",
        "1",
        "no",
        " NO ",
        "yes",
        "False\n",
        "off",
        "0000-00-00 00:00:00",
        "2026-01-01 00:00:00",
    ]
)
accounts = st.sampled_from([AccountId(letter * 26) for letter in "abc"])
near = st.sampled_from([0, 1, -1]).map(lambda count: timedelta(microseconds=count))
distances = st.sampled_from([timedelta(days=days) for days in (-400, -91, -90, -30, -7, -1, 0, 1, 7, 14, 40)])
moments = st.none() | st.builds(lambda distance, little: NOW + distance + little, distances, near)


@dataclass(frozen=True)
class Row:
    """A row of the application, and what we remember of it."""

    values: tuple[Any, ...]
    record: TokenRecord | None


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    ids = draw(st.sets(st.integers(-2, 20), min_size=1, max_size=6))
    return [Row(draw(columns(one)), draw(st.none() | records(UserId(str(one))))) for one in ids]


def columns(user_id: int) -> st.SearchStrategy[tuple[Any, ...]]:
    texts = [st.none() | words | st.just(1)] * 6
    return st.tuples(st.just(user_id), *texts, flags, flags, st.none() | words, st.sampled_from([None, "", "held"]))


def records(user_id: UserId) -> st.SearchStrategy[TokenRecord]:
    return st.builds(
        TokenRecord,
        st.just(user_id),
        st.none() | accounts,
        st.none() | st.sampled_from([TokenId("t" * 26), TokenId("u" * 26)]),
        health=st.sampled_from(Health),
        cause=words,
        checked_at=moments,
        created_at=moments,
        expires_at=moments,
        withheld=st.booleans(),
    )


some_words = st.lists(words.filter(str.strip), min_size=1, max_size=2).map(tuple)
some_ids = st.lists(
    st.sampled_from(["1", "7", "-1", "01", "x", "9" * 30, "a" * 26, "b" * 26, "t" * 26]), min_size=1, max_size=4
).map(tuple)
conditions = st.one_of(
    st.builds(Contains, st.sampled_from([EVERYWHERE, *TEXT_FIELDS]), some_words),
    st.builds(Equals, st.sampled_from(ID_FIELDS), some_ids),
    st.builds(Shows, st.lists(st.sampled_from(Health), min_size=1, max_size=5).map(tuple)),
    st.builds(Is, st.sampled_from(FLAG_FIELDS), st.booleans()),
    st.builds(Never, st.sampled_from(MOMENT_FIELDS)),
    st.builds(
        Compared,
        st.sampled_from(MOMENT_FIELDS),
        st.sampled_from(Comparison),
        distances.map(abs) | st.sampled_from([date(2026, 6, 1), date(2026, 7, 1), date(2026, 7, 8)]),
    ),
    st.builds(InTeam, st.sampled_from([("eng",), ("Ops",), ("eng", "ops")])),
)
filters = st.lists(st.builds(Term, conditions, st.booleans()), min_size=1, max_size=3).map(tuple).map(Filter)
teams = st.fixed_dictionaries({"eng": st.sets(accounts), "ops": st.sets(accounts)})


@pytest.fixture(params=["one name", "two names"])
async def loose(request: pytest.FixtureRequest, attach: Attach, kind: str) -> AsyncIterator[Database]:
    """A table that promises nothing of what stands in it."""
    script = LOOSE.replace(" name, email", " name text, email")
    typed = ("email", "nick", "tongue", "first", "last")
    for column in typed if kind == "sqlite" else (*typed, "confirmed", "works", "gone"):
        script = script.replace(f" {column},", f" {column} text,")
    chosen = attach(script, **(NAMES if request.param == "one name" else SPLIT))
    migrate(chosen)
    async with open_database(chosen) as opened:
        yield opened


async def fill(database: Database, rows: Sequence[Row]) -> list[UserAndRecord]:
    """Put these rows in the place of all others. Returns them as the roster reads them."""
    marks = ", ".join("?" * len(COLUMNS))
    ask(database, "DELETE FROM users")
    ask(database, "DELETE FROM mmconsole_tokens")
    ask_many(database, f"INSERT INTO users ({', '.join(COLUMNS)}) VALUES ({marks})", [row.values for row in rows])
    known = [row.record for row in rows if row.record]
    await database.write(lambda tx: tx.tokens.save_many(known))
    return await database.read(lambda db: db.roster.page(None, 100))


async def ids(database: Database, text: str, **more: Any) -> list[str]:
    return [str(one) for one in await database.read(lambda db: db.listing.ids(parse(text), AS_OF, **more))]


def people(*users: EmbeddedUser) -> Callable[[Any], list[UserId]]:
    return lambda tx: add_users(tx, users)


# ── laws ─────────────────────────────────────────────────────────────────────────────────────────

LAWS = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@LAWS
@given(rows(), filters, teams)
async def test_law_the_database_means_whom_the_filter_means(
    loose: Database, rows: list[Row], wanted: Filter, teams: dict[str, set[AccountId]]
) -> None:
    known = await fill(loose, rows)
    meant = [user.id for user, record in known if wanted.matches(user, record, AS_OF, teams=teams)]

    assert await loose.read(lambda db: db.listing.ids(wanted, AS_OF, teams=teams)) == meant
    assert await loose.read(lambda db: db.listing.count(wanted, AS_OF, teams=teams)) == len(meant)


@LAWS
@given(rows(), st.sampled_from([AS_OF, AsOf(NOW), AsOf(NOW, soon=timedelta(days=1))]))
async def test_law_the_database_counts_the_statuses_that_are_shown(
    loose: Database, rows: list[Row], as_of: AsOf
) -> None:
    shown = [status_of(user, record, as_of) for user, record in await fill(loose, rows)]

    counts = await loose.read(lambda db: db.listing.counts_by_status(as_of))

    assert counts == {health: shown.count(health) for health in Health}


@LAWS
@given(rows(), st.sets(st.sampled_from(Health), min_size=1))
async def test_law_causes_are_counted_among_those_who_show_a_status(
    loose: Database, rows: list[Row], statuses: set[Health]
) -> None:
    known = await fill(loose, rows)
    causes = Counter(
        record.cause for user, record in known if record and record.cause and status_of(user, record, AS_OF) in statuses
    )

    found = await loose.read(lambda db: db.listing.causes(statuses, AS_OF, limit=1_000))

    assert dict(found) == causes
    assert [users for _, users in found] == sorted(causes.values(), reverse=True)


@LAWS
@given(rows(), st.sampled_from(Sort), st.booleans())
async def test_law_the_order_is_that_of_the_values_with_the_gaps_last(
    loose: Database,
    rows: list[Row],
    sort: Sort,
    descending: bool,  # noqa: FBT001
) -> None:
    known = await fill(loose, rows)
    order = Order(sort, descending)

    found = await loose.read(lambda db: db.listing.ids(EVERYBODY, AS_OF, order=order))

    assert found == [user.id for user, _ in in_order(known, order)]


def in_order(known: list[UserAndRecord], order: Order) -> list[UserAndRecord]:
    by_id = sorted(known, key=lambda pair: int(pair[0].id), reverse=order.by is Sort.ID and order.descending)
    if order.by is Sort.ID:
        return by_id
    there = [pair for pair in by_id if key_of(order.by, *pair) not in {None, b""}]
    gaps = [pair for pair in by_id if pair not in there]
    # `reverse` leaves equal ones as they are.
    return [*sorted(there, key=lambda pair: key_of(order.by, *pair), reverse=order.descending), *gaps]


def key_of(sort: Sort, user: User, record: TokenRecord | None) -> Any:
    texts = {
        Sort.EMAIL: user.email,
        Sort.USERNAME: user.username,
        Sort.NAME: f"{user.first_name or ''} {user.last_name or ''}",
    }
    if sort in texts:
        # SQLite compares the bytes of UTF-8.
        return searchable(texts[sort] or "").encode()
    if sort is Sort.STATUS:
        return GRAVEST_FIRST.index(status_of(user, record, AS_OF))
    return getattr(record, f"{sort}_at", None)


@LAWS
@given(rows())
async def test_law_what_ends_is_counted_on_its_day(loose: Database, rows: list[Row]) -> None:
    known = await fill(loose, rows)
    ends = [
        record.expires_at - NOW
        for user, record in known
        if record and record.expires_at and status_of(user, record, AS_OF) in {Health.OK, Health.EXPIRING}
    ]

    counts = await loose.read(lambda db: db.listing.expiring_by_day(AS_OF, days=14))

    assert counts == [sum(timedelta(days=day) <= end < timedelta(days=day + 1) for end in ends) for day in range(14)]


# ── cases ────────────────────────────────────────────────────────────────────────────────────────


EDGES = (
    None,
    NOW - timedelta(microseconds=1),
    NOW,
    NOW + timedelta(microseconds=1),
    NOW + timedelta(days=7),
    NOW + timedelta(days=7, microseconds=1),
)
AGES = (None, NOW - timedelta(days=90), NOW - timedelta(days=90) + timedelta(microseconds=1))


async def test_every_status_is_the_same_in_sql_at_every_edge(database: Database) -> None:
    cases = list(product(Health, (None, AccountId("a" * 26)), (False, True), (False, True), EDGES, AGES))
    users = await database.write(people(*[EmbeddedUser("a@x.org")] * len(cases)))
    held = [user_id for user_id, (_, _, stored, *_) in zip(users, cases, strict=True) if stored]
    records = [
        TokenRecord(user_id, account_id, health=health, withheld=withheld, expires_at=end, created_at=made)
        for user_id, (health, account_id, _, withheld, end, made) in zip(users, cases, strict=True)
    ]
    await database.write(lambda tx: tx.tokens.save_many(records))
    ask(database, f"UPDATE users SET mattermost_token = 'held' WHERE id IN ({', '.join(held)})")
    known = await database.read(lambda db: db.roster.rows(users))

    for health in Health:
        shown = [user.id for user, record in known if status_of(user, record, AS_OF) is health]
        assert await ids(database, f"status:{health}") == shown


@pytest.mark.parametrize("second", range(2))
@pytest.mark.parametrize("field", MOMENT_FIELDS)
@pytest.mark.parametrize("bound", ["1s", "0s", "2026-07-01", "2026-06-30"])
async def test_every_comparison_is_the_same_in_sql_at_its_edge(
    database: Database, field: str, bound: str, second: int
) -> None:
    midnight = NOW.replace(hour=0)
    middles = (NOW, NOW - timedelta(seconds=1), NOW + timedelta(seconds=1), midnight, midnight + timedelta(days=1))
    moments = [None, *(middle + timedelta(microseconds=little) for middle in middles for little in (-1, 0, 1))]
    users = await database.write(people(*[EmbeddedUser("a@x.org")] * len(moments)))
    given = [dict[str, Any]({f"{field}_at": moment}) for moment in moments]
    records = [TokenRecord(user_id, **times) for user_id, times in zip(users, given, strict=True)]
    await database.write(lambda tx: tx.tokens.save_many(records))
    known = await database.read(lambda db: db.roster.rows(users))

    for comparison in Comparison:
        wanted = parse(f"{'-' * second}{field}{comparison}{bound}")
        meant = [user.id for user, record in known if wanted.matches(user, record, AS_OF)]
        assert await ids(database, str(wanted)) == meant


async def test_no_match_crosses_from_one_field_into_the_next(laravel: Database) -> None:
    assert await ids(laravel, "ann@") == ["7"]
    assert await ids(laravel, "7ann@") == []
    assert await ids(laravel, "organn") == []


async def test_the_width_of_spaces_does_not_count(laravel: Database) -> None:
    ask(laravel, "UPDATE users SET name = ? WHERE id = 7", " Ann\t\xa0Maria   Lee ")

    assert await ids(laravel, '"ann maria lee"') == ["7"]
    assert await ids(laravel, 'name:"Ann  Maria"') == ["7"]
    assert await ids(laravel, "", order=Order(Sort.NAME)) == ["7", "8", "9"]


async def test_a_filter_finds_people_of_any_script_without_their_case(database: Database) -> None:
    await database.write(
        people(
            EmbeddedUser("ann@x.org", "ann", "Ann", "Lee"),
            EmbeddedUser("u@x.org", "u", "ÜMIT", "Жуков"),
            EmbeddedUser("p@x.org", "50%", "Per", "Cent"),
            EmbeddedUser("q@x.org", "50x", "Per", "Haps"),
        )
    )

    assert await ids(database, "ümit") == ["2"]
    assert await ids(database, "жУК") == ["2"]
    assert await ids(database, '"ann lee"') == ["1"]
    assert await ids(database, "50%") == ["3"]
    assert await ids(database, "per -cent") == ["4"]
    assert await ids(database, "username:ann,50 -50%") == ["1", "4"]


async def test_windows_of_a_sorted_list_are_read_by_their_ids(database: Database) -> None:
    await database.write(people(*(EmbeddedUser(f"{name}@x.org") for name in ("carl", "Ann", "bo", "dee"))))

    order = await database.read(lambda db: db.listing.ids(EVERYBODY, AS_OF, order=Order(Sort.EMAIL)))
    window = await database.read(lambda db: db.roster.rows(order[1:3]))

    assert order == ["2", "3", "1", "4"]
    assert [user.email for user, _ in window] == ["bo@x.org", "carl@x.org"]


async def test_a_team_as_large_as_the_company_is_one_value(database: Database) -> None:
    everybody = [AccountId(f"{number:026}") for number in range(40_000)]
    users = await database.write(people(*(EmbeddedUser(f"u{number}@x.org") for number in range(3))))
    linked = [TokenRecord(users[0], everybody[39_999]), TokenRecord(users[1], AccountId("z" * 26))]
    await database.write(lambda tx: tx.tokens.save_many(linked))

    assert await ids(database, "team:all", teams={"all": everybody}) == [users[0]]
    assert await ids(database, "-team:all", teams={"all": everybody}) == users[1:]


async def test_a_team_that_was_not_asked_about_is_refused(database: Database) -> None:
    with pytest.raises(BadFilter, match="only the server knows"):
        await ids(database, "team:eng")


async def test_the_largest_filter_is_not_too_deep_for_the_database(database: Database) -> None:
    users = await database.write(people(EmbeddedUser("a@x.org")))

    assert await ids(database, "a " * 500) == users
    assert await ids(database, "-b " * 500) == users
    assert await ids(database, f"{','.join('b' * 499)},a") == users
    assert await ids(database, "status:noaccount " * 500) == users


async def test_texts_of_a_filter_are_never_a_part_of_a_statement(database: Database) -> None:
    await database.write(people(EmbeddedUser("a@x.org", first_name="Robert'); DROP TABLE users;--")))

    assert await ids(database, '"robert\'); drop table users;--"') == ["1"]
    assert await ids(database, 'id:"1\'","1 OR 1=1" ') == []
    assert await ids(database, "account:\"' OR '1'='1\"") == []
    assert await database.read(lambda db: db.listing.count(EVERYBODY, AS_OF)) == 1


@pytest.mark.kinds("sqlite")
async def test_a_row_with_broken_text_is_found_and_keeps_nobody_else_away(laravel: Database) -> None:
    ask(laravel, "UPDATE users SET name = CAST(X'41FFC39C' AS TEXT) WHERE id = 8")

    assert await ids(laravel, "\ufffdü") == ["8"]
    assert await ids(laravel, "charles", order=Order(Sort.NAME)) == ["9"]
    assert await ids(laravel, "", order=Order(Sort.NAME)) == ["7", "8", "9"]


async def test_ids_of_a_text_key_are_compared_as_they_are(attach: Attach) -> None:
    chosen = attach("CREATE TABLE users (id text primary key, name text, email text, email_verified_at datetime);")
    migrate(chosen)
    ask_many(chosen, "INSERT INTO users (id) VALUES (?)", [("a,b",), ("A",), ("01",)])
    async with open_database(chosen) as database:
        assert await ids(database, 'id:"a,b",01') == ["01", "a,b"]
        assert await ids(database, "id:1,a") == []
        assert await ids(database, "a") == ["A", "a,b"]


@pytest.mark.kinds("sqlite")
async def test_an_id_is_looked_up_by_its_index(database: Database) -> None:
    """A filter that names its users must not read 100,000 others."""
    joined = await database.read(lambda db: db.listing._joined)
    where = joined.where(parse("id:1,2"), AS_OF, {})
    plan = ask(database, f"EXPLAIN QUERY PLAN SELECT u.id FROM {joined.source} WHERE {where.text}", *where.values)

    assert plan
    assert not [step for *_, step in plan if step.startswith("SCAN")]


def test_what_is_shown_depends_on_what_counts_as_soon() -> None:
    record = TokenRecord(UserId("1"), AccountId("a" * 26), health=Health.OK, expires_at=NOW + timedelta(days=5))
    user = User(UserId("1"), None, False, None, None, None, None, True, None, True)
    wanted = parse("status:expiring")

    assert wanted.matches(user, record, AS_OF)
    assert not wanted.matches(user, record, replace(AS_OF, soon=timedelta(days=1)))
