"""`mmconsole channel` as an operator and cron see it."""

import re
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

PROJECTS = "CREATE TABLE projects (id INTEGER PRIMARY KEY, name VARCHAR, archived_at DATETIME, team VARCHAR)"


@pytest.fixture
def synced(shell: "Shell") -> "Shell":
    """A shell with three users who have an account and a token, and one who has none."""
    for name in ("ann", "ben", "cleo"):
        shell.add(f"{name}@example.org")
    shell("sync", "--all")
    shell.add("late@example.org")
    return shell


@pytest.fixture
def projects(shell: "Shell") -> "Shell":
    """A shell with a projects table: two that go on, one that is over."""
    shell.sql(PROJECTS)
    shell.sql("INSERT INTO projects (id, name) VALUES (1, 'Bridge'), (2, 'Tunnel'), (3, 'Tower')")
    shell.set(database__projects__table="projects")
    shell("channel", "create", "--projects")
    end(shell, 3)
    return shell


def end(shell: "Shell", *project_ids: int) -> None:
    for project_id in project_ids:
        shell.sql("UPDATE projects SET archived_at = '2025-01-01 00:00:00' WHERE id = ?", project_id)


def channel(shell: "Shell", name: str) -> Any:
    return next((one for one in shell.simulator.state.channels.values() if one.name == name), None)


def members(shell: "Shell", name: str) -> set[str]:
    users = shell.simulator.state.users
    return {users[one].username for one in channel(shell, name).members} - {"admin"}


# ── one channel ──────────────────────────────────────────────────────────────────────────────────


def test_a_channel_is_made_archived_and_restored(shell: "Shell") -> None:
    made = shell("channel", "create", "Über uns", "--purpose", "talk", "--private")
    archived = shell("channel", "archive", "uber-uns")
    again = shell("channel", "archive", "uber-uns")
    restored = shell("channel", "restore", "main/uber-uns")

    assert (made.code, made.out) == (0, "+ created  main/uber-uns\n")
    assert channel(shell, "uber-uns").type == "P"
    assert archived.code == 0
    assert archived.out.endswith("  1  archived\n\n- archived  main/uber-uns\n")
    assert (again.code, again.out.splitlines()[1]) == (0, "  1  unchanged")
    assert (restored.code, restored.out) == (0, "+ restored  main/uber-uns\n")


def test_json_tells_the_whole_channel(shell: "Shell") -> None:
    done = shell("channel", "create", "Bridge", "--purpose", "talk", "--json")

    made = channel(shell, "bridge")
    assert done.json | {"created_at": ""} == {
        "did": "created",
        "id": made.id,
        "channel": "main/bridge",
        "team": "main",
        "name": "bridge",
        "display_name": "Bridge",
        "private": False,
        "archived": False,
        "purpose": "talk",
        "created_at": "",
    }


def test_a_taken_name_is_refused_numbered_or_restored_as_asked(shell: "Shell") -> None:
    shell("channel", "create", "Bridge")

    refused = shell("channel", "create", "Bridge")
    numbered = shell("channel", "create", "Bridge", "--number")
    shell("channel", "archive", "bridge")
    archived = shell("channel", "create", "Bridge")
    restored = shell("channel", "create", "Bridge", "--restore")

    assert refused.code == 1
    assert refused.err == ("mmconsole: There is a channel `main/bridge` already. Take another name, or say --number.\n")
    assert numbered.out == "+ created  main/bridge-2\n"
    assert "in the archive. Take another name, or say --restore or --number." in archived.err
    assert restored.out == "+ restored  main/bridge\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create",), "Say which: a NAME, --project ID, or --projects"),
        (("create", "x", "--project", "7"), "Say which: a NAME, --project ID, or --projects"),
        (("create", "x", "--restore", "--number"), "Say only one of --restore and --number."),
        (("create", "x", "--dry-run"), "--dry-run and --wait can only be said with --projects."),
        (("create", "--project", "7", "--private"), "--restore and --number can only be said with a NAME."),
        (("create", "--projects", "--team", "main"), "--team can only be said with a NAME or --project."),
        (("create", "…"), "`…` cannot be made into the name of a channel"),
        (("create", "x", "--team", "nowhere"), "There is no team `nowhere`"),
        (("archive",), "Say which: channels, --project ID, or --projects"),
        (("archive", "--project", "7", "--dry-run"), "--dry-run can only be said with channels or --projects."),
        (("add", "town-square"), "Say whom: users by id, e-mail or username, --from a file, or --filter."),
        (("add", "town-square", "1", "--filter", "ann"), "Say whom:"),
        (("add", "nowhere", "1"), "There is no channel `nowhere` in the team main. Name it as `team/channel`"),
        (("restore", "nowhere"), "There is no channel `nowhere`"),
        (("create", "--projects"), "There is no projects table to read. Set `database.projects.table`"),
        (("create", "--project", "7"), "There is no project `7` with a name in the projects table (none is mapped)."),
    ],
)
def test_what_cannot_be_meant_is_said_with_the_way_out(
    shell: "Shell", arguments: tuple[str, ...], sentence: str
) -> None:
    done = shell("channel", *arguments)

    assert done.code in {1, 2}
    assert done.out == ""
    assert done.err.startswith("mmconsole: ")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_channels_are_listed_for_people_for_awk_and_as_json(shell: "Shell") -> None:
    shell("channel", "create", "A name for people that is longer than any column has room for, so it gives way 王")
    shell("channel", "create", "Board", "--private")

    shown = shell.shown("channel", "list")
    lines = [line.split("\t") for line in shell("channel", "list", "--team", "main").out.splitlines()]
    rows = shell("channel", "list", "--json").lines

    assert shown.out.splitlines()[0].split() == ["CHANNEL", "TYPE", "NAME", "ID"]
    assert max(map(len, shown.out.splitlines())) <= 80
    assert ["main/board", "private", "Board", channel(shell, "board").id] in lines
    assert {row["channel"]: row["private"] for row in rows}["main/board"] is True
    assert len(rows) == len(lines) == 4


