"""`mmconsole jobs`: seen, paused, stopped and resumed from another process than the one at work."""

import signal
import time
from typing import TYPE_CHECKING

import pytest

from mmconsole.simulator import Fault, SimulatorOptions

if TYPE_CHECKING:
    import subprocess

    from tests.cli.conftest import Shell

SLOW = 0.03
"""Seconds before each answer, so that there is a middle."""


@pytest.fixture
def options() -> SimulatorOptions:
    return SimulatorOptions(latency=SLOW)


def begun(shell: "Shell", *arguments: str, users: int = 100) -> "subprocess.Popen[str]":
    """A sync in the middle of its work, which goes on when the server's faults are cleared."""
    shell.add_many(users)
    held = shell.simulator.faults.add(Fault("hold", "GET", "/users/{id}/teams", after=6, times=None))
    running = shell.start("sync", *(arguments or ("--all",)))
    shell.until(lambda: held.holding)
    return running


def end_leases(shell: "Shell") -> None:
    """The thirty seconds of a dead process are over."""
    shell.sql("UPDATE mmconsole_leases SET expires_at = 0")


def killed(shell: "Shell", *, users: int = 100) -> None:
    running = begun(shell, users=users)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    shell.simulator.faults.clear()
    end_leases(shell)


def assert_all_in_step(shell: "Shell", users: int) -> None:
    secrets = [token for token in shell.simulator.state.token_rows if token.description.startswith("mmconsole:")]
    assert len(secrets) == len({token.user_id for token in secrets}) == users
    assert shell.sql("SELECT COUNT(*) FROM mmconsole_tokens WHERE health = 'ok'") == [(users,)]


def test_a_killed_sync_is_resumed_by_another_process_and_nothing_is_done_twice(shell: "Shell") -> None:
    killed(shell)
    (listed,) = shell("jobs", "list", "--json").lines
    accounts = shell.simulator.calls["POST /users"]

    done = shell("jobs", "resume", "1", "--json")

    assert listed["state"] == "interrupted"
    assert listed["resumable"]
    assert done.code == 0, done.err
    assert done.json["job_id"] == 1
    assert_all_in_step(shell, 100)
    # Those under way when it died may have been asked for twice; the server has them once.
    assert shell.simulator.calls["POST /users"] - accounts < 100 - accounts + 32
    (ended,) = shell("jobs", "list", "--json").lines
    assert (ended["state"], ended["left"], ended["failed"]) == ("done", 0, 0)
    assert shell("sync", "--all", "--json").json["counts"] == {"unchanged": 100}


def test_a_job_is_resumed_only_when_its_dead_process_has_lost_its_lease(shell: "Shell") -> None:
    running = begun(shell)
    running.send_signal(signal.SIGKILL)
    running.communicate()

    busy = shell("jobs", "resume", "1")
    shell.simulator.faults.clear()
    end_leases(shell)
    done = shell("jobs", "resume", "1")

    assert busy.code == 75
    assert "Another run is at work" in busy.err
    assert done.code == 0
    assert_all_in_step(shell, 100)


def test_what_changed_since_is_left_to_the_next_sync_and_said(shell: "Shell") -> None:
    killed(shell)
    shell.sql("UPDATE users SET name = 'New Name' WHERE id = 100")
    shell.sql("DELETE FROM users WHERE id = 99")

    done = shell("jobs", "resume", "1", "--json")

    notes = {one["user_id"]: one["note"] for one in done.json["listed"]}
    assert notes == {
        "99": "neither the row nor anything of ours is left",
        "100": "the row changed since it was planned; the next sync takes it up",
    }
    assert shell.marked == 98
    shell("sync", "--all")
    assert_all_in_step(shell, 99)


def test_a_later_sync_of_everybody_ends_the_job_and_one_of_named_users_does_not(shell: "Shell") -> None:
    killed(shell)

    named = shell("sync", "100", "--json")
    resumed = shell("jobs", "resume", "1", "--json")

    assert named.json["counts"] == {"created": 1}
    assert resumed.code == 0
    assert resumed.json["counts"]["unchanged"] >= 1
    assert_all_in_step(shell, 100)


def test_a_job_that_was_planned_anew_cannot_be_resumed(shell: "Shell") -> None:
    killed(shell)
    shell("sync", "--all")

    done = shell("jobs", "resume", "1")

    assert done.code == 1
    assert done.err == "mmconsole: Job 1 has ended (stopped), so there is nothing to go on with.\n"


