"""One table for all figures."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: what was done, by whom how fast, and the ratio that counts."""

    what: str
    peer: str
    figure: str
    ratio: str
    wanted: str = ""


def middle(ours: list[float], theirs: list[float]) -> float:
    """The middle one of the ratios of runs made in turn: on a noisy machine the best of each did not meet."""
    return median(their / our for our, their in zip(ours, theirs, strict=True))


def show(figures: list[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = [("what", "beside", "figures", "ratio", "wanted")]
    rows += [(one.what, one.peer, one.figure, one.ratio, one.wanted) for one in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
