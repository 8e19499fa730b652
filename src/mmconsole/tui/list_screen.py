"""The frame of a screen over the console that is about a list: facts above it, keys below it, and moving in it."""

from collections.abc import Iterable
from typing import ClassVar, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical

from mmconsole.tui.cells import harmless
from mmconsole.tui.frame import Line, Rule, Words
from mmconsole.tui.modal import Modal
from mmconsole.tui.virtual_table import VirtualTable

A = TypeVar("A")


class ListScreen(Modal[A]):
    """Answered with an A, or with nothing."""

    BINDINGS: ClassVar = [
        Binding("escape,q", "leave", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,ctrl+d", "move(10)", show=False),
        Binding("pageup,ctrl+u", "move(-10)", show=False),
    ]
    DEFAULT_CSS = """
    ListScreen { align: center middle; }
    ListScreen > Vertical { width: 96%; height: 92%; background: $background; border: solid $primary; }
    """

    def __init__(self, table: VirtualTable) -> None:
        super().__init__()
        self.table = table

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Rule()
            yield Words(id="facts")
            yield self.table
            yield Line(id="ways")

    def on_mount(self) -> None:
        self.table.focus()

    def tell(self, facts: Iterable[str], ways: str) -> None:
        """`ways` are the keys that lead on from here."""
        lines = "\n".join(map(harmless, facts))
        self.query_one("#facts", Words).say(Text(lines, overflow="fold"))
        self.query_one("#ways", Line).say(f" {harmless(ways)}")

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_move(self, by: int) -> None:
        self.table.move(by)
