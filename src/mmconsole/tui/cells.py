"""Text as cells of a terminal: nothing in it acts, and what is cut or padded is as wide as it claims to be."""

import re
import unicodedata
from typing import Final

from rich.cells import cell_len, set_cell_size

from mmconsole.domain.text import visible

ELLIPSIS: Final = "…"
_PER_CELL: Final = 8
"""Characters looked at per cell: letters with marks have a few, and a name of 10,000 characters need not be read."""
_ASCII: Final = re.compile(r"[\x20-\x7e]*\Z")
# Terminals disagree how wide these make the character before them, so a table that keeps them has ragged columns.
_UNSTEADY: Final = re.compile("[\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]|(?<=[\u2190-\u2bff\U0001f000-\U0001faff])\u200d")
_MARKS: Final = frozenset({"Mn", "Me", "Mc"})


def harmless(text: str) -> str:
    """Text from outside as it may be drawn: control characters as symbols, and as wide in every terminal."""
    if _ASCII.match(text):
        return text
    shown = _UNSTEADY.sub("", visible(text))
    # A mark without a letter would sit on whatever stands before it.
    return f"◌{shown}" if shown and unicodedata.category(shown[0]) in _MARKS else shown


def fitted(text: str, width: int) -> str:
    """Harmless text of exactly so many cells: cut with an ellipsis, or padded."""
    if width <= 0:
        return ""
    shown = harmless(text[: width * _PER_CELL])
    if _ASCII.match(shown):
        room = width - len(shown)
        return shown + " " * room if room >= 0 else shown[: width - 1] + ELLIPSIS
    if cell_len(shown) <= width:
        return set_cell_size(shown, width)
    # A wide character that does not fit leaves one cell, which becomes a space.
    return set_cell_size(shown, width - 1) + ELLIPSIS


def counted(number: int, noun: str) -> str:
    """`1 token`, `1,200 tokens`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def width_of(text: str) -> int:
    """How many cells harmless text takes."""
    return cell_len(text)
