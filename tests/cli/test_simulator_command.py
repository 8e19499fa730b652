"""`mmconsole simulator` and `mmconsole demo`."""

import json
import re
import signal
import socket
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


def test_a_simulator_tells_where_it_is_and_ends_quietly(bare: "Shell") -> None:
    running = bare.start("simulator", "--listen", "127.0.0.1:0", "--users", "3", "--subpath", "/chat", "--json")
    assert running.stdout is not None
    told = json.loads(running.stdout.readline())

    request = urllib.request.Request(
        f"{told['url']}/api/v4/users/stats", headers={"Authorization": f"Bearer {told['admin_token']}"}
    )
    with urllib.request.urlopen(request) as answer:
        users = json.load(answer)["total_users_count"]
    running.send_signal(signal.SIGINT)
    done = bare.ended(running)

    assert told["url"].endswith("/chat")
    assert users == 4
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_simulator_for_people(bare: "Shell") -> None:
    running = bare.start("simulator", "--listen", "127.0.0.1:0", "--version", "11.9.0", "--rate-limit", "50:10")
    assert running.stdout is not None
    first, second = running.stdout.readline(), running.stdout.readline()

    running.terminate()
    done = bare.ended(running)

    assert re.match(r"A made-up Mattermost 11\.9\.0 listens at http://127\.0\.0\.1:\d+$", first)
    assert second.startswith("Its admin token (made up, too): ")
    assert done.code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--listen", "9065"], "`9065` is not an address to listen on, as 127.0.0.1:9065."),
        (["--rate-limit", "fast"], "`fast` is not a rate, as 50 or 50:100."),
        (["--latency", "10"], "`10` is not a time, as 10ms or 0.5s."),
        (["--version", "new"], "`new` is not a version, as 11.6.0."),
    ],
)
def test_what_the_simulator_cannot_do(bare: "Shell", arguments: list[str], sentence: str) -> None:
    done = bare("simulator", *arguments)

    assert (done.code, done.out, done.err) == (2, "", f"mmconsole: {sentence}\n")


def test_a_port_that_is_taken(bare: "Shell") -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = bare("simulator", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")

    assert done.code == 1
    assert "Address already in use; name another address with --listen." in done.err


# ── the demo ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def nowhere(bare: "Shell") -> "Shell":
    """A shell without settings, whose temporary files can be counted."""
    bare.settings.clear()
    del bare.environment["MMCONSOLE_CONFIG"]
    bare.environment["TMPDIR"] = str(bare.folder / "tmp")
    Path(bare.environment["TMPDIR"]).mkdir()
    return bare


def left_behind(shell: "Shell") -> list[str]:
    return [path.name for path in Path(shell.environment["TMPDIR"]).iterdir()]


def test_the_demo_shows_everything_and_leaves_nothing(nowhere: "Shell") -> None:
    shown = nowhere.shown("--no-color", "--headless", "demo", "--users", "120")

    assert shown.code == 0
    assert "$ mmconsole migrate" in shown.out
    assert re.search(r"120 users in \d+ s, job 1\n", shown.out)
    for status in ("+ ok", "! conflict", "! denied", "! no account"):
        assert re.search(rf"^{re.escape(status)} +\d+  ", shown.out, re.MULTILINE)
    assert "\x1b[31mRed" not in shown.out
    assert left_behind(nowhere) == []


def test_the_demo_counts_everybody_once_whatever_their_number(nowhere: "Shell") -> None:
    done = nowhere("demo", "--users", "45")

    counts = [int(number) for number in re.findall(r"^ +(\d+)  \w", done.out, re.MULTILINE)]
    by_status = [int(number) for number in re.findall(r"^\S .*\t +(\d+)\t", done.out, re.MULTILINE)]
    assert sum(counts) == 45
    assert sum(by_status) == 45


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_demo_and_leaves_nothing(nowhere: "Shell", number: signal.Signals) -> None:
    running = nowhere.start("demo", "--users", "3000")
    assert running.stderr is not None
    assert running.stdout is not None
    while "applying" not in running.stderr.readline():
        pass

    running.send_signal(number)
    done = nowhere.ended(running)

    port = re.search(r"http://127\.0\.0\.1:(\d+)", done.out)
    assert done.code == 130
    assert re.search(r"^ +[\d,]+  not done$", done.out, re.MULTILINE)
    assert left_behind(nowhere) == []
    assert port is not None
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(port[1])), timeout=1)


def test_a_demo_that_is_kept_can_be_looked_at(nowhere: "Shell") -> None:
    running = nowhere.start("demo", "--users", "60", "--keep")
    assert running.stderr is not None
    line = ""
    while "--config" not in line:
        line = running.stderr.readline()
    config = line.split()[2]

    listed = nowhere("--config", config, "users", "list", "--health", "conflict", "--json")
    running.send_signal(signal.SIGINT)
    done = nowhere.ended(running)

    assert listed.code == 0
    assert {one["health"] for one in listed.lines} == {"conflict"}
    assert done.code == 0
    assert left_behind(nowhere) == []
