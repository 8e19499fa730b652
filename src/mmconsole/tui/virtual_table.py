"""A table of any length that paints only what is seen, and knows its rows by key.

Cursor and marks are keys (user ids), never positions, so they follow a user through sort, filter and refresh. Rows are
fetched in windows when they come into sight.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple, Protocol

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from mmconsole.errors import MmconsoleError
from mmconsole.tui.cells import ELLIPSIS, fitted, width_of
from mmconsole.tui.line_view import LineView

HEADER_LINES: Final = 1
GUTTER: Final = 4
"""Cells before the first column: the cursor and the mark."""
GAP: Final = 2
"""Cells between columns."""
CURSOR, MARK, ASCENDING, DESCENDING = "▸", "■", "▲", "▼"


@dataclass(frozen=True, slots=True)
class Column:
    """A column; with a weight it takes its share of what is left over."""

    key: str
    title: str
    width: int
    """Cells; with a weight the least of them."""
    weight: int = 0
    sortable: bool = True


class Cell(NamedTuple):
    text: str
    tone: str = ""
    """One of TONES, or nothing for the plain colour."""


TONES: Final = ("good", "soon", "bad", "care", "quiet", "busy")


@dataclass(frozen=True, slots=True)
class Row:
    """What is drawn of one row."""

    cells: tuple[Cell, ...]
    dimmed: bool = False
    """It no longer belongs here, but stays until the next change of the filter."""


_ABSENT: Final = Row((Cell(ELLIPSIS, "quiet"),))
_KEPT_STRIPS: Final = 500


class RowSource(Protocol):
    """Where rows come from: their keys in order at once, the rows themselves when they are seen."""

    def __len__(self) -> int: ...

    def key_at(self, index: int) -> str: ...

    def index_of(self, key: str) -> int | None:
        """Where a key stands; None when it is not here."""

    def row_of(self, key: str) -> Row | None:
        """The row; None when it has not been loaded."""

    async def load(self, keys: Sequence[str]) -> None:
        """Fetch rows. Afterwards `row_of` has one for each of these keys. Raises DatabaseError."""


class RowList:
    """A source of rows that are all there."""

    def __init__(self, rows: Iterable[tuple[str, Row]] = ()) -> None:
        self._rows = dict(rows)
        self._keys = list(self._rows)
        self._places = {key: place for place, key in enumerate(self._keys)}

    def __len__(self) -> int:
        return len(self._keys)

    def key_at(self, index: int) -> str:
        return self._keys[index]

    def index_of(self, key: str) -> int | None:
        return self._places.get(key)

    def row_of(self, key: str) -> Row | None:
        return self._rows.get(key)

    def replace(self, key: str, row: Row) -> None:
        """Another look for a row that is here."""
        if key in self._rows:
            self._rows[key] = row

    async def load(self, keys: Sequence[str]) -> None:
        """Nothing is missing."""


@dataclass(slots=True)
class _Layout:
    """Where each column begins, for one width of the table."""

    width: int = 0
    widths: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
    total: int = 0


@dataclass(slots=True)
class _Styles:
    """The colours of one theme."""

    base: Style
    header: Style
    cursor: Style
    marked: Style
    dimmed: Style
    tones: dict[str, Style] = field(default_factory=dict)


class VirtualTable(LineView, can_focus=True, inherit_bindings=False):
    """Line 0 is the header; the row of index `i` is line `i + 1` of the virtual content."""

    HEADER = HEADER_LINES
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "virtual-table--header",
        "virtual-table--cursor",
        "virtual-table--marked",
        "virtual-table--dimmed",
        *(f"virtual-table--{tone}" for tone in TONES),
    }
    DEFAULT_CSS = """
    VirtualTable .virtual-table--header { text-style: bold; color: $text-muted; }
    VirtualTable .virtual-table--cursor { background: $surface; }
    VirtualTable:focus .virtual-table--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    VirtualTable .virtual-table--marked { text-style: bold; }
    VirtualTable .virtual-table--dimmed { text-style: dim; }
    VirtualTable .virtual-table--good { color: $text-success; }
    VirtualTable .virtual-table--soon { color: $text-warning; }
    VirtualTable .virtual-table--bad { color: $text-error; }
    VirtualTable .virtual-table--care { color: $text-accent; }
    VirtualTable .virtual-table--quiet { color: $text-muted; }
    VirtualTable .virtual-table--busy { color: $text-primary; }
    """

    class _OfTable(Message):
        """A message that names its table, so that one pane can have several."""

        def __init__(self, table: "VirtualTable") -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> "VirtualTable":
            return self.table

    class Moved(_OfTable):
        """The cursor is on another row, or on none."""

        def __init__(self, table: "VirtualTable", key: str | None) -> None:
            super().__init__(table)
            self.key = key

        def can_replace(self, message: Message) -> bool:
            # Only the last of many moves is worth drawing details for.
            return isinstance(message, VirtualTable.Moved)

    class Chosen(_OfTable):
        """Somebody asked for the details of this row with the mouse."""

        def __init__(self, table: "VirtualTable", key: str) -> None:
            super().__init__(table)
            self.key = key

    class MarksChanged(_OfTable):
        """Other rows are marked now."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, VirtualTable.MarksChanged)

    class SortAsked(_OfTable):
        """Somebody clicked on the title of a column."""

        def __init__(self, table: "VirtualTable", column: str) -> None:
            super().__init__(table)
            self.column = column

    class LoadFailed(_OfTable):
        """Rows that came into sight could not be read."""

        def __init__(self, table: "VirtualTable", fault: MmconsoleError) -> None:
            super().__init__(table)
            self.fault = fault

    class Loaded(_OfTable):
        """Rows that were missing are here."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, VirtualTable.Loaded)

    def __init__(
        self,
        columns: Sequence[Column],
        source: RowSource | None = None,
        *,
        empty: str = "",
        markable: bool = True,
        id: str | None = None,  # noqa: A002 - as every widget calls it
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.source: RowSource = source if source is not None else RowList()
        self.empty = empty
        """What stands there when there is no row; may have several lines."""
        self.sorted_by: tuple[str, bool] | None = None
        """The column that sorts, and whether it is descending."""
        self._markable = markable
        self._place = 0
        self._cursor: str | None = self.source.key_at(0) if len(self.source) else None
        self._marks: dict[str, None] = {}
        self._hidden: int | None = 0
        """Counted when it is asked for: with 100,000 marks that takes a while."""
        self._anchor: str | None = None
        self._marked_before: dict[str, None] = {}
        self._shift = 0
        self._loading = False
        self._layout = _Layout()
        self._styles: _Styles | None = None
        self._strips: dict[tuple[str, bool], tuple[tuple[Row, bool], Strip]] = {}
        """Rows as they were drawn last, for one width, shift and theme: whoever scrolls sees most of them again."""

    # ── what it shows ────────────────────────────────────────────────────────────────────────────

    def show(self, source: RowSource) -> None:
        """Show other rows. The cursor stays on its row, else where it was; marks stay, seen or not."""
        self.source = source
        self.drop_selection()
        self._hidden = None
        place = None if self._cursor is None else source.index_of(self._cursor)
        self._place = max(0, min(self._place if place is None else place, len(source) - 1))
        self._end_range()
        self._measure()
        self._settle()
        self.refresh()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns."""
        self.columns = tuple(columns)
        self._shift = 0
        self._measure()
        self.refresh()

    def sort_marker(self, column: str, *, descending: bool) -> None:
        self.sorted_by = (column, descending)
        self._paint_header()

    def update_rows(self, keys: Collection[str]) -> None:
        """Paint anew those of these rows that are in sight."""
        first, last = self._in_sight()
        for index in range(first, last):
            if self.source.key_at(index) in keys:
                self.refresh_line(index + HEADER_LINES)

    def keys_in_sight(self) -> list[str]:
        """The rows that are seen."""
        return [self.source.key_at(index) for index in range(*self._in_sight())]

    # ── cursor ───────────────────────────────────────────────────────────────────────────────────

    @property
    def cursor(self) -> str | None:
        """The key of the row under the cursor."""
        return self._cursor

    @property
    def page_rows(self) -> int:
        """Rows that fit."""
        return max(1, self.scrollable_content_region.height - HEADER_LINES)

    def move(self, by: int) -> None:
        self.move_to(self._place + by)

    def move_to(self, index: int) -> None:
        """Put the cursor on a row by its place, as near as there is one."""
        if not len(self.source):
            return
        before, self._place = self._place, max(0, min(index, len(self.source) - 1))
        if self._place != before:
            self._paint(before)
            self._extend_range(before)
        self._settle()
        self._paint(self._place)

    def go_to(self, key: str) -> bool:
        """Put the cursor on a row by its key. Returns whether it is here."""
        index = self.source.index_of(key)
        if index is not None:
            self.move_to(index)
        return index is not None

    def scroll_columns(self, by: int) -> None:
        """Bring columns into sight that do not fit, one at a time."""
        starts = (0, *(start - GUTTER for start in self._layout.starts[1:]))
        most = max(0, self._layout.total - self._width())
        now = next((place for place, start in enumerate(starts) if start >= self._shift), len(starts) - 1)
        shift = min(most, starts[max(0, min(now + by, len(starts) - 1))]) if starts else 0
        if shift != self._shift:
            self._shift = shift
            self._strips = {}
            self.refresh()

    # ── marks ────────────────────────────────────────────────────────────────────────────────────

    @property
    def marks(self) -> tuple[str, ...]:
        """The marked rows, in the order they were marked."""
        return tuple(self._marks)

    @property
    def hidden_marks(self) -> int:
        """Marked rows that are not shown."""
        if self._hidden is None:
            self._hidden = sum(self.source.index_of(key) is None for key in self._marks)
        return self._hidden

    @property
    def in_range(self) -> bool:
        """Whether moving marks."""
        return self._anchor is not None

    def toggle_mark(self) -> None:
        if self._cursor is None or not self._markable:
            return
        if self._cursor in self._marks:
            del self._marks[self._cursor]
        else:
            self._marks[self._cursor] = None
        self._paint(self._place)
        self._marks_changed()

    def mark(self) -> None:
        """Mark the row under the cursor."""
        if self._cursor is not None and self._cursor not in self._marks:
            self.toggle_mark()

    def toggle_range(self) -> None:
        """Begin to mark everything between here and where the cursor goes, or end it."""
        if self.in_range or self._cursor is None or not self._markable:
            self._end_range()
            return
        self._marked_before = dict(self._marks)
        self._anchor = self._cursor
        self.mark()

    def mark_all(self) -> None:
        if self._markable:
            self._marks |= dict.fromkeys(self.source.key_at(index) for index in range(len(self.source)))
            self.refresh()
            self._marks_changed()

    def clear_marks(self) -> None:
        self._end_range()
        if self._marks:
            self._marks.clear()
            self.refresh()
            self._marks_changed()

    def _marks_changed(self) -> None:
        self._hidden = None
        self.post_message(self.MarksChanged(self))

    def _end_range(self) -> None:
        self._anchor = None
        self._marked_before = {}

    def _extend_range(self, before: int) -> None:
        start = None if self._anchor is None else self.source.index_of(self._anchor)
        if start is None:
            return
        low, high = sorted((start, self._place))
        self._marks = self._marked_before | dict.fromkeys(self.source.key_at(i) for i in range(low, high + 1))
        for index in range(min(before, self._place), max(before, self._place) + 1):
            self._paint(index)
        self._marks_changed()

    # ── places ───────────────────────────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        """Let the cursor be the key of its place, and in sight."""
        key = self.source.key_at(self._place) if len(self.source) else None
        if key != self._cursor:
            self._cursor = key
            self.post_message(self.Moved(self, key))
        top, rows = self.scroll_offset.y, self.page_rows
        if self._place < top:
            self.scroll_to(y=self._place, animate=False, force=True)
        elif self._place >= top + rows:
            self.scroll_to(y=self._place - rows + 1, animate=False, force=True)

    def _in_sight(self) -> tuple[int, int]:
        """The first row in sight, and the one behind the last."""
        top = self.scroll_offset.y
        return min(top, len(self.source)), min(top + self.page_rows, len(self.source))

    def _paint(self, index: int) -> None:
        first, last = self._in_sight()
        if first <= index < last:
            self.refresh_line(index + HEADER_LINES)

    def _paint_header(self) -> None:
        self.refresh(Region(0, 0, self.size.width, HEADER_LINES))

    def _width(self) -> int:
        return self.scrollable_content_region.width

    def _measure(self) -> None:
        self._lay_out()
        self.virtual_size = Size(self._width(), len(self.source) + HEADER_LINES)

    def _lay_out(self) -> None:
        """Give each column its cells."""
        spare = self._width() - GUTTER - sum(column.width + GAP for column in self.columns) + GAP
        weights = sum(column.weight for column in self.columns)
        widths = [column.width + max(0, spare) * column.weight // (weights or 1) for column in self.columns]
        starts, at = [], GUTTER
        for width in widths:
            starts.append(at)
            at += width + GAP
        self._strips = {}
        self._layout = _Layout(self._width(), tuple(widths), tuple(starts), at - GAP if widths else at)
        self._shift = min(self._shift, max(0, self._layout.total - self._width()))

    def on_mount(self) -> None:
        self._measure()
        if self._cursor is not None:
            self.post_message(self.Moved(self, self._cursor))

    def on_resize(self) -> None:
        self._measure()
        self._settle()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles = None
        self._strips = {}

    # ── loading ──────────────────────────────────────────────────────────────────────────────────

    def _ask_for_rows(self) -> None:
        # One load at a time, and always of what is in sight then: whoever scrolls fast asks for no window in between.
        if not self._loading:
            self._loading = True
            self.run_worker(self._load(), group="rows")

    async def _load(self) -> None:
        try:
            while missing := self._missing():
                await self.source.load(missing)
                self.update_rows(frozenset(missing))
                self.post_message(self.Loaded(self))
        except MmconsoleError as fault:
            self.post_message(self.LoadFailed(self, fault))
        finally:
            self._loading = False

    def _missing(self) -> list[str]:
        """Rows in sight that are not loaded, and their neighbours a page up and down; nothing if all in sight are."""
        first, last = self._in_sight()
        if all(self.source.row_of(self.source.key_at(index)) is not None for index in range(first, last)):
            return []
        around = range(max(0, first - self.page_rows), min(len(self.source), last + self.page_rows))
        keys = (self.source.key_at(index) for index in around)
        return [key for key in keys if self.source.row_of(key) is None]

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────

    def render_lines(self, crop: Region) -> list[Strip]:
        # The first picture comes before the table hears of its size.
        if self._layout.width != self._width():
            self._lay_out()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        styles = self._styles = self._styles or self._styles_now()
        width = self._layout.width
        if y < HEADER_LINES:
            return self._header(styles, width)
        index = self.scroll_offset.y + y - HEADER_LINES
        if index >= len(self.source):
            notes = [] if len(self.source) else self.empty.splitlines()
            text = fitted(" " * GUTTER + (notes[index] if index < len(notes) else ""), width)
            return Strip([Segment(text, styles.base + styles.tones["quiet"])], width)
        row = self._row(self.source.key_at(index), styles, cursor=index == self._place)
        return row if self._selection is None else self.shown(row, index)

    def line_count(self) -> int:
        return len(self.source)

    def drawn_line(self, number: int) -> Strip:
        styles = self._styles = self._styles or self._styles_now()
        return self._row(self.source.key_at(number), styles, cursor=False)

    def _styles_now(self) -> _Styles:
        def partial(name: str) -> Style:
            return self.get_component_rich_style(f"virtual-table--{name}", partial=True)

        return _Styles(
            base=self.rich_style,
            header=partial("header"),
            cursor=partial("cursor"),
            marked=partial("marked"),
            dimmed=partial("dimmed"),
            tones={tone: partial(tone) for tone in TONES},
        )

    def _header(self, styles: _Styles, width: int) -> Strip:
        style = styles.base + styles.header
        widths = zip(self.columns, self._layout.widths, strict=True)
        segments = [Segment(self._title(column, cells), style) for column, cells in widths]
        return self._line(" " * GUTTER, segments, style, width)

    def _title(self, column: Column, cells: int) -> str:
        """With the gap behind it, into which the mark of the order may reach."""
        if self.sorted_by is None or self.sorted_by[0] != column.key:
            return fitted(column.title, cells) + " " * GAP
        marker, room = DESCENDING if self.sorted_by[1] else ASCENDING, cells + GAP - 1
        near = " " if len(column.title) + 2 <= room else ""
        title = fitted(column.title, min(len(column.title), room - len(near) - 1))
        return fitted(f"{title}{near}{marker}", cells + GAP)

    def _row(self, key: str, styles: _Styles, *, cursor: bool) -> Strip:
        row = self.source.row_of(key)
        if row is None:
            self._ask_for_rows()
            row = _ABSENT
        looks = row, key in self._marks
        drawn = self._strips.get((key, cursor))
        if drawn is None or drawn[0] != looks:
            if len(self._strips) >= _KEPT_STRIPS:
                self._strips = {}
            strip = self._drawn_row(row, styles, marked=looks[1], cursor=cursor)
            drawn = self._strips[key, cursor] = looks, strip
        return drawn[1]

    def _drawn_row(self, row: Row, styles: _Styles, *, marked: bool, cursor: bool) -> Strip:
        style = styles.base
        if marked:
            style += styles.marked
        if row.dimmed:
            style += styles.dimmed
        segments: list[Segment] = []
        for cell, cells in zip(row.cells, self._layout.widths, strict=False):
            toned = style + styles.tones[cell.tone] if cell.tone else style
            segments += (Segment(fitted(cell.text, cells), toned), Segment(" " * GAP, style))
        if cursor:
            style += styles.cursor
            segments = [Segment(text, (own or style) + styles.cursor) for text, own, _ in segments]
        gutter = f"{CURSOR if cursor else ' '} {MARK if marked else ' '} "
        return self._line(gutter, segments, style, self._layout.width)

    def _line(self, gutter: str, segments: list[Segment], style: Style, width: int) -> Strip:
        """The gutter stands still; the columns are shifted below it."""
        columns = Strip(segments).crop_extend(self._shift, self._shift + width - width_of(gutter), style)
        return Strip.join([Strip([Segment(gutter, style)], width_of(gutter)), columns])

    # ── mouse ────────────────────────────────────────────────────────────────────────────────────

    def on_click(self, event: events.Click) -> None:
        if event.y < HEADER_LINES:
            column = self._column_at(event.x)
            if column is not None and column.sortable:
                self.post_message(self.SortAsked(self, column.key))
            return
        index = self.scroll_offset.y + event.y - HEADER_LINES
        if index >= len(self.source) or self.text_selection is not None:
            # Where the mouse let go of a selection nobody has clicked.
            return
        self.move_to(index)
        if self._markable and event.x in {GUTTER - 2, GUTTER - 1}:
            self.toggle_mark()
        elif event.chain > 1 and self._cursor is not None:
            self.post_message(self.Chosen(self, self._cursor))

    def _column_at(self, x: int) -> Column | None:
        at = x + self._shift
        places = zip(self.columns, self._layout.starts, self._layout.widths, strict=True)
        return next((column for column, start, width in places if start <= at < start + width + GAP), None)
