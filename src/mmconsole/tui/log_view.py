"""What happened, line by line: a ring of the newest lines, of which only those in sight are drawn."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import ClassVar, Final

from rich.cells import chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from mmconsole.tui.cells import fitted, harmless, width_of
from mmconsole.tui.line_view import LineView
from mmconsole.tui.privacy import mask, mask_within

CAPACITY: Final = 20_000
_SLACK: Final = 8
"""The ring is cut back when it is over by one part in so many, not with every line."""
_LONGEST: Final = 2_000
"""Characters of a line that are kept."""


_WHO: Final = 28
_WHO_NARROW: Final = 12
_VERB: Final = 18
_ROOMY_FROM: Final = 96


class Gravity(IntEnum):
    """How much a line matters; the view shows those of its level and graver ones."""

    DETAIL = 0
    """What this process says of itself."""
    INFO = 1
    WARNING = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime
    """Shown in the time zone of the machine."""
    subject: str
    verb: str
    detail: str = ""
    gravity: Gravity = Gravity.INFO
    name: str = ""
    """What people call the subject; empty where that is not known."""
    actor: str = ""
    job_id: int | None = None
    request_id: str = ""
    """What follows is said of a single entry, not in its line."""

    def who(self, *, masked: bool = False) -> str:
        return mask(self.name, hidden=masked) or self.subject

    def text(self, width: int, *, masked: bool = False) -> str:
        """The whole line for a screen of so many cells: harmless, without names and addresses if they are covered."""
        who = fitted(self.who(masked=masked), _WHO if width >= _ROOMY_FROM else _WHO_NARROW)
        detail = mask_within(harmless(self.detail[:_LONGEST]), hidden=masked)
        return f" {self.at.astimezone():%H:%M:%S}  {who}  {fitted(self.verb, _VERB)}  {detail}".rstrip()


Piece = tuple[LogLine, str]
"""A line of the screen: all of a log line, or a part of a wrapped one."""


class LogView(LineView, can_focus=True, inherit_bindings=False):
    """Follows the newest line until somebody scrolls up; then it counts what came since."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log-view--detail",
        "log-view--warning",
        "log-view--error",
        "log-view--hit",
        "log-view--found",
    }
    DEFAULT_CSS = """
    LogView .log-view--detail { color: $text-muted; }
    LogView .log-view--warning { color: $text-warning; }
    LogView .log-view--error { color: $text-error; }
    LogView .log-view--hit { text-style: underline; }
    LogView .log-view--found { text-style: reverse; }
    """

    class Changed(Message):
        """What the title says of the view is no longer so."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, LogView.Changed)

    def __init__(self, *, capacity: int = CAPACITY, id: str | None = None) -> None:  # noqa: A002 - as every widget
        super().__init__(id=id)
        self.follows = True
        self.wraps = False
        self.level = Gravity.INFO
        self.wanted = ""
        """Only lines with this text are shown."""
        self.sought = ""
        """Hits of this text are underlined."""
        self.masked = False
        """Whether names and addresses are covered."""
        self.pending = 0
        """Lines that came since it no longer follows."""
        self._capacity = capacity
        self._lines: list[LogLine] = []
        self._pieces: list[Piece] = []
        self._found: int | None = None
        self._roomy = False
        self._tones: dict[str, Style] = {}

    # ── lines ────────────────────────────────────────────────────────────────────────────────────

    @property
    def lines(self) -> Sequence[LogLine]:
        """Everything in the ring, the oldest first."""
        return self._lines

    def add(self, lines: Iterable[LogLine]) -> None:
        """Add lines, the oldest first."""
        new = list(lines)
        pieces = self._split(new)
        self._lines += new
        self._pieces += pieces
        dropped = self._drop_oldest()
        if dropped:
            self.drop_selection()
        if not self.follows:
            self.pending += sum(map(self._shows, new))
        if pieces or dropped:
            self._resize(dropped)
        self.post_message(self.Changed())

    def clear(self) -> None:
        self._lines, self._pieces, self.pending, self._found = [], [], 0, None
        self._resize(0)
        self.refresh()

    def _drop_oldest(self) -> int:
        """Cut the ring back. Returns how many lines of the screen went."""
        over = len(self._lines) - self._capacity
        if over < max(1, self._capacity // _SLACK):
            return 0
        gone = self._lines[:over]
        pieces = len(self._split(gone))
        del self._lines[:over], self._pieces[:pieces]
        self._found = None if self._found is None or self._found < pieces else self._found - pieces
        return pieces

    def _resize(self, dropped: int) -> None:
        """Tell the scroll bar, and stay on the newest line or on the lines that are in sight."""
        self.virtual_size = Size(self._width(), len(self._pieces))
        if self.follows:
            self._to_end()
        elif dropped:
            self.scroll_to(y=max(0, self.scroll_offset.y - dropped), animate=False, force=True)
            self.refresh()

    def _to_end(self) -> None:
        # `scroll_end` waits for a refresh, and would fetch back whoever has scrolled up meanwhile.
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    # ── what is shown ────────────────────────────────────────────────────────────────────────────

    def follow(self, *, on: bool) -> None:
        """Stay on the newest line, or stay where it is."""
        self.follows = on
        self.pending = 0
        if on:
            self._to_end()
        self.post_message(self.Changed())

    def set_level(self, level: Gravity) -> None:
        self.level = level
        self._rebuild()

    def set_wrap(self, *, on: bool) -> None:
        self.wraps = on
        self._rebuild()

    def set_masked(self, *, on: bool) -> None:
        self.masked = on
        self._rebuild()

    def filter(self, wanted: str) -> None:
        """Show only lines with this text, in any case."""
        self.wanted = wanted.lower()
        self._rebuild()

    def search(self, sought: str) -> None:
        """Underline a text, and go to its newest hit."""
        self.sought = sought.lower()
        self._found = None
        self.refresh()
        if sought:
            self.next_hit(-1)

    def next_hit(self, direction: int) -> bool:
        """Go to the next hit below (1) or above (-1), round the end if need be. Returns whether there is one."""
        if not self.sought or not self._pieces:
            return False
        count = len(self._pieces)
        start = self._found if self._found is not None else (count if direction < 0 else -1)
        places = ((start + step * direction) % count for step in range(1, count + 1))
        found = next((place for place in places if self.sought in self._pieces[place][1].lower()), None)
        if found is None:
            return False
        self._found = found
        self.follows = False
        self.scroll_to(y=max(0, found - self._height() // 2), animate=False, force=True)
        self.refresh()
        self.post_message(self.Changed())
        return True

    def point(self, by: int = 0) -> LogLine | None:
        """The entry that is pointed at, else the last in sight; or the one so many entries on. It is marked."""
        if not self._pieces:
            return None
        top = self.scroll_offset.y
        last = min(top + self.page_rows, len(self._pieces)) - 1
        place = self._found if self._found is not None and top <= self._found <= last else last
        self._found = self._so_many_on(place, by)
        if not top <= self._found <= last:
            self.scroll_to(y=max(0, self._found - self._height() // 2), animate=False, force=True)
        # Said last: a scroll that comes to the end would follow, and carry the entry out of sight.
        self.follows = False
        self.refresh()
        self.post_message(self.Changed())
        return self._pieces[self._found][0]

    def _so_many_on(self, place: int, by: int) -> int:
        """The first line of the screen of the entry that comes so many after this one, or before it."""
        starts = [n for n, piece in enumerate(self._pieces) if not n or piece[0] is not self._pieces[n - 1][0]]
        here = bisect_right(starts, place) - 1
        return starts[max(0, min(here + by, len(starts) - 1))]

    def point_at_nothing(self, *, follow: bool) -> None:
        """As it was before somebody looked at one entry."""
        self._found = None
        self.refresh()
        if follow:
            self.follow(on=True)

    def move(self, by: int) -> None:
        """Scroll by lines. Upwards it no longer follows; at the end it does again."""
        self.scroll_to(y=self.scroll_offset.y + by, animate=False, force=True)

    def move_to(self, line: int) -> None:
        self.scroll_to(y=line, animate=False, force=True)

    @property
    def page_rows(self) -> int:
        return max(1, self._height())

    def shown_lines(self) -> list[LogLine]:
        """Those that level and filter let through, the oldest first."""
        return list(filter(self._shows, self._lines))

    def _shows(self, line: LogLine) -> bool:
        return line.gravity >= self.level and (not self.wanted or self.wanted in self._searched(line))

    def _searched(self, line: LogLine) -> str:
        """Everything of a line, also what is cut."""
        return f"{line.who(masked=self.masked)} {self._text_of(line)}".lower()

    def _text_of(self, line: LogLine) -> str:
        return line.text(self._width(), masked=self.masked)

    def _split(self, lines: Iterable[LogLine]) -> list[Piece]:
        pieces: list[Piece] = []
        width = self._width()
        for line in filter(self._shows, lines):
            text = self._text_of(line)
            parts = chop_cells(text, width) if self.wraps and width > 1 and width_of(text) > width else [text]
            pieces += ((line, part) for part in parts)
        return pieces

    def _rebuild(self) -> None:
        self._found = None
        self.drop_selection()
        self._pieces = self._split(self._lines)
        self._resize(0)
        self.refresh()
        self.post_message(self.Changed())

    # ── drawing ──────────────────────────────────────────────────────────────────────────────────

    def _width(self) -> int:
        return self.scrollable_content_region.width

    def _height(self) -> int:
        return self.scrollable_content_region.height

    def on_mount(self) -> None:
        self._rebuild()

    def on_resize(self) -> None:
        roomy = self._width() >= _ROOMY_FROM
        if self.wraps or roomy is not self._roomy:
            self._roomy = roomy
            self._rebuild()
        else:
            self._resize(0)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        at_end = round(new_value) >= self.max_scroll_y
        if round(new_value) < round(old_value) and self.follows and not at_end:
            self.follows = False
            self.post_message(self.Changed())
        elif round(new_value) > round(old_value) and at_end and not self.follows:
            self.follow(on=True)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._tones = {}

    def render_line(self, y: int) -> Strip:
        place = self.scroll_offset.y + y
        if place >= len(self._pieces):
            return Strip.blank(self._width(), self.rich_style)
        line = self.drawn_line(place)
        return line if self._selection is None else self.shown(line, place)

    def line_count(self) -> int:
        return len(self._pieces)

    def drawn_line(self, number: int) -> Strip:
        width = self._width()
        line, text = self._pieces[number]
        style = self.rich_style + self._tone(line.gravity.name.lower())
        if number == self._found:
            style += self._tone("found")
        elif self.sought and self.sought in text.lower():
            style += self._tone("hit")
        return Strip([Segment(fitted(text, width), style)], width)

    def _tone(self, name: str) -> Style:
        if name not in self._tones:
            known = f"log-view--{name}" in self.COMPONENT_CLASSES
            self._tones[name] = self.get_component_rich_style(f"log-view--{name}", partial=True) if known else Style()
        return self._tones[name]
