"""Text from outside, and names for Mattermost."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.text import (
    NAME_LIMIT,
    RESERVED_USERNAMES,
    USERNAME_LIMIT,
    fitting_name,
    is_legal_username,
    legal_username,
    numbered_username,
    visible,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ann Lee", "Ann Lee"),
        ("", ""),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\r\nb\tc\x00\x07", "a␍␊b␉c␀␇"),
        ("\x7f", "␡"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("\u202eexe.txt", "⟨U+202E⟩exe.txt"),
        ("\u2066a\u2069", "⟨U+2066⟩a⟨U+2069⟩"),
        ("a\u200eb\u061c", "a⟨U+200E⟩b⟨U+061C⟩"),
        ("a\u2028b\u2029", "a⟨U+2028⟩b⟨U+2029⟩"),
        ("\ufeffa\u00adb", "⟨U+FEFF⟩a⟨U+00AD⟩b"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("zażółć 北京 عربى נחש", "zażółć 北京 عربى נחש"),
        ("नमस\u200cते", "नमस\u200cते"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("[@click=app.quit]x[/]", "[@click=app.quit]x[/]"),
    ],
)
def test_characters_that_act_are_shown_as_symbols(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters()))
def test_nothing_visible_acts_and_showing_twice_changes_nothing(text: str) -> None:
    shown = visible(text)

    assert all(c in "\u200c\u200d" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in shown)
    assert visible(shown) == shown


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("Ann.Lee", "ann.lee"),
        ("  Ann  Lee ", "ann-lee"),
        ("Jörg Müßig", "jorg-mussig"),
        ("Łukasz Żółć", "lukasz-zolc"),
        ("Иван Петров", "ivan-petrov"),
        ("Γιώργος", "giorgos"),
        ("王小明", "wangxiaoming"),
        ("ann@example.org", "ann-example.org"),
        ("..ann__", "ann"),
        ("a/b\\c'; DROP TABLE users", "a-b-c-drop-table-users"),
        ("\x1b[31mann", "31mann"),
        ("System", "system-1"),
        ("@All", "all-1"),
        ("here", "here-1"),
        ("", ""),
        ("---", ""),
        ("\u202e", ""),
        ("x" * 80, "x" * USERNAME_LIMIT),
        ("x" * 63 + "-y", "x" * 63),
    ],
)
def test_the_nearest_legal_username(wanted: str, name: str) -> None:
    assert legal_username(wanted) == name


@pytest.mark.parametrize("wanted", ["あきら", "김철수", "محمد", "נועה", "สมชาย", "अमित", "გიორგი", "Արամ", "አበበ"])
def test_names_in_many_scripts_leave_something_legal(wanted: str) -> None:
    assert is_legal_username(legal_username(wanted))


@given(st.text(st.characters(), max_size=100))
def test_a_username_is_legal_or_empty_and_stays_as_it_is(wanted: str) -> None:
    name = legal_username(wanted)

    assert name == "" or is_legal_username(name)
    assert legal_username(name) == name


@given(st.text(st.characters(), max_size=100).map(legal_username).filter(bool), st.integers(2, 10**6))
def test_a_numbered_username_is_legal_and_another_one(name: str, number: int) -> None:
    numbered = numbered_username(name, number)

    assert is_legal_username(numbered)
    assert numbered.endswith(f"-{number}")


@pytest.mark.parametrize("name", [*sorted(RESERVED_USERNAMES), "", "Ann", "ann lee", "ann\n", "é", "x" * 65])
def test_what_the_server_would_refuse_is_not_legal(name: str) -> None:
    assert not is_legal_username(name)


@pytest.mark.parametrize(
    ("name", "fitting"),
    [
        (" Ann\x00\x1b ", "Ann"),
        ("x" * 70, "x" * NAME_LIMIT),
        ("x" * 63 + " y", "x" * 63),
        ("Zoë", "Zoë"),
        ("\n", ""),
        ("\ufeff\u202eAnn\u202c \U000e0041", "Ann"),
        ("a\u200cb\u200dc", "a\u200cb\u200dc"),
    ],
)
def test_first_and_last_names_fit_the_server(name: str, fitting: str) -> None:
    assert fitting_name(name) == fitting


@given(st.text(st.characters(), max_size=100))
def test_a_fitting_name_fits_can_be_sent_and_stays_as_it_is(name: str) -> None:
    fitting = fitting_name(name)

    assert len(fitting) <= NAME_LIMIT
    assert fitting == fitting.strip()
    fitting.encode()
    assert fitting_name(fitting) == fitting
