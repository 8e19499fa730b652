"""An entry of the log, whole: when, who, whom, by which job, and all that was said, however long."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll

from mmconsole.tui.cells import harmless
from mmconsole.tui.frame import Line, Rule, Words
from mmconsole.tui.log_view import LogLine
from mmconsole.tui.modal import Modal
from mmconsole.tui.privacy import mask_within

_LABEL = 10


class EntryScreen(Modal[None]):
    """Goes from one entry to the next as the cursor keys do in a list."""

    BINDINGS: ClassVar = [
        Binding("escape,q,enter", "leave", show=False),
        Binding("down,j", "step(1)", show=False),
        Binding("up,k", "step(-1)", show=False),
        Binding("pagedown,ctrl+d,space", "scroll(1)", show=False),
        Binding("pageup,ctrl+u", "scroll(-1)", show=False),
        Binding("y,c", "copy", show=False),
    ]
    # The entry is marked in the log, which stands below on a large screen.
    DEFAULT_CSS = """
    EntryScreen { align: center top; }
    EntryScreen > Vertical {
        width: 100; max-width: 96%; height: auto; max-height: 100%; margin: 1 0;
        background: $background; border: solid $primary;
    }
    EntryScreen VerticalScroll { height: auto; max-height: 50vh; scrollbar-size: 1 1; }
    EntryScreen #ways { margin-top: 1; }
    """

    def __init__(
        self, point: Callable[[int], LogLine | None], copy: Callable[[str], None], *, masked: bool = False
    ) -> None:
        """`point` goes so many entries on, and says which one that is."""
        super().__init__()
        self._point = point
        self._copy = copy
        self._masked = masked
        self._shown = ""

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Rule("Log entry")
            with VerticalScroll():
                yield Words(id="entry")
            yield Line(id="ways")

    def on_mount(self) -> None:
        self.query_one("#ways", Line).say(" j k other entries   pgdn more   y copy   esc back")
        self.query_one(VerticalScroll).can_focus = False
        self.action_step(0)

    def action_step(self, by: int) -> None:
        line = self._point(by)
        if line is not None:
            self._shown = whole(line, masked=self._masked)
            self.query_one("#entry", Words).say(Text(self._shown, overflow="fold"))
            self.query_one(VerticalScroll).scroll_home(animate=False)

    def action_scroll(self, pages: int) -> None:
        view = self.query_one(VerticalScroll)
        view.scroll_relative(y=pages * max(1, view.size.height - 1), animate=False)

    def action_copy(self) -> None:
        self._copy(self._shown)

    def action_leave(self) -> None:
        self.dismiss(None)


def whole(line: LogLine, *, masked: bool = False) -> str:
    """All of an entry; nothing in it acts, and names and addresses are covered if need be."""
    name = f"{line.who(masked=masked)}  (id {line.subject})" if line.name else line.subject
    job = f", job {line.job_id}" if line.job_id is not None else ""
    facts = {
        "At": f"{line.at.astimezone():%Y-%m-%d %H:%M:%S}",
        "User": name if line.subject != "-" else "",
        "What": line.verb,
        "By": f"{line.actor}{job}" if line.actor else "",
        "Level": line.gravity.name.lower(),
        "Request": line.request_id,
    }
    lines = [f"{fact:<{_LABEL}}{harmless(value)}" for fact, value in facts.items() if value]
    detail = mask_within(harmless(line.detail), hidden=masked)
    return "\n".join([*lines, *(["", detail] if detail else [])])
