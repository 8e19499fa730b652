"""The one screen of the console: panes and frame, arranged by its size."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import DescendantFocus, Resize, ScreenResume
from textual.message import Message
from textual.widget import Widget

from mmconsole.tui.actions import PANES, Pane
from mmconsole.tui.detail_pane import DetailPane
from mmconsole.tui.frame import JobLine, Line, PaneStrip, TitleLine, TooSmall
from mmconsole.tui.health_pane import HealthPane
from mmconsole.tui.jobs_pane import JobsPane
from mmconsole.tui.kept import Kept
from mmconsole.tui.key_bar import KeyBar
from mmconsole.tui.log_pane import LogPane
from mmconsole.tui.panes import PaneWidget, StateChanged
from mmconsole.tui.selecting import SelectingScreen
from mmconsole.tui.shapes import HEIGHTS, WIDTHS, Part, Shape, classes_of, parts
from mmconsole.tui.users_pane import UsersPane


class Upper(Kept, Container):
    """What stands side by side on a wide screen."""


class MainScreen(Kept, SelectingScreen[None], inherit_bindings=False):
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = list(WIDTHS)  # noqa: RUF012 - as Textual's
    VERTICAL_BREAKPOINTS = list(HEIGHTS)  # noqa: RUF012 - as Textual's
    DEFAULT_CSS = """
    MainScreen {
        layout: vertical;
        #upper { height: 1fr; layout: horizontal; }
        #users, #health { width: 1fr; height: 1fr; }
        #jobs, #log { height: 1fr; }
        #detail { width: 42; border-left: solid $secondary; }
        PaneWidget.-here > Rule { color: $text-primary; text-style: bold; }
    }
    MainScreen.-narrow {
        #upper { layout: vertical; }
        #detail { width: 1fr; height: 3; border-left: none; }
        #keys { height: 1; }
        PaneWidget > Rule { display: none; }
    }
    MainScreen.-short #keys { height: 1; }
    MainScreen.-normal #log { height: 9; }
    MainScreen.-wide {
        #health { width: 40; }
        #users { border-left: solid $secondary; }
        #detail { width: 54; }
        #jobs { height: 6; }
        #log { height: 10; }
    }
    MainScreen.-half #jobs.-here, MainScreen.-half #log.-here { height: 50%; }
    MainScreen.-full {
        #health { width: 1fr; }
        #users { border-left: none; }
        #jobs, #log { height: 1fr; }
    }
    """

    class Ready(Message):
        """Every part is there."""

    def __init__(self) -> None:
        super().__init__()
        self.pane = Pane.USERS
        self.half = self.full = False
        self.with_detail = True
        self.title_line = TitleLine(Part.TITLE)
        self.strip = PaneStrip(Part.STRIP)
        self.health = HealthPane(id=Part.HEALTH)
        self.users = UsersPane(id=Part.USERS)
        self.detail = DetailPane(Part.DETAIL)
        self.jobs = JobsPane(id=Part.JOBS)
        self.job_line = JobLine(Part.JOB_LINE)
        self.log_pane = LogPane(id=Part.LOG)
        self.last_event = Line(Part.LAST_EVENT)
        self.key_bar = KeyBar(Part.KEYS)
        self.panes: tuple[PaneWidget, ...] = (self.users, self.health, self.jobs, self.log_pane)
        self._too_small = TooSmall(Part.TOO_SMALL)
        self._upper = Upper(id="upper")
        self.current.add_class("-here", update=False)
        self._fresh = True

    def compose(self) -> ComposeResult:
        # Textual sets them after the first picture, and then draws a second one.
        self.add_class(*classes_of(self.shape), update=False)
        seen = self._seen()
        yield self._too_small
        yield self.title_line
        yield self.strip
        with self._upper:
            if Part.HEALTH in seen:
                yield self.health
            yield self.users
            yield self.detail
        if Part.JOBS in seen:
            yield self.jobs
        yield self.job_line
        yield self.log_pane
        yield self.last_event
        yield self.key_bar

    def on_mount(self) -> None:
        self._enter(Pane.USERS)
        self.call_after_refresh(self._complete)
        self.post_message(self.Ready())

    def _complete(self) -> None:
        """Build the panes that the first picture does not show: they have more colours than all that it shows."""
        if not self.health.is_attached:
            self._upper.mount(self.health, before=self.users)
        if not self.jobs.is_attached:
            self.mount(self.jobs, before=self.job_line)

    @property
    def current(self) -> PaneWidget:
        """The pane somebody is in."""
        return self.panes[PANES.index(self.pane)]

    def go_to(self, pane: Pane) -> None:
        self._complete()
        self._enter(pane)

    def _enter(self, pane: Pane) -> None:
        self.pane = pane
        self.arrange_parts()
        self.current.enter(self.current.target())
        self.post_message(StateChanged())

    def enlarge(self) -> None:
        """Half of the screen where that is more than the pane has, then all of it, then what it had."""
        if self.full:
            self.give_back()
        else:
            half = not self.half and self._can_have_half
            self._give(half=half, full=not half)

    def give_back(self) -> None:
        self._give()

    def _give(self, *, half: bool = False, full: bool = False) -> None:
        self.half, self.full = half, full
        self.set_class(half, "-half")
        self.set_class(full, "-full")
        self.arrange_parts()

    @property
    def _can_have_half(self) -> bool:
        """Lists at the bottom have a few lines."""
        bottom = {Pane.JOBS, Pane.LOG} if self.shape.wide and not self.shape.short else {Pane.LOG}
        return self.pane in bottom and not self.shape.narrow

    def toggle_detail(self) -> None:
        self.with_detail = not self.with_detail
        self.arrange_parts()

    @property
    def shape(self) -> Shape:
        return Shape(*self.app.size)

    def arrange_parts(self) -> None:
        """Show what fits, and hide the rest."""
        for pane in self.panes:
            pane.set_class(pane is self.current, "-here")
        seen = self._seen()
        for part, widget in self._parts().items():
            widget.display = part in seen
        self._upper.display = bool({Part.HEALTH, Part.USERS, Part.DETAIL} & seen)

    def _seen(self) -> frozenset[Part]:
        return parts(self.shape, self.pane, full=self.full, detail=self.with_detail)

    def _parts(self) -> dict[Part, Widget]:
        return {
            Part.TOO_SMALL: self._too_small,
            Part.TITLE: self.title_line,
            Part.STRIP: self.strip,
            Part.HEALTH: self.health,
            Part.USERS: self.users,
            Part.DETAIL: self.detail,
            Part.JOBS: self.jobs,
            Part.JOB_LINE: self.job_line,
            Part.LOG: self.log_pane,
            Part.LAST_EVENT: self.last_event,
            Part.KEYS: self.key_bar,
        }

    @on(ScreenResume)
    def _resumed(self, event: ScreenResume) -> None:
        # Every part was given its style when it was mounted, a moment ago.
        event.refresh_styles = event.refresh_styles and not self._fresh
        self._fresh = False

    def on_resize(self, _: Resize) -> None:
        self.arrange_parts()
        self.post_message(StateChanged())

    @on(DescendantFocus)
    def _entered(self, event: DescendantFocus) -> None:
        """Somebody clicked into another pane, and has not gone on from there since."""
        if event.widget is not self.focused:
            return
        pane = next((one for one in event.widget.ancestors_with_self if isinstance(one, PaneWidget)), None)
        if pane is not None and pane.PANE is not self.pane:
            self.pane = pane.PANE
            self.arrange_parts()
        self.post_message(StateChanged())
