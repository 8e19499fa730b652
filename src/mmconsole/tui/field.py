"""The line of a pane to type into."""

from collections.abc import Callable

from textual import events
from textual.widgets import Input


class Field(Input):
    """Enter is answered in its turn among the keys, and what was typed behind it is for whoever has the focus then.

    Textual sends a key to the widget that has the focus when it arrives. Of keys that come in one go, as over a slow
    line, `r` behind `ann` and Enter would become a letter of the filter.
    """

    def __init__(self, confirm: Callable[[], object], *, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True)
        self._confirm = confirm
        self._confirmed = False

    def on_focus(self) -> None:
        self._confirmed = False

    def on_key(self, event: events.Key) -> None:
        if self.screen.focused is not self:
            event.stop()
            event.prevent_default()
            # Not what came before an Esc: that was meant for here, and is void.
            if self._confirmed:
                self.app.post_message(events.Key(event.key, event.character))
        elif event.key == "enter":
            event.stop()
            event.prevent_default()
            self._confirmed = True
            self._confirm()
