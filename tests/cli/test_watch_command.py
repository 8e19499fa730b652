"""`mmconsole watch`, and the observer within `serve`: the commands, run as an operator runs them."""

import json
import signal
from typing import TYPE_CHECKING

import pytest

from mmconsole.simulator import Fault

if TYPE_CHECKING:
    import subprocess

    from tests.cli.conftest import Shell

CREATE_TOKEN = ("POST", "/users/{id}/tokens")


@pytest.fixture
def followed(shell: "Shell") -> "Shell":
    """A shell whose application has the triggers."""
    assert shell("migrate", "--triggers").code == 0
    return shell


def token_of(shell: "Shell", user: str) -> object:
    return shell.sql("SELECT mattermost_token FROM users WHERE id = ?", user)[0][0]


def said_until(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stderr is not None
    while words not in process.stderr.readline():
        assert process.poll() is None


def test_once_follows_what_is_there_and_ends(followed: "Shell") -> None:
    user = followed.add("ann@example.org")

    done = followed("watch", "--once", "--json")
    again = followed("watch", "--once")

    assert done.code == 0
    assert done.lines == [{"user_id": user, "outcome": "created", "note": ""}]
    assert "1 user: 1 created" in done.err
    assert (again.code, again.out, again.err) == (0, "", "followed 0\n")


def test_it_follows_until_a_signal_ends_it_gracefully(followed: "Shell") -> None:
    process = followed.start("watch")
    said_until(process, "follows changes")
    user = followed.add("ann@example.org")
    followed.until(lambda: token_of(followed, user))

    process.send_signal(signal.SIGTERM)
    ended = followed.ended(process)

    assert ended.code == 0
    assert ended.out == ""
    assert followed.sql("SELECT holder FROM mmconsole_leases WHERE name = 'observer'") == [(None,)]


def test_a_second_one_says_whom_it_waits_for(followed: "Shell") -> None:
    first = followed.start("watch")
    said_until(first, "follows changes")
    followed.until(lambda: followed.sql("SELECT 1 FROM mmconsole_leases WHERE name = 'observer'"))

    once = followed("watch", "--once")
    second = followed.start("watch")
    said_until(second, "waiting for its end")

    assert once.code == 75


def test_what_failed_is_listed_and_tried_once_more(followed: "Shell") -> None:
    followed.set(observer__attempts=1)
    user = followed.add("ann@example.org")
    followed.simulator.faults.add(Fault("status", *CREATE_TOKEN, times=None, status=500))

    failed = followed("watch", "--once")
    listed = followed("watch", "--list", "--json")
    shown = followed("watch", "--list")
    followed.simulator.faults.clear()
    retried = followed("watch", "--retry")
    done = followed("watch", "--once")

    assert failed.code == 3
    assert "1 are set aside" in failed.err
    assert [(one["user_id"], one["attempts"], one["again_at"]) for one in listed.lines] == [(user, 1, None)]
    assert "1 try, set aside" in shown.out
    assert "1 change will be tried once more" in retried.err
    assert done.code == 0
    assert token_of(followed, user)


def test_without_triggers_it_says_how_to_install_them(shell: "Shell") -> None:
    done = shell("watch", "--once")

    assert done.code == 3
    assert done.err.count("mmconsole migrate --triggers") == 1


def test_two_wishes_at_once_are_none(shell: "Shell") -> None:
    assert shell("watch", "--list", "--retry").code == 2


def test_the_service_follows_too_when_the_triggers_are_there(followed: "Shell") -> None:
    process = followed.start("serve", "--listen", "127.0.0.1:0")
    said_until(process, "mmconsole follows changes")
    user = followed.add("ann@example.org")
    followed.until(lambda: token_of(followed, user))

    process.send_signal(signal.SIGTERM)

    assert followed.ended(process).code == 0


def test_the_service_does_not_follow_when_the_settings_say_no(followed: "Shell") -> None:
    followed.set(observer__enabled=False)
    process = followed.start("serve", "--listen", "127.0.0.1:0")
    said_until(process, "listens on")
    process.send_signal(signal.SIGTERM)

    assert "follows changes" not in followed.ended(process).err


def test_the_triggers_are_shown_installed_and_removed(bare: "Shell") -> None:
    bare("migrate")
    before = bare("migrate", "status").out
    made = bare("migrate", "--triggers")
    after = bare("migrate", "status").out
    removed = bare("migrate", "--no-triggers")
    again = bare("migrate", "--no-triggers")

    assert "triggers on users" in before
    assert "Not installed" in before
    assert "triggers on users" in made.out
    assert "Installed\n" in after
    assert "Removing triggers." in removed.out
    assert "No triggers to remove." in again.out
    assert json.loads(bare("migrate", "--no-triggers", "--json").out) == []


def test_workers_need_postgresql(shell: "Shell") -> None:
    done = shell("worker")

    assert done.code == 2
    assert "the database is not PostgreSQL" in done.err
