"""A short list to choose from, by a letter or with the arrows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical

from mmconsole.tui.frame import Rule
from mmconsole.tui.modal import Modal
from mmconsole.tui.virtual_table import Cell, Column, Row, RowList, VirtualTable

_AROUND: Final = 4
"""Lines of a menu that are no choices: its border, its title, and the header of the table."""


@dataclass(frozen=True, slots=True)
class Choice:
    id: str
    key: str
    """The letter that takes it."""
    words: str
    shown: str = ""
    """What it is about."""
    able: bool = True


class Menu(Modal[str | None], inherit_bindings=False):
    """Ends with the id of what was chosen, or with None."""

    DEFAULT_CSS = """
    Menu { align: center middle; }
    Menu > Vertical { width: 64; max-width: 90%; max-height: 90%; background: $background; border: solid $primary; }
    """

    def __init__(self, title: str, choices: Sequence[Choice], *, at: str = "") -> None:
        super().__init__()
        self._title_text = title
        self._choices = {choice.id: choice for choice in choices}
        self._at = at

    def compose(self) -> ComposeResult:
        columns = (Column("key", "", 1), Column("words", "", 22), Column("shown", "", 8, weight=1))
        with Vertical():
            yield Rule(self._title_text)
            yield VirtualTable(
                columns, RowList((one.id, _drawn(one)) for one in self._choices.values()), markable=False
            )

    def on_mount(self) -> None:
        self.query_one(Vertical).styles.height = len(self._choices) + _AROUND
        self.query_one(Rule).tell(self._title_text, "esc back")
        self._table().go_to(self._at)
        self._table().focus()

    def _table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    def on_key(self, event: events.Key) -> None:
        """Every key comes here, so that none overtakes another, however fast they are typed."""
        event.stop()
        if event.key == "escape":
            self.dismiss()
        elif event.key in {"down", "up"}:
            self._table().move(1 if event.key == "down" else -1)
        elif event.key in {"enter", "space"}:
            self._take(self._table().cursor)
        else:
            self._take(next((one.id for one in self._choices.values() if one.key == event.character), None))

    @on(VirtualTable.Chosen)
    def _clicked(self, event: VirtualTable.Chosen) -> None:
        event.stop()
        self._take(event.key)

    def _take(self, id_: str | None) -> None:
        if id_ is not None and self._choices[id_].able:
            self.dismiss(id_)


def _drawn(choice: Choice) -> Row:
    cells = (Cell(choice.key, "busy"), Cell(choice.words), Cell(choice.shown, "quiet"))
    return Row(cells, dimmed=not choice.able)
