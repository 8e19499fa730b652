"""The console over many users, beside a Textual app with nothing in it, and its keys beside one in which each key
changes a word; each in a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Final

from benchmarks.empty_app import Pace, Seen
from benchmarks.stage import Server, add_users, settings_for, users
from benchmarks.table import Figure, Judged, milliseconds, times

_NOWHERE: Final = Server("http://127.0.0.1:9", "")


async def console(count: int, turns: int, pace: Pace) -> list[Figure]:
    """In turn; of each number the median counts."""
    with tempfile.TemporaryDirectory() as folder:
        await add_users(settings_for(_NOWHERE, Path(folder)), users(count))
        seen = [_in_turn(pace, folder) for _ in range(turns)]
    ours, bare, word = (_median([one[side] for one in seen]) for side in range(3))
    return [
        _ratio(f"console over {count:,} users, first frame", ours.first_frame, bare.first_frame, "≤ 1.5", brief=True),
        _ratio("console, CPU to the first frame", ours.opening, bare.opening),
        _ratio("console, until the users are on it", ours.rows, bare.rows),
        _ratio("console, a key as Pilot presses it", ours.pressed, word.pressed, "≤ 1.1"),
        _ratio("console, a page or from end to end, as Pilot presses it", ours.jumped, word.jumped, "≤ 1.1"),
        _ratio("console, CPU of going down a line", ours.key, word.key),
        _share("console, CPU while nobody does anything", ours.idle, "≤ 1 % of a core"),
        _share("console, CPU of showing 1,000 results a second", ours.working, "≤ 10 % of a core", brief=True),
        Figure("console, memory", f"{ours.memory:.0f} MiB", bare=f"{bare.memory:.0f} MiB"),
    ]


def _in_turn(pace: Pace, folder: str) -> tuple[Seen, Seen, Seen]:
    brief = replace(pace, settles=min(pace.settles, 0.5), idle=0.1)
    ours, bare = _in_a_process("full_console", pace, folder), _in_a_process("empty_app", pace)
    return ours, bare, _in_a_process("one_word", brief)


def _ratio(what: str, ours: float, bare: float, wanted: str = "", *, brief: bool = False) -> Figure:
    judged = (times(ours / bare, "bare", wanted),)
    return Figure(what, milliseconds(ours), bare=milliseconds(bare), judged=judged, brief=brief)


def _share(what: str, ours: float, wanted: str, *, brief: bool = False) -> Figure:
    return Figure(what, f"{ours:.1%}", judged=(Judged(ours * 100, wanted),), brief=brief)


def _median(seen: list[Seen]) -> Seen:
    columns = zip(*(astuple(one) for one in seen), strict=True)
    return Seen(*(sorted(column)[len(column) // 2] for column in columns))


def _in_a_process(module: str, pace: Pace, *given: str) -> Seen:
    command = [sys.executable, "-m", f"benchmarks.{module}", str(time.time()), json.dumps(asdict(pace)), *given]
    # An installed program has been compiled before.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return Seen(**json.loads(said))
