"""A view of more lines than are seen: a step of it paints those that are new, and no scroll bar that stays."""

from collections.abc import Sequence
from typing import ClassVar, Final, Self

from textual.filter import LineFilter
from textual.geometry import Region
from textual.scrollbar import ScrollBar
from textual.strip import Strip

from mmconsole.tui.kept import Kept
from mmconsole.tui.selecting import SelectableLines

_EIGHTHS: Final = 8
"""Of a cell: in such steps Textual moves the thumb of a scroll bar."""


class LineView(Kept, SelectableLines, inherit_bindings=False):
    """Draws lines as wide as itself, without border and padding, so that nothing need be laid around them."""

    DEFAULT_CSS = """
    LineView {
        height: 1fr; scrollbar-size: 1 1; scrollbar-gutter: stable; overflow-x: hidden;
        scrollbar-background: $background; scrollbar-background-hover: $background;
        scrollbar-background-active: $background; scrollbar-color: $secondary; scrollbar-color-hover: $primary;
    }
    """
    BINDINGS: ClassVar = []
    _old_lines: frozenset[int] | set[int] = frozenset()

    def render_lines(self, crop: Region) -> list[Strip]:
        filters = self.get_line_filters()
        if self._drawn is None or self._drawn[:3] != (crop, self.size, filters):
            self._drawn = crop, self.size, filters, [Strip.blank(crop.width)] * crop.height
            self._old_lines = {*crop.line_range}
        if self._old_lines:
            self._draw(crop, filters, self._drawn[3])
        return self._drawn[3]

    def _draw(self, crop: Region, filters: Sequence[LineFilter], lines: list[Strip]) -> None:
        base, background = self.rich_style, self.background_colors[1]
        for y in self._old_lines & {*crop.line_range}:
            # There is room for a scroll bar, seen or not.
            strip = self.render_line(y).adjust_cell_length(crop.right, base)
            for one in filters:
                strip = strip.apply_filter(one, background)
            lines[y - crop.y] = strip.crop(crop.x, crop.right) if crop.x else strip
        self._old_lines = set()

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        drawn = self._drawn
        super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        if regions:
            self._drawn = drawn
            self._old_lines = {*self._old_lines, *(y for region in regions for y in region.line_range)}
        return self

    def watch_show_vertical_scrollbar(self, shown: bool) -> None:  # noqa: FBT001 - as Textual calls it
        # Whoever was scrolled before there was a bar is nowhere near its top.
        if shown:
            self.vertical_scrollbar.position = self.scroll_y

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self.show_vertical_scrollbar:
            bar = self.vertical_scrollbar
            if _thumb_at(bar, old_value) == _thumb_at(bar, new_value):
                bar.set_reactive(ScrollBar.position, bar.validate_position(new_value))
        super().watch_scroll_y(old_value, new_value)


def _thumb_at(bar: ScrollBar, position: float) -> int:
    """Where the thumb begins, in eighths of a cell, as Textual draws it."""
    beyond = bar.window_virtual_size - bar.window_size
    if beyond <= 0:
        return 0
    thumb = max(1, bar.window_size * bar.size.height / bar.window_virtual_size)
    return int((bar.size.height - thumb) * position / beyond * _EIGHTHS)
