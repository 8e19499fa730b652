"""The line after `:`. What fits it stands above; Tab completes, Enter does."""

from functools import partial
from typing import TYPE_CHECKING, Final, cast

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from mmconsole.tui.commands import Offer, offers
from mmconsole.tui.modal import Modal
from mmconsole.tui.virtual_table import Cell, Column, Row, RowList, VirtualTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmconsole.tui.app import Console

_COLUMNS: Final = (
    Column("text", "", 22, weight=1, sortable=False),
    Column("sentence", "", 20, weight=2, sortable=False),
)
_PAGE: Final = 8


class _Field(Input, inherit_bindings=False):
    """Draws what is typed; the keys themselves go on to the screen."""

    def on_key(self, event: events.Key) -> None:
        event.prevent_default()


class CommandLine(Modal[Offer | None], inherit_bindings=False):
    """Ends with what is to be done."""

    DEFAULT_CSS = """
    CommandLine { align: left bottom; }
    CommandLine > Vertical { height: 13; max-height: 90%; background: $background; border-top: solid $primary; }
    CommandLine Input { height: 1; border: none; padding: 0 1; }
    """

    def __init__(self, line: str = "") -> None:
        super().__init__()
        self._line = line
        self._offers: dict[str, Offer] = {}
        self._shown_for = line

    def compose(self) -> ComposeResult:
        with Vertical():
            yield VirtualTable(_COLUMNS, empty="nothing is called that", markable=False)
            yield _Field(self._line, placeholder="what to do… (tab completes)", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        self._table().can_focus = False
        self._show()
        self.set_focus(self._field())
        self._meant: dict[str, Callable[[], object]] = {
            "escape": self.dismiss,
            "enter": self._enter,
            "tab": self._complete,
            "down": partial(self._table().move, 1),
            "up": partial(self._table().move, -1),
            "pagedown": partial(self._table().move, _PAGE),
            "pageup": partial(self._table().move, -_PAGE),
            "backspace": self._field().action_delete_left,
            "delete": self._field().action_delete_right,
            "left": self._field().action_cursor_left,
            "right": self._field().action_cursor_right,
            "home": self._field().action_home,
            "end": self._field().action_end,
            "ctrl+w": self._field().action_delete_left_word,
            "ctrl+u": self._field().action_delete_left_all,
        }

    def on_key(self, event: events.Key) -> None:
        """Every key comes here, so that none overtakes another, however fast they are typed."""
        event.stop()
        if event.key in self._meant:
            self._meant[event.key]()
        elif event.is_printable and event.character is not None:
            self._field().insert_text_at_cursor(event.character)

    def _field(self) -> "_Field":
        return self.query_one(_Field)

    def _table(self) -> VirtualTable:
        return self.query_one(VirtualTable)

    def _show(self) -> None:
        console = cast("Console", self.app)
        self._shown_for = self._field().value
        found = offers(console, self._shown_for)
        self._offers = {str(place): offer for place, offer in enumerate(found)}
        self._table().show(RowList((place, _drawn(offer)) for place, offer in self._offers.items()))
        self._table().move_to(0)

    def _chosen(self) -> Offer | None:
        cursor = self._table().cursor
        return self._offers.get(cursor) if cursor is not None else None

    def _complete(self) -> None:
        self._show_if_new()
        offer = self._chosen()
        if offer is not None:
            self._field().value = offer.text
            self._field().cursor_position = len(offer.text)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._show_if_new()

    def _show_if_new(self) -> None:
        # Typed fast, a key may come before what was typed is looked at.
        if self._shown_for != self._field().value:
            self._show()

    @on(VirtualTable.Chosen)
    def _clicked(self, event: VirtualTable.Chosen) -> None:
        event.stop()
        self._enter()

    def _enter(self) -> None:
        self._show_if_new()
        offer = self._chosen()
        if offer is not None and offer.run is None:
            self._complete()
        elif offer is not None:
            self.dismiss(offer)


def _drawn(offer: Offer) -> Row:
    return Row((Cell(offer.text.rstrip(), "busy"), Cell(offer.sentence)))
