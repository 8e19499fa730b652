"""A secret shows itself to nobody who does not ask."""

import copy
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.traceback import Traceback

from mmconsole.domain.secrets import STARS, Secret

TEXT = "k3yq9jc9ab8kzfm1jd6m7w5ype"


@pytest.mark.parametrize(
    "show", [str, repr, "{}".format, "{!r}".format, "{:>40}".format, "%s".__mod__, "%r".__mod__, ascii]
)
def test_a_secret_is_shown_as_stars(show: Callable[[Secret], str]) -> None:
    assert show(Secret(TEXT)) == STARS


@given(st.text(min_size=1).filter(lambda text: text not in STARS))
def test_nothing_of_a_secret_is_shown_in_a_list_or_dataclass(text: str) -> None:
    @dataclass
    class Holder:
        secret: Secret

    shown = repr([Holder(Secret(text)), {"secret": Secret(text)}, asdict(Holder(Secret(text)))["secret"]])

    assert shown == repr([Holder(Secret("other")), {"secret": Secret("other")}, Secret("other")])


def test_revealing_gives_the_text() -> None:
    assert Secret(TEXT).reveal() == TEXT


def test_a_secret_is_neither_pickled_nor_turned_into_json() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(TEXT))
    with pytest.raises(TypeError) as caught:
        json.dumps({"secret": Secret(TEXT)})

    assert TEXT[:8] not in str(caught.value)
    assert json.dumps({"secret": Secret(TEXT)}, default=str) == json.dumps({"secret": STARS})


def test_a_traceback_with_its_variables_shows_stars() -> None:
    def fail() -> None:
        token = Secret(TEXT)
        raise ValueError(token)

    try:
        fail()
    except ValueError as fault:
        plain = "".join(traceback.TracebackException.from_exception(fault, capture_locals=True).format())
        rich = Console(file=io.StringIO(), record=True, width=200)
        rich.print(Traceback.from_exception(type(fault), fault, fault.__traceback__, show_locals=True))

    for shown in (plain, rich.export_text()):
        assert STARS in shown
        assert not any(part in shown for part in (TEXT[at : at + 8] for at in range(len(TEXT) - 7)) if part != "token")


def test_a_log_line_shows_stars(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("token %s %r", Secret(TEXT), {"token": Secret(TEXT)})

    assert TEXT[:8] not in caplog.text
    assert STARS in caplog.text


def test_secrets_are_equal_by_their_text_and_to_nothing_else() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert hash(Secret(TEXT)) == hash(Secret(TEXT))
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT


def test_an_empty_secret_is_false() -> None:
    assert Secret(TEXT)
    assert not Secret("")


def test_copies_are_the_secret_itself() -> None:
    secret = Secret(TEXT)

    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_a_secret_has_no_dictionary_to_print() -> None:
    assert not hasattr(Secret(TEXT), "__dict__")
