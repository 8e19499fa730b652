"""`mmconsole users add`, `edit`, `remove`, `import` and `export`."""

import csv
import io
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.fixture
def own(shell: "Shell") -> "Shell":
    """A shell with an embedded database."""
    del shell.settings["database"]
    assert shell("migrate").code == 0
    return shell


def rows(shell: "Shell", statement: str = "SELECT email, first_name, active FROM users ORDER BY id") -> list[Any]:
    file = Path(shell.environment["XDG_DATA_HOME"]) / "mmconsole" / "default.sqlite3"
    with closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
        return connection.execute(statement).fetchall()


def put(shell: "Shell", name: str, text: str | bytes) -> str:
    file = shell.folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def test_a_user_from_the_first_day_to_the_last(own: "Shell") -> None:
    added = own("users", "add", "ann@example.org", "--first-name", "Ann", "--verified")
    synced = own("sync", "--all")
    edited = own("users", "edit", "ann@example.org", "--last-name", "Lee")
    again = own("users", "edit", "1", "--last-name", "Lee")
    own("sync", "--all")
    removed = own("users", "remove", "1")
    last = own("sync", "--all", "--json")

    account = own.simulator.state.by_email["ann@example.org"]
    assert (added.out, added.code) == ("Added ann@example.org as user 1.\n", 0)
    assert synced.code == 0
    assert edited.out == "Changed. The next sync tells the server.\n"
    assert again.out == "Nothing to change.\n"
    assert (account.first_name, account.last_name) == ("Ann", "Lee")
    assert removed.out.startswith("Removed 1 user.")
    assert last.code == 0
    assert not account.tokens
    verbs = [verb for (verb,) in rows(own, "SELECT verb FROM mmconsole_activity WHERE verb LIKE 'user %' ORDER BY id")]
    assert verbs == ["user added", "user changed", "user removed"]


def test_what_does_not_fit_is_refused_before_anything_is_done(own: "Shell") -> None:
    own("users", "add", "ann@example.org")

    twice = own("users", "add", "ANN@example.org")
    odd = own("users", "add", "nobody")
    nothing = own("users", "edit", "1")
    unknown = own("users", "edit", "9", "--locale", "de")

    assert (twice.code, odd.code, nothing.code, unknown.code) == (1, 2, 2, 1)
    assert "there is a user of the address ANN@example.org already" in twice.err
    assert "`email` cannot be `nobody`: it is no e-mail address" in odd.err
    assert rows(own) == [("ann@example.org", "", 1)]


def test_removing_is_asked_about_on_a_terminal(own: "Shell") -> None:
    own("users", "add", "ann@example.org")

    child = own.on_terminal("users", "remove", "1", "nobody")
    child.expect_exact("There is no user `nobody`")
    child.expect_exact("Remove 1 user? [y/N] ")
    child.sendline("n")
    child.read()
    child.wait()

    assert child.exitstatus == 1
    assert len(rows(own)) == 1


def test_a_list_is_imported_once_and_again(own: "Shell") -> None:
    first = put(own, "people.csv", "email;first_name\r\nann@example.org;Ann\r\nbob@example.org;Bob\r\n")
    second = put(own, "more.jsonl", '{"email": "BOB@example.org", "active": false}\n{"email": "cat@example.org"}\n')

    looked = own("users", "import", first, "--dry-run")
    before = rows(own)
    done = own("users", "import", first)
    again = own("users", "import", first)
    more = own("users", "import", second, "--json")

    assert looked.out == "2 users added, 0 changed, 0 as before; nothing was written.\n"
    assert before == []
    assert done.out == "2 users added, 0 changed, 0 as before.\n"
    assert again.out == "0 users added, 0 changed, 2 as before.\n"
    assert more.json == {"added": 1, "changed": 1, "unchanged": 0, "dry_run": False}
    assert rows(own) == [("ann@example.org", "Ann", 1), ("BOB@example.org", "Bob", 0), ("cat@example.org", "", 1)]


@pytest.mark.parametrize("flags", [(), ("--dry-run",)])
def test_one_mistake_and_nothing_is_imported(own: "Shell", flags: tuple[str, ...]) -> None:
    own("users", "add", "ann@example.org")
    of_line = put(own, "one.csv", "email,active\nbob@example.org,yes\nbroken,yes\ncat@example.org,perhaps\n")
    of_table = put(own, "two.csv", "id,email\n,bob@example.org\n77,cat@example.org\n")

    one = own("users", "import", of_line, *flags)
    two = own("users", "import", of_table, *flags)

    assert (one.code, two.code) == (1, 1)
    assert one.err.splitlines()[:2] == [
        "line 3: `email` cannot be `broken`: it is no e-mail address",
        "line 4: `active` cannot be `perhaps`: it is neither yes nor no",
    ]
    assert "Nobody was added or changed: there are 2 mistakes in the list." in one.err
    assert "line 3: there is no user with the id 77" in two.err
    assert rows(own) == [("ann@example.org", "", 1)]


def test_removing_tells_which_names_are_nobodys(own: "Shell") -> None:
    own("users", "add", "ann@example.org")

    done = own("users", "remove", "ann@example.org", "nobody", "--yes")

    assert (done.code, rows(own)) == (3, [])
    assert "There is no user `nobody`" in done.err


def test_an_export_can_be_changed_and_imported(own: "Shell") -> None:
    put(own, "people.csv", "email,first_name,email_verified\nann@old.example,=Ann,yes\nbob@old.example,Bob,no\n")
    own("users", "import", str(own.folder / "people.csv"))

    text = own("users", "export").out
    unchanged = own("users", "import", "-", given=text)
    changed = own("users", "import", "-", given=text.replace("@old.example", "@new.example"))

    assert [row["first_name"] for row in csv.DictReader(io.StringIO(text))] == ["'=Ann", "Bob"]
    assert unchanged.out == "0 users added, 0 changed, 2 as before.\n"
    assert changed.out == "0 users added, 2 changed, 0 as before.\n"
    assert [row[0] for row in rows(own)] == ["ann@new.example", "bob@new.example"]


def test_an_export_is_a_new_file_for_oneself(own: "Shell") -> None:
    own("users", "add", "ann@example.org")
    file = own.folder / "people.jsonl"

    done = own("users", "export", str(file), "--filter", "ann")
    twice = own("users", "export", str(file))
    odd = own("users", "export", "--format", "xml")

    assert done.err.startswith("Wrote 1 user into ")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert '"email": "ann@example.org"' in file.read_text(encoding="utf-8")
    assert (twice.code, odd.code) == (2, 2)


def test_an_applications_users_are_not_touched(shell: "Shell") -> None:
    shell.add("ann@example.org")
    people = put(shell, "people.csv", "email\nbob@example.org\n")

    attempts = [
        shell("users", "add", "bob@example.org"),
        shell("users", "edit", "1", "--email", "x@example.org"),
        shell("users", "remove", "1", "--yes"),
        shell("users", "import", people),
        shell("users", "import", people, "--dry-run"),
    ]

    assert {done.code for done in attempts} == {1}
    assert all("Only the embedded database has users of its own" in done.err for done in attempts)
    assert shell.sql("SELECT email FROM users") == [("ann@example.org",)]
    assert shell("users", "export").out.splitlines()[1].startswith("1,ann@example.org,")
