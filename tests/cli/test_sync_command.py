"""`mmconsole sync` as an operator and cron see it."""

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


def test_a_first_sync_gives_everybody_an_account_and_a_token(shell: "Shell") -> None:
    shell.add_many(20)

    done = shell("sync", "--all")

    assert done.code == 0
    assert re.search(r"^20 users in \d+ s, job 1\n  20  created\n\Z", done.out, re.MULTILINE)
    assert "applying: 100 % (20 of 20 users)" in done.err
    assert shell.marked == 20


def test_a_second_sync_finds_nothing_to_do(shell: "Shell") -> None:
    shell.add_many(20)
    shell("sync", "--all")
    calls = shell.simulator.calls["POST /users/{id}/tokens"]

    done = shell("sync", "--all")

    assert done.code == 0
    assert "  20  unchanged\n" in done.out
    assert "job" not in done.out
    assert shell.simulator.calls["POST /users/{id}/tokens"] == calls


def test_json_is_one_document_in_which_every_user_is_counted_once(shell: "Shell") -> None:
    shell.add_many(10)
    shell.add(None)
    shell.add("admin@example.test")
    shell.add("gone@example.org", deleted=True)

    done = shell("sync", "--all", "--json")

    assert done.code == 3
    assert done.json["users"] == 13 == sum(done.json["counts"].values())
    assert done.json["counts"] == {"created": 10, "conflict": 2, "unchanged": 1}
    assert {one["outcome"] for one in done.json["listed"]} == {"conflict"}
    assert done.json["job_id"] == 1
    assert done.json["recovered"] == {
        "revoked": [],
        "linked": [],
        "channels": [],
        "ended": [],
        "closed": 0,
        "pending": 0,
        "young": 0,
    }
    assert done.json["forecast"]["calls"] > 0


def test_conflicts_are_listed_with_reason_and_cure(shell: "Shell") -> None:
    one = shell.add("twin@example.org")
    shell.add("TWIN@example.org")

    done = shell("sync", "--all")

    assert done.code == 3
    assert f"! conflict  {one}: another row has the same e-mail address: correct one of them" in done.out


def test_a_terminal_shows_twenty_conflicts_and_where_the_others_are(shell: "Shell") -> None:
    for _ in range(25):
        shell.add(None)

    shown = shell.shown("sync", "--all")

    assert shown.out.count("! conflict") == 20
    assert "and 5 more: mmconsole users list --health conflict" in shown.out


def test_a_dry_run_changes_nothing(shell: "Shell") -> None:
    shell.add_many(12)

    done = shell("sync", "--all", "--dry-run")

    assert done.code == 0
    assert done.out.startswith("12 users of 12 to change; nothing was done\n")
    assert "create account (12)\n  1  user0@example.org\n" in done.out
    assert "  and 2 more: --json shows all\n" in done.out
    assert "Forecast: 12 new accounts, 12 new tokens" in done.out
    assert shell.marked == 0


def test_a_dry_run_with_json_names_every_planned_user(shell: "Shell") -> None:
    shell.add_many(12)

    done = shell("sync", "--all", "--dry-run", "--json")

    assert [one["user_id"] for one in done.json["planned"]] == [str(n) for n in range(1, 13)]
    assert done.json["planned"][0]["steps"] == ["create account", "join team", "generate token"]
    assert done.json["users"] == 12


def test_a_dry_run_can_tell_by_its_exit_code_whether_there_are_changes(shell: "Shell") -> None:
    shell.add("ann@example.org")

    before = shell("sync", "--all", "--dry-run", "--exit-code")
    shell("sync", "--all")
    after = shell("sync", "--all", "--dry-run", "--exit-code")

    assert (before.code, after.code) == (5, 0)


def test_users_are_named_by_id_email_or_a_list(shell: "Shell") -> None:
    for name in ("ann", "ben", "cleo", "dan"):
        shell.add(f"{name}@example.org")
    shell.folder.joinpath("list").write_text("dan@example.org\n\n  2 \n")

    named = shell("sync", "1", "CLEO@example.org", "--json")
    listed = shell("sync", "--from", str(shell.folder / "list"), "--json")
    piped = shell("sync", "--from", "-", "--json", given="1\n")

    assert named.json["counts"] == {"created": 2}
    assert listed.json["counts"] == {"created": 2}
    assert piped.json["counts"] == {"unchanged": 1}


