"""`mmconsole tokens restorage` and `mmconsole seal rotate`: what people and scripts see."""

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mmconsole.secrets import form_of

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

APP_KEY = "base64:" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def synced(shell: "Shell") -> "Shell":
    """Three users with sealed tokens, in an application with a .env."""
    for name in ("ann", "ben", "cem"):
        shell.add(f"{name}@example.org")
    (shell.folder / ".env").write_text(f"APP_NAME=Chat\nAPP_KEY={APP_KEY}\n")
    shell.set(laravel__source="env_file", laravel__file=str(shell.folder / ".env"))
    assert shell("sync", "--all").code == 0
    return shell


def forms(shell: "Shell") -> set[str]:
    return {form_of(text) or "unknown" for (text,) in shell.sql("SELECT mattermost_token FROM users")}


def secrets(shell: "Shell") -> list[str]:
    return [token.secret for token in shell.simulator.state.token_rows if token.description.startswith("mmconsole:")]


def assert_silent(shell: "Shell", text: str) -> None:
    hidden = [*secrets(shell), APP_KEY, *json.loads((shell.folder / "seal-keys").read_text())["keys"].values()]
    assert not any(secret[at : at + 8] in text for secret in hidden for at in range(7, len(secret) - 7))


def test_a_restorage_says_what_it_does_and_what_to_set(synced: "Shell") -> None:
    done = synced("tokens", "restorage", "--to", "laravel")

    before, after, moved = done.out.splitlines()
    assert done.code == 0
    assert before.startswith("before  3 sealed with k")
    assert after.startswith("after   3 laravel with k")
    assert moved == "3 tokens rewritten as laravel."
    assert "rewriting: 100 % (3 of 3 users)" in done.err
    assert "Now set `tokens.storage: laravel`" in done.err
    assert forms(synced) == {"laravel"}
    assert_silent(synced, done.out + done.err)
    synced.set(tokens__storage="laravel")
    assert "3  unchanged" in synced("sync", "--all").out


def test_a_dry_run_tries_and_writes_nothing(synced: "Shell") -> None:
    rows = synced.sql("SELECT * FROM users")

    done = synced("tokens", "restorage", "--to", "plain", "--dry-run")

    assert done.code == 0
    assert done.out.splitlines()[1] == "3 tokens would be rewritten as plain."
    assert "Now set" not in done.err
    assert synced.sql("SELECT * FROM users") == rows


def test_as_json(synced: "Shell") -> None:
    synced.sql("UPDATE users SET mattermost_token = 'what is this?' WHERE id = 2")

    done = synced("tokens", "restorage", "--to", "laravel", "--json")

    document = done.json
    assert done.code == 3
    assert (document["to"], document["due"], document["moved"], document["refused"]) == ("laravel", 3, 2, 1)
    assert [(one["form"], one["count"]) for one in document["before"]] == [("sealed", 2), ("unknown", 1)]
    assert [(one["form"], one["count"]) for one in document["after"]] == [("laravel", 2), ("unknown", 1)]
    assert document["refusals"][0]["user_id"] == "2"
    assert "no form that mmconsole knows" in document["refusals"][0]["why"]
    assert_silent(synced, done.out + done.err)


def test_plain_is_asked_about_on_a_terminal(synced: "Shell") -> None:
    child = synced.on_terminal("tokens", "restorage", "--to", "plain")
    child.expect_exact("Whoever can read the table")
    child.expect_exact("Go on? [y/N]")
    child.sendline("n")
    child.expect_exact("Nothing was done.")
    child.wait()

    assert (child.exitstatus, forms(synced)) == (1, {"sealed"})


def test_an_app_key_can_be_given_by_hand(synced: "Shell") -> None:
    keys = synced.folder / "laravel-keys"
    synced.set(laravel__source="file", laravel__file=str(keys))

    missing = synced("tokens", "restorage", "--to", "laravel")
    nothing = synced("seal", "laravel")
    unfit = synced("seal", "laravel", given="base64:AAAA")
    kept = synced("seal", "laravel", given=f"{APP_KEY}\n")

    assert (nothing.code, "Nothing was given." in nothing.err) == (2, True)
    assert missing.code == 1
    assert "mmconsole seal laravel" in missing.err
    assert unfit.code == 1
    assert "AES-256-CBC needs 32 bytes, and it has 3" in unfit.err
    assert kept.out.startswith(f"1 key of the application in the file {keys}; k")
    assert synced("tokens", "restorage", "--to", "laravel").code == 0
    assert_silent(synced, missing.err + unfit.err + kept.out + kept.err)


def test_a_form_that_is_none_is_a_mistake_of_usage(shell: "Shell") -> None:
    done = shell("tokens", "restorage", "--to", "secret")

    assert done.code == 2
    assert "sealed" in done.err


def test_a_rotation_and_what_the_status_says_before_and_after(synced: "Shell") -> None:
    before = synced("seal", "status")
    done = synced("seal", "rotate")
    after = synced("seal", "status", "--json")

    old = before.out.splitlines()[1].split()[0].strip(",")
    keys = json.loads((synced.folder / "seal-keys").read_text())
    assert before.out.splitlines()[-1] == f"stored: 3 sealed with {old}"
    assert done.code == 0
    assert done.out.splitlines() == [
        f"3 tokens sealed anew; the key {keys['current']} seals now.",
        f"The key {old} is retired: nothing is sealed with it any more.",
    ]
    assert "Keep a copy of the new key" in done.err
    assert list(keys["keys"]) == [keys["current"]] != [old]
    assert after.json["stored"] == [{"form": "sealed", "key": keys["current"], "count": 3}]
    assert_silent(synced, before.out + done.out + done.err + after.out)
    assert "3  unchanged" in synced("sync", "--all").out


def test_a_rotation_as_json(synced: "Shell") -> None:
    document = synced("seal", "rotate", "--json").json

    assert (document["moved"], len(document["retired"]), document["kept"], document["unused"]) == (3, 1, [], [])


@pytest.mark.parametrize("command", [("seal", "rotate"), ("tokens", "restorage", "--to", "sealed")])
def test_help_loads_nothing_of_what_it_needs_later(command: tuple[str, ...]) -> None:
    code = (
        "import sys; from mmconsole.cli.run import run\n"
        f"run([*{command!r}[:2], '--help'])\n"
        "assert not {'cryptography', 'keyring', 'sqlalchemy', 'mmconsole.core'} & sys.modules.keys()"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