def test_the_archive_is_listed_by_itself(shell: "Shell") -> None:
    shell("channel", "create", "Bridge")
    shell("channel", "archive", "bridge")

    assert [row["channel"] for row in shell("channel", "list", "--archived", "--json").lines] == ["main/bridge"]
    assert "bridge" not in shell("channel", "list").out


# ── archiving several ────────────────────────────────────────────────────────────────────────────


def test_every_named_channel_is_tried_and_told_of(shell: "Shell") -> None:
    shell("channel", "create", "Bridge")
    shell("channel", "create", "Tunnel")

    done = shell("channel", "archive", "bridge", "nowhere", "main/tunnel", "town-square", "main/bridge")

    assert done.code == 3
    assert re.match(r"5 channels in \d+ s\n  2  archived\n  1  unchanged\n  2  refused\n", done.out)
    assert "x refused  nowhere: There is no channel `nowhere`" in done.out
    assert "x refused  town-square: This is the channel that everybody of the team is in." in done.out
    assert channel(shell, "bridge").delete_at
    assert channel(shell, "tunnel").delete_at


def test_the_guard_counts_all_of_them_before_the_first(shell: "Shell") -> None:
    shell.set(guard__removals=2, guard__percent=0)
    names = [f"c{number}" for number in range(3)]
    for name in names:
        shell("channel", "create", name)

    planned = shell("channel", "archive", *names, "--dry-run")
    stopped = shell("channel", "archive", *names)
    untouched = [channel(shell, name).delete_at for name in names]
    allowed = shell("channel", "archive", *names, "--allow-removals", "3", "--json")

    assert (planned.code, stopped.code) == (0, 4), planned.err
    assert planned.out.startswith("3 of 3 channels to change; nothing was done\n  3  to be archived\n")
    assert "A real run would stop: This would remove 3" in planned.err
    assert "say --allow-removals 3" in stopped.err
    assert untouched == [0, 0, 0]
    assert allowed.json["counts"] == {"archived": 3}


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_a_terminal_is_asked_before_anything_is_archived(shell: "Shell", answer: str, code: int) -> None:
    shell("channel", "create", "Bridge")

    asked = shell.on_terminal("channel", "archive", "bridge")
    asked.expect_exact("main/bridge will be archived.")
    asked.expect_exact("Go on? [y/N] ")
    asked.sendline(answer)
    asked.wait()

    assert asked.exitstatus == code
    assert bool(channel(shell, "bridge").delete_at) is (code == 0)


def test_yes_is_not_asked(shell: "Shell") -> None:
    shell("channel", "create", "Bridge")

    shown = shell.shown("channel", "archive", "bridge", "--yes")

    assert shown.code == 0
    assert "Go on?" not in shown.out


# ── users ────────────────────────────────────────────────────────────────────────────────────────


def test_every_user_is_in_exactly_one_count(synced: "Shell") -> None:
    synced("channel", "create", "Bridge")
    synced("channel", "add", "bridge", "1")

    done = synced("channel", "add", "main/bridge", "1", "ben@example.org", "3", "4", "nobody", "BEN@example.org")

    assert done.code == 3
    assert re.match(
        r"5 users for main/bridge in \d+ s, job \d+\n  2  added\n  1  already there\n  2  refused\n\n", done.out
    )
    assert "x refused  4: no account yet: `mmconsole sync 4` makes or links it\n" in done.out
    assert "x refused  nobody: There is no user `nobody`" in done.out
    assert members(synced, "bridge") == {"ann", "ben", "cleo"}
    assert "adding: 100 % (3 of 3 users)" in done.err


