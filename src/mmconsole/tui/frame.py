"""The small parts of the frame: rules, the title, the strip of panes, the job line and the last event."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.text import Text
from textual.widget import Widget

from mmconsole.tui.actions import PANES, Pane
from mmconsole.tui.cells import fitted, harmless, width_of
from mmconsole.tui.kept import Kept
from mmconsole.tui.shapes import LEAST_HEIGHT, LEAST_WIDTH

if TYPE_CHECKING:
    from mmconsole.database import Job
    from mmconsole.services.job_desk import KnownJob

LINE: Final = "─"
_FULL, _EMPTY = "█", "░"
_ROOMY_FROM: Final = 100
"""Cells from which there is room for how much of a job is done, in per cent too."""
_GLYPHS: Final = {
    "planned": "- planned",
    "running": "* running",
    "pausing": "* pausing",
    "stopping": "* stopping",
    "paused": "~ paused",
    "done": "+ done",
    "failed": "x failed",
    "stopped": "x stopped",
}
"""By the state of a job."""


def rule(left: str, right: str, width: int) -> str:
    """A line across the screen with words in it: `─ Users ──────── sort: status ─`."""
    start = f"{LINE} {harmless(left)} " if left else ""
    end = f" {harmless(right)} {LINE}" if right else ""
    if width_of(start) + width_of(end) > width:
        start, end = (start, "") if left else ("", end)
    if width_of(start) + width_of(end) > width:
        return fitted(start or end, width)
    return start + LINE * (width - width_of(start) - width_of(end)) + end


def bar_of(done: int, total: int | None, width: int) -> str:
    """A bar of so many cells."""
    filled = min(done * width // total, width) if total else 0
    return _FULL * filled + _EMPTY * (width - filled)


def progress(job: "Job", width: int) -> str:
    """How far a job is, as a bar of so many cells."""
    return bar_of(ended_of(job), job.counts.total, width)


def ended_of(job: "Job") -> int:
    """Users whose steps have ended."""
    return job.counts.done + job.counts.failed + job.counts.skipped


def job_words(job: "Job") -> str:
    """`6,812/12,480  ok 6,790  failed 22`."""
    counts = job.counts
    parts = [f"{ended_of(job):,}/{counts.total:,}", f"ok {counts.done:,}"]
    parts += [f"failed {counts.failed:,}"] if counts.failed else []
    parts += [f"skipped {counts.skipped:,}"] if counts.skipped else []
    return "  ".join(parts)


def job_state(known: "KnownJob") -> str:
    """A glyph and a word."""
    return "x broken off" if known.interrupted else _GLYPHS[known.job.state]


class Line(Kept, Widget):
    """A line of the frame that is drawn from a value."""

    DEFAULT_CSS = "Line { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id)
        self._text = Text()

    @property
    def text(self) -> str:
        return self._text.plain

    def say(self, text: Text | str) -> None:
        """Show this, if it is not what is shown."""
        wanted = Text(text, no_wrap=True, overflow="crop") if isinstance(text, str) else text
        if wanted != self._text:
            self._text = wanted
            self.refresh()

    def render(self) -> Text:
        return self._text


class Words(Line):
    """As many lines as what is said takes: of a question nothing is left out."""

    DEFAULT_CSS = "Words { height: auto; padding: 0 1; text-wrap: wrap; text-overflow: fold; }"

    def say(self, text: Text | str) -> None:
        super().say(text)
        self.refresh(layout=True)


class Rule(Line):
    """A rule that names what is below it."""

    DEFAULT_CSS = "Rule { height: 1; color: $text-muted; }"

    def __init__(self, left: str = "", id: str | None = None) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id)
        self.left = left
        self.right = ""

    def tell(self, left: str, right: str = "") -> None:
        if (left, right) != (self.left, self.right):
            self.left, self.right = left, right
            self.refresh()

    def render(self) -> Text:
        return Text(rule(self.left, self.right, self.size.width), no_wrap=True, overflow="crop")


class TitleLine(Line):
    """Profile, server, how many users, how old the data is; what does not fit is left out from the right."""

    DEFAULT_CSS = "TitleLine { height: 1; background: $surface; }"

    def tell(self, *, profile: str, server: str, facts: Sequence[str]) -> None:
        told = profile, server, tuple(facts)
        if told != (self._profile, self._server, self._facts):
            self._profile, self._server, self._facts = told
            self.refresh()

    _profile: str = ""
    _server: str = ""
    _facts: tuple[str, ...] = ()

    def render(self) -> Text:
        text = Text(" mmconsole  ", style="bold", no_wrap=True, overflow="crop")
        if self._profile:
            text.append(f" {harmless(self._profile).upper()} ", style="reverse bold")
        text.append(f" {harmless(self._server)}", style="not bold")
        for fact in self._facts:
            if width_of(text.plain) + 3 + width_of(fact) >= self.size.width:
                break
            text.append(f"   {fact}", style="not bold")
        return text


class PaneStrip(Line):
    """The four panes with their numbers, the one that is seen in brackets, and what it shows."""

    DEFAULT_CSS = "PaneStrip { height: 1; color: $text-muted; }"

    def tell(self, pane: Pane, *, shown: str, count: str, working: int = 0, ruled: bool = True) -> None:
        """What is shown, and how many, which is never cut. `working` jobs are under way.

        A rule where no other stands below it.
        """
        names = [_tab(number, one, here=one is pane, working=working) for number, one in enumerate(PANES, start=1)]
        left, width = "  ".join(names), self.app.size.width
        room = width - width_of(left) - width_of(count) - 11
        shown = fitted(shown, room).rstrip() if width_of(shown) > room else harmless(shown)
        right = "   ".join(filter(None, (shown, count)))
        self.say(rule(left, right, width) if ruled else f" {left}{right:>{max(0, width - width_of(left) - 2)}} ")


def _tab(number: int, pane: Pane, *, here: bool, working: int) -> str:
    name = f"{number} {pane.value.title()}"
    name += f" ({working})" if pane is Pane.JOBS and working else ""
    return f"[{name}]" if here else name


@dataclass(frozen=True, slots=True)
class Doing:
    """What the job line says: of a run of this console as it goes on, else of the newest job."""

    title: str
    done: int
    total: int | None
    words: str
    going: bool = False
    """Whether it can be paused or stopped."""
    job_id: int | None = None


def doing_of(known: "KnownJob") -> Doing:
    job = known.job
    words = f"{job_words(job)}  {job_state(known)}"
    title = f"job {job.id}  {harmless(job.title)}"
    return Doing(title, ended_of(job), job.counts.total, words, not job.state.ended, job.id)


class JobLine(Kept, Widget):
    """A rule with the title, and how far it is."""

    COMPONENT_CLASSES = {"job-line--rule"}  # noqa: RUF012 - as Textual's
    DEFAULT_CSS = """
    JobLine { height: 2; }
    JobLine.-none { height: 0; }
    JobLine .job-line--rule { color: $text-muted; }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - as every widget calls it
        super().__init__(id=id)
        self._doing: Doing | None = None
        self._keys = ""

    def tell(self, doing: Doing | None, *, keys: str = "") -> None:
        """`keys` are those that pause and stop it."""
        self.set_class(doing is None, "-none")
        if (doing, keys) != (self._doing, self._keys):
            self._doing, self._keys = doing, keys
            self.refresh()

    def render(self) -> Text:
        if self._doing is None:
            return Text()
        doing, width = self._doing, self.size.width
        right = self._keys if doing.going and self._keys else "3 Jobs"
        text = Text(no_wrap=True, overflow="crop")
        text.append(
            rule(doing.title, right, width), style=self.get_component_rich_style("job-line--rule", partial=True)
        )
        bar = bar_of(doing.done, doing.total, max(10, width // 4))
        told = doing.going and doing.total and width >= _ROOMY_FROM
        part = f"{doing.done * 100 / (doing.total or 1):.1f}%  " if told else ""
        return text.append("\n").append(fitted(f" {bar}  {part}{doing.words}", width))


class TooSmall(Line):
    """The one sentence of a screen on which nothing fits."""

    DEFAULT_CSS = "TooSmall { height: 1fr; width: 1fr; content-align: center middle; text-wrap: wrap; }"

    def render(self) -> Text:
        size = self.app.size
        return Text(f"mmconsole needs {LEAST_WIDTH}x{LEAST_HEIGHT}, and this is {size.width}x{size.height}.")
