"""All keys of a pane, searchable, with the reason where one cannot be used now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input

from mmconsole.tui.actions import Action, Pane, State, actions_of
from mmconsole.tui.frame import Line, Rule
from mmconsole.tui.keymaps import Keymap, shown_key
from mmconsole.tui.modal import Modal
from mmconsole.tui.virtual_table import Cell, Column, Row, RowList, VirtualTable

_COLUMNS: Final = (
    Column("keys", "KEY", 14, sortable=False),
    Column("verb", "DOES", 13, sortable=False),
    Column("sentence", "", 20, weight=1, sortable=False),
)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One line of the help."""

    keys: str
    verb: str
    sentence: str
    able: bool


def key_rows(pane: Pane, state: State, keys: Keymap) -> list[KeyRow]:
    """Everything that can be pressed in a pane."""
    return [_key_row(action, state, keys) for action in (*actions_of(pane), *actions_of(Pane.EVERYWHERE))]


def _key_row(action: Action, state: State, keys: Keymap) -> KeyRow:
    reason = action.why_not(state)
    sentence = f"{action.sentence} Not now: {reason}." if reason else action.sentence
    return KeyRow(" ".join(map(shown_key, keys.of(action))), action.verb, sentence, able=reason is None)


class HelpScreen(Modal[None]):
    """Letters search; escape leaves."""

    BINDINGS: ClassVar = [
        Binding("escape,f1", "dismiss", show=False),
        Binding("down", "move(1)", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("pageup", "move(-10)", show=False),
    ]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > Vertical { width: 90%; max-width: 110; height: 90%; background: $background; border: solid $primary; }
    HelpScreen Input { height: 1; border: none; padding: 0 1; }
    HelpScreen #whole { height: 2; color: $text-muted; }
    """

    def __init__(self, title: str, rows: Sequence[KeyRow]) -> None:
        super().__init__()
        self._title_text = title
        self._rows = tuple(rows)
        self._found: dict[str, KeyRow] = {}

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Rule(f"Keys: {self._title_text}")
            yield Input(placeholder="search", compact=True)
            yield VirtualTable(_COLUMNS, empty="no key does that", markable=False)
            yield Line(id="whole")

    def on_mount(self) -> None:
        self.query_one(VirtualTable).can_focus = False
        self.query_one(Rule).tell(f"Keys: {self._title_text}", "esc back")
        self._show("")
        self.query_one(Input).focus()

    def action_move(self, by: int) -> None:
        self.query_one(VirtualTable).move(by)

    @on(Input.Changed)
    def _search(self, event: Input.Changed) -> None:
        self._show(event.value.lower())

    def _show(self, wanted: str) -> None:
        found = [row for row in self._rows if wanted in f"{row.keys} {row.verb} {row.sentence}".lower()]
        self._found = {str(n): row for n, row in enumerate(found)}
        self.query_one(VirtualTable).show(RowList((key, _drawn(row)) for key, row in self._found.items()))
        self._tell()

    @on(VirtualTable.Moved)
    def _tell(self) -> None:
        """What a narrow table cuts off."""
        row = self._found.get(self.query_one(VirtualTable).cursor or "")
        self.query_one("#whole", Line).say(Text(f" {row.sentence}" if row else "", overflow="fold"))


def _drawn(row: KeyRow) -> Row:
    return Row(
        (Cell(row.keys, "busy" if row.able else "quiet"), Cell(row.verb), Cell(row.sentence)), dimmed=not row.able
    )
