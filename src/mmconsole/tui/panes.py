"""What panes have in common: keys that come from the table of actions, and a reason when one cannot be used."""

from collections.abc import Iterable
from typing import ClassVar, Protocol, cast

from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from mmconsole.tui.actions import Pane, State, find
from mmconsole.tui.kept import Kept
from mmconsole.tui.virtual_table import VirtualTable


class Refused(Message):
    """A key was pressed that does nothing now."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class StateChanged(Message):
    """What can be done in a pane is no longer the same."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, StateChanged)


class Asking(Protocol):
    """The console, as panes see it."""

    def asked_for(self, pane: Pane, id_: str) -> None:
        """Do what takes more than this pane knows."""

    def cursor_seen(self, key: str | None) -> None:
        """The cursor is on this row, which is another one or has just been read."""


class PaneWidget(Kept, Vertical):
    """A pane. The action `x` of the table is its method `do_x`."""

    PANE: ClassVar[Pane]
    everywhere: State = State()
    """What is so whatever the pane; told by the console."""

    @property
    def state(self) -> State:
        """What can be done here now."""
        return State()

    @property
    def typing(self) -> bool:
        """Whether somebody types into a field of this pane, so that its keys are letters."""
        return False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return super().check_action(action, parameters) if action != "do" else not self.typing

    def action_do(self, id_: str) -> None:
        """Do an action of this pane, or say why not."""
        action = find(self.PANE, id_)
        reason = action.why_not(self.everywhere.beyond(self.state))
        if reason is not None:
            self.post_message(Refused(f"{action.verb}: {reason}"))
        elif action.ordered:
            self.ask(id_)
        else:
            getattr(self, f"do_{id_}")()

    def ask(self, id_: str) -> None:
        """Have the console do something now: after a message the next key would still be this pane's."""
        cast("Asking", self.app).asked_for(self.PANE, id_)

    def tell_cursor(self, key: str | None) -> None:
        """Tell the console now: a message would wake every part between here and there with each step."""
        cast("Asking", self.app).cursor_seen(key)

    def target(self) -> Widget:
        """What gets the focus when somebody goes to this pane."""
        raise NotImplementedError

    def enter(self, widget: Widget) -> None:
        """Give the focus now: `focus` does it a moment later, and keys typed fast would go elsewhere."""
        widget.display = True
        self.screen.set_focus(widget)

    def go_back(self) -> bool:
        """Take back one thing, as a filter. Returns whether there was one."""
        return False


class TablePane(PaneWidget):
    """A pane with a table in it."""

    _table: VirtualTable
    """Made by the pane itself, and there before the screen is built and after it is taken down."""

    def table(self) -> VirtualTable:
        return self._table

    def target(self) -> Widget:
        return self.table()

    def do_down(self) -> None:
        self.table().move(1)

    def do_up(self) -> None:
        self.table().move(-1)

    def do_top(self) -> None:
        self.table().move_to(0)

    def do_bottom(self) -> None:
        self.table().move_to(len(self.table().source) - 1)

    def do_half_down(self) -> None:
        self.table().move(max(1, self.table().page_rows // 2))

    def do_half_up(self) -> None:
        self.table().move(-max(1, self.table().page_rows // 2))

    def do_page_down(self) -> None:
        self.table().move(self.table().page_rows)

    def do_page_up(self) -> None:
        self.table().move(-self.table().page_rows)

    def do_left(self) -> None:
        self.table().scroll_columns(-1)

    def do_right(self) -> None:
        self.table().scroll_columns(1)


def missing_methods(panes: Iterable[type[PaneWidget]], ids: Iterable[tuple[Pane, str]]) -> list[str]:
    """Actions of the table that no pane can do; for the test that keeps both together."""
    by_pane = {pane.PANE: pane for pane in panes}
    return [f"{pane}.{id_}" for pane, id_ in ids if pane in by_pane and not hasattr(by_pane[pane], f"do_{id_}")]