def test_a_running_job_is_stopped_from_another_process(shell: "Shell") -> None:
    running = begun(shell, users=200)

    told = shell("jobs", "stop", "1")
    shell.simulator.faults.clear()
    ended = shell.ended(running)

    assert told.out == "Job 1 was told to stop; it does so after the users under way.\n"
    assert ended.code == 130
    assert "mmconsole: Somebody stopped job 1. What was done is stored" in ended.err
    (job,) = shell("jobs", "list", "--json").lines
    assert job["state"] == "stopped"
    assert 0 < shell.marked < 200
    assert shell.marked == job["done"] == shell.sql("SELECT COUNT(*) FROM mmconsole_tokens WHERE health = 'ok'")[0][0]
    assert shell("jobs", "resume", "1").code == 1
    assert shell("activity", "--json", "--limit", "1000").out.count('"job stopped"') == 1


def test_a_paused_job_waits_until_it_is_resumed(shell: "Shell") -> None:
    running = begun(shell, users=200)

    told = shell("jobs", "pause", "1")
    shell.simulator.faults.clear()
    ended = shell.ended(running)
    (paused,) = shell("jobs", "list", "--json").lines
    done = shell("jobs", "resume", "1")

    assert "was told to pause" in told.out
    assert ended.code == 130
    assert "`mmconsole jobs resume 1` or the same command does the rest." in ended.err
    assert paused["state"] == "paused"
    assert paused["left"] > 0
    assert done.code == 0
    assert_all_in_step(shell, 200)


def test_an_abandoned_job_is_stopped_at_once(shell: "Shell") -> None:
    killed(shell)

    first, second = shell("jobs", "stop", "1"), shell("jobs", "stop", "1")

    assert first.out == "Job 1 is stopped.\n"
    assert second.out == "Job 1 was at its end already.\n"
    assert (first.code, second.code) == (0, 0)


def test_two_processes_that_resume_at_once_do_nothing_twice(shell: "Shell") -> None:
    killed(shell)

    first = shell.start("jobs", "resume", "1", "--wait")
    second = shell.start("jobs", "resume", "1", "--wait")
    codes = sorted([shell.ended(first).code, shell.ended(second).code])

    # Whoever comes second finds it ended.
    assert codes == [0, 1]
    assert_all_in_step(shell, 100)


def test_a_signal_pauses_and_the_job_can_be_resumed(shell: "Shell") -> None:
    running = begun(shell)
    running.send_signal(signal.SIGTERM)
    shell.said(running, "stopping")
    shell.simulator.faults.clear()
    shell.ended(running)

    (paused,) = shell("jobs", "list", "--json").lines
    done = shell("jobs", "resume", "1")

    assert (paused["state"], paused["resumable"]) == ("paused", True)
    assert done.code == 0
    assert_all_in_step(shell, 100)


def test_the_guard_stands_before_a_resumed_job_too(shell: "Shell") -> None:
    shell.add_many(30)
    shell("sync", "--all")
    shell.sql("UPDATE users SET deleted_at = '2025-01-01' WHERE id <= 20")
    running = shell.start("sync", "--all", "--allow-removals", "20")
    shell.until(lambda: shell.marked < 30)
    shell("jobs", "pause", "2")
    shell.ended(running)
    left = shell("jobs", "list", "--json", "--limit", "1").lines[0]["left"]
    shell.sql("UPDATE mmconsole_jobs SET state = 'paused' WHERE id = 2 AND state = 'done'")

    stopped = shell("jobs", "resume", "2")

    if left:
        assert stopped.code == 4
        assert shell.marked == 10 + left
        done = shell("jobs", "resume", "2", "--allow-removals", str(left))
        assert done.code == 0
    assert shell.marked == 10


def test_show_tells_what_failed_and_why(shell: "Shell") -> None:
    shell.add_many(6)
    shell.simulator.state.config["TeamSettings", "MaxUsersPerTeam"] = 3
    shell("sync", "--all")

    shown, listed = shell("jobs", "show", "1"), shell("jobs", "show", "1", "--failed", "--json")
    everything = shell("jobs", "show", "1", "--json")

    assert "what     sync --all\n" in shown.out
    assert "state    + done\n" in shown.out
    assert shown.out.count("x failed") == len(listed.lines) > 0
    assert all("MaxUsersPerTeam" in item["note"] for item in listed.lines)
    assert [item["position"] for item in everything.lines] == [1, 2, 3, 4, 5, 6]


