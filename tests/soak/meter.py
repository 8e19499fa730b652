"""How much memory and how many open files a process has, by /proc, and whether they grow."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, linear_regression

_PAGE = os.sysconf("SC_PAGE_SIZE")
ENOUGH = 120
"""Readings from which a slope means something: two minutes of them."""
_MEMORY = 12 << 20
"""Bytes, however long it takes: a longer run finds a smaller leak. The collector is told to wait for 50,000 objects,
and the console keeps 20,000 lines of its log, so that much comes and goes.
"""
_FILES = 8
"""An observer that takes over from another opens connections of its own, each of up to three files."""


@dataclass(frozen=True, slots=True)
class Reading:
    memory: int
    """Bytes of its own."""
    files: int


def read(pid: int) -> Reading:
    """Raises OSError when the process has ended."""
    _, resident, shared, *_ = (Path("/proc") / str(pid) / "statm").read_text().split()
    return Reading((int(resident) - int(shared)) * _PAGE, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


def growth(values: Sequence[float]) -> float:
    """How far the straight line through them rises from the first to the last."""
    return linear_regression(range(len(values)), values).slope * (len(values) - 1)


@dataclass(frozen=True, slots=True)
class Trend:
    """What became of a process while it worked, once it was warm."""

    readings: int
    memory: float
    grown: float
    """Bytes."""
    files: float
    opened: float
    """Files it has more at the end."""

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> "Trend":
        """The first third is its warm-up."""
        warm = readings[len(readings) // 3 :]
        memory, files = [one.memory for one in warm], [one.files for one in warm]
        return cls(len(warm), fmean(memory), growth(memory), fmean(files), growth(files))

    @property
    def flat(self) -> bool:
        return self.grown < _MEMORY and self.opened < _FILES

    def __str__(self) -> str:
        mega = 1 << 20
        memory = f"{self.memory / mega:.1f} MB {self.grown / mega:+.1f}"
        return f"{memory}, {self.files:.1f} files {self.opened:+.1f} ({self.readings} readings)"
