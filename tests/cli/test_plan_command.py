"""`mmconsole plan` and `mmconsole apply`: a plan that lies in a file between two commands."""

import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.domain.secrets import Secret
from mmconsole.secrets import Form, Vault, seal_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Shell


@pytest.fixture
def file(shell: "Shell") -> Path:
    return shell.folder / "plan.json"


def planned(shell: "Shell", file: Path, *arguments: str) -> list[dict[str, Any]]:
    """A plan of everybody, and its lines."""
    done = shell("plan", "sync", *(arguments or ("--all",)), "-o", str(file))
    assert done.code == 0, done.err
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_plan_is_a_private_signed_file_that_changes_nothing(shell: "Shell", file: Path) -> None:
    shell.add_many(3)

    lines = planned(shell, file)

    header, first, *_, totals, signature = lines
    assert file.stat().st_mode & 0o777 == 0o600
    assert header["mmconsole_plan"] == 1
    assert (header["title"], header["server"]) == ("sync --all", shell.server.url)
    assert {"installation", "server_id", "actor", "version", "made_at", "expires_at", "key"} <= header.keys()
    assert first["user_id"] == "1"
    assert first["steps"] == ["create account", "join team", "generate token"]
    assert first["digest"]
    assert totals["totals"]["planned"] == 3
    assert re.fullmatch("[0-9a-f]{64}", signature["signature"])
    assert shell.marked == 0
    assert shell.sql("SELECT * FROM mmconsole_jobs") == []
    assert [one.name for one in shell.folder.glob(".plan*")] == []


def test_a_plan_is_shown_like_a_dry_run(shell: "Shell", file: Path) -> None:
    shell.add_many(12)

    done = shell("plan", "sync", "--all", "-o", str(file), "--exit-code")
    shown, listed = shell("plan", "show", str(file)), shell("plan", "show", str(file), "--json")

    assert done.code == 5
    assert done.out.startswith("12 users of 12 to change; nothing was done\n")
    assert f"Written to {file}." in done.err
    assert "plan     sync --all\n" in shown.out
    assert "create account (12)\n  1  user0@example.org\n" in shown.out
    assert "  and 2 more: --json shows all\n" in shown.out
    assert "Forecast: 12 new accounts, 12 new tokens" in shown.out
    assert len(listed.lines) == 14
    assert [one["user_id"] for one in listed.lines[1:-1]] == [str(number) for number in range(1, 13)]


def test_a_plan_that_finds_nothing_exits_0(shell: "Shell", file: Path) -> None:
    done = shell("plan", "sync", "--all", "-o", str(file), "--exit-code")

    assert done.code == 0
    assert shell("apply", str(file)).code == 0


def test_applying_does_what_was_planned_and_a_second_time_nothing(shell: "Shell", file: Path) -> None:
    shell.add_many(20)
    planned(shell, file)
    shell.add("late@example.org")

    first = shell("apply", str(file), "--json")
    calls = dict(shell.simulator.calls)
    second = shell("apply", str(file), "--json")

    assert first.code == 0, first.err
    assert first.json["counts"] == {"created": 20}
    assert second.json["counts"] == {"unchanged": 20}
    assert second.json["job_id"] is None
    assert shell.marked == 20
    made = {call for call in shell.simulator.calls if shell.simulator.calls[call] > calls.get(call, 0)}
    assert not made & {"POST /users", "POST /users/{id}/tokens", "PUT /users/{id}/patch"}
    (title,) = shell.sql("SELECT title FROM mmconsole_jobs")[0]
    assert title.startswith("apply sync --all, planned ")


def test_what_changed_since_is_skipped_and_listed(shell: "Shell", file: Path) -> None:
    shell.add_many(6)
    planned(shell, file)
    shell.sql("UPDATE users SET name = 'New Name' WHERE id = 1")
    shell.sql("DELETE FROM users WHERE id = 2")
    shell.sql("UPDATE users SET email = 'user3@example.org' WHERE id = 3")
    shell("sync", "5")
    shell.account("user5@example.org", email_verified=True)

    done = shell("apply", str(file), "--json")

    notes = {one["user_id"]: (one["outcome"], one["note"]) for one in done.json["listed"]}
    assert notes["1"] == ("skipped", "the row changed since it was planned; the next sync takes it up")
    assert notes["2"] == ("skipped", "neither the row nor anything of ours is left")
    assert notes["3"][0] == notes["4"][0] == "conflict"
    assert notes["6"] == ("skipped", "by now it needs more than was planned (link); the next sync takes it up")
    assert done.json["counts"] == {"unchanged": 1, "skipped": 3, "conflict": 2}
    assert sum(done.json["counts"].values()) == done.json["users"] == 6
    assert done.code == 3
    assert shell.marked == 1


