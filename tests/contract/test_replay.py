"""The simulator against the recorded answers of a real Mattermost 11.6.0, judged by the replay tool."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from mmconsole.simulator import RateLimit, Simulator, SimulatorOptions, serve_in_thread

TESTS = Path(__file__).parent.parent
TOOL = TESTS / "tools" / "replay.py"
RECORDING = TESTS / "data" / "mattermost-11.6.0.jsonl"


class SteppingClock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.at = 1_795_368_122.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def replay() -> Any:
    spec = importlib.util.spec_from_file_location("replay", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scene(name: str) -> list[dict[str, Any]]:
    rows = map(json.loads, RECORDING.read_text().splitlines())
    return [row for row in rows if row["scene"] == name]


def as_administrator(url: str, simulator: Simulator) -> httpx.Client:
    """These scenes were recorded without saying with which secret."""
    headers = {"Authorization": f"Bearer {simulator.admin_token}"}
    return httpx.Client(base_url=url + "/api/v4", headers=headers)


def test_a_new_server_gives_every_recorded_answer() -> None:
    with serve_in_thread(SimulatorOptions(empty=True)) as running:
        command = [sys.executable, str(TOOL), running.url, str(RECORDING), "--verbose"]

        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert "178 of 178 answers match" in done.stdout, done.stdout
    assert done.returncode == 0


def test_a_new_server_below_a_subpath_gives_the_same_answers() -> None:
    with serve_in_thread(SimulatorOptions(empty=True, subpath="/chat", seed=7)) as running:
        command = [sys.executable, str(TOOL), running.url, str(RECORDING)]

        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert "178 of 178 answers match" in done.stdout, done.stdout


def test_a_rate_limited_server_gives_the_recorded_answers_and_headers(replay: Any) -> None:
    clock = SteppingClock()
    options = SimulatorOptions(rate_limit=RateLimit(per_second=10, burst=3))
    simulator = Simulator(options, now=clock)
    simulator.state.by_username["admin"].email_verified = False  # the recorded administrator had signed up by himself
    names = replay.Names()
    wanted = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after")

    with serve_in_thread(simulator) as running, as_administrator(running.url, simulator) as http:
        for row in scene("rate limited"):
            response = replay.send(http, row, names)
            # The recorded calls came about 15 ms apart: seven of them fit into a tenth of a second.
            clock.at += 0.015

            assert replay.judge(row, response, names) == [], row["label"]
            recorded = {name: row["headers"][name] for name in wanted if name in row["headers"]}
            assert {name: response.headers[name] for name in wanted if name in response.headers} == recorded


def test_a_server_over_its_user_cap_gives_the_recorded_answers(replay: Any) -> None:
    simulator = Simulator(SimulatorOptions(users=300, user_cap=250))
    rows = scene("over the user cap")
    names = replay.Names()
    somebody = simulator.state.by_username["user000017"]
    names.known = {row["path"].split("/")[2]: somebody.id for row in rows if row["path"].endswith("/active")}

    with serve_in_thread(simulator) as running, as_administrator(running.url, simulator) as http:
        found = {row["label"]: replay.judge(row, replay.send(http, row, names), names) for row in rows}

    assert len(rows) == 4
    assert not any(found.values()), found
