"""What a ticket is worth, when a link signs in at once, and where it may lead."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.callers import Caller, Scope, end_user, key_id_of
from mmconsole.domain.magic_links import (
    Standing,
    Ticket,
    TicketDigest,
    landing_path,
    posted_from_elsewhere,
    redeems_at_once,
    ticket_digest,
)
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLICK = {
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "sec-fetch-user": "?1",
    "sec-fetch-site": "same-origin",
}
_BASE = "https://example.org/chat"


@given(st.text() | st.from_regex(r"/[A-Za-z0-9_@./\\%:?#-]*", fullmatch=True))
def test_a_landing_never_leaves_the_server(to: str) -> None:
    path = landing_path(to)

    if path is not None:
        landed = urlsplit(urljoin(_BASE, _BASE + path))
        assert (landed.scheme, landed.netloc) == ("https", "example.org")
        assert landed.path.startswith("/chat")
        assert (landed.query, landed.fragment) == ("", "")
        assert path.isascii()
        assert path.isprintable()


@pytest.mark.parametrize("to", ["/main/channels/town-square", "/main/messages/@ann", "/main/pl/abc", "/main/"])
def test_paths_of_mattermost_are_landings(to: str) -> None:
    assert landing_path(to) == to.rstrip("/")


@given(st.dictionaries(st.sampled_from([*CLICK, "purpose", "sec-purpose"]), st.text(max_size=12)))
def test_only_a_persons_click_redeems_at_once(headers: dict[str, str]) -> None:
    prefetch = headers.get("purpose") or headers.get("sec-purpose")
    clicked = all(headers.get(name) == value for name, value in CLICK.items()) and not prefetch

    assert redeems_at_once("GET", headers, trust_same_site=False) is clicked
    assert not redeems_at_once("HEAD", CLICK, trust_same_site=True)


def test_another_host_of_the_site_counts_only_where_it_is_trusted() -> None:
    headers = CLICK | {"sec-fetch-site": "same-site"}

    assert not redeems_at_once("GET", headers, trust_same_site=False)
    assert redeems_at_once("GET", headers, trust_same_site=True)
    assert posted_from_elsewhere(headers)
    assert not posted_from_elsewhere({})


def test_a_ticket_is_good_until_it_ends_or_is_spent() -> None:
    ticket = Ticket(TicketDigest("x"), UserId("7"), "key x", NOW, NOW + timedelta(seconds=60))
    spent = Ticket(TicketDigest("x"), UserId("7"), "key x", NOW, NOW + timedelta(seconds=60), NOW)

    assert ticket.standing(NOW + timedelta(seconds=59)) is Standing.OPEN
    assert ticket.standing(NOW + timedelta(seconds=60)) is Standing.EXPIRED
    assert spent.standing(NOW + timedelta(hours=1)) is Standing.SPENT


@given(st.text(max_size=120))
def test_a_code_is_another_one_in_another_installation(code: str) -> None:
    here, there = (ticket_digest(Secret(code), installation_id=one) for one in ("a", "b"))

    assert here is None or (here != there and len(here) == 64)


def test_people_act_only_on_themselves_and_applications_on_all() -> None:
    ann, backend = end_user(UserId("7")), Caller("key x", frozenset({Scope.LINK}))

    assert ann.may(Scope.LINK, user_id=UserId("7"))
    assert not ann.may(Scope.LINK, user_id=UserId("8"))
    assert not ann.may(Scope.SYNC, user_id=UserId("7"))
    assert backend.may(Scope.LINK, user_id=UserId("8"))
    assert not backend.may(Scope.SYNC, user_id=UserId("8"))


@pytest.mark.parametrize("text", ["", "mmc_", "mmc_1", "mmc_1_", "mmc__x", "xyz_1_x", "1_x"])
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert key_id_of(text) is None
    assert key_id_of("mmc_1f_a_b") == "1f"
