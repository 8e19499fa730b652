"""The filter language: what is read, what it means, how it is written, and what it says of mistakes."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.accounts import AccountId
from mmconsole.domain.filters import (
    EVERYWHERE,
    FIELDS,
    FLAG_FIELDS,
    ID_FIELDS,
    MOMENT_FIELDS,
    TEXT_FIELDS,
    VALUES_LIMIT,
    Compared,
    Comparison,
    Contains,
    Equals,
    Filter,
    InTeam,
    Is,
    Never,
    Shows,
    Term,
    parse,
    render,
    searchable,
)
from mmconsole.domain.health import AsOf
from mmconsole.domain.tokens import Health, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import BadFilter

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
AS_OF = AsOf(NOW)
USER = User(UserId("17"), "Ann.Lee@Example.org", True, "annl", "Ann  Maria", "Lee", "de_AT", True, None, True)
RECORD = TokenRecord(
    USER.id,
    AccountId("a" * 26),
    TokenId("t" * 26),
    health=Health.OK,
    cause="Asked twice",
    checked_at=NOW - timedelta(days=3),
    created_at=NOW - timedelta(days=30),
    expires_at=NOW + timedelta(days=10),
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
values = st.lists(texts.filter(str.strip), min_size=1, max_size=3).map(tuple)
ages = st.integers(0, 36_500 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
days = st.dates(date(1970, 1, 1), date(2999, 12, 31))
conditions = st.one_of(
    st.builds(Contains, st.sampled_from([EVERYWHERE, *TEXT_FIELDS]), values),
    st.builds(Equals, st.sampled_from(ID_FIELDS), values),
    st.builds(Shows, st.lists(st.sampled_from(Health), min_size=1, max_size=3).map(tuple)),
    st.builds(Is, st.sampled_from(FLAG_FIELDS), st.booleans()),
    st.builds(Never, st.sampled_from(MOMENT_FIELDS)),
    st.builds(Compared, st.sampled_from(MOMENT_FIELDS), st.sampled_from(Comparison), ages | days),
    st.builds(InTeam, values),
)
scribbles = st.lists(st.sampled_from([*FIELDS, *'-:,<>="\\ ', "ok", "yes", "never", "30d", "2026-01-31", "ann"])).map(
    "".join
)
filters = st.lists(st.builds(Term, conditions, st.booleans()), max_size=5).map(tuple).map(Filter)


def read(text: str) -> Filter | BadFilter:
    try:
        return parse(text)
    except BadFilter as bad:
        return bad


def matches(text: str, user: User = USER, record: TokenRecord | None = RECORD) -> bool:
    """What a filter says of Ann; the term turned round must say the opposite."""
    answer = parse(text).matches(user, record, AS_OF)
    assert parse(f"-{text}").matches(user, record, AS_OF) is not answer
    return answer


# ── reading and writing ──────────────────────────────────────────────────────────────────────────


@given(filters)
def test_law_what_is_written_is_read_as_the_same(wanted: Filter) -> None:
    assert parse(str(wanted)) == wanted


@given(st.text(st.characters()) | scribbles)
def test_law_any_text_is_a_filter_or_is_refused_at_a_place_within_it(text: str) -> None:
    found = read(text)

    if isinstance(found, Filter):
        assert parse(str(found)) == found
    else:
        assert 0 <= found.at <= len(text)
        assert len(render(found).splitlines()) == 2


def test_the_parts_of_a_filter() -> None:
    wanted = parse(
        ' status:Expired,revoked\tTEAM:eng  -bot ann,bo checked>30d created<=2026-01-31 -active:no "Ann Lee"'
    )

    assert wanted.terms == (
        Term(Shows((Health.EXPIRED, Health.REVOKED))),
        Term(InTeam(("eng",))),
        Term(Contains(EVERYWHERE, ("bot",)), negated=True),
        Term(Contains(EVERYWHERE, ("ann", "bo"))),
        Term(Compared("checked", Comparison.AFTER, timedelta(days=30))),
        Term(Compared("created", Comparison.UNTIL, date(2026, 1, 31))),
        Term(Is("active", yes=False), negated=True),
        Term(Contains(EVERYWHERE, ("Ann Lee",))),
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", ""),
        ("   ", ""),
        ('  STATUS:ok   "ann" ', "status:ok ann"),
        ('name:"Lee, Ann",bo', 'name:"Lee, Ann",bo'),
        ('"-bot" "status:ok"', '"-bot" "status:ok"'),
        ('"she said \\"hi\\" \\\\"', '"she said \\"hi\\" \\\\"'),
        ("O'Brien a\\b 12:30 50%", "O'Brien a\\b 12:30 50%"),
        ("expires<2w created>90M checked<=3600s checked>90s", "expires<14d created>90m checked<=1h checked>90s"),
        ("checked:NEVER", "checked:never"),
    ],
)
def test_how_a_filter_is_written(text: str, written: str) -> None:
    assert str(parse(text)) == written


def test_a_filter_of_nothing_means_everybody() -> None:
    assert not parse(" ")
    assert parse("").matches(USER, None, AS_OF)


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("ann statsu:ok", 4, "no field `statsu` (did you mean `status`"),
        ("-x:1", 1, "there is no field `x`; there are status, email, username"),
        ("status:ok,expird", 10, "no status `expird` (did you mean `expired`?); there are ok, expiring"),
        ('bo name:"Ann', 8, "this quote is not closed"),
        ('"a\\"', 0, "this quote is not closed"),
        ('"a"b', 3, "after a closing quote"),
        ("status:", 7, "a value is missing"),
        ("ann,", 4, "a value is missing"),
        ("name:,x", 5, "a value is missing"),
        ("-", 1, "a value is missing"),
        ('""', 0, "a value is missing"),
        ("active:maybe", 7, "`active` is yes or no"),
        ("active:yes,no", 11, "only one value"),
        ("name<3", 4, "only checked, created, expires can be compared"),
        ("checked:3d", 8, "only `never`"),
        ("checked>", 8, "a value is missing"),
        ("checked>soon", 8, "say an age as 30d"),
        ("checked>3y", 8, "say an age as 30d"),
        ("checked>\u0663d", 8, "say an age as 30d"),
        ("checked<2026-02-30", 8, "no such day"),
        ("checked<9999-12-31", 8, "a day is of a year from 1970 to 2999"),
        ("checked>9999999999w", 8, "no age is longer than"),
        ("ann \udcff", 4, "cannot be searched for"),
        ("a\0b", 1, "cannot be searched for"),
        ("a " * (VALUES_LIMIT + 1), 2 * VALUES_LIMIT, f"{VALUES_LIMIT} values at most"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, at: int, says: str) -> None:
    with pytest.raises(BadFilter) as caught:
        parse(text)

    assert (caught.value.text, caught.value.at) == (text, at)
    assert says in caught.value.why
    assert f"character {at + 1}: " in str(caught.value)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_known_in_any_case(field: str) -> None:
    values_of = {"status": "ok", **dict.fromkeys(FLAG_FIELDS, "yes"), **dict.fromkeys(MOMENT_FIELDS, "never")}

    assert str(parse(f"{field.upper()}:{values_of.get(field, 'x')}")) == f"{field}:{values_of.get(field, 'x')}"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("ann statsu:ok", "ann statsu:ok\n    ^"),
        ('王小明 "x', '王小明 "x\n       ^'),
        ("e\u0301 x:", "e\u0301 x:\n  ^"),
        ("\x1b[2J status:", "␛[2J status:\n            ^"),
    ],
)
def test_the_caret_stands_below_the_place_and_nothing_acts_on_the_terminal(text: str, lines: str) -> None:
    with pytest.raises(BadFilter) as caught:
        parse(text)

    assert render(caught.value) == lines


def test_a_status_that_is_repeated_in_the_message_cannot_act_on_a_terminal() -> None:
    with pytest.raises(BadFilter) as caught:
        parse("status:\x1b[2J")

    assert "\x1b" not in str(caught.value)


# ── meaning ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "means_ann"),
    [
        ("17", True),
        ("7", True),
        ("EXAMPLE.org", True),
        ("annl", True),
        ('"ann maria lee"', True),
        ('"Maria   LEE"', True),
        ("bo", False),
        ("bo,lee", True),
        ("bo lee", False),
        ("%", False),
        ("a_n", False),
        ("de_at", False),
        ("locale:de", True),
        ("email:maria", False),
        ("name:maria", True),
        ("username:ann", True),
        ("cause:ASKED", True),
        ("id:17", True),
        ("id:7,17", True),
        ("id:7", False),
        (f"account:{'a' * 26}", True),
        ("account:a", False),
        (f"token:{'t' * 26}", True),
        ("status:ok", True),
        ("status:expiring,ok", True),
        ("status:missing", False),
        ("active:yes", True),
        ("verified:no", False),
        ("withheld:no", True),
        ("link:yes", True),
        ("checked>2d", True),
        ("checked>3d", False),
        ("checked>=3d", True),
        ("checked<3d", False),
        ("checked<=3d", True),
        ("checked<4d", True),
        ("created>4w", True),
        ("created<2026-06-01", False),
        ("created<=2026-06-01", True),
        ("created>=2026-06-01", True),
        ("created>2026-06-01", False),
        ("created>2026-05-31", True),
        ("expires<14d", True),
        ("expires<10d", False),
        ("expires>9d", True),
        ("expires:never", False),
    ],
)
def test_what_a_term_means(text: str, means_ann: bool) -> None:  # noqa: FBT001
    assert matches(text) is means_ann


def test_case_does_not_count_in_any_script() -> None:
    user = replace(USER, first_name="ÜMIT", last_name="ЖУКОВ")

    assert matches("ümit", user)
    assert matches("жуков", user)
    assert matches('"ümit жук"', user)


def test_no_match_crosses_from_one_field_into_the_next() -> None:
    assert not matches('"17 ann"')
    assert not matches("organnl")


def test_who_was_never_checked_was_not_checked_lately() -> None:
    for text in ("checked>30d", "checked>=1s", "checked<2026-01-31", "checked:never"):
        assert matches(text, USER, None)
    for text in ("checked<30d", "checked>2026-01-31", "created>30d", "created<2026-01-31", "expires<14d", "expires>1d"):
        assert not matches(text, USER, None)
    for text in ("created:never", "expires:never", "link:no", "withheld:no", "status:noaccount"):
        assert matches(text, USER, None)


def test_what_has_ended_ends_within_any_time() -> None:
    assert matches("expires<14d", USER, replace(RECORD, expires_at=NOW - timedelta(days=3)))


def test_a_team_is_answered_by_who_is_in_it() -> None:
    wanted = parse("team:Eng,ops")

    assert wanted.teams() == {"eng", "ops"}
    assert wanted.matches(USER, RECORD, AS_OF, teams={"eng": [], "ops": {AccountId("a" * 26)}})
    assert not wanted.matches(USER, None, AS_OF, teams={"eng": ["a" * 26], "ops": []})  # type: ignore[list-item]


def test_a_team_that_was_not_asked_about_is_no_empty_team() -> None:
    with pytest.raises(BadFilter, match="the team `ops` only the server knows") as caught:
        parse("ann team:eng,ops").matches(USER, RECORD, AS_OF, teams={"eng": []})

    assert caught.value.at == 4


@given(st.text(), st.text())
def test_law_searching_knows_neither_case_nor_the_width_of_spaces(one: str, other: str) -> None:
    assert searchable(f" {one}\t\n{other} ") == searchable(f"{one} {other}")
    assert searchable(searchable(one)) == searchable(one)
