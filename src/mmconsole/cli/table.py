"""A table that fits the terminal, or lines with tabs where nobody looks."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from mmconsole.cli import output

_LOOKED_AT: Final = 200
"""Rows that decide how wide the columns are; whoever lists 100,000 users waits for no more."""
_READABLE: Final = 12
"""A column that gives way is still read with this; a spare one is left out before it has less."""
_NARROWEST: Final = 8
_GAP: Final = "  "


class Table:
    """Rows are printed as they come. Cells are shown as they are: what is from outside goes through `visible` first.

    On a terminal the columns whose names end in `…` give way when it is too narrow, and no row is wider than it.
    Elsewhere each row is a line with tabs, whole and without a heading, for `cut` and `awk`.
    """

    def __init__(self, *columns: str, glyphs: int | None = None, spare: Sequence[str] = ()) -> None:
        """`glyphs` is the column whose first character says how it is coloured, `spare` are those to be left out
        where there is no room, the first of them first.
        """
        self._titles = [column.removesuffix("…") for column in columns]
        self._spare = [self._titles.index(title) for title in spare]
        self._yielding = [place for place, column in enumerate(columns) if column.endswith("…")]
        self._glyphs = glyphs
        self.fits = output.is_terminal(sys.stdout)
        """Whether a terminal has to hold it."""
        self._waiting: list[Sequence[str]] = []
        self._widths: dict[int, int] = {}
        """Of the columns that are shown, by their places."""

    def add(self, *cells: str) -> None:
        if not self.fits:
            output.write("\t".join(cells))
        elif self._widths:
            self._print(cells)
        else:
            self._waiting.append(cells)
            if len(self._waiting) >= _LOOKED_AT:
                self._begin()

    def end(self, otherwise: str = "") -> None:
        """Print what still waits. On a terminal `otherwise` is said of a table without a row."""
        if self._waiting:
            self._begin()
        elif self.fits and otherwise and not self._widths:
            output.note(otherwise)

    def _begin(self) -> None:
        self._widths = self._fitted()
        self._print(self._titles, heading=True)
        for cells in self._waiting:
            self._print(cells)
        self._waiting = []

    def _fitted(self) -> dict[int, int]:
        """The columns' own widths, less what the terminal does not have."""
        from rich.cells import cell_len  # noqa: PLC0415 - only a table needs to know how wide characters are

        columns = zip(self._titles, *self._waiting, strict=True)
        widths = {place: max(map(cell_len, column)) for place, column in enumerate(columns)}
        for place in self._spare:
            readable = (min(width, _READABLE) if one in self._yielding else width for one, width in widths.items())
            if _excess(readable) <= 0:
                break
            del widths[place]
        _narrow(widths, [place for place in self._yielding if place in widths], least=_NARROWEST)
        _narrow(widths, list(widths), least=1)
        return widths

    def _print(self, cells: Sequence[str], *, heading: bool = False) -> None:
        shown = {place: fitted(cells[place], room) for place, room in self._widths.items()}
        if self._glyphs is not None and not heading:
            shown[self._glyphs] = output.painted(shown[self._glyphs], cells[self._glyphs][:1])
        output.write(_GAP.join(shown.values()).rstrip())


def _excess(widths: Iterable[int]) -> int:
    """How much wider such columns are than the terminal."""
    each = list(widths)
    return sum(each) + len(_GAP) * (len(each) - 1) - output.width()


def _narrow(widths: dict[int, int], places: Sequence[int], *, least: int) -> None:
    """Take what there is too much from the widest of these columns."""
    for _ in range(_excess(widths.values())):
        widest = max(places, key=widths.__getitem__, default=None)
        if widest is None or widths[widest] <= least:
            break
        widths[widest] -= 1


def fitted(text: str, room: int) -> str:
    """Text of exactly this many columns; what is cut off leaves an ellipsis."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415

    return text + " " * (room - cell_len(text)) if cell_len(text) <= room else set_cell_size(text, room - 1) + "…"
