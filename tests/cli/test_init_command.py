"""`mmconsole init`: what it finds, asks and writes, and that it leaves nothing half done."""

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pexpect
import pytest
import yaml
from sqlalchemy import make_url
from tests.conftest import LARAVEL
from tests.servers.application import ask, run_script

from mmconsole.secrets.forms import form_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ended, Shell

KEY = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.fixture
def new(bare: "Shell") -> "Shell":
    """A shell of somebody who has installed mmconsole and nothing else."""
    bare.settings.clear()
    return bare


@pytest.fixture
def application(new: "Shell") -> "Path":
    """A Laravel application's folder: an `.env`, and a users table with soft deletes."""
    folder = new.folder / "app"
    (folder / "database").mkdir(parents=True)
    lines = ["APP_NAME='My App'", f"APP_KEY={KEY}", "DB_CONNECTION=sqlite", f"MATTERMOST_URL={new.server.url}/api/v4"]
    (folder / ".env").write_text("\n".join([*lines, "MATTERMOST_TEAM=main"]), encoding="utf-8")
    with closing(sqlite3.connect(folder / "database" / "database.sqlite")) as connection:
        connection.executescript(
            "CREATE TABLE users (id INTEGER PRIMARY KEY, name VARCHAR, email VARCHAR, email_verified_at DATETIME,"
            " language VARCHAR, deleted_at DATETIME, mattermost_token TEXT);"
            "INSERT INTO users (name, email, email_verified_at) VALUES ('Ann Lee', 'ann@example.org', '2026-01-01');"
        )
    return folder


def init(shell: "Shell", *arguments: str, token: str | None = None) -> "Ended":
    return shell("init", "--yes", *arguments, given=shell.simulator.bot_token if token is None else token)


def written(shell: "Shell") -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(shell.config.read_text(encoding="utf-8"))
    return found


def test_from_nothing_to_a_sync_with_a_laravel_application(new: "Shell", application: "Path") -> None:
    done = init(new, "--env", str(application / ".env"))
    migrated, synced = new("migrate"), new("sync", "--all")
    well = new("doctor", "--json")

    assert done.code == migrated.code == synced.code == well.code == 0, done.err
    assert "Found a Laravel application (My App):" in done.err
    assert written(new) == {
        "mattermost": {"url": new.server.url},
        "admin_token": {"source": "file"},
        "database": {
            "url": f"sqlite:///{application}/database/database.sqlite",
            "users": {"locale": "language", "deleted_at": "deleted_at"},
        },
        "seal": {"source": "file"},
        "laravel": {"source": "env_file", "file": str(application / ".env")},
        "sync": {"teams": ["main"]},
        "tokens": {"storage": "laravel"},
    }
    with closing(sqlite3.connect(application / "database" / "database.sqlite")) as connection:
        (stored,) = connection.execute("SELECT mattermost_token FROM users").fetchone()
    assert form_of(stored) == "laravel"


_SOMEBODY = {
    "postgresql": (
        "CREATE ROLE {role} LOGIN PASSWORD 'very-secret'",
        'GRANT ALL ON SCHEMA public TO {role}; GRANT ALL ON DATABASE "{database}" TO {role}',
    ),
    "mariadb": (
        "CREATE USER {role}@'127.0.0.1' IDENTIFIED BY 'very-secret'",
        "GRANT ALL ON {database}.* TO {role}@'127.0.0.1'",
    ),
}


@pytest.mark.parametrize(("kind", "name"), [("postgresql", "pgsql"), ("mariadb", "mysql")])
def test_from_nothing_to_a_sync_with_an_application_on_a_server(
    new: "Shell",
    application: "Path",
    new_url: "Callable[[str], str]",
    request: pytest.FixtureRequest,
    kind: str,
    name: str,
) -> None:
    address, server = make_url(new_url(kind)), request.getfixturevalue(kind)
    database = str(address.database)
    role = f"role_{database}"
    for statement in _SOMEBODY[kind]:
        ask(address.render_as_string(), statement.format(role=role, database=database))
    run_script(server.url(database, role, "very-secret"), LARAVEL)
    ask(address.render_as_string(), "INSERT INTO users (name, email) VALUES ('Ann Lee', 'ann@example.org')")
    lines = [f"DB_CONNECTION={name}", "DB_HOST=127.0.0.1", f"DB_PORT={server.port}", f"DB_DATABASE={database}"]
    with (application / ".env").open("a", encoding="utf-8") as file:
        file.write("\n".join(["", *lines, f"DB_USERNAME={role}", "DB_PASSWORD=very-secret"]))

    done = init(new, "--env", str(application / ".env"))
    migrated, synced, well = new("migrate"), new("sync", "--all"), new("doctor", "--json")

    assert done.code == migrated.code == synced.code == well.code == 0, done.err + well.out
    assert "very-secret" not in new.config.read_text(encoding="utf-8") + done.out + done.err
    ((stored,),) = ask(address.render_as_string(), "SELECT mattermost_token FROM users")
    assert form_of(stored) == "laravel"


