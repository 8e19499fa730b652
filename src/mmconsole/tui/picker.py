"""Picking a channel: the server's list, narrowed by typing; what is typed may also be an address, an id or a link."""

from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input

from mmconsole.domain.channels import Channel
from mmconsole.tui.frame import Rule
from mmconsole.tui.modal import Modal
from mmconsole.tui.virtual_table import Cell, Column, Row, RowList, VirtualTable

_COLUMNS: Final = (
    Column("channel", "CHANNEL", 24, weight=2, sortable=False),
    Column("name", "NAME", 16, weight=2, sortable=False),
    Column("kind", "KIND", 8, sortable=False),
)


class ChannelPicker(Modal[str]):
    """Answered with what names a channel. Picking one adds nobody yet."""

    BINDINGS: ClassVar = [
        Binding("escape", "leave", show=False),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
    ]
    DEFAULT_CSS = """
    ChannelPicker { align: center middle; }
    ChannelPicker > Vertical {
        width: 90%; max-width: 100; height: 80%; background: $background; border: solid $primary;
    }
    ChannelPicker Input { height: 1; border: none; padding: 0 1; }
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title_text = title
        self._channels: list[Channel] = []
        self._note = "asking the server…"

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Rule(self._title_text)
            yield Input(placeholder="part of a name, or team/channel, id, link", compact=True)
            yield VirtualTable(_COLUMNS, markable=False)

    def on_mount(self) -> None:
        self.query_one(Rule).tell(self._title_text, "enter picks   esc back")
        self.query_one(VirtualTable).can_focus = False
        self.query_one(Input).focus()
        self._show("")

    def offer(self, channels: list[Channel], *, note: str = "no channel of this name; enter takes it as typed") -> None:
        """These are the channels. `note` stands there when none fits."""
        self._channels, self._note = channels, note
        if self.is_mounted:
            self._show(self.query_one(Input).value)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_move(self, by: int) -> None:
        self.query_one(VirtualTable).move(by)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._show(event.value)

    @on(Input.Submitted)
    def _picked(self, event: Input.Submitted) -> None:
        event.stop()
        chosen = self.query_one(VirtualTable).cursor or event.value.strip()
        if chosen:
            self.dismiss(chosen)

    def _show(self, typed: str) -> None:
        wanted = typed.strip().lower()
        fitting = [one for one in self._channels if wanted in f"{one.address} {one.display_name}".lower()]
        table = self.query_one(VirtualTable)
        table.empty = self._note
        table.show(RowList((one.address, _row(one)) for one in fitting))
        table.move_to(0)


def _row(channel: Channel) -> Row:
    kind = Cell("public", "quiet") if channel.public else Cell("private", "care")
    return Row((Cell(channel.address), Cell(channel.display_name), kind))
