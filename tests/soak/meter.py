"""How much memory and how many open files a process has, by /proc, and whether they grow."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, linear_regression

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MEGA = 1 << 20
ENOUGH = 120
"""Readings from which a slope means something: two minutes of them."""
_MEMORY = 6 * _MEGA
"""Bytes, however long it takes: a longer run finds a smaller leak. Some things go on filling up: each connection keeps
2 MB of a SQLite file at most, a console 20,000 lines of its log (13 MB), and the collector waits for 10,000 objects.
"""
_STARTING = 20
"""Readings until everything is imported and opened."""
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


@dataclass(frozen=True, slots=True)
class Line:
    """The straight line through some values."""

    first: float
    last: float

    @classmethod
    def through(cls, values: Sequence[float]) -> "Line":
        slope, first = linear_regression(range(len(values)), values)
        return cls(first, first + slope * (len(values) - 1))

    @property
    def rise(self) -> float:
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Trend:
    """What became of a process while it worked."""

    readings: int
    begun: float
    """Bytes it had as soon as it had begun to work."""
    memory: Line
    """Bytes, once it was warm."""
    files: Line

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> "Trend":
        """What fills up to a bound grows in the first half above all; a leak grows as much in the second."""
        warm = readings[len(readings) // 2 :]
        memory, files = [one.memory for one in warm], [one.files for one in warm]
        return cls(
            len(readings),
            fmean(one.memory for one in readings[_STARTING : _STARTING + 10]),
            Line.through(memory),
            Line.through(files),
        )

    @property
    def flat(self) -> bool:
        return self.memory.rise < _MEMORY and self.files.rise < _FILES

    def __str__(self) -> str:
        memory, files = self.memory, self.files
        grown = (
            f"{self.begun / _MEGA:.1f} MB, half-way {memory.first / _MEGA:.1f}, at the end {memory.last / _MEGA:.1f}"
        )
        return f"{grown} ({memory.rise / _MEGA:+.1f}); files {files.last:.1f} ({files.rise:+.1f}); {self.readings} s"