def test_without_an_application_there_is_a_database_of_our_own(new: "Shell") -> None:
    done = init(new, "--url", new.server.url, "--team", "main")

    assert written(new) == {
        "mattermost": {"url": new.server.url},
        "admin_token": {"source": "file"},
        "seal": {"source": "file"},
        "sync": {"teams": ["main"]},
    }
    assert "Made the seal key k" in done.err
    assert new("migrate").code == 0
    assert new("users", "add", "ann@example.org").code == 0
    assert new("sync", "--all").code == 0


def test_settings_and_secrets_are_for_oneself_and_no_secret_is_in_the_settings(
    new: "Shell", application: "Path"
) -> None:
    with (application / ".env").open("a", encoding="utf-8") as file:
        file.write(f"\nMATTERMOST_ADMIN_TOKEN={new.simulator.admin_token}\nDB_PASSWORD=very-secret\n")

    done = init(new, "--env", str(application / ".env"), token="")

    text = new.config.read_text(encoding="utf-8")
    secrets = (new.folder / "home" / "config" / "mmconsole" / "secrets").iterdir()
    assert {stat.S_IMODE(file.stat().st_mode) for file in [new.config, *secrets]} == {0o600}
    for secret in (new.simulator.admin_token, "very-secret", KEY[8:]):
        assert secret not in text + done.out + done.err
    assert "The token of @admin works" in done.err


def test_a_token_for_another_server_is_not_sent_to_this_one(new: "Shell", application: "Path") -> None:
    env = application / ".env"
    another = env.read_text(encoding="utf-8").replace(new.server.url, "https://chat.example.org")
    env.write_text(f"{another}\nMATTERMOST_ADMIN_TOKEN={new.simulator.admin_token}\n", encoding="utf-8")

    done = init(new, "--env", str(env), "--url", new.server.url)

    assert "The token of @admin works" not in done.err
    assert (done.code, written(new)["mattermost"]) == (0, {"url": new.server.url})


def test_the_form_that_is_found_is_proposed(new: "Shell", application: "Path") -> None:
    with closing(sqlite3.connect(application / "database" / "database.sqlite")) as connection, connection:
        connection.execute("UPDATE users SET mattermost_token = ?", ("a" * 26,))

    init(new, "--env", str(application / ".env"))
    found = written(new)["tokens"]
    init(new, "--env", str(application / ".env"), "--storage", "laravel", "--force")

    assert found == {"storage": "plain"}
    assert written(new)["tokens"] == {"storage": "laravel", "accept": ["plain"]}


def test_nothing_is_overwritten_unless_that_is_said(new: "Shell") -> None:
    new.config.write_text("sync: {teams: [old]}\n", encoding="utf-8")

    refused = init(new, "--url", new.server.url)
    kept = new.config.read_text(encoding="utf-8")
    done = init(new, "--url", new.server.url, "--force")

    assert (refused.code, kept) == (2, "sync: {teams: [old]}\n")
    assert "Say --force to overwrite it" in refused.err
    assert done.code == 0
    assert written(new)["mattermost"] == {"url": new.server.url}


@pytest.mark.parametrize("there", [False, True])
def test_a_token_that_does_not_work_leaves_everything_as_it_was(new: "Shell", there: bool) -> None:  # noqa: FBT001
    if there:
        new.config.write_text("sync: {teams: [old]}\n", encoding="utf-8")

    done = init(new, "--url", new.server.url, "--force", token="z" * 26)

    assert done.code == 1
    assert "does not accept the admin token" in done.err
    assert new.config.exists() == there
    assert not (new.folder / "home" / "config" / "mmconsole" / "secrets").exists()