def test_the_list_is_one_line_a_job(shell: "Shell") -> None:
    shell.add("ann@example.org")
    shell("sync", "--all")
    shell.add("bo@example.org")
    shell("sync", "2")

    shown, piped = shell.shown("jobs", "list"), shell("jobs", "list")

    assert "JOB" in shown.out
    assert "+ done" in shown.out
    assert [line.split("\t")[0] for line in piped.out.splitlines()] == ["2", "1"]


@pytest.mark.parametrize("verb", ["show", "resume", "stop", "pause"])
def test_a_job_nobody_knows_is_an_error(shell: "Shell", verb: str) -> None:
    done = shell("jobs", verb, "7")

    assert done.code == 1
    assert done.err == "mmconsole: There is no job 7 in this database. `mmconsole jobs list` shows those there are.\n"


def test_a_job_that_is_told_to_stop_while_it_is_planned_never_begins(shell: "Shell") -> None:
    shell.add_many(5)
    shell.simulator.state.config["EmailSettings", "SMTPServer"] = "mail.example.org"
    child = shell.on_terminal("sync", "--all")
    child.expect_exact("Go on? [y/N] ")

    told = shell("jobs", "stop", "1")
    child.sendline("y")
    child.expect_exact("Somebody stopped job 1.")
    child.wait()

    assert "was told to stop" in told.out
    assert child.exitstatus == 130
    assert shell.marked == 0
    assert shell("jobs", "list", "--json").lines[0]["state"] == "stopped"


def test_resuming_can_wait_for_another_run(shell: "Shell") -> None:
    killed(shell)
    shell.sql(
        "INSERT OR REPLACE INTO mmconsole_leases VALUES ('sync', 'somebody', 9, ?, ?)",
        time.time_ns() // 1_000,
        time.time_ns() // 1_000 + 600_000_000,
    )

    running = shell.start("jobs", "resume", "1", "--wait")
    said = shell.said(running, "waiting for its end.")
    end_leases(shell)
    done = shell.ended(running)

    assert done.code == 0
    assert "Another run is at work on this database (somebody" in said
    assert_all_in_step(shell, 100)


def test_a_killed_rotation_is_resumed_and_nobody_gets_two_tokens(shell: "Shell") -> None:
    shell.add_many(60)
    shell("sync", "--all")
    before = {token.id for token in shell.simulator.state.token_rows}
    held = shell.simulator.faults.add(Fault("hold", "GET", "/users/{id}/teams", after=6, times=None))
    running = shell.start("tokens", "rotate", "--filter", "active:yes", "--yes")
    shell.until(lambda: held.holding)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    held.let_go()
    end_leases(shell)

    done = shell("jobs", "resume", "2", "--json")

    # Of whoever was under way a call may still be on its way: no third token is risked for them.
    assert {one["note"].partition(";")[0] for one in done.json["listed"]} <= {
        "an earlier call for this user may still be under way"
    }
    waiting = {one["user_id"] for one in done.json["listed"]}
    assert len(waiting) <= 31  # of 16 calls at once
    assert done.json["counts"]["token replaced"] > 0
    known = {token_id for (token_id,) in shell.sql("SELECT token_id FROM mmconsole_tokens")}
    marked = {token.id for token in shell.simulator.state.token_rows if token.description.startswith("mmconsole:")}
    assert known == marked
    assert len(marked) == 60
    assert len(known & before) == len(waiting)
    assert shell("jobs", "list", "--json", "--limit", "1").lines[0]["state"] == "done"


def test_a_job_of_another_kind_is_done_by_its_own_command(shell: "Shell") -> None:
    shell.sql(
        "INSERT INTO mmconsole_jobs (kind, title, state, actor, created_at, fence)"
        " VALUES ('restorage', 'tokens restorage --to plain', 'paused', 'me', 1, 1)"
    )

    done = shell("jobs", "resume", "1")

    assert done.code == 2
    assert "Say its command again (tokens restorage --to plain), which does the rest." in done.err
    assert not shell("jobs", "list", "--json").lines[0]["resumable"]
