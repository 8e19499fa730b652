"""The console over many users, beside a Textual app with nothing in it; each in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple
from pathlib import Path
from typing import Final

from benchmarks.empty_app import Seen
from benchmarks.first_sync import users
from benchmarks.stage import Server, add_users, settings_for
from benchmarks.table import Figure

_NOWHERE: Final = Server("http://127.0.0.1:9", "")
_EMPTY: Final = "empty"
_PEER: Final = "empty Textual app"
_RUNS: Final = 5


async def console(count: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        await add_users(settings_for(_NOWHERE, Path(folder)), users(count))
        ours, bare = _in_turn(folder)
    return [
        _ratio(f"console over {count:,} users: first frame", ours.first_frame, bare.first_frame, "≤ 1.5"),
        _ratio("  CPU to the first frame", ours.opening, bare.opening),
        _ratio("  until the users are on it", ours.rows, bare.rows),
        _ratio("  a key, as Pilot presses it", ours.pressed, bare.pressed),
        _ratio("  CPU of going down a line", ours.key, bare.key),
        Figure("  CPU while nobody does anything", "", f"{ours.idle:.1%}", "", "≤ 1 %"),
        Figure("  CPU of showing 1,000 results a second", "", f"{ours.working:.1%}", "", "≤ 10 %"),
        Figure("  memory", _PEER, f"{ours.memory:.0f} MiB : {bare.memory:.0f} MiB", ""),
    ]


def _ratio(what: str, ours: float, bare: float, wanted: str = "") -> Figure:
    return Figure(what, _PEER, f"{ours * 1000:.1f} ms : {bare * 1000:.1f} ms", f"{ours / bare:.2f}", wanted)


def _in_turn(folder: str) -> tuple[Seen, Seen]:
    pairs = [(_in_a_process(folder), _in_a_process(_EMPTY)) for _ in range(_RUNS)]
    return _median([ours for ours, _ in pairs]), _median([bare for _, bare in pairs])


def _median(seen: list[Seen]) -> Seen:
    columns = zip(*(astuple(one) for one in seen), strict=True)
    return Seen(*(sorted(column)[len(column) // 2] for column in columns))


def _in_a_process(what: str) -> Seen:
    module = "benchmarks.empty_app" if what == _EMPTY else "benchmarks.full_console"
    command = [sys.executable, "-m", module, str(time.time()), what]
    # An installed program has been compiled before.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return Seen(**json.loads(said))
