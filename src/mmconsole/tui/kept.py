"""What was drawn of a widget, kept until the widget changes.

Textual asks every widget that a change of the screen comes near for all its lines, and takes as long to find each of
them unchanged as to paint a line or two.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.filter import LineFilter
from textual.geometry import Region
from textual.strip import Strip

if TYPE_CHECKING:
    from textual.widget import Widget as _Beside
else:
    # Textual looks for inherited styles in the first base that is a widget, and this one comes before it.
    _Beside = object


class Kept(_Beside):
    """Stands before the widget it is for, in the list of base classes."""

    _drawn: tuple[Region, Sequence[LineFilter], list[Strip]] | None = None

    def render_lines(self, crop: Region) -> list[Strip]:
        filters = self.get_line_filters()
        if self._drawn is None or self._drawn[:2] != (crop, filters):
            self._drawn = crop, filters, super().render_lines(crop)
        return self._drawn[2]

    def _set_dirty(self, *regions: Region) -> None:
        # All that changes the look of a widget ends here, its style and its size too.
        self._drawn = None
        super()._set_dirty(*regions)