def test_missing_looks_only_at_users_without_a_token(shell: "Shell") -> None:
    shell.add("ann@example.org")
    shell("sync", "--all")
    shell.add("ben@example.org")

    done = shell("sync", "--missing", "--json")

    assert done.json["counts"] == {"created": 1}


def test_a_limit_leaves_the_rest_for_another_time(shell: "Shell") -> None:
    shell.add_many(5)

    first = shell("sync", "--all", "--limit", "2", "--json")
    second = shell("sync", "--all", "--json")

    assert first.json["counts"] == {"created": 2, "left for later": 3}
    assert second.json["counts"] == {"created": 3, "unchanged": 2}


def test_an_existing_account_is_linked_when_the_operator_confirms_it(shell: "Shell") -> None:
    shell.add("ann@example.org", verified=False)
    shell.account("ann@example.org", email_verified=True)

    refused = shell("sync", "--all")
    confirmed = shell("sync", "ann@example.org", "--link-existing", "--json")

    assert refused.code == 3
    assert "say `sync USER --link-existing`" in refused.out
    assert confirmed.json["counts"] == {"linked": 1}


def test_the_guard_stops_what_removes_too_much(shell: "Shell") -> None:
    shell.add_many(15)
    shell("sync", "--all")
    shell.sql("UPDATE users SET deleted_at = '2025-01-01' WHERE id <= 12")

    stopped = shell("sync", "--all")
    allowed = shell("sync", "--all", "--allow-removals", "12", "--json")

    assert stopped.code == 4
    assert stopped.out == ""
    assert "mmconsole: This would remove 12" in stopped.err
    assert "say --allow-removals 12" in stopped.err
    assert allowed.json["counts"] == {"revoked": 12, "unchanged": 3}
    assert shell.marked == 3


def test_a_dry_run_lists_the_links_that_would_be_confirmed(shell: "Shell") -> None:
    for number in range(25):
        shell.add(f"p{number}@example.org", verified=False)
        shell.account(f"p{number}@example.org")
    shell.add("new@example.org")
    shell.folder.joinpath("list").write_text("".join(f"p{number}@example.org\n" for number in range(25)))
    named = ("sync", "--from", str(shell.folder / "list"), "--link-existing", "--dry-run")

    shown, listed = shell(*named), shell(*named, "--json")

    assert "25 users to be linked to an existing account\n  1  p0@example.org → @p0\n" in shown.out
    assert shown.out.count(" → @p") == 25
    assert listed.json["links"][24] == {"user_id": "25", "email": "p24@example.org", "username": "p24"}
    assert shell.marked == 0


def test_a_terminal_shows_the_first_links_and_asks(shell: "Shell") -> None:
    for number in range(23):
        shell.add(f"p{number}@example.org", verified=False)
        shell.account(f"p{number}@example.org")
    shell.folder.joinpath("list").write_text("".join(f"p{number}@example.org\n" for number in range(23)))

    child = shell.on_terminal("sync", "--from", str(shell.folder / "list"), "--link-existing")
    child.expect("23 users to be linked to an existing account")
    child.expect("  20  p19@example.org → @p19")
    child.expect("  and 3 more: --dry-run lists all")
    child.expect_exact("Go on? [y/N] ")
    child.sendline("n")
    child.expect_exact("mmconsole: Nothing was done.")
    child.wait()

    assert (child.exitstatus, shell.marked) == (1, 0)


def test_a_terminal_shows_the_links_also_when_yes_was_said(shell: "Shell") -> None:
    shell.add("ann@example.org", verified=False)
    shell.account("ann@example.org")

    shown = shell.shown("sync", "1", "--link-existing", "--yes")

    assert "1 user to be linked to an existing account" in shown.out
    assert "  1  ann@example.org → @ann" in shown.out
    assert "Go on?" not in shown.out
    assert shell.marked == 1


def test_a_dry_run_says_what_would_stop_the_run(shell: "Shell") -> None:
    shell.add_many(15)
    shell("sync", "--all")
    shell.sql("UPDATE users SET deleted_at = '2025-01-01' WHERE id <= 12")
    shell.add("new@example.org")
    shell.simulator.state.config["EmailSettings", "SMTPServer"] = "mail.example.org"
    shell.set(sync__max_mails=0, seal__file=str(shell.folder / "nowhere"))

    shown, listed = shell("sync", "--all", "--dry-run"), shell("sync", "--all", "--dry-run", "--json")

    assert (shown.code, listed.code) == (0, 0)
    told = [line for line in shown.err.splitlines() if line.startswith("mmconsole: A real run would stop: ")]
    assert len(told) == len(listed.json["would_stop"]) == 3
    assert "This would remove 12" in told[0]
    assert "`sync.max_mails` allows 0" in told[1]
    assert "nowhere" in told[2]


