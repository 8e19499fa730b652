"""Ctrl-C, SIGTERM and SIGHUP in the middle of a sync, and two syncs at once."""

import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import PATIENCE

from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

CREATE = "/users/{id}/tokens"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_lets_the_users_under_way_finish(shell: "Shell", number: signal.Signals) -> None:
    shell.add_many(200)
    held = shell.simulator.faults.add(Fault("hold", "POST", CREATE, after=6, times=None))
    running = shell.start("sync", "--all", "--json")
    shell.until(lambda: held.holding)

    running.send_signal(number)
    said = shell.said(running, "stopping")
    held.let_go()
    done = shell.ended(running)
    made = done.json["counts"]["created"]

    assert done.code == 130
    assert "stopping after the 31 users under way; again to stop at once" in said
    assert "mmconsole: Stopped. What was done is stored; the same command does the rest." in done.err
    assert done.json["interrupted"]
    assert sum(done.json["counts"].values()) == 200
    assert shell.marked == made == shell.sql("SELECT COUNT(*) FROM mmconsole_tokens WHERE health = 'ok'")[0][0]
    assert shell.sql("SELECT * FROM mmconsole_intents") == []


def test_the_same_command_does_the_rest(shell: "Shell") -> None:
    shell.add_many(60)
    held = shell.simulator.faults.add(Fault("hold", "POST", CREATE, after=6, times=None))
    running = shell.start("sync", "--all")
    shell.until(lambda: held.holding)
    running.send_signal(signal.SIGINT)
    shell.said(running, "stopping")
    held.let_go()
    shell.ended(running)

    done = shell("sync", "--all", "--json")

    assert done.code == 0
    assert set(done.json["counts"]) == {"created", "unchanged"}
    assert shell.marked == 60


def test_the_second_signal_stops_at_once_and_recover_clears_up(shell: "Shell") -> None:
    shell.add_many(40)
    held = shell.simulator.faults.add(Fault("hold_answer", "POST", CREATE, times=None))
    running = shell.start("sync", "--all")
    shell.until(lambda: held.holding >= 8)

    running.send_signal(signal.SIGINT)
    shell.said(running, "stopping")
    running.send_signal(signal.SIGINT)
    done = shell.ended(running)
    shell.simulator.faults.clear()
    recovered = shell("tokens", "recover", "--json")

    assert done.code == 130
    assert done.err.endswith("mmconsole: Stopped. What was done is stored; the same command does the rest.\n")
    assert recovered.code == 0
    assert len(recovered.json["revoked"]) >= 8
    assert shell.marked == 0


def test_a_signal_while_nothing_is_under_way_stops_at_once(shell: "Shell") -> None:
    shell.add_many(3)
    held = shell.simulator.faults.add(Fault("hold", "GET", "/users/tokens", times=None))
    running = shell.start("sync", "--all")
    shell.until(lambda: held.holding)

    running.send_signal(signal.SIGINT)
    done = shell.ended(running)

    assert done.code == 130
    assert shell.marked == 0


def test_ctrl_c_at_the_question_does_nothing(shell: "Shell") -> None:
    shell.add_many(3)
    shell.simulator.state.config["EmailSettings", "SMTPServer"] = "mail.example.org"

    child = shell.on_terminal("sync", "--all")
    child.expect_exact("Go on? [y/N] ")
    child.sendintr()
    child.expect_exact("mmconsole: Stopped.")
    child.wait()

    assert child.exitstatus == 130
    assert shell.sql("SELECT state FROM mmconsole_jobs") == [("stopped",)]


def test_a_second_sync_says_that_one_is_at_work(shell: "Shell") -> None:
    shell.add("ann@example.org")
    held = shell.simulator.faults.add(Fault("hold", "POST", CREATE))
    running = shell.start("sync", "--all")
    shell.until(lambda: held.holding)

    second = shell("sync", "--all")
    held.let_go()
    first = shell.ended(running)

    assert second.code == 75
    assert "mmconsole: Another run is at work on this database (" in second.err
    assert first.code == 0


def test_a_second_sync_can_wait_for_the_first(shell: "Shell") -> None:
    shell.add_many(3)
    held = shell.simulator.faults.add(Fault("hold", "POST", CREATE))
    running = shell.start("sync", "--all")
    shell.until(lambda: held.holding)

    waiting = shell.start("sync", "--all", "--wait", "--json")
    shell.said(waiting, "waiting for its end.")
    held.let_go()
    first, second = shell.ended(running), shell.ended(waiting)

    assert (first.code, second.code) == (0, 0)
    assert second.json["counts"] == {"unchanged": 3}


def test_ctrl_c_ends_waiting(shell: "Shell") -> None:
    shell.sql(
        "INSERT OR REPLACE INTO mmconsole_leases VALUES ('sync', 'somebody', 9, ?, ?)",
        time.time_ns() // 1_000,
        time.time_ns() // 1_000 + 600_000_000,
    )
    running = shell.start("sync", "--all", "--wait")
    shell.said(running, "waiting for its end.")

    running.send_signal(signal.SIGINT)
    done = shell.ended(running)

    assert done.code == 130


def test_a_reader_that_had_enough_is_no_error(shell: "Shell") -> None:
    shell.add_many(5_000)
    running = shell.start("users", "list", "--json")
    assert running.stdout is not None
    running.stdout.readline()

    running.stdout.close()
    running.wait(timeout=PATIENCE)

    assert running.stderr is not None
    assert running.stderr.read() == ""
    assert running.returncode == 0
    running.stderr.close()


@pytest.mark.parametrize("command", ["doctor", "config check"])
def test_a_reader_that_went_before_the_first_line_is_none_either(shell: "Shell", command: str) -> None:
    running = shell.start(*command.split())
    assert running.stdout is not None
    running.stdout.close()
    running.wait(timeout=PATIENCE)

    assert running.stderr is not None
    assert running.stderr.read() == ""
    assert running.returncode == 0
    running.stderr.close()


@pytest.mark.parametrize(
    ("command", "prompt"), [("login", "Admin token for .*: "), ("tokens restorage --to plain", "Go on.*: ")]
)
def test_ctrl_c_at_a_prompt_ends_its_line(shell: "Shell", command: str, prompt: str) -> None:
    child = shell.on_terminal(*command.split())
    child.expect(prompt)

    child.sendintr()
    rest = child.read()
    child.close()

    assert child.exitstatus == 130
    assert rest.replace("^C", "").startswith("\r\n")
