"""`validate`, `tokens list` and `tokens identify`."""

import re
from typing import TYPE_CHECKING

import pytest

from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

    from mmconsole.simulator.entities import Token


@pytest.fixture
def known(shell: "Shell") -> "Shell":
    """A shell with five users in step."""
    shell.add_many(5)
    assert shell("sync", "--all").code == 0
    return shell


def tokens(shell: "Shell") -> "list[Token]":
    """The users' tokens in the order of their ids."""
    ids = shell.sql("SELECT token_id FROM mmconsole_tokens ORDER BY CAST(user_id AS INTEGER)")
    return [shell.simulator.state.tokens[token_id] for (token_id,) in ids]


def disable(shell: "Shell", token: "Token") -> None:
    token.is_active, token.encoded = False, None
    shell.simulator.state.end_session(token.secret)


@pytest.mark.parametrize("command", [("validate",), ("tokens", "validate")], ids=" ".join)
@pytest.mark.parametrize("deep", [(), ("--deep",)], ids=["quick", "deep"])
def test_tokens_that_work_end_with_0(known: "Shell", command: tuple[str, ...], deep: tuple[str, ...]) -> None:
    done = known(*command, "--all", *deep)

    assert done.code == 0
    assert re.fullmatch(r"5 users checked (deeply )?in \d+ s\n  5  \+ ok\n", done.out)
    assert "checking: 100 % (5 of 5 users)" in done.err


def test_broken_tokens_are_told_with_cause_and_cure_and_end_with_3(known: "Shell") -> None:
    one, two, *_ = tokens(known)
    known.simulator.state.remove_token(one)
    disable(known, two)

    done = known("validate", "--all")
    again = known("validate", "--all", "--json").json

    assert done.code == 3
    assert "  1  x revoked\n  1  x disabled\n  3  + ok\n" in done.out
    assert "x revoked: `mmconsole tokens repair USER` makes a new one\n  1  user0@example.org\n" in done.out
    assert "x disabled: enable it on the server, or" in done.out
    assert "Of 2 users something else is remembered now." in done.out
    assert [(row["id"], row["status"], row["cause"]) for row in again["broken"]] == [
        ("1", "revoked", "revoked"),
        ("2", "disabled", "disabled"),
    ]
    assert again["counts"][-1] == {"status": "ok", "cause": "", "count": 3}
    assert again["changed"] == 0


def test_an_outage_is_unknown_and_changes_nothing(known: "Shell") -> None:
    known.simulator.state.remove_token(tokens(known)[0])
    before = known.sql("SELECT * FROM mmconsole_tokens")
    known.simulator.faults.add(Fault("login_page", "GET", "/users/tokens", times=None))

    done = known("validate", "--all")

    assert done.code == 3
    assert "  5  ? unknown: answer not understood\n" in done.out
    assert known.sql("SELECT * FROM mmconsole_tokens") == before


def test_an_administrators_token_that_is_dead_is_said_so(known: "Shell") -> None:
    disable(known, known.simulator.state.by_secret[known.simulator.admin_token])

    done = known("validate", "--all")

    assert (done.code, done.out) == (1, "")
    assert "does not accept the admin token" in done.err


def test_named_users_and_filters_can_be_checked(known: "Shell") -> None:
    named = known("validate", "1", "user1@example.org", "--json").json
    filtered = known("validate", "--filter", "user3", "--json").json

    assert (named["users"], filtered["users"]) == (2, 1)
    assert known("validate", "nobody").code == 1


@pytest.mark.parametrize("arguments", [(), ("--all", "1"), ("--all", "--filter", "x"), ("1", "--filter", "x")])
def test_exactly_one_way_to_say_whose_tokens(bare: "Shell", arguments: tuple[str, ...]) -> None:
    done = bare("validate", *arguments)

    assert done.code == 2
    assert "Say whose tokens: --all, --filter, or some by id" in done.err


def test_a_filter_that_cannot_be_understood_shows_the_place(bare: "Shell") -> None:
    done = bare("validate", "--filter", "status:brokn")

    assert done.code == 2
    assert done.err.splitlines()[:2] == ["status:brokn", "       ^"]
    assert "there is no status `brokn`" in done.err