def test_a_key_that_cannot_be_made_takes_the_token_back(new: "Shell") -> None:
    secrets = new.folder / "home" / "config" / "mmconsole" / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    (secrets / "default.seal-keys").touch(mode=0o600)
    (secrets / "default.seal-keys").write_text("not keys", encoding="utf-8")

    done = init(new, "--url", new.server.url)

    assert done.code == 1
    assert "is not a set of seal keys" in done.err
    assert not new.config.exists()
    assert [file.name for file in secrets.iterdir()] == ["default.seal-keys"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "Say where Mattermost is"),
        (("--url", "chat.example.org"), 2, "must look like https://"),
        (("--url", "http://x.test"), 2, "say --allow-http if the way there is safe"),
        (("--url", "https://x.test", "--database", "mysql://app:pw@db/app"), 2, "A password does not belong in"),
        (("--url", "https://x.test", "--database", "mysql://a@db/b?passwd=pw"), 2, "A password does not belong in"),
        (("--url", "https://x.test", "--database", "sqlite:////nowhere/app.sqlite"), 1, "There is no database file"),
        (("--url", "https://x.test", "--storage", "laravel"), 2, "APP_KEY"),
        (("--url", "https://x.test", "--storage", "paper"), 2, "There is no form `paper`"),
        (("--url", "https://x.test", "--secrets", "drawer"), 2, "`keyring` or a `file`"),
        (("--url", "https://x.test", "--env", "nowhere"), 2, "is not the .env of a Laravel application"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_written(
    new: "Shell", arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = init(new, *arguments)

    assert (done.code, sentence in done.err) == (code, True), done.err
    assert not new.config.exists()


def test_what_is_no_plain_file_is_neither_read_nor_removed(new: "Shell") -> None:
    done = new("--config", "/dev/zero", "init", "--yes", "--force", "--url", new.server.url)

    assert (done.code, "is not a file that settings can be written to" in done.err) == (2, True)


def _begin(shell: "Shell", application: "Path") -> "pexpect.spawn[str]":
    environment = shell.saved() | {"TERM": "xterm-256color"}
    command = shell.on_terminal.__globals__["COMMAND"]
    return pexpect.spawn(
        command, ["init"], env=environment, encoding="utf-8", timeout=60, dimensions=(40, 200), cwd=str(application)
    )


def test_on_a_terminal_everything_is_asked(new: "Shell", application: "Path") -> None:
    child = _begin(new, application)
    child.expect_exact(f"Address of Mattermost [{new.server.url}]: ")
    child.sendline("")
    child.expect_exact("The application's database (none: one of our own) [sqlite:///")
    child.sendline("")
    child.expect_exact("1 user in the table `users`")
    child.expect_exact("How tokens are stored (sealed, laravel, plain) [laravel]: ")
    child.sendline("sealed")
    child.expect_exact("Teams that everybody joins")
    child.sendline("")
    child.expect_exact("Where secrets live (keyring, file) [file]: ")
    child.sendline("")
    child.expect_exact("Admin token for")
    child.waitnoecho()
    child.sendline(new.simulator.bot_token)
    child.expect_exact("Write this into")
    assert not new.config.exists()
    child.sendline("y")
    child.expect_exact("Next: `mmconsole migrate`")
    child.read()
    child.wait()

    assert child.exitstatus == 0
    assert "tokens" not in written(new)


def test_on_a_terminal_a_wrong_answer_is_asked_for_again(new: "Shell", application: "Path") -> None:
    child = _begin(new, application)
    asked = [
        ("Address of Mattermost", "chat", "must look like"),
        ("Address of Mattermost", "http://x.test", ""),
        ("Is the way there safe all the same? [y/N]", "", ""),
        ("Address of Mattermost", "", ""),
        ("The application's database", "mysql://app:pw@db/app", "does not belong"),
        ("The application's database", "sqlite:////nowhere.sqlite", "There is no database file"),
        ("Go on all the same? [y/N]", "", ""),
        ("The application's database", "", "1 user"),
        ("How tokens are stored", "paper", "There is no form"),
        ("How tokens are stored", "sealed", ""),
        ("Teams that everybody joins", "", ""),
        ("Where secrets live", "drawer", "`keyring` or a `file`"),
        ("Where secrets live", "", ""),
        ("Admin token for", "z" * 26, "Write this into"),
    ]
    for question, answer, told in asked:
        child.expect_exact(question)
        if question.startswith("Admin"):
            child.waitnoecho()
        child.sendline(answer)
        child.expect_exact(told)
    child.sendline("y")
    child.expect_exact("does not accept the admin token")
    child.expect_exact("Admin token for")
    child.waitnoecho()
    child.sendline(new.simulator.bot_token)
    child.expect_exact("Next: `mmconsole migrate`")
    child.read()
    child.wait()

    assert child.exitstatus == 0


@pytest.mark.parametrize("questions", [1, 3, 6])
def test_ctrl_c_leaves_nothing_behind(new: "Shell", application: "Path", questions: int) -> None:
    child = _begin(new, application)
    prompts = ["Address of", "The application's database", "How tokens", "Teams that", "Where secrets", "Admin token"]
    for prompt in prompts[:questions]:
        child.expect_exact(prompt)
        if prompt != prompts[questions - 1]:
            child.sendline("")
    if questions == len(prompts):
        child.waitnoecho()
    child.sendintr()
    child.read()
    child.wait()

    assert child.exitstatus == 130
    assert not new.config.exists()
    assert not (new.folder / "home" / "config").exists()
