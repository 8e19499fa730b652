"""How long the command takes to say what it can do."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.table import Figure, milliseconds, times


async def help_text(runs: int) -> list[Figure]:
    """`mmconsole --help` beside an interpreter that does nothing, in turn; the medians count."""
    command = [str(Path(sys.executable).parent / "mmconsole"), "--help"]
    nothing = [sys.executable, "-c", "pass"]
    ours, bare = [], []
    for _ in range(runs):
        ours.append(_seconds(command))
        bare.append(_seconds(nothing))
    own, other = sorted(ours)[runs // 2], sorted(bare)[runs // 2]
    judged = (times(own / other, "bare", "≤ 10"),)
    return [Figure("`mmconsole --help`", milliseconds(own), bare=milliseconds(other), judged=judged, brief=True)]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
