"""Questions before something is done: deaf for a moment, with Cancel under the cursor, and never answered by Enter."""

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from mmconsole.tui.cells import harmless
from mmconsole.tui.frame import Rule, Words
from mmconsole.tui.modal import Modal

DEAF_FOR: Final = 0.3
"""Seconds in which keys that were meant for what was there before do nothing."""
YES: Final = "yes"
MORE: Final = "more"
"""The answer that asks for the same with more users."""


class Cancel(Widget, can_focus=True):
    """What has the focus, so that Enter takes everything back."""

    DEFAULT_CSS = """
    Cancel { height: 1; width: 12; }
    Cancel:focus { background: $block-cursor-background; color: $block-cursor-foreground; }
    """

    def render(self) -> Text:
        return Text("[ Cancel ]", no_wrap=True)


class Dialog(Modal[str]):
    """Answered with YES, MORE, or not at all."""

    BINDINGS: ClassVar = [
        Binding("escape,n,q", "cancel", show=False),
        Binding("enter", "cancel", show=False),
        Binding("y", "answer('yes')", show=False),
        Binding("h", "answer('more')", show=False),
    ]
    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical { width: 76; max-width: 96%; height: auto; background: $background; border: solid $warning; }
    Dialog Input { height: 1; border: none; padding: 0 1; }
    """

    def __init__(self, title: str, lines: Sequence[str], *, verb: str, word: str = "", more: str = "") -> None:
        """`word` must be typed to go on; without one `y` goes on. `more` says what `h` adds."""
        super().__init__()
        self._title_text = title
        self._lines = tuple(lines)
        self._verb = verb
        self._word = word
        self._more = more
        self.awake = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Rule(self._title_text)
            yield Words(id="words")
            if self._word:
                yield Input(placeholder=self._word, compact=True, disabled=True)
            yield Words(id="ways")
            yield Cancel()

    def on_mount(self) -> None:
        text = "\n".join(map(harmless, self._lines))
        self.query_one("#words", Words).say(Text(text, overflow="fold"))
        self.query_one("#ways", Words).say(Text("\n"))
        self.query_one(Cancel).focus()
        self.set_timer(DEAF_FOR, self._wake)

    def _wake(self) -> None:
        self.awake = True
        # Keys are named when they are heard, not before.
        self._tell_ways()
        for field in self.query(Input):
            field.disabled = False
            field.focus()

    def _tell_ways(self, wrong: str = "") -> None:
        yes = f"type {self._word} and enter to {self._verb}" if self._word else f"y {self._verb}"
        ways = [wrong, yes, f"h {self._more}" if self._more and not self._word else "", "esc cancel"]
        self.query_one("#ways", Words).say(Text(f"\n{'   '.join(filter(None, ways))}"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "answer":
            asked = not self._word if parameters == (YES,) else bool(self._more)
            return self.awake and asked
        if action == "cancel":
            return self.awake
        return super().check_action(action, parameters)

    def action_cancel(self) -> None:
        self.dismiss(None)

    def action_answer(self, answer: str) -> None:
        self.dismiss(answer)

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip() == self._word:
            self.dismiss(YES)
        else:
            self._tell_ways("That is not it.")


def word_to_type(number: int, *, profile: str, protected: bool) -> str:
    """What must be typed before so many users lose something; empty where a key is enough."""
    if protected:
        return profile
    return str(number) if number > _WITHOUT_A_WORD else ""


_WITHOUT_A_WORD: Final = 10
