"""One table for all figures: what, a naive peer, a bare limit, us, the ratio and what it should be."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

HEAD = ("what", "naive peer", "bare limit", "mmconsole", "ratio", "wanted")


@dataclass(frozen=True, slots=True)
class Judged:
    """A number that counts, and on which side of what it should be."""

    value: float
    wanted: str = ""
    """`≥ 3`, `≤ 250 MiB`: the side, the limit, and more words if need be."""
    said: str = ""
    """The number as the column of ratios has it; empty where the figure itself is judged."""

    @property
    def missed(self) -> bool:
        side, limit, *_ = self.wanted.split() if self.wanted else ("≥", "-inf")
        return self.value < float(limit) if side == "≥" else self.value > float(limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line."""

    what: str
    ours: str
    naive: str = ""
    bare: str = ""
    judged: tuple[Judged, ...] = ()
    brief: bool = False
    """Whether it belongs to the few that the README shows."""
    measured: bool = True

    def cells(self, *, judge: bool = True) -> tuple[str, ...]:
        ratios = ", ".join(one.said for one in self.judged if one.said)
        wanted = ", ".join(_wanted(one, judge=judge) for one in self.judged if one.wanted)
        return (self.what, self.naive, self.bare, self.ours, ratios, wanted)


def times(value: float, than: str, wanted: str = "") -> Judged:
    """Ours divided by a peer's: of speeds more is better, of times and costs less."""
    return Judged(value, wanted, f"{number(value)} × {than}")  # noqa: RUF001 - it is that sign


def per(value: float, unit: str, wanted: str) -> Judged:
    return Judged(value, wanted, f"{number(value)} per {unit}")


def number(value: float) -> str:
    """With as many digits as are worth a look."""
    digits = 1 if value >= 10 else 2 if value >= 0.1 or not value else 4
    return f"{value:.{digits}f}"


def rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.0f}/s"


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


@dataclass(frozen=True, slots=True)
class InTurn:
    """Seconds of runs that we and both peers made in turn, each time for the same number of users."""

    naive: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    def figure(self, what: str, count: int, *, wanted: tuple[str, str], brief: bool = False) -> Figure:
        """The middle ratio to each peer, and what is wanted of it, beside the median speeds."""
        ours, naive, bare = (rate(count, median(seconds)) for seconds in (self.ours, self.naive, self.bare))
        beside = times(middle(self.ours, self.naive), "naive", wanted[0])
        return Figure(what, ours, naive, bare, (beside, times(middle(self.ours, self.bare), "bare", wanted[1])), brief)


def middle(ours: list[float], theirs: list[float]) -> float:
    """The middle one of the ratios of runs made in turn: on a noisy machine the best of each did not meet."""
    return median(their / our for our, their in zip(ours, theirs, strict=True))


def show(figures: Iterable[Figure], *, judge: bool = True) -> str:
    """The figures as a Markdown table, wide enough to be read as it is."""
    rows = [HEAD, *(one.cells(judge=judge) for one in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [line(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _wanted(one: Judged, *, judge: bool) -> str:
    return f"{one.wanted} (missed)" if judge and one.missed else one.wanted