def test_users_are_added_from_a_file_and_by_a_filter(synced: "Shell") -> None:
    synced("channel", "create", "Bridge")
    synced("channel", "create", "Tunnel")

    listed = synced("channel", "add", "bridge", "--from", "-", "--json", given="ann@example.org\n\n2\n")
    by_filter = synced("channel", "add", "tunnel", "--filter", "status:ok -ben", "--json")

    assert listed.json["counts"] == {"added": 2}
    assert listed.json["channel"]["channel"] == "main/bridge"
    assert by_filter.json["counts"] == {"added": 2}
    assert {one["user_id"] for one in by_filter.json["results"]} == {"1", "3"}
    assert members(synced, "tunnel") == {"ann", "cleo"}


def test_reasons_that_many_share_take_one_line(shell: "Shell") -> None:
    shell.add_many(12)
    shell("channel", "create", "Bridge")

    done = shell("channel", "add", "bridge", "--filter", "status:noaccount")

    assert done.code == 3
    assert done.out.endswith(
        "\nx refused  12 users (1, 2, 3 and 9 more): no account yet: `mmconsole sync …` makes or links it\n"
    )


def test_a_dry_run_says_who_would_be_added_and_adds_nobody(synced: "Shell") -> None:
    synced("channel", "create", "Bridge")
    synced("channel", "add", "bridge", "1")

    done = synced("channel", "add", "bridge", "1", "2", "4", "--dry-run")
    document = synced("channel", "add", "bridge", "1", "2", "4", "--dry-run", "--json")

    assert done.code == 0
    assert done.out.startswith(
        "1 of 3 users to add to main/bridge; nothing was done\n  1  to add\n  1  already there\n  1  refused\n"
    )
    assert document.json["counts"] == {"to add": 1, "already there": 1, "refused": 1}
    assert members(synced, "bridge") == {"ann"}


def test_a_private_channel_takes_users_only_as_administrator(synced: "Shell") -> None:
    synced("channel", "create", "Board", "--private")

    refused = synced("channel", "add", "board", "1")
    added = synced("channel", "add", "board", "1", "--as-admin", "--json")

    assert refused.code == 1
    assert "`mmconsole channel add --as-admin` adds people to it" in refused.err
    assert added.json["counts"] == {"added": 1}
    assert "with the administrator's token, as asked" in synced("activity").out


def test_whom_nobody_typed_is_asked_about_on_a_terminal(synced: "Shell") -> None:
    synced("channel", "create", "Bridge")

    asked = synced.on_terminal("channel", "add", "bridge", "--filter", "status:ok")
    asked.expect_exact("3 users will be added to main/bridge")
    asked.expect_exact("Go on? [y/N] ")
    asked.sendline("n")
    asked.expect_exact("mmconsole: Nothing was done.")
    asked.wait()
    typed = synced.shown("channel", "add", "bridge", "1", "2")

    assert asked.exitstatus == 1
    assert typed.code == 0
    assert "Go on?" not in typed.out


def test_a_fault_for_everybody_ends_it_and_the_rest_is_not_done(synced: "Shell") -> None:
    synced("channel", "create", "Bridge")
    synced.sql("UPDATE users SET mattermost_token = 'mm1$gone$AAAA'")
    synced.simulator.faults.add(Fault("login_page", "POST", "/channels/{id}/members", times=None))

    done = synced("channel", "add", "bridge", "1", "2", "3", "--as-admin", "--json")

    assert done.code == 1
    assert sum(done.json["counts"].values()) == 3
    assert "not done" in done.json["counts"]
    assert done.json["fault"]
    assert "mmconsole: " in done.err


def test_the_first_signal_lets_those_under_way_finish_and_the_same_command_does_the_rest(shell: "Shell") -> None:
    shell.add_many(60)
    shell("sync", "--all")
    shell("channel", "create", "Bridge")
    held = shell.simulator.faults.add(Fault("hold", "POST", "/channels/{id}/members", after=6, times=None))
    running = shell.start("channel", "add", "bridge", "--filter", "status:ok", "--json")
    shell.until(lambda: held.holding)

    running.send_signal(signal.SIGINT)
    said = shell.said(running, "stopping")
    held.let_go()
    done = shell.ended(running)
    rest = shell("channel", "add", "bridge", "--filter", "status:ok", "--json")

    assert done.code == 130
    assert "stopping after the 31 users under way; again to stop at once" in said
    assert "mmconsole: Stopped. What was done is stored; the same command does the rest." in done.err
    assert sum(done.json["counts"].values()) == 60
    assert rest.json["counts"] == {
        "added": done.json["counts"]["not done"],
        "already there": done.json["counts"]["added"],
    }


