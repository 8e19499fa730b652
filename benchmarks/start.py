"""How long the command takes to say what it can do."""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.table import Figure


def help_text(runs: int = 15) -> Figure:
    """`mmconsole --help` beside an interpreter that does nothing, in turn; the medians count."""
    command = [str(Path(sys.executable).parent / "mmconsole"), "--help"]
    nothing = [sys.executable, "-c", "pass"]
    ours, bare = [], []
    for _ in range(runs):
        ours.append(_seconds(command))
        bare.append(_seconds(nothing))
    own, other = sorted(ours)[runs // 2], sorted(bare)[runs // 2]
    return Figure(
        "mmconsole --help",
        "python -c pass",
        f"{own * 1000:.0f} ms : {other * 1000:.0f} ms",
        f"{own / other:.1f}",
        "≤ 10",
    )


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
