"""Pane 4: what happened, as it happens."""

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Input

from mmconsole.domain.activity import Activity, Level
from mmconsole.tui.actions import Pane, State, bindings_of
from mmconsole.tui.field import Field
from mmconsole.tui.frame import Rule
from mmconsole.tui.log_view import Gravity, LogLine, LogView
from mmconsole.tui.panes import PaneWidget, StateChanged

if TYPE_CHECKING:
    from mmconsole.mattermost.exchange import HttpDiagnostic

_GRAVITIES = {Level.INFO: Gravity.INFO, Level.WARNING: Gravity.WARNING, Level.ERROR: Gravity.ERROR}


def line_of(entry: Activity, name: str = "") -> LogLine:
    """An entry of the activity log as a line; `name` is what people call its user."""
    return LogLine(
        entry.at,
        entry.user_id or "-",
        entry.verb,
        entry.detail,
        _GRAVITIES[entry.level],
        name,
        actor=entry.actor,
        job_id=entry.job_id,
        request_id=entry.request_id,
    )


def line_of_call(call: "HttpDiagnostic", at: datetime) -> LogLine:
    """One attempt at a call of this process, as a line: `GET /users/tokens  200  84 ms`."""
    ended = call.fault or str(call.status)
    return LogLine(at, "-", "http", f"{call.method} {call.route}  {ended}  {call.ms:,.0f} ms", Gravity.DETAIL)


class LogPane(PaneWidget):
    PANE = Pane.LOG
    BINDINGS: ClassVar = bindings_of(Pane.LOG)
    DEFAULT_CSS = """
    LogPane > Input { display: none; height: 1; border: none; padding: 0 1; }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id)
        self._rule = Rule("4 Log")
        self._view = LogView()

    def compose(self) -> ComposeResult:
        yield self._rule
        yield self._view

    def on_mount(self) -> None:
        self._tell()

    @cached_property
    def _field(self) -> Field:
        """Made when it is first needed, as that of the users."""
        field = Field(self._confirm, placeholder="a text that lines must have")
        self.mount(field)
        return field

    def view(self) -> LogView:
        return self._view

    def target(self) -> Widget:
        return self.view()

    @property
    def state(self) -> State:
        return State(rows=bool(self.view().lines), search=bool(self.view().sought))

    @property
    def typing(self) -> bool:
        return "_field" in vars(self) and self.screen.focused is self._field

    # ── moving ───────────────────────────────────────────────────────────────────────────────────

    def do_down(self) -> None:
        self.view().move(1)

    def do_up(self) -> None:
        self.view().move(-1)

    def do_top(self) -> None:
        self.view().move_to(0)

    def do_bottom(self) -> None:
        self.view().follow(on=True)

    def do_half_down(self) -> None:
        self.view().move(max(1, self.view().page_rows // 2))

    def do_half_up(self) -> None:
        self.view().move(-max(1, self.view().page_rows // 2))

    def do_page_down(self) -> None:
        self.view().move(self.view().page_rows)

    def do_page_up(self) -> None:
        self.view().move(-self.view().page_rows)

    # ── what is shown ────────────────────────────────────────────────────────────────────────────

    def do_follow(self) -> None:
        self.view().follow(on=not self.view().follows)

    def do_wrap(self) -> None:
        self.view().set_wrap(on=not self.view().wraps)

    def do_level(self) -> None:
        self.view().set_level(Gravity((self.view().level + 1) % len(Gravity)))

    def do_entry(self) -> None:
        self.ask("entry")

    def do_export(self) -> None:
        self.ask("export")

    def do_search_next(self) -> None:
        self.view().next_hit(1)

    def do_search_previous(self) -> None:
        self.view().next_hit(-1)

    def do_filter(self) -> None:
        field = self._field
        self.enter(field)

    def go_back(self) -> bool:
        """First the filter goes, with its hits still underlined among their neighbours; then these."""
        if self.typing or self.view().wanted:
            self._field.value = ""
            self.view().filter("")
            self._close()
            return True
        if self.view().sought:
            self.view().search("")
            self.post_message(StateChanged())
            return True
        return False

    def _close(self) -> None:
        field = self._field
        self.enter(self.view())
        field.display = bool(field.value)
        self.post_message(StateChanged())

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.typing:
            self.view().filter(event.value)

    def _confirm(self) -> None:
        self.view().search(self._field.value)
        self._close()

    @on(LogView.Changed)
    def _tell(self) -> None:
        view = self.view()
        follow = "on" if view.follows else f"off, {view.pending:,} new" if view.pending else "off"
        level = "all" if view.level is Gravity.DETAIL else f"{view.level.name.lower()}+"
        self._rule.tell("4 Log", f"follow {follow}   level {level}{'   wrapped' if view.wraps else ''}")