def without_the_last_line(text: str) -> str:
    return "".join(text.splitlines(keepends=True)[:-1])


def without_a_user(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(lines[:2] + lines[3:])


EDITS: "list[tuple[Callable[[str], str], str]]" = [
    (lambda text: text.replace("generate token", "deactivate"), "is not as it was signed: it was edited"),
    (lambda text: text.replace('"user_id": "2"', '"user_id": "3"'), "is not as it was signed"),
    (lambda text: re.sub('"key": "[a-z0-9]*"', '"key": "kother"', text), "with a key that is not here"),
    (lambda text: re.sub('"expires_at": "2', '"expires_at": "3', text), "is not as it was signed"),
    (without_a_user, "is not as it was signed"),
    (lambda text: text + "\n", "is not as it was signed"),
    (lambda text: re.sub('"signature": "[0-9a-f]*"', '"signature": "é"', text), "is not as it was signed"),
    (without_the_last_line, "is no plan, or only a part of one: its end is missing"),
    (lambda _: "hello\n", "is no plan, or only a part of one: a line of it is not JSON"),
    (lambda _: "", "is no plan, or only a part of one"),
    (lambda text: text.replace('"mmconsole_plan": 1', '"mmconsole_plan": 2'), "another version of mmconsole"),
    (
        lambda text: re.sub('"installation": "[a-z0-9]*"', '"installation": "x"', text),
        "another installation (x, and",
    ),
]


def test_an_edited_plan_is_refused_with_a_sentence(shell: "Shell", file: Path) -> None:
    shell.add_many(3)
    planned(shell, file)
    original = file.read_text()

    for change, sentence in EDITS:
        file.write_text(change(original))
        done = shell("apply", str(file))
        assert (done.code, done.out) == (1, "")
        assert sentence in done.err
        assert done.err.count("\n") == 1

    assert shell.marked == 0
    assert shell.sql("SELECT * FROM mmconsole_jobs") == []
    file.write_text(original)
    assert shell("apply", str(file)).code == 0


def test_a_plan_of_another_installation_is_refused(shell: "Shell", file: Path) -> None:
    shell.add_many(2)
    planned(shell, file)
    shell.sql("UPDATE mmconsole_meta SET value = 'abcdefghijklmnopqrstuvwxyz' WHERE name = 'installation_id'")

    done = shell("apply", str(file))

    assert done.code == 1
    assert "was made for another installation (" in done.err
    assert shell.marked == 0


def test_a_plan_of_another_server_is_refused(shell: "Shell", file: Path) -> None:
    shell.add_many(2)
    planned(shell, file)
    shell.simulator.state.config.diagnostic_id = "another"
    shell.simulator.state.config.refresh()

    done = shell("apply", str(file))

    assert done.code == 1
    assert "was made for another server (" in done.err
    assert shell.marked == 0


def test_a_plan_that_has_expired_is_refused(shell: "Shell", file: Path) -> None:
    shell.add_many(2)
    long_gone(shell, file)

    done = shell("apply", str(file))

    assert done.code == 1
    assert re.search(r"has expired \(2020-01-01 00:00 UTC\)\. Nothing was done\. Make a new one", done.err)
    assert shell.marked == 0


def long_gone(shell: "Shell", file: Path) -> None:
    """A plan that was rightly signed long ago."""
    planned(shell, file)
    *lines, _ = file.read_text().splitlines(keepends=True)
    lines[0] = re.sub('"expires_at": "[^"]*"', '"expires_at": "2020-01-01T00:00:00+00:00"', lines[0])
    keys = seal_keys.from_text(Secret((shell.folder / "seal-keys").read_text()))
    installation = json.loads(lines[0])["installation"]
    vault = Vault(
        storage=Form.SEALED, keys=keys, installation_id=installation, table="users", column="mattermost_token"
    )
    signing = vault.signing()
    assert signing is not None
    signature = signing.begin(signing.current)
    assert signature is not None
    signature.update("".join(lines).encode())
    file.write_text("".join(lines) + json.dumps({"signature": signature.hexdigest()}) + "\n")


def test_a_plan_that_others_could_have_written_is_refused(shell: "Shell", file: Path) -> None:
    shell.add_many(2)
    planned(shell, file)
    linked = shell.folder / "linked.json"
    linked.symlink_to(file)

    followed = shell("apply", str(linked))
    file.chmod(0o644)
    exposed = shell("apply", str(file))
    missing = shell("apply", str(shell.folder / "nowhere.json"))

    assert "is a symbolic link" in followed.err
    assert "can be used by others (mode 0644)" in exposed.err
    assert (followed.code, exposed.code, missing.code) == (1, 1, 2)
    assert "cannot be read: No such file or directory." in missing.err
    assert shell.marked == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_plan_of_another_user_of_the_machine_is_refused(shell: "Shell", file: Path) -> None:
    shell.add_many(2)
    planned(shell, file)
    os.chown(file, 65_534, 65_534)

    done = shell("apply", str(file))

    assert done.code == 1
    assert "belongs to another user (uid 65534)" in done.err


def test_nothing_that_stands_there_is_overwritten(shell: "Shell", file: Path) -> None:
    file.write_text("mine")

    done = shell("plan", "sync", "--all", "-o", str(file))

    assert done.code == 2
    assert "exists already, and nothing is overwritten" in done.err
    assert file.read_text() == "mine"


def test_the_guard_stands_before_a_plan_and_counts_a_day_of_all_runs(shell: "Shell", file: Path) -> None:
    shell.add_many(30)
    shell("sync", "--all")
    shell.sql("UPDATE users SET deleted_at = '2025-01-01' WHERE id <= 8")
    shell("sync", "--all")
    shell.sql("UPDATE users SET deleted_at = '2025-01-01' WHERE id <= 14")
    would = shell("plan", "sync", "--all", "-o", str(file))

    stopped = shell("apply", str(file))
    wrong = shell("apply", str(file), "--allow-removals", "5")
    allowed = shell("apply", str(file), "--allow-removals", "6", "--json")

    assert would.code == 0
    tripped = "This would remove 6 tokens, accounts or channels (14 with those of the last 24 hours)"
    assert f"A real run would stop: {tripped}" in would.err
    assert (stopped.code, wrong.code) == (4, 4)
    assert tripped in stopped.err
    assert allowed.json["counts"] == {"revoked": 6}
    assert shell.marked == 16


def test_a_removal_that_is_no_longer_due_is_not_done(shell: "Shell", file: Path) -> None:
    shell.add_many(5)
    shell("sync", "--all")
    shell.sql("UPDATE users SET deleted_at = '2025-01-01' WHERE id <= 2")
    planned(shell, file)
    shell.sql("UPDATE users SET deleted_at = NULL WHERE id = 1")

    done = shell("apply", str(file), "--json")

    assert done.json["counts"] == {"revoked": 1, "unchanged": 1}
    assert shell.marked == 4


def test_a_removal_of_a_deleted_row_is_done_once(shell: "Shell", file: Path) -> None:
    shell.add_many(5)
    shell("sync", "--all")
    shell.sql("DELETE FROM users WHERE id = 2")
    planned(shell, file)

    first, second = shell("apply", str(file), "--json"), shell("apply", str(file), "--json")

    assert first.json["counts"] == {"revoked": 1}
    assert set(second.json["counts"]) <= {"unchanged", "skipped"}
    assert shell("activity", "--json").out.count('"token revoked"') == 1


def test_a_confirmed_link_leads_to_the_account_that_was_seen(shell: "Shell", file: Path) -> None:
    ann, bo = shell.add("ann@example.org", verified=False), shell.add("bo@example.org", verified=False)
    shell.account("ann@example.org")
    seen = shell.account("bo@example.org")
    lines = planned(shell, file, ann, bo, "--link-existing")
    shell.simulator.state.rename(seen, "robert")
    shell.simulator.state.touch(seen)

    done = shell("apply", str(file), "--json")

    assert [line["links"] for line in lines[1:3]] == ["ann", "bo"]
    assert all(line["confirmed"] and line["asked"] for line in lines[1:3])
    assert done.json["counts"] == {"linked": 1, "skipped": 1}
    assert "@robert has the address by now, and @bo was planned" in done.json["listed"][0]["note"]


def test_it_asks_on_a_terminal(shell: "Shell", file: Path) -> None:
    shell.add_many(3)
    shell.simulator.state.config["EmailSettings", "SMTPServer"] = "mail.example.org"
    planned(shell, file)

    child = shell.on_terminal("apply", str(file))
    child.expect_exact("Go on? [y/N] ")
    child.sendline("n")
    child.wait()

    assert child.exitstatus == 1
    assert shell.marked == 0
    assert shell.sql("SELECT state FROM mmconsole_jobs") == [("stopped",)]


def test_an_installation_that_seals_nothing_signs_with_a_key_of_its_own(shell: "Shell", file: Path) -> None:
    shell.set(tokens__storage="plain")
    shell.add_many(2)
    lines = planned(shell, file)
    (key,) = shell.sql("SELECT value FROM mmconsole_meta WHERE name = 'plans.key'")[0]

    done = shell("apply", str(file), "--json")

    assert lines[0]["key"] == "installation"
    assert key not in file.read_text()
    assert done.json["counts"] == {"created": 2}


def test_no_secret_is_in_a_plan(shell: "Shell", file: Path) -> None:
    shell.add_many(3)
    shell("sync", "--all")
    shell.sql("UPDATE users SET name = 'New Name'")
    planned(shell, file)
    with closing(sqlite3.connect(shell.file)) as connection:
        stored = [row[0] for row in connection.execute("SELECT mattermost_token FROM users")]
    keys = json.loads((shell.folder / "seal-keys").read_text())["keys"].values()

    text = file.read_text()

    secrets = [token.secret for token in shell.simulator.state.token_rows]
    assert not any(one[at : at + 8] in text for one in [*secrets, *stored, *keys] for at in range(7, len(one) - 7))


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────


def test_what_is_asked_for_tokens_can_be_planned_and_is_done_once(shell: "Shell", file: Path) -> None:
    shell.add_many(4)
    shell("sync", "--all")
    before = {token.id for token in shell.simulator.state.token_rows}

    would = shell("plan", "tokens", "rotate", "1", "2", "-o", str(file), "--exit-code")
    first = shell("apply", str(file), "--json")
    second = shell("apply", str(file), "--json")

    assert would.code == 5
    assert first.code == 0, first.err
    assert first.json["counts"] == {"token replaced": 2}
    assert second.json["counts"] == {"skipped": 2}
    assert "another token by now" in second.json["listed"][0]["note"]
    assert shell.marked == 4
    assert len({token.id for token in shell.simulator.state.token_rows} - before) == 2
    assert shell.sql("SELECT kind FROM mmconsole_jobs ORDER BY id") == [("sync",), ("tokens",)]


def test_a_planned_revocation_can_be_undone_like_any_other(shell: "Shell", file: Path) -> None:
    shell.add_many(2)
    shell("sync", "--all")
    shell("plan", "tokens", "revoke", "1", "-o", str(file))

    done = shell("apply", str(file))
    again = shell("apply", str(file), "--json")
    undone = shell("tokens", "undo", "--job", "2")

    assert done.code == 0, done.err
    assert "Until then: mmconsole tokens undo --job 2" in done.err
    assert again.json["counts"] == {"skipped": 1}
    assert undone.code == 0
    assert all(token.is_active for token in shell.simulator.state.token_rows)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["plan", "tokens", "repair", "-o", "x"], "Say whose tokens: --all-broken, --filter"),
        (["plan", "tokens", "repair", "1", "--now", "-o", "x"], "--now: only with revoke."),
        (["plan", "tokens", "undo", "1", "-o", "x"], "Invalid value for"),
        (["plan", "sync", "--all"], "Missing option '--output'"),
        (["plan", "sync", "-o", "x"], "Say which users: --all, --missing, or some"),
        (["plan", "sync", "--all", "--link-existing", "-o", "x"], "--link-existing confirms accounts of named users"),
        (["apply"], "Missing argument 'FILE'"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_2(shell: "Shell", arguments: list[str], sentence: str) -> None:
    done = shell(*arguments)

    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
