"""`mmconsole login`, `logout` and `seal`."""

import json
import stat
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.fixture
def files(bare: "Shell") -> "Shell":
    """A shell that keeps its secrets in files."""
    bare.set(admin_token__source="file", admin_token__file=str(bare.folder / "token"))
    bare.set(seal__source="file", seal__file=str(bare.folder / "keys"))
    return bare


def test_a_token_from_standard_input_is_tried_and_stored(files: "Shell") -> None:
    done = files("login", given=f"{files.simulator.admin_token}\n")

    kept = files.folder / "token"
    assert done.code == 0
    assert done.out == (
        f"Signed in to {files.server.url} (Mattermost 11.6.0) as @admin.\nThe token is stored in the file {kept}.\n"
    )
    assert json.loads(kept.read_text()) == {"server": files.server.url, "token": files.simulator.admin_token}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_token_is_asked_for_without_echo(files: "Shell") -> None:
    child = files.on_terminal("login")
    child.expect_exact(f"Admin token for {files.server.url}: ")
    child.waitnoecho()
    child.sendline(files.simulator.admin_token)
    rest = child.read()
    child.wait()

    assert child.exitstatus == 0
    assert "as @admin" in rest
    assert files.simulator.admin_token not in rest


def test_ctrl_c_at_the_question_for_the_token_stores_nothing(files: "Shell") -> None:
    child = files.on_terminal("login")
    child.expect_exact("Admin token for")
    child.waitnoecho()
    child.sendintr()
    child.read()
    child.wait()

    assert child.exitstatus == 130
    assert not (files.folder / "token").exists()


def test_a_login_as_json(files: "Shell") -> None:
    done = files("login", "--json", given=files.simulator.bot_token)

    assert done.json == {
        "server": files.server.url,
        "username": "consolebot",
        "version": "11.6.0",
        "stored_in": f"file {files.folder / 'token'}",
    }


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        ("", 2, "No token was given."),
        ("z" * 26, 1, "does not accept the admin token"),
        ("two words", 2, "cannot be a token"),
        ("two\nlines", 2, "cannot be a token"),
        ("\u0442\u043e\u043a\u0435\u043d", 2, "cannot be a token"),
    ],
)
def test_what_is_no_good_token_is_not_stored(files: "Shell", given: str, code: int, sentence: str) -> None:
    done = files("login", given=given)

    assert done.code == code
    assert sentence in done.err
    assert not (files.folder / "token").exists()


def test_a_token_that_is_no_administrators_is_not_stored(files: "Shell") -> None:
    ann = files.account("ann@example.org")

    done = files("login", given=files.simulator.state.add_token(ann, "").secret)

    assert done.code == 1
    assert "who is not a system administrator" in done.err
    assert not (files.folder / "token").exists()


def test_a_place_that_only_others_can_write_says_how(bare: "Shell") -> None:
    bare.set(admin_token__source="environment")

    done = bare("login", given=bare.simulator.admin_token)

    assert done.code == 1
    assert "export MMCONSOLE_ADMIN_TOKEN=" in done.err


def test_logout_forgets_the_token(files: "Shell") -> None:
    files("login", given=files.simulator.admin_token)

    done = files("logout")

    assert done.code == 0
    assert done.out == f"Forgotten: there is no admin token in the file {files.folder / 'token'} any more.\n"
    assert not (files.folder / "token").exists()


def test_the_whole_way_from_nothing_to_a_sync(files: "Shell") -> None:
    files.add("ann@example.org")

    codes = [
        files("migrate").code,
        files("login", given=files.simulator.admin_token).code,
        files("seal", "init").code,
        files("sync", "--all").code,
    ]

    assert codes == [0, 0, 0, 0]
    assert files.marked == 1


# ── seal keys ────────────────────────────────────────────────────────────────────────────────────


def test_the_first_seal_key_is_made_once(files: "Shell") -> None:
    first = files("seal", "init")
    kept = (files.folder / "keys").read_text()
    second = files("seal", "init")

    assert first.code == 0
    assert first.out.startswith("Made the key k")
    assert "Keep a copy" in first.err
    assert second.code == 1
    assert "There is a seal key already" in second.err
    assert (files.folder / "keys").read_text() == kept


def test_the_status_of_seal_keys_never_shows_them(files: "Shell") -> None:
    before = files("seal", "status")
    files("seal", "init")
    after = files("seal", "status")
    document = files("seal", "status", "--json").json

    keys = json.loads((files.folder / "keys").read_text())
    assert before.out == f"0 keys in the file {files.folder / 'keys'}\n"
    assert "has not been prepared yet" in before.err
    assert f"  {keys['current']}, made 20" in after.out
    assert document["keys"][0]["id"] == keys["current"]
    assert keys["keys"][keys["current"]] not in after.out + json.dumps(document)


def test_seal_keys_are_exported_into_a_file_and_not_onto_a_screen(files: "Shell") -> None:
    files("seal", "init")

    piped = files("seal", "export")
    refused = files.shown("seal", "export")
    insisted = files.shown("seal", "export", "--show")

    keys = (files.folder / "keys").read_text().strip()
    assert piped.out.strip() == keys
    assert "These keys open every stored token." in piped.err
    assert refused.code == 2
    assert "or --show" in refused.out
    assert insisted.code == 0
    assert json.loads(keys)["current"] in insisted.out


def test_seal_keys_are_exported_into_a_new_file_of_our_own(files: "Shell") -> None:
    files("seal", "init")
    copy = files.folder / "copy"

    done = files("seal", "export", "--output", str(copy))
    again = files("seal", "export", "--output", str(copy), "--with-new-key")

    assert (done.code, done.out) == (0, "")
    assert copy.read_text() == (files.folder / "keys").read_text()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert again.code == 2
    assert f"{copy} exists already, and nothing is overwritten." in again.err
    assert copy.read_text() == (files.folder / "keys").read_text()


def test_a_file_of_somebody_else_is_not_written_through_a_link(files: "Shell") -> None:
    files("seal", "init")
    link = files.folder / "link"
    link.symlink_to(files.folder / "elsewhere")

    done = files("seal", "export", "--output", str(link))

    assert done.code == 2
    assert not (files.folder / "elsewhere").exists()
