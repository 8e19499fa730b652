"""What an operator reads when something is wrong: one line that says what and what to do, and the right exit code."""

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import COMMAND

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, Shell


def one_line(done: "Ended") -> str:
    """The only line of talk, which is an error; no data, no traceback."""
    assert done.out == ""
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("mmconsole: ")
    return done.err


def test_a_server_that_cannot_be_reached(shell: "Shell") -> None:
    shell.set(mattermost__url="http://127.0.0.1:9")

    done = shell("sync", "--all")

    assert done.code == 1
    assert "http://127.0.0.1:9 cannot be reached" in one_line(done)


def test_an_address_that_answers_with_a_web_page(shell: "Shell") -> None:
    shell.set(mattermost__url=f"{shell.server.url}/elsewhere")

    done = shell("sync", "--all")

    assert done.code == 1
    assert "with a web page, not with Mattermost's API" in one_line(done)


def test_http_to_another_machine(shell: "Shell") -> None:
    shell.set(mattermost__url="http://192.0.2.1")

    done = shell("sync", "--all")

    assert done.code == 1
    assert "http://192.0.2.1 is not encrypted, and a token must not travel in the clear" in one_line(done)


def test_the_token_of_somebody_who_is_no_administrator(shell: "Shell") -> None:
    ann = shell.account("ann@example.org")
    shell.keep_token(shell.simulator.state.add_token(ann, "").secret)

    done = shell("sync", "--all")

    assert done.code == 1
    assert "The admin token belongs to @ann, who is not a system administrator" in one_line(done)


def test_a_dead_admin_token(shell: "Shell") -> None:
    shell.keep_token("q" * 26)

    done = shell("sync", "--all")

    assert done.code == 1
    assert "does not accept the admin token: it is dead, or personal access tokens are switched off" in one_line(done)
    assert "q" * 8 not in done.err


def test_tokens_switched_off_as_a_bot_sees_it(shell: "Shell") -> None:
    shell.simulator.state.config["ServiceSettings", "EnableUserAccessTokens"] = False
    shell.keep_token(shell.simulator.bot_token)

    done = shell("sync", "--all")

    assert done.code == 1
    assert "Personal access tokens are switched off on" in one_line(done)


def test_no_admin_token(shell: "Shell") -> None:
    shell.token_file.unlink()

    done = shell("sync", "--all")

    assert done.code == 1
    assert "There is no admin token for" in one_line(done)


@pytest.mark.parametrize("command", [("sync", "--all"), ("sync", "--all", "--dry-run"), ("tokens", "recover")])
def test_a_token_in_the_environment_is_used_with_a_warning(shell: "Shell", command: tuple[str, ...]) -> None:
    shell.set(admin_token__source="environment")
    shell.environment["MMCONSOLE_ADMIN_TOKEN"] = shell.simulator.admin_token
    shell.add("ann@example.org")

    done = shell(*command)
    local = shell("users", "list")

    assert done.code == 0
    assert done.err.count("The secret in MMCONSOLE_ADMIN_TOKEN can be read by every process of this user") == 1
    assert shell.simulator.admin_token[:8] not in done.err
    assert "MMCONSOLE_ADMIN_TOKEN" not in local.err


def test_no_keyring(shell: "Shell") -> None:
    shell.set(admin_token__source="keyring")

    done = shell("sync", "--all")

    assert done.code == 1
    assert "set `admin_token.source` to credential, file or environment" in one_line(done)


def test_no_seal_key_shows_before_the_first_account_is_made(shell: "Shell") -> None:
    shell.add("ann@example.org")
    shell.set(seal__file=str(shell.folder / "nowhere"))

    done = shell("sync", "--all")

    assert done.code == 1
    assert "mmconsole: There is no seal key in the file" in done.err
    assert not shell.simulator.calls["POST /users"]


def test_an_admin_token_that_dies_in_the_middle_keeps_what_was_done(shell: "Shell") -> None:
    shell.add_many(600)
    state = shell.simulator.state
    running = shell.start("sync", "--all", "--json")
    shell.until(lambda: shell.marked > 5)

    state.remove_token(state.by_secret[shell.simulator.admin_token])
    done = shell.ended(running)

    assert done.code == 1
    assert "does not accept the admin token" in done.json["fault"]
    assert done.err.endswith(f"mmconsole: {done.json['fault']}\n")
    assert done.json["counts"]["created"] >= 1
    assert done.json["counts"]["not done"] >= 1
    assert sum(done.json["counts"].values()) == 600


def test_yaml_that_is_broken(shell: "Shell") -> None:
    shell.settings.clear()
    shell.config.write_text("mattermost:\n  url: [\n")

    done = shell("users", "list")

    assert done.code == 2
    assert f"{shell.config}:" in one_line(done)


