"""Text that is marked with the mouse, in views that draw line by line.

Textual finds the place below the mouse by offsets in the style of each segment, which would be made anew with every
line that is painted. A screen asks the view instead, and only while the mouse is used.
"""

from typing import ClassVar

from textual.errors import NoWidget
from textual.geometry import Offset
from textual.screen import Screen, ScreenResultType
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget


class SelectableLines(ScrollView, can_focus=True, inherit_bindings=False):
    """A view of lines. Places are cells of a line, and the number of the line."""

    HEADER: ClassVar[int] = 0
    """Lines at the top that stand still, and are not selected."""
    _selection: Selection | None = None

    def line_count(self) -> int:
        raise NotImplementedError

    def drawn_line(self, number: int) -> Strip:
        """A line as it is seen, without what is selected."""
        raise NotImplementedError

    def place_at(self, x: int, y: int) -> Offset:
        """The place below a cell of the view."""
        number = self.scroll_offset.y + max(0, y - self.HEADER)
        return Offset(max(0, x), min(number, max(0, self.line_count() - 1)))

    def selection_updated(self, selection: Selection | None) -> None:
        if selection != self._selection:
            self._selection = selection
            self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text that is seen there: what is out of sight was not selected by anybody."""
        top = self.scroll_offset.y
        last = min(self.line_count(), top + self.scrollable_content_region.height - self.HEADER) - 1
        first = selection.start.y if selection.start is not None else top
        last = selection.end.y if selection.end is not None else last
        lines = [self._cut(self.drawn_line(number), number, selection) for number in range(first, last + 1)]
        return ("\n".join(line.text.rstrip() for line in lines), "\n") if lines else None

    def text_select_all(self) -> None:
        """Two clicks mean something else here."""

    def drop_selection(self) -> None:
        """Lines have other numbers now."""
        if self._selection is not None:
            self.screen.clear_selection()

    def shown(self, strip: Strip, number: int) -> Strip:
        """A line with what of it is selected."""
        if self._selection is None or (span := self._selection.get_span(number)) is None:
            return strip
        start, end = self._within(strip, span)
        style = self.screen.get_component_rich_style("screen--selection")
        parts = (strip.crop(0, start), strip.crop(start, end).apply_style(style), strip.crop(end))
        return Strip.join(parts)

    def _cut(self, strip: Strip, number: int, selection: Selection) -> Strip:
        span = selection.get_span(number)
        return strip.crop(*self._within(strip, span)) if span is not None else Strip([])

    @staticmethod
    def _within(strip: Strip, span: tuple[int, int]) -> tuple[int, int]:
        start, end = span
        return min(start, strip.cell_length), strip.cell_length if end < 0 else min(end, strip.cell_length)


class SelectingScreen(Screen[ScreenResultType], inherit_bindings=False):
    """A screen whose views say themselves what is below the mouse."""

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        try:
            widget, _ = self.get_widget_at(x, y)
        except NoWidget:
            return None, None
        if not isinstance(widget, SelectableLines):
            return super().get_widget_and_offset_at(x, y)
        region = widget.scrollable_content_region
        return widget, widget.place_at(x - region.x, y - region.y)