def test_a_signal_stops_a_check(known: "Shell") -> None:
    held = known.simulator.faults.add(Fault("hold", "GET", "/users/{id}/teams"))
    running = known.start("validate", "--all", "--deep")
    known.until(lambda: held.holding)
    running.terminate()
    known.said(running, "stopping")
    held.let_go()

    done = known.ended(running)

    assert done.code == 130
    assert "mmconsole: Stopped." in done.err


def test_the_table_of_tokens_fits_a_terminal_and_shows_no_secret(known: "Shell") -> None:
    secrets = [token.secret for token in tokens(known)]
    known.simulator.state.remove_token(tokens(known)[0])
    known("validate", "--all")

    shown = known.shown("--no-color", "tokens", "list")
    lines = known("tokens", "list", "--filter", "status:revoked").out.splitlines()
    document = known("tokens", "list", "--limit", "2", "--json").lines

    rows = shown.out.splitlines()
    assert rows[0].split() == ["USER", "STATUS", "TOKEN", "MADE", "ENDS", "CHECKED", "WHY"]
    assert max(map(len, rows)) <= 80
    assert [re.split(r"\s{2,}", row)[1] for row in rows[1:]] == ["x revoked", *["+ ok"] * 4]
    (cells,) = [line.split("\t") for line in lines]
    assert (cells[0], cells[1], len(cells[2]), cells[6]) == ("1", "x revoked", 26, "revoked")
    assert [one["id"] for one in document] == ["1", "2"]
    for secret in secrets:
        assert secret[:8] not in shown.out + "".join(lines)


def test_a_leaked_string_is_identified(known: "Shell") -> None:
    token = tokens(known)[2]
    calls = sum(known.simulator.calls.values())

    done = known("tokens", "identify", given=f"  {token.secret}\n")
    document = known("tokens", "identify", "--json", given=token.secret).json
    other = known("tokens", "identify", given="a" * 26)

    assert (done.code, done.out) == (0, f"It is the token {token.id} of the user 3 (user2@example.org).\n")
    assert [(owner["id"], owner["token_id"]) for owner in document["owners"]] == [("3", token.id)]
    assert (other.code, other.out) == (3, "It is nobody's token here.\n")
    assert sum(known.simulator.calls.values()) == calls
    assert token.secret[:8] not in done.out + done.err


def test_a_leaked_string_can_be_revoked_at_once(known: "Shell") -> None:
    token = tokens(known)[2]

    done = known("tokens", "identify", "--revoke", given=token.secret)
    again = known("tokens", "identify", "--revoke", given=token.secret)

    assert done.code == 0, done
    assert "of the user 3 (user2@example.org)" in done.out
    assert "1 revoked" in done.out
    assert token.id not in known.simulator.state.tokens
    assert known.marked == 4
    assert (again.code, again.out) == (3, "It is nobody's token here.\n")


def test_a_leaked_string_is_asked_for_without_echo(known: "Shell") -> None:
    token = tokens(known)[0]
    child = known.on_terminal("tokens", "identify")
    child.expect("The string: ")
    child.sendline(token.secret)

    shown = child.read()

    assert "of the user 1 (user0@example.org)" in shown
    assert token.secret not in shown


def test_a_leaked_string_is_found_among_plain_tokens(known: "Shell") -> None:
    token = tokens(known)[1]
    known.set(tokens__accept=["plain"])
    known.sql("UPDATE users SET mattermost_token = ? WHERE id = 2", token.secret)
    known.sql("UPDATE mmconsole_tokens SET fingerprint = '' WHERE user_id = '2'")

    done = known("tokens", "identify", given=token.secret)

    assert (done.code, "of the user 2" in done.out) == (0, True)


def test_nothing_to_identify_is_a_usage_error(known: "Shell") -> None:
    done = known("tokens", "identify", given=" \n")

    assert done.code == 2
    assert "Nothing was given" in done.err