@pytest.mark.parametrize(
    ("lease", "arguments"),
    [("channel members", ("add", "town-square", "1")), ("channels of projects", ("create", "--projects"))],
)
def test_another_run_is_told_of_or_waited_for(synced: "Shell", lease: str, arguments: tuple[str, ...]) -> None:
    now = time.time_ns() // 1_000
    held = (lease, now, now + 600_000_000)
    synced.sql("INSERT OR REPLACE INTO mmconsole_leases VALUES (?, 'somebody', 9, ?, ?)", *held)

    told = synced("channel", *arguments)
    running = synced.start("channel", *arguments, "--wait")
    assert running.stderr is not None
    waits = running.stderr.readline()
    running.send_signal(signal.SIGINT)
    done = synced.ended(running)

    assert told.code == 75
    assert "Another run is at work on this database (somebody, since " in told.err
    assert waits.endswith("; waiting for its end.\n")
    assert done.code == 130


def test_a_broken_filter_is_shown_with_its_place(synced: "Shell") -> None:
    done = synced("channel", "add", "town-square", "--filter", "ann statsu:ok")

    assert done.code == 2
    assert done.err.splitlines()[:2] == ["ann statsu:ok", "    ^"]
    assert "did you mean `status`?" in done.err


# ── projects ─────────────────────────────────────────────────────────────────────────────────────


def test_one_project_gets_its_channel_and_is_archived(shell: "Shell") -> None:
    made = shell("channel", "create", "--project", "7", "--name", "Bridge", "--team", "main")
    again = shell("channel", "create", "--project", "7")
    archived = shell("channel", "archive", "--project", "7", "--json")
    without = shell("channel", "archive", "--project", "8")

    assert made.out == "+ created  main/bridge\n"
    assert (again.code, again.out) == (0, "+ unchanged  main/bridge\n")
    assert (archived.json["did"], archived.json["channel"]) == ("archived", "main/bridge")
    assert (without.code, without.out) == (0, "")
    assert "The project 8 has no channel, so there is nothing to archive." in without.err


def test_all_projects_get_what_their_rows_ask_for(projects: "Shell") -> None:
    projects.sql("INSERT INTO projects (id, name) VALUES (4, 'Harbour'), (5, NULL)")

    made = projects("channel", "create", "--projects")
    archived = projects("channel", "archive", "--projects")
    again = projects("channel", "archive", "--projects", "--json")

    assert made.code == 3
    assert re.match(r"4 projects in \d+ s, job 2\n  1  created\n  2  unchanged\n  1  refused\n\n", made.out)
    assert "x refused  5: There is no project `5` with a name" in made.out
    assert made.out.endswith("+ created  main/harbour  (project 4)\n")
    assert "applying: 100 % (1 of 1 project)" in made.err
    assert archived.code == 0
    assert archived.out.endswith("  1  archived\n\n- archived  main/tower  (project 3)\n")
    assert again.json["counts"] == {"unchanged": 1}
    assert not channel(projects, "bridge").delete_at


def test_a_dry_run_over_projects_changes_nothing(projects: "Shell") -> None:
    projects.sql("INSERT INTO projects (id, name) VALUES (4, 'Harbour')")

    create = projects("channel", "create", "--projects", "--dry-run")
    archive = projects("channel", "archive", "--projects", "--dry-run", "--json")

    assert create.code == 0
    assert create.out == (
        "1 of 3 projects to change; nothing was done\n  1  to be created\n  2  unchanged\n\n"
        "+ created  main/harbour  (project 4)\n"
    )
    assert archive.json["planned"] == [{"subject": "3", "did": "archived", "address": "main/tower"}]
    assert channel(projects, "harbour") is None
    assert not channel(projects, "tower").delete_at


def test_the_guard_stops_a_run_over_projects(projects: "Shell") -> None:
    projects.set(guard__removals=2, guard__percent=0)
    end(projects, 1, 2)

    stopped = projects("channel", "archive", "--projects")
    untouched = [channel(projects, name).delete_at for name in ("bridge", "tunnel", "tower")]
    allowed = projects("channel", "archive", "--projects", "--allow-removals", "3", "--json")

    assert (stopped.code, stopped.out) == (4, "")
    assert "say --allow-removals 3" in stopped.err
    assert untouched == [0, 0, 0]
    assert (allowed.code, allowed.json["counts"]) == (0, {"archived": 3})
