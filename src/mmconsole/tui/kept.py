"""What was drawn of a widget, kept until the widget changes.

Textual asks every widget that a change of the screen comes near for all its lines, and takes as long to find each of
them unchanged as to paint a line or two.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from textual.filter import LineFilter
from textual.geometry import Region, Size
from textual.strip import Strip

if TYPE_CHECKING:
    from textual.widget import Widget as _Beside
else:
    # Textual looks for inherited styles in the first base that is a widget, and this one comes before it.
    _Beside = object


class Kept(_Beside):
    """Stands before the widget it is for, in the list of base classes."""

    _drawn: tuple[Region, Size, Sequence[LineFilter], list[Strip]] | None = None

    def render_lines(self, crop: Region) -> list[Strip]:
        filters = self.get_line_filters()
        if self._drawn is None or self._drawn[:3] != (crop, self.size, filters):
            self._drawn = crop, self.size, filters, super().render_lines(crop)
        return self._drawn[3]

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        # All that changes the look of a widget ends here, its style too; its size does not.
        if repaint:
            self._drawn = None
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
