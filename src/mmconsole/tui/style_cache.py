"""What Textual remembers of the colours of borders, without the widgets that had them."""

from functools import lru_cache
from typing import Final

from textual._styles_cache import StylesCache
from textual.color import Color
from textual.style import Style

_KEPT: Final = 1024


@lru_cache(_KEPT)
def _inner_outer(base: Color, background: Color) -> tuple[Style, Style]:
    return Style(background=base + background), Style(background=base)


def share_border_colours() -> None:
    """Key the cache by colours alone.

    In Textual 8.2 it is keyed by the widget's own cache too, and so keeps the last thousand widgets, those of closed
    screens with all that was drawn of them.
    """
    StylesCache.get_inner_outer = staticmethod(_inner_outer)  # type: ignore[method-assign, assignment]
