"""Lists of users from outside: what people's programs write, and what is wrong by line."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.documents import as_cell
from mmconsole.domain.user_lists import UserList, read_list

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def read(text: str | bytes, *, lines: bool = False, encoding: str | None = None) -> UserList:
    raw = text if isinstance(text, bytes) else text.encode()
    return read_list(raw, lines=lines, encoding=encoding, now=NOW)


def mistakes(text: str | bytes, *, lines: bool = False) -> list[tuple[int, str]]:
    return [(line, why) for line, why in read(text, lines=lines).mistakes]


def test_csv_names_its_columns_in_the_first_line() -> None:
    found = read("Email,First Name,email_verified,active\nann@x.org,Ann,yes,\nbob@x.org,,no,no\n")

    assert found.mistakes == []
    assert [entry.line for entry in found.entries] == [2, 3]
    assert dict(found.entries[0].changes) == {
        "email": "ann@x.org",
        "first_name": "Ann",
        "email_verified_at": NOW,
        "active": True,
    }
    assert found.entries[1].changes["active"] is False
    assert found.entries[1].changes["email_verified_at"] is None


def test_columns_that_are_not_there_say_nothing() -> None:
    assert set(read("email\nann@x.org\n").entries[0].changes) == {"email"}


@pytest.mark.parametrize(
    "raw",
    [
        "email;last_name\nann@x.org;Müller\n".encode(),
        "email\tlast_name\nann@x.org\tMüller\n".encode(),
        "\ufeffemail;last_name\r\nann@x.org;Müller\r\n".encode(),
        "sep=;\r\nemail;last_name\r\nann@x.org;Müller\r\n".encode(),
        "email\tlast_name\r\nann@x.org\tMüller\r\n".encode("utf-16"),
        b'"email","last_name"\r\n"ann@x.org","M\xc3\xbcller"',
    ],
    ids=["semicolons", "tabs", "BOM", "sep=", "UTF-16", "quotes"],
)
def test_what_spreadsheets_write_is_understood(raw: bytes) -> None:
    found = read(raw)

    assert found.mistakes == []
    assert dict(found.entries[0].changes) == {"email": "ann@x.org", "last_name": "Müller"}


def test_another_encoding_must_be_named() -> None:
    raw = "email,last_name\nann@x.org,Müller\n".encode("windows-1252")

    assert mistakes(raw) == [(2, "it is not UTF-8 text; name its encoding, as in --encoding windows-1252")]
    assert read(raw, encoding="windows-1252").entries[0].changes["last_name"] == "Müller"
    assert read(raw, encoding="klingon").mistakes[0].why == "there is no encoding `klingon`"


def test_json_lines_may_leave_lines_empty() -> None:
    found = read('{"email": "ann@x.org", "active": false}\n\n{"id": 7, "locale": null}\n', lines=True)

    assert [(entry.line, entry.user_id) for entry in found.entries] == [(1, None), (3, "7")]
    assert found.entries[0].changes["active"] is False
    assert found.entries[1].changes == {"locale": None}


def test_what_an_export_says_besides_is_passed_over() -> None:
    assert mistakes("id,email,health,token_id\n1,ann@x.org,ok,abc\n") == []


def test_every_mistake_is_told_with_its_line() -> None:
    text = (
        "email,username,active,email_verified\n"
        "no-address,ann,yes,yes\n"
        "ann@x.org,Not Legal,yes,yes\n"
        '"multi\nline@x.org",,,\n'
        "bob@x.org,,perhaps,\n"
        ",,,\n"
        ",carl,,\n"
        "dan@x.org,,,soon\n"
        "eve@x.org,,,,too many\n"
        "ANN@x.org,,,\n"
    )

    assert [(line, ":".join(why.split(":")[:2])) for line, why in mistakes(text)] == [
        (2, "`email` cannot be `no-address`: it is no e-mail address"),
        (3, "`username` cannot be `Not Legal`: it is no username that Mattermost takes"),
        (4, "`email` cannot be `multi\nline@x.org`: it is no e-mail address"),
        (6, "`active` cannot be `perhaps`: it is neither yes nor no"),
        (8, "`email` is missing"),
        (9, "`email_verified` cannot be `soon`: it is neither yes nor no nor a moment, as 2026-01-31 12"),
        (10, "it has 5 cells, and the first line names 4"),
        (11, "`ann@x.org` stands in line 3 already"),
    ]


def test_a_column_nobody_knows_is_told_once() -> None:
    assert [line for line, _ in mistakes("email,note\na@x.org,1\nb@x.org,2\n")] == [1]


def test_lines_are_counted_through_cells_of_several_lines() -> None:
    text = 'email,last_name\nann@x.org,"two\nlines"\nbroken,x\n'

    assert mistakes(text) == [(4, "`email` cannot be `broken`: it is no e-mail address")]


def test_a_long_value_is_told_by_its_beginning() -> None:
    ((_, why),) = mistakes(f"email\n{'x' * 10_000}\n")

    assert why == f"`email` cannot be `{'x' * 60}…`: it is no e-mail address"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("e-mial,last_name\nann@x.org,x\n", 1, "there is no field `e_mial` (did you mean `email`?)"),
        ("email,email\na@x.org,b@x.org\n", 1, "`email` stands there twice"),
        ("last_name\nLee\n", 1, "there is no column `email` by which users are known"),
        ("email\na@x.org\nA@X.org\n", 3, "`a@x.org` stands in line 2 already"),
        ("email,active\na@x.org,perhaps\n", 2, "`active` cannot be `perhaps`: it is neither yes nor no"),
        (
            "email,email_verified\na@x.org,soon\n",
            2,
            "`email_verified` cannot be `soon`: it is neither yes nor no nor a moment",
        ),
        ("email\na@x.org,b\n", 2, "it has 2 cells, and the first line names 1"),
        ('email\n"a@x.org\n', 2, "it cannot be taken apart into cells"),
        ("", 1, "there is nobody in it"),
        ("email\n", 1, "there is nobody in it"),
    ],
)
def test_what_cannot_be_meant(text: str, line: int, why: str) -> None:
    told = mistakes(text)

    assert any(at == line and said.startswith(why) for at, said in told), told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is not JSON"),
        ("[1]", "it is not an object"),
        ('{"email": ["a@x.org"]}', "`email` cannot be `['a@x.org']`: it is not a text"),
        ('{"mail": "a@x.org", "email": "a@x.org"}', "there is no field `mail` (did you mean `email`?)"),
        ("{}", "`email` is missing"),
    ],
)
def test_json_that_cannot_be_meant(text: str, why: str) -> None:
    assert mistakes(text, lines=True)[0][1].startswith(why)


def test_a_formula_comes_back_as_it_was() -> None:
    for name in ("=1+1", "+Ann", "-Ann", "@Ann"):
        cell = as_cell(name)

        assert cell != name
        assert read(f"email,last_name\na@x.org,{cell}\n").entries[0].changes["last_name"] == name


@given(st.binary(max_size=300), st.booleans())
def test_whatever_it_is_it_is_read_or_told(raw: bytes, lines: bool) -> None:  # noqa: FBT001 - drawn
    found = read(raw, lines=lines)

    assert found.entries or found.mistakes
    assert all(line >= 1 and why for line, why in found.mistakes)
