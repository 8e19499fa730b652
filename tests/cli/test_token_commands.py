"""`mmconsole tokens generate|repair|rotate|revoke|undo` as an operator and cron use them."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.fixture
def synced(shell: Shell) -> Shell:
    """Three users in step: 1 Ann, 2 Bo, 3 Cy."""
    for name in ("ann", "bo", "cy"):
        shell.add(f"{name}@example.org")
    assert shell("sync", "--all").code == 0
    return shell


def stored(shell: Shell, user_id: str) -> str | None:
    token: str | None = shell.sql("SELECT mattermost_token FROM users WHERE id = ?", user_id)[0][0]
    return token


def lose(shell: Shell, user_id: str) -> None:
    shell.sql("UPDATE users SET mattermost_token = NULL WHERE id = ?", user_id)


@pytest.mark.parametrize("words", [("generate",), ("tokens", "generate"), ("tokens", "repair")])
def test_a_missing_token_is_made(synced: Shell, words: tuple[str, ...]) -> None:
    lose(synced, "1")

    done = synced(*words, "ann@example.org")

    assert done.code == 0
    assert re.search(r"^1 user in \d+ s, job 2\n  1  token generated\n\Z", done.out, re.MULTILINE)
    assert stored(synced, "1")
    assert synced.marked == 3


def test_a_token_that_works_is_left_and_the_way_to_replace_it_is_said(synced: Shell) -> None:
    left = synced("generate", "1")
    forced = synced("generate", "1", "--force", "--json")

    assert left.code == 0
    assert "- left alone  1: its token works; --force puts another one in its place" in left.out
    assert forced.json["counts"] == {"token replaced": 1}
    assert synced.marked == 3


def test_a_dry_run_tells_steps_and_mails_and_does_nothing(synced: Shell) -> None:
    synced.simulator.state.config["EmailSettings", "SMTPServer"] = "mail.example.org"
    lose(synced, "1")

    done = synced("tokens", "repair", "--all-broken", "--dry-run", "--exit-code")

    assert done.code == 5
    assert "generate token (1)\n  1  ann@example.org\n" in done.out
    assert re.search(r"Forecast: 1 new token, \d+ calls, about 1 s", done.out)
    assert "It sends 1 e-mail to users." in done.out
    assert stored(synced, "1") is None


def test_repair_of_all_broken_says_of_whom_it_cannot_help_what_does(synced: Shell) -> None:
    lose(synced, "1")
    lose(synced, "2")
    synced.simulator.state.set_active(synced.simulator.state.by_email["bo@example.org"], active=False)

    done = synced("tokens", "repair", "--all-broken")

    assert done.code == 3
    assert "  1  token generated\n  1  conflict\n" in done.out
    assert "! conflict  2: the account is deactivated on the server: reactivate it there" in done.out


def test_rotate_takes_ages_and_leaves_the_young(synced: Shell) -> None:
    synced.sql("UPDATE mmconsole_tokens SET created_at = created_at - 100 * 86400000000 WHERE user_id = '2'")

    done = synced("tokens", "rotate", "--older-than", "90d", "--json")

    assert done.json["counts"] == {"token replaced": 1, "unchanged": 2}
    assert synced.marked == 3


def test_a_revocation_says_until_when_it_can_be_undone_and_undo_does_it(synced: Shell) -> None:
    revoked = synced("revoke", "1", "bo@example.org")
    listed = synced("tokens", "list", "--filter", "status:withheld")
    undone = synced("tokens", "undo", "--job", "2")

    assert revoked.code == 0
    assert "  2  token disabled\n" in revoked.out
    assert "Until then: mmconsole tokens undo --job 2" in revoked.err
    assert "`mmconsole tokens recover`" in revoked.err
    assert len(listed.out.splitlines()) == 2
    assert undone.code == 0
    assert "  2  token enabled\n" in undone.out
    assert synced("validate", "--all", "--deep").code == 0


def test_revoke_now_is_for_good(synced: Shell) -> None:
    done = synced("tokens", "revoke", "1", "--now")
    undo = synced("tokens", "undo", "1")

    assert "  1  revoked\n" in done.out
    assert "undo" not in done.err
    assert stored(synced, "1") is None
    assert synced.marked == 2
    assert undo.code == 3
    assert "`mmconsole tokens generate 1` makes a new one" in undo.out


def test_who_stays_revokes_for_good_when_the_time_to_undo_is_over(synced: Shell) -> None:
    synced.set(tokens__grace="1s")

    done = synced("revoke", "1", "--stay")
    as_json = synced("revoke", "2", "--stay", "--json")

    assert done.code == 0
    assert "1 token revoked for good: the time to undo was over." in done.out
    assert as_json.json["counts"] == {"token disabled": 1}
    assert len(as_json.json["recovered"]["ended"]) == 1
    assert synced.marked == 1


def test_who_stops_staying_leaves_it_to_a_later_run(synced: Shell) -> None:
    process = synced.start("revoke", "1", "--stay")
    synced.until(lambda: synced.sql("SELECT 1 FROM mmconsole_tokens WHERE health = 'withheld'"))
    synced.until(lambda: synced.sql("SELECT 1 FROM mmconsole_leases WHERE name = 'sync' AND holder IS NULL"))

    process.send_signal(signal.SIGINT)
    ended = synced.ended(process)

    assert ended.code in {0, 130}
    assert synced.sql("SELECT kind FROM mmconsole_intents") == [("revoke",)]
    assert synced("tokens", "undo", "1").code == 0


def test_the_guard_stops_revocations_and_the_exact_number_lets_them_pass(synced: Shell) -> None:
    synced.set(guard__removals=1, guard__percent=0)

    plan = synced("revoke", "1", "2", "--dry-run")
    stopped = synced("revoke", "1", "2")
    passed = synced("revoke", "1", "2", "--allow-removals", "2")

    assert "A real run would stop" in plan.err
    assert stopped.code == 4
    assert passed.code == 0
    assert "  2  token disabled\n" in passed.out


def test_a_terminal_asks_before_a_withheld_token_is_replaced(synced: Shell) -> None:
    synced("revoke", "1", "--now")

    child = synced.on_terminal("generate", "1")
    child.expect("1 user: an operator revoked the token")
    child.expect(r"Go on\? \[y/N\] ")
    child.sendline("n")
    child.read()
    child.close()

    assert child.exitstatus == 1
    assert stored(synced, "1") is None
    assert synced("generate", "1", "--yes").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("generate",), "Say whose tokens: --filter, --from a file, or some by id"),
        (("tokens", "repair", "1", "--all-broken"), "Say whose tokens: --all-broken, --filter"),
        (("revoke", "--filter", " "), "An empty filter means everybody"),
        (("tokens", "rotate", "--older-than", "soon"), "--older-than cannot be `soon`: it must be a number and a unit"),
        (("tokens", "undo"), "Say whose tokens: --job"),
        (("revoke", "--filter", "status:nothing"), "there is no status `nothing`"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    done = shell(*arguments)

    assert done.code == 2
    assert said in done.err
    assert done.out == ""


def test_no_secret_is_shown(synced: Shell) -> None:
    secrets = [token.secret for token in synced.simulator.state.token_rows]
    said = [synced("revoke", "1", "--json"), synced("tokens", "undo", "1"), synced("tokens", "rotate", "1", "2")]
    secrets += [token.secret for token in synced.simulator.state.token_rows]

    shown = "".join(done.out + done.err for done in said)
    assert all(secret not in shown for secret in secrets)


def test_tokens_that_nobody_here_stores_are_told_of_and_revoked_when_asked_for(shell: Shell) -> None:
    shell.add("ann@example.org")
    shell("sync", "--all")
    state = shell.simulator.state
    foreign = state.add_token(state.by_email["ann@example.org"], "mmconsole:v1:another:7:op")

    told, as_json = shell("tokens", "recover"), shell("tokens", "recover", "--json")
    swept = shell("tokens", "recover", "--foreign", "--yes")
    again = shell("tokens", "recover", "--foreign", "--json")

    assert "1 token with our marker that nobody here stores: --foreign revokes them." in told.out
    assert foreign.id in told.out
    assert [one["id"] for one in as_json.json["unstored"]] == [foreign.id]
    assert (swept.code, swept.out) == (0, "1 token revoked for good, job 2\n")
    assert (again.code, again.json["found"]) == (0, [])
    assert shell.marked == 1
