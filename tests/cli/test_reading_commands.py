"""Commands that read: users, activity, config."""

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.fixture
def known(shell: "Shell") -> "Shell":
    """A shell whose users were synced: one in step, one without an address, one deleted."""
    shell.add("ann.with.a.really.long.address.that.fits.nowhere@mail.department.example.org", "Ann 王小明")
    shell.add(None, "Nobody")
    shell.add("gone@example.org", "Gone", deleted=True)
    assert shell("sync", "--all").code == 3
    return shell


def test_a_terminal_gets_a_table_that_fits(known: "Shell") -> None:
    shown = known.shown("--no-color", "users", "list")

    rows = shown.out.splitlines()
    assert rows[0].split("  ")[0] == "ID"
    assert [re.split(r"\s{2,}", row)[1] for row in rows[1:]] == ["+ ok", "! conflict", "! no account"]
    assert max(map(len, rows)) <= 80
    assert "…" in rows[1]


def test_an_empty_list_says_so_on_a_terminal(shell: "Shell") -> None:
    shown = {
        command: shell.shown(*command.split()).out for command in ("users list", "users list --filter ann", "jobs list")
    }

    assert "There is nobody in the users table." in shown["users list"]
    assert "This filter means nobody." in shown["users list --filter ann"]
    assert "There are no jobs yet." in shown["jobs list"]


def test_a_pipe_gets_lines_with_tabs_and_whole_cells(known: "Shell") -> None:
    done = known("users", "list")

    cells = [line.split("\t") for line in done.out.splitlines()]
    token = known.sql("SELECT token_id FROM mmconsole_tokens WHERE user_id = '1'")[0][0]
    assert [len(row) for row in cells] == [7, 7, 7]
    assert cells[0][:4] == ["1", "+ ok", known.sql("SELECT email FROM users")[0][0], "Ann 王小明"]
    assert cells[0][5] == token
    assert cells[1][6] == "no usable e-mail address: enter one in the application"


def test_users_can_be_listed_by_status(known: "Shell") -> None:
    by_status = {name: known("users", "list", "--health", name, "--json").lines for name in ("ok", "conflict", "OK")}

    assert [one["id"] for one in by_status["ok"]] == ["1"]
    assert [one["id"] for one in by_status["conflict"]] == ["2"]
    assert by_status["OK"] == by_status["ok"]


def test_users_can_be_listed_by_a_filter(known: "Shell") -> None:
    def ids(*arguments: str) -> list[str]:
        return [one["id"] for one in known("users", "list", "--json", *arguments).lines]

    assert ids("--filter", "status:conflict,noaccount") == ["2", "3"]
    assert ids("--filter", "王小明 -active:no") == ["1"]
    assert ids("--filter", "active:no", "--health", "noaccount") == ["3"]
    assert ids("--filter", "active:no", "--health", "ok") == []
    assert ids("--filter", "") == ids() == ["1", "2", "3"]


def test_a_filter_that_cannot_be_understood_shows_the_place(known: "Shell") -> None:
    done = known("users", "list", "--filter", "ann stauts:ok")
    team = known("users", "list", "--filter", "team:main")
    status = known("users", "list", "--health", "fine")

    assert done.code == team.code == status.code == 2
    assert done.out == ""
    assert done.err.startswith("ann stauts:ok\n    ^\nmmconsole: The filter cannot be understood at character 5: ")
    assert "there is no field `stauts` (did you mean `status`?)." in done.err
    assert "who is in the team `main` only the server knows" in team.err
    assert "There is no status `fine`. There are: ok, " in status.err


def test_one_user_is_shown_without_the_secret(known: "Shell") -> None:
    done = known("users", "show", "1")
    document = known("users", "show", "1", "--json")

    token = next(t for t in known.simulator.state.token_rows if t.description.startswith("mmconsole:"))
    assert "status    + ok\n" in done.out
    assert f"token     {token.id} (its id; the secret is never shown)" in done.out
    assert document.json["token_id"] == token.id
    assert document.json["health"] == "ok"
    for text in (done.out, document.out):
        assert token.secret[:8] not in text


def test_the_activity_log_says_what_happened(known: "Shell") -> None:
    done = known("activity")
    lines = known("activity", "--user", "1", "--limit", "1", "--json").lines

    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d   account created     1  @", done.out, re.MULTILINE)
    assert len(lines) == 1
    assert lines[0]["verb"] == "token generated"
    assert lines[0]["user_id"] == "1"
    assert lines[0]["actor"].endswith(" cli")


def test_the_activity_log_still_tells_of_a_user_who_is_gone(known: "Shell") -> None:
    known.sql("DELETE FROM users WHERE id = 1")

    done = known("activity", "--user", "1", "--json")
    nobody = known("activity", "--user", "999")

    assert {line["user_id"] for line in done.lines} == {"1"}
    assert (nobody.code, "There is no user `999`" in nobody.err) == (1, True)


def test_the_activity_log_can_be_followed(known: "Shell") -> None:
    running = known.start("activity", "--follow", "--limit", "1", "--json")
    assert running.stdout is not None
    first = running.stdout.readline()

    known.add("late@example.org")
    known("sync", "--all")
    second = running.stdout.readline()
    running.terminate()
    done = known.ended(running)

    assert '"user_id": "1"' in first
    assert '"user_id": "4"' in second
    assert done.code == 130


def test_every_setting_is_shown_with_where_it_comes_from(known: "Shell") -> None:
    known.environment["MMCONSOLE_SYNC_DEACTIVATE"] = "true"

    done = known("config", "show")
    document = known("config", "show", "--json").json

    assert "guard.removals\t10\tdefault\n" in done.out
    assert "sync.deactivate\ttrue\tMMCONSOLE_SYNC_DEACTIVATE\n" in done.out
    assert document["settings"]["mattermost.url"] == {"value": known.server.url, "origin": f"{known.config}:1"}


def test_a_password_in_the_databases_address_is_not_shown(known: "Shell") -> None:
    known.set(database__url="postgresql://app:s3cret@pass@db.example.org/app?sslmode=require&password=s3cret")

    done = known("config", "show", "--json")

    assert "s3cret" not in done.out
    assert done.json["settings"]["database.url"]["value"] == (
        "postgresql://app:********@db.example.org/app?sslmode=require&password=********"
    )


def test_settings_can_be_checked(known: "Shell") -> None:
    good, told = known("config", "check"), known("config", "check", "--json").json
    known.set(mattermost__timeout=0)
    bad = known("config", "check")

    assert good.code == 0
    assert good.out.splitlines()[0].split("\t") == ["database.users.id", "users.id", "fits", "INTEGER"]
    assert good.out.splitlines()[-1] == f"The settings of the profile default can be used ({known.config})."
    assert told["usable"]
    assert {one["fit"] for one in told["columns"]} == {"fits"}
    assert told["migrations"] == []
    assert bad.code == 2
    assert "`mattermost.timeout` cannot be `0`" in bad.err


def test_settings_that_do_not_fit_the_database_say_where(known: "Shell") -> None:
    known.set(database__users__email="mail")

    done, told = known("config", "check"), known("config", "check", "--json").json

    assert done.code == 1
    assert "users.mail\tmissing" in done.out
    assert "`database.users.email`" in done.err
    assert not told["usable"]


def test_nothing_to_recover_is_success(known: "Shell") -> None:
    done = known("tokens", "recover")

    assert (done.code, done.out) == (0, "Nothing to recover.\n")
