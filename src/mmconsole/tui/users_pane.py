"""Pane 1: the users, filtered and sorted."""

from functools import cached_property
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.events import Resize
from textual.message import Message
from textual.widgets import Input

from mmconsole.domain.filters import Order, Sort
from mmconsole.tui.actions import Pane, State, bindings_of
from mmconsole.tui.field import Field
from mmconsole.tui.frame import Rule
from mmconsole.tui.panes import StateChanged, TablePane
from mmconsole.tui.user_rows import ALL_COLUMNS, COLUMNS, NARROW, SLIM, SORTS, USER, UserRows, close
from mmconsole.tui.virtual_table import Column, VirtualTable

_ROOM_FOR_ALL: Final = 92
"""Cells from which on every column has its place."""
_ROOM_FOR_ALL_CLOSE: Final = 77
"""The same for columns as narrow as they may be beside the details."""
_ROOM_FOR_TIMES: Final = 74
"""Cells from which on there is room for when a token ends, and when it was checked."""


class UsersPane(TablePane):
    PANE = Pane.USERS
    BINDINGS: ClassVar = bindings_of(Pane.USERS)
    DEFAULT_CSS = """
    UsersPane > Input { display: none; height: 1; border: none; padding: 0 1; }
    """

    class FilterTyped(Message):
        """Another filter is wanted; `final` when it was confirmed."""

        def __init__(self, text: str, *, final: bool) -> None:
            super().__init__()
            self.text = text
            self.final = final

    class OrderWanted(Message):
        def __init__(self, order: Order) -> None:
            super().__init__()
            self.order = order

    class DetailsToggled(Message):
        """Details shall be shown, or hidden."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id)
        self._rule = Rule("1 Users")
        self._table = VirtualTable(NARROW, empty="opening the database…")
        self.order = Order(Sort.STATUS)
        self._before = ""
        self._on_somebody = False
        self._chosen_columns: frozenset[str] | None = None
        """None: by the room there is."""

    def compose(self) -> ComposeResult:
        yield self._rule
        yield self._table

    def on_mount(self) -> None:
        self._tell_order()

    @cached_property
    def _field(self) -> Field:
        """Made when it is first needed: the first picture has no use for it, and all its styles."""
        field = Field(self._close, placeholder="status:expired,revoked  checked>30d  -bot  ann")
        self.mount(field)
        return field

    @property
    def state(self) -> State:
        table = self.table()
        return State(row=table.cursor is not None, rows=len(table.source) > 0, marks=bool(table.marks))

    # ── what it shows ────────────────────────────────────────────────────────────────────────────

    def show(self, rows: UserRows) -> None:
        rows.columns = tuple(self.table().columns)
        self.table().empty = "nobody fits the filter; esc clears it" if self.filter_text else "there are no users"
        self.table().show(rows)
        self.post_message(StateChanged())

    def say_instead(self, words: str) -> None:
        """Say why there are no users to show."""
        self.table().empty = words
        self.table().refresh()

    def set_masked(self, *, on: bool) -> None:
        """Names may stand in the filter, too."""
        self._field.password = on

    def title(self, right: str) -> None:
        self._rule.tell("1 Users", right)

    @property
    def filter_text(self) -> str:
        return self._field.value if "_field" in vars(self) else ""

    @property
    def typing(self) -> bool:
        """Whether somebody types a filter."""
        return "_field" in vars(self) and self.screen.focused is self._field

    def on_resize(self, event: Resize) -> None:
        self._set_columns(event.size.width)

    # ── filter ───────────────────────────────────────────────────────────────────────────────────

    def do_filter(self) -> None:
        field = self._field
        self._before = field.value
        self.enter(field)

    def set_filter(self, text: str) -> None:
        """Use this filter as if it had been typed."""
        self._field.value = text
        self._close()

    def go_back(self) -> bool:
        if self.typing:
            self._field.value = self._before
            self._close()
            return True
        if not self.filter_text:
            return False
        self._field.value = ""
        self._close()
        return True

    def _close(self) -> None:
        field = self._field
        self.enter(self.table())
        field.display = bool(field.value)
        self.post_message(self.FilterTyped(field.value, final=True))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.typing:
            self.post_message(self.FilterTyped(event.value, final=False))

    # ── marks and details ────────────────────────────────────────────────────────────────────────

    def do_mark(self) -> None:
        self.table().toggle_mark()

    def do_mark_down(self) -> None:
        self.table().mark()
        self.table().move(1)

    def do_range(self) -> None:
        self.table().toggle_range()
        self.post_message(StateChanged())

    def do_mark_all(self) -> None:
        self.table().mark_all()

    def do_unmark(self) -> None:
        self.table().clear_marks()

    def do_details(self) -> None:
        self.post_message(self.DetailsToggled())

    def do_copy(self) -> None:
        self.ask("copy")

    def do_export(self) -> None:
        self.ask("export")

    def do_columns(self) -> None:
        self.ask("columns")

    # ── order ────────────────────────────────────────────────────────────────────────────────────

    def do_sort_next(self) -> None:
        self._step_order(1)

    def do_sort_previous(self) -> None:
        self._step_order(-1)

    def do_invert(self) -> None:
        self.set_order(Order(self.order.by, descending=not self.order.descending))

    def set_order(self, order: Order) -> None:
        """Sort by something, whether there is a column of it or not."""
        self.order = order
        self._tell_order()
        self.post_message(self.OrderWanted(order))

    def sort_by(self, key: str) -> None:
        """Sort by a column; by the one that sorts already the other way round."""
        again = self.sorted_by is not None and self.sorted_by.key == key
        self.set_order(Order(SORTS[key], descending=again and not self.order.descending))

    @property
    def sorted_by(self) -> Column | None:
        """The column that sorts, if there is one."""
        return next((one for one in ALL_COLUMNS if SORTS.get(one.key) is self.order.by), None)

    def _step_order(self, step: int) -> None:
        keys = [one.key for one in self.table().columns if one.key in SORTS]
        here = keys.index(self.sorted_by.key) if self.sorted_by is not None and self.sorted_by.key in keys else -1
        self.set_order(Order(SORTS[keys[(here + step) % len(keys)]]))

    def _tell_order(self) -> None:
        column = self.sorted_by
        self.table().sort_marker(column.key if column else "", descending=self.order.descending)

    @on(VirtualTable.SortAsked)
    def _title_clicked(self, event: VirtualTable.SortAsked) -> None:
        event.stop()
        if event.column in SORTS:
            self.sort_by(event.column)

    # ── columns ──────────────────────────────────────────────────────────────────────────────────

    def column_names(self) -> list[str]:
        return [column.key for column in ALL_COLUMNS if column is not USER]

    def toggle_column(self, key: str) -> None:
        """Show a column, or hide it. The user stands always there."""
        if key in self.column_names():
            self._chosen_columns = frozenset(one.key for one in self.table().columns) ^ {key} | {USER.key}
            self._set_columns(self.size.width)

    def _set_columns(self, width: int) -> None:
        columns: tuple[Column, ...] = self._fitting(width)
        if self._chosen_columns is not None:
            columns = tuple(column for column in ALL_COLUMNS if column.key in self._chosen_columns)
            columns = close(columns) if self._has_details_beside(width) else columns
        if columns != self.table().columns:
            rows = self.table().source
            if isinstance(rows, UserRows):
                rows.columns = columns
            self.table().set_columns(columns)

    def _fitting(self, width: int) -> tuple[Column, ...]:
        """Those of the beginning, as far as there is room."""
        if width >= _ROOM_FOR_ALL:
            return COLUMNS
        if width >= _ROOM_FOR_ALL_CLOSE and self._has_details_beside(width):
            return close(COLUMNS)
        return NARROW if width >= _ROOM_FOR_TIMES else SLIM

    def _has_details_beside(self, width: int) -> bool:
        return width < self.app.size.width

    # ── what is heard from the table ─────────────────────────────────────────────────────────────

    @on(VirtualTable.Moved)
    def _moved(self, event: VirtualTable.Moved) -> None:
        event.stop()
        self.tell_cursor(event.key)
        if (event.key is None) is self._on_somebody:
            self._on_somebody = event.key is not None
            self.post_message(StateChanged())

    @on(VirtualTable.Loaded)
    def _loaded(self, event: VirtualTable.Loaded) -> None:
        event.stop()
        self.tell_cursor(self.table().cursor)

    @on(VirtualTable.MarksChanged)
    def _marked(self, event: VirtualTable.MarksChanged) -> None:
        event.stop()
        self.post_message(StateChanged())

    @on(VirtualTable.Chosen)
    def _chosen(self, event: VirtualTable.Chosen) -> None:
        event.stop()
        self.do_details()
