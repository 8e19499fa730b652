"""The installed command in a real terminal (tmux), against the simulator."""

import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.cli.conftest import COMMAND, Tmux

from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


@pytest.fixture
def fresh(bare: "Shell") -> Iterator[Tmux]:
    """A terminal of somebody whose database nothing has touched."""
    tmux = Tmux(bare)
    yield tmux
    tmux.close()


def test_it_shows_the_users_and_leaves_the_terminal_as_it_was(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    shell.add("bob@example.org")
    assert shell("sync", "--all").code == 0

    terminal.open()
    terminal.until("ann@example.org")
    terminal.until("+ ok")
    terminal.until("2 users")
    terminal.press("/", "b", "o", "b", "Enter")
    terminal.until("1 of 2")
    assert "▸   bob@example.org" in terminal.screen
    terminal.press("q")
    terminal.until("ENDED-0")

    assert "ann@example.org" not in terminal.screen


def test_what_another_process_does_is_seen_as_it_happens(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    terminal.open()
    terminal.until("! no account")

    assert shell("sync", "--all").code == 0

    terminal.until("token generated")
    terminal.until("+ ok")
    terminal.press("q")
    terminal.until("ENDED-0")


def test_it_opens_without_a_server(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    shell.set(mattermost__url="http://127.0.0.1:9")
    terminal.open()
    terminal.until("ann@example.org")
    terminal.press("q")
    terminal.until("ENDED-0")


def test_on_the_first_run_it_says_what_to_do(fresh: Tmux) -> None:
    fresh.open()
    fresh.until("mmconsole migrate")
    fresh.press("q")
    fresh.until("ENDED-0")


def test_the_end_of_its_process_is_the_end_of_it_in_order(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    terminal.open()
    terminal.until("ann@example.org")
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.until("ENDED-143")
    terminal.press("Enter")


def test_a_terminal_that_hangs_up_ends_it(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    terminal.open()
    terminal.until("ann@example.org")
    os.kill(terminal.pid, signal.SIGHUP)
    terminal.until("ENDED-129")


def test_ctrl_z_goes_to_the_shell_and_fg_comes_back(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    terminal.run("--norc", "-i")
    terminal.press(COMMAND, "Enter")
    terminal.until("ann@example.org")
    terminal.press("C-z")
    terminal.until("Stopped")
    assert "ann@example.org" not in terminal.screen
    terminal.press("fg", "Enter")
    terminal.until("ann@example.org")
    terminal.press("q")
    shell.until(lambda: terminal.screen.rstrip().endswith(("$", "#")))
    terminal.press("echo ENDED-$?", "Enter")
    terminal.until("ENDED-0")


def test_mouse_bytes_of_1987_and_other_bytes_do_it_no_harm(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    terminal.open()
    terminal.until("ann@example.org")
    terminal.press("-H", "1b", "5b", "4d", "20", "c8", "25")
    terminal.press("-H", "1b", "5b", "4d", "ff", "ff", "ff", "ff", "fe")
    terminal.press("?")
    terminal.until("Keys: users")
    terminal.press("Escape")
    terminal.until_gone("Keys: users")
    terminal.press("q")
    terminal.until("ENDED-0")


def test_a_terminal_that_becomes_tiny_says_what_it_needs_and_comes_back(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    terminal.open()
    terminal.until("ann@example.org")
    terminal("resize-window", "-x", "59", "-y", "14")
    terminal.until("mmconsole needs 60x15, and this is 59x14.")
    terminal("resize-window", "-x", "1", "-y", "1")
    terminal("resize-window", "-x", "200", "-y", "50")
    terminal.until("2 Health")
    terminal.until("ann@example.org")
    terminal.press("q")
    terminal.until("ENDED-0")


def test_a_text_that_is_pasted_presses_no_key(shell: "Shell", terminal: Tmux) -> None:
    shell.add("ann@example.org")
    terminal.open()
    terminal.until("ann@example.org")
    terminal("set-buffer", "SXyq\nr*")
    terminal("paste-buffer", "-p")
    terminal.press("/", *"ann")
    terminal.until("1 of 1")

    assert "marked" not in terminal.screen
    assert shell.sql("SELECT COUNT(*) FROM mmconsole_jobs") == [(0,)]
    terminal.press("Enter")
    terminal.until("filter ann ")
    terminal.press("q")
    terminal.until("ENDED-0")


def test_a_crash_gives_the_terminal_back_and_tells_no_value(shell: "Shell", terminal: Tmux) -> None:
    planted = "qwertyuiopasdfghjklzxcvbnm"
    script = shell.folder / "crash.py"
    script.write_text(_CRASH.format(planted=planted))
    shell.add("ann@example.org")
    terminal.run("-c", f"{sys.executable} {script}; echo ENDED-$?; read")
    terminal.until("ann@example.org")
    terminal.press("R")
    terminal.until("ENDED-70")

    shown = terminal("capture-pane", "-p", "-S", "-")
    assert "This is a mistake in mmconsole (ValueError at crash.py" in " ".join(shown.split())
    assert planted[:8] not in shown
    assert "ann@example.org" not in shown


_CRASH = """
from mmconsole.cli import run
from mmconsole.tui.app import Console

def do_reload(console):
    secret = "{planted}"
    raise ValueError(secret)

Console.do_reload = do_reload
raise SystemExit(run.run([]))
"""


def test_a_wrong_keymap_is_an_error_and_no_console(shell: "Shell", terminal: Tmux) -> None:
    file = shell.folder / "keys.yaml"
    file.write_text("mark: j")
    shell.set(console__keymap_file=str(file))
    terminal.open()
    terminal.until("ENDED-2")

    assert "j means both `down` and `mark`" in " ".join(terminal.screen.split())


def test_keys_tells_what_the_terminal_sends(terminal: Tmux) -> None:
    terminal.open("keys")
    terminal.until("Press keys")
    terminal.press("C-r", "?", "F5")
    terminal.until("question_mark")
    terminal.until("reload (everywhere)")
    terminal.until("f5")
    terminal.press("C-c", "C-c")
    terminal.until("ENDED-0")


# ── work on the server ───────────────────────────────────────────────────────────────────────────


def in_step(shell: "Shell", *addresses: str) -> None:
    for address in addresses:
        shell.add(address)
    assert shell("sync", "--all").code == 0


def works(shell: "Shell", address: str) -> bool:
    """Whether the server has exactly one token of ours for this account, and it is enabled."""
    tokens = shell.simulator.state.by_email[address].tokens
    return [token.is_active for token in tokens if token.description.startswith("mmconsole:")] == [True]


def hold(shell: "Shell", *, after: int) -> Fault:
    """Two accounts are not made until they are let go; those after them are in no hurry."""
    shell.set(mattermost__max_concurrency=2, mattermost__timeout=300)
    held = shell.simulator.faults.add(Fault("hold", "POST", "/users", after=after, times=2))
    shell.simulator.faults.add(Fault("delay", "POST", "/users", after=after, seconds=1, times=None))
    return held


def let_go(shell: "Shell", held: Fault, verb: str) -> None:
    """As soon as it was told what to do, which it looks for twice a second."""
    shell.until(lambda: shell.sql("SELECT 1 FROM mmconsole_activity WHERE verb = ?", verb))
    held.let_go()


def test_a_broken_token_is_found_and_repaired(shell: "Shell", terminal: Tmux) -> None:
    in_step(shell, "ann@example.org", "bob@example.org")
    (token,) = shell.simulator.state.by_email["bob@example.org"].tokens
    shell.simulator.state.remove_token(token)
    assert shell("validate", "--all").code == 3

    terminal.open()
    terminal.until("x revoked")
    terminal.press("/", *"status:revoked", "Enter")
    terminal.until("1 of 2")
    terminal.press("r")
    terminal.until("▸   bob@example.org          + ok")
    assert works(shell, "bob@example.org")
    terminal.press("q")
    terminal.until("ENDED-0")

    assert shell("validate", "--all").code == 0


def test_everybody_is_synced_and_that_is_stopped(shell: "Shell", terminal: Tmux) -> None:
    shell.add_many(40)
    held = hold(shell, after=10)
    terminal.open()
    terminal.until("40 users")
    terminal.press("S")
    terminal.until("40 of 40 users to change")
    assert shell.simulator.state.by_email.get("user1@example.org") is None
    terminal.until("y start")
    terminal.press("y")
    shell.until(lambda: held.holding == 2)
    terminal.press("C-x")
    terminal.until("not started")
    terminal.until("y stop")
    terminal.press("y")
    let_go(shell, held, "job stopped")
    terminal.until("x stopped")
    terminal.press("q")
    terminal.until("ENDED-0")

    (state,) = shell.sql("SELECT state FROM mmconsole_jobs")[0]
    assert state == "stopped"
    assert 0 < shell.marked < 40


def test_a_sync_is_paused_and_gone_on_with_to_its_end(shell: "Shell", terminal: Tmux) -> None:
    shell.add_many(30)
    held = hold(shell, after=6)
    terminal.open()
    terminal.until("30 users")
    terminal.press("S")
    terminal.until("30 of 30 users to change")
    terminal.until("y start")
    terminal.press("y")
    shell.until(lambda: held.holding == 2)
    terminal.press("p")
    let_go(shell, held, "job paused")
    terminal.until("~ paused")
    assert 0 < shell.marked < 30
    shell.simulator.faults.clear()
    terminal.press("p")
    terminal.until("+ done")
    terminal.press("/", *"status:ok", "Enter")
    terminal.until("30 of 30")
    terminal.press("q")
    terminal.until("ENDED-0")

    assert shell.marked == 30
    assert shell("validate", "--all").code == 0


def test_a_revocation_is_taken_back(shell: "Shell", terminal: Tmux) -> None:
    in_step(shell, "ann@example.org")
    terminal.open()
    terminal.until("+ ok")
    terminal.press("X")
    terminal.until("y revoke")
    terminal.press("y")
    terminal.until("x withheld")
    terminal.until("undo 9:")
    assert not works(shell, "ann@example.org")
    terminal.press("u")
    terminal.until("+ ok")
    assert works(shell, "ann@example.org")
    terminal.press("q")
    terminal.until("ENDED-0")


def test_whoever_leaves_is_told_which_job_waits(shell: "Shell", terminal: Tmux) -> None:
    shell.add_many(10)
    held = hold(shell, after=2)
    terminal.open()
    terminal.until("10 users")
    terminal.press("S")
    terminal.until("10 of 10 users to change")
    terminal.until("y start")
    terminal.press("y")
    shell.until(lambda: held.holding == 2)
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.until_gone("10 users")
    held.let_go()
    terminal.until("Job 1 (sync --all) is paused.")
    terminal.until("ENDED-143")
    shell.simulator.faults.clear()

    assert shell("jobs", "resume", "1", "--yes").code == 0
    assert shell.marked == 10