def test_a_secret_in_yaml(shell: "Shell") -> None:
    secret = "abcdefghijklmnopqrstuvwxyz"
    shell.set(admin_token__token=secret)

    done = shell("users", "list")

    assert done.code == 2
    assert "`admin_token.token` looks like a secret, and secrets do not belong in a settings file" in one_line(done)
    assert secret[:8] not in done.err


def test_a_setting_nobody_knows(shell: "Shell") -> None:
    shell.set(sync__team=["main"])

    done = shell("users", "list")

    assert done.code == 2
    assert "there is no setting `sync.team` (did you mean `sync.teams`?)" in one_line(done)


def test_a_profile_nobody_knows(shell: "Shell") -> None:
    done = shell("--profile", "staging", "users", "list")

    assert done.code == 2
    assert "there is no profile `staging`. There are: default." in one_line(done)


def test_a_settings_file_that_is_not_there(shell: "Shell") -> None:
    done = shell("--config", "/nowhere.yaml", "users", "list")

    assert done.code == 2
    assert "/nowhere.yaml cannot be read: No such file or directory." in one_line(done)
    assert "written by `mmconsole init`" in done.err


def test_no_server_in_the_settings(bare: "Shell") -> None:
    bare.settings["mattermost"] = {}

    done = bare("login", given="abc")

    assert done.code == 2
    assert "The setting `mattermost.url` is missing" in one_line(done)


def test_a_database_that_was_not_prepared(bare: "Shell") -> None:
    done = bare("users", "list")

    assert done.code == 1
    assert "has not been prepared yet" in one_line(done)
    assert "Run `mmconsole migrate`." in done.err


def test_the_embedded_database_that_was_not_prepared(bare: "Shell") -> None:
    del bare.settings["database"]

    done = bare("sync", "--all")

    assert done.code == 1
    assert "Run `mmconsole migrate`." in one_line(done)


def test_no_place_for_the_embedded_database(bare: "Shell") -> None:
    del bare.settings["database"]
    bare.environment["XDG_DATA_HOME"] = "/proc/nowhere"

    done = bare("migrate")

    assert done.code == 1
    assert "Let XDG_DATA_HOME name a folder that you can write" in one_line(done)


def test_no_such_table(shell: "Shell") -> None:
    shell.set(database__users__table="user")

    done = shell("users", "list")

    assert done.code == 1
    assert "There is no table `user`" in one_line(done)
    assert "Did you mean `users`?" in done.err


def test_no_such_column(shell: "Shell") -> None:
    shell.set(database__users__email="mail")

    done = shell("users", "list")

    assert done.code == 1
    assert "The table `users` has no column `mail`. Set `database.users.email`" in one_line(done)


def test_a_form_of_stored_tokens_that_was_not_expected(shell: "Shell") -> None:
    shell.add("ann@example.org")
    shell.sql("UPDATE users SET mattermost_token = ?", "a" * 26)
    shell.add("ben@example.org")

    done = shell("sync", "--all")

    assert done.code == 1
    assert "already holds 1 tokens as `plain`, but `tokens.storage` is `sealed`" in done.err


@pytest.mark.parametrize("word", ["abcdefghijklmnopqrstuvwxyz", "x" * 26])
def test_a_token_typed_as_an_argument_is_not_shown(bare: "Shell", word: str) -> None:
    done = bare("login", word)

    assert done.code == 2
    assert word[:8] not in one_line(done)


def test_debug_shows_where_it_happened_and_no_value(shell: "Shell") -> None:
    shell.keep_token("q" * 26)

    done = shell("--debug", "sync", "--all")

    assert done.code == 1
    assert "AdminTokenDead:\n" in done.err
    assert "in client" in done.err
    assert "q" * 8 not in done.err


@pytest.mark.parametrize("command", ["--help", "users list"])
def test_a_full_disk_behind_standard_output(shell: "Shell", command: str) -> None:
    shell.add("ann@example.org")

    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, *command.split()], stdout=full, stderr=subprocess.PIPE, text=True, env=shell.saved(), check=False
        )

    assert done.returncode == 1
    assert done.stderr.startswith("mmconsole: Standard output cannot be written: No space left on device.")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", [(1,), (0, 1, 2)])
def test_streams_that_are_closed(shell: "Shell", closed: tuple[int, ...]) -> None:
    shell.add("ann@example.org")
    redirected = " ".join(f"{number}>&-" for number in closed)

    done = subprocess.run(["sh", "-c", f"{COMMAND} sync --all {redirected}"], env=shell.saved(), check=False)

    assert done.returncode == 0