def test_a_dry_run_that_nothing_would_stop_says_nothing_of_it(shell: "Shell") -> None:
    shell.add("ann@example.org")

    done = shell("sync", "--all", "--dry-run", "--json")

    assert done.json["would_stop"] == []
    assert "would stop" not in done.err


def test_who_is_left_alone_is_named_with_the_reason(shell: "Shell") -> None:
    shell.add_many(2)
    shell("sync", "--all")
    shell.sql("UPDATE mmconsole_tokens SET withheld = 1 WHERE user_id = '2'")

    done = shell("sync", "--all", "--full")

    assert done.code == 0
    assert "- left alone  2: an operator revoked the token; say `tokens repair USER` for a new one\n" in done.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sync"], "Say which users: --all, --missing, or some by id, e-mail or username."),
        (["sync", "--all", "--missing"], "Say only one of these: --all, --missing, or some"),
        (["sync", "--all", "17"], "Say only one of these"),
        (["sync", "--all", "--link-existing"], "--link-existing confirms accounts of named users"),
        (["sync", "--all", "--exit-code"], "--exit-code belongs to --dry-run."),
        (["sync", "--from", "/nowhere"], "/nowhere cannot be read: No such file or directory."),
        (["sync", "--from", "-"], "- names no user."),
        (["sync", "--all", "--limit", "0"], "Invalid value for '--limit'"),
        (["sync", "--al"], "No such option: --al"),
        (["sink"], "No such command 'sink'. Try `mmconsole --help`."),
        (["simulatr"], "No such command 'simulatr'. Did you mean 'simulator'?"),
        (["--headless"], "--headless needs a command, as in `mmconsole --headless serve`."),
        (["users"], "Missing command. Try `mmconsole users --help`."),
        (["users", "list", "--health", "fine"], "There is no status `fine`. There are: ok, expiring"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_2(shell: "Shell", arguments: list[str], sentence: str) -> None:
    done = shell(*arguments)

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("mmconsole: ")
    assert done.err.count("\n") == 1
    assert sentence in done.err


def test_headless_stands_before_every_command(shell: "Shell") -> None:
    shell.add("ann@example.org")

    done = shell("--headless", "sync", "--all", "--json")

    assert done.json["counts"] == {"created": 1}


def test_a_user_nobody_knows_is_an_error(shell: "Shell") -> None:
    done = shell("sync", "nobody@example.org")

    assert done.code == 1
    assert done.err == (
        "mmconsole: There is no user `nobody@example.org` in the users table (looked at id, e-mail and username)."
        " `mmconsole users list --filter WORD` finds users by a part of their name.\n"
    )


def test_when_no_name_is_a_users_all_of_them_are_told(shell: "Shell") -> None:
    done = shell("sync", "nobody", "noone")

    assert done.code == 1
    assert "None of these is the name of one user: `nobody`, `noone` (looked at" in done.err


def test_a_name_that_is_nobodys_or_several_is_refused_by_itself(shell: "Shell") -> None:
    user = shell.add("ann@example.org")
    shell.add("twin@example.org")
    shell.add("TWIN@example.org")
    names = (user, "nobody", "twin@example.org", "--json")
    plan = str(shell.folder / "plan.json")

    planned = [shell(*command, *names) for command in (("sync", "--dry-run"), ("plan", "sync", "-o", plan))]
    done = [shell(*command, *names) for command in (("sync",), ("validate",), ("tokens", "revoke"))]

    assert [one.code for one in (*planned, *done)] == [0, 0, 3, 3, 3]
    for one in (*planned, done[0], done[2]):
        refused = [(told["user_id"], told["outcome"]) for told in one.json["listed"]]
        assert refused == [("nobody", "refused"), ("twin@example.org", "refused")]
        assert one.json["users"] == 3
    assert done[0].json["counts"] == {"created": 1, "refused": 2}
    assert [told["name"] for told in done[1].json["refused"]] == ["nobody", "twin@example.org"]
    assert done[1].json["users"] == 1


def test_an_empty_table_is_nothing_to_do(shell: "Shell") -> None:
    done = shell("sync", "--all")

    assert (done.code, done.out) == (0, "0 users in 1 s\n")


def test_one_failure_is_one_failure(shell: "Shell") -> None:
    shell.add_many(3)
    shell.simulator.state.config["TeamSettings", "MaxUsersPerTeam"] = 2

    done = shell("sync", "--all", "--json")

    assert done.code == 3
    assert done.json["counts"]["failed"] == 2
    assert sum(done.json["counts"].values()) == 3
    assert "MaxUsersPerTeam" in done.json["listed"][0]["note"]


def test_names_that_are_too_long_or_would_act_on_the_terminal_do_no_harm(shell: "Shell") -> None:
    shell.add("long@example.org", "x" * 10_000)
    shell.add("red@example.org", "\x1b[31mRed\x07 \u202edeR")
    shell.add("\x1b]0;owned\x07@example.org\x1b[2J", "Esc")

    done = shell("sync", "--all")
    listed = shell.shown("users", "list")
    shown = shell.shown("users", "show", "red@example.org")
    piped = shell("users", "list", "--json")

    assert "  2  created\n" in done.out
    for text in (done.out, done.err, listed.out, shown.out, piped.out):
        assert not re.search("\x1b(?!\\[[0-9]*m)|\x07|\u202e", text)
    assert "␛[31mRed␇" in shown.out
    assert piped.lines[2]["email"] == "\x1b]0;owned\x07@example.org\x1b[2J"


# ── terminals ────────────────────────────────────────────────────────────────────────────────────


def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines(shell: "Shell") -> None:
    shell.add_many(40)

    shown = shell.shown("sync", "--all")

    assert "applying" in shown.out
    assert "━" in shown.out
    assert "applying: 100 %" not in shown.out
    assert "40  created" in shown.out


def test_it_asks_on_a_terminal_only_when_users_would_get_mail(shell: "Shell") -> None:
    shell.add_many(3)
    shell.simulator.state.config["EmailSettings", "SMTPServer"] = "mail.example.org"

    asked = shell.on_terminal("sync", "--all")
    asked.expect(r"Forecast: 3 new accounts, 3 new tokens, \d+ calls, about \d+ s")
    asked.expect("It sends 3 e-mails to users.")
    asked.expect_exact("Go on? [y/N] ")
    asked.sendline("n")
    asked.expect_exact("mmconsole: Nothing was done.")
    asked.wait()

    assert asked.exitstatus == 1
    assert shell.marked == 0


@pytest.mark.parametrize("arguments", [["--yes"], []])
def test_yes_on_the_line_or_on_the_keyboard_goes_on(shell: "Shell", arguments: list[str]) -> None:
    shell.add_many(3)
    shell.simulator.state.config["EmailSettings", "SMTPServer"] = "mail.example.org"

    child = shell.on_terminal("sync", "--all", *arguments)
    if not arguments:
        child.expect_exact("Go on? [y/N] ")
        child.sendline("y")
    child.expect("3  created")
    child.wait()

    assert child.exitstatus == 0
    assert sum(shell.simulator.state.mails.values()) == 3


def test_without_a_terminal_it_applies(shell: "Shell") -> None:
    shell.add("ann@example.org")
    shell.simulator.state.config["EmailSettings", "SMTPServer"] = "mail.example.org"

    done = shell("sync", "--all")

    assert done.code == 0


def test_the_limit_of_mails_stops_it_everywhere(shell: "Shell") -> None:
    shell.add_many(3)
    shell.simulator.state.config["EmailSettings", "SMTPServer"] = "mail.example.org"
    shell.set(sync__max_mails=2)

    done = shell("sync", "--all")

    assert done.code == 4
    assert "This would cause 3 e-mails to users, and `sync.max_mails` allows 2." in done.err


def test_no_colours_where_nobody_wants_them(shell: "Shell") -> None:
    shell.add("ann@example.org")
    shell("sync", "--all")

    coloured = shell.shown("users", "list")
    plain = shell.shown("--no-color", "users", "list")
    shell.environment["NO_COLOR"] = "1"
    also_plain = shell.shown("users", "list")

    assert "\x1b[32m+ ok" in coloured.out
    assert "\x1b[" not in plain.out
    assert "\x1b[" not in also_plain.out
