"""Shows what a terminal sends for the keys somebody presses, and what they do in the console."""

import asyncio
from typing import Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from mmconsole.tui.actions import PANES, Pane, actions_of
from mmconsole.tui.driver import TerminalDriver
from mmconsole.tui.frame import Line, Rule
from mmconsole.tui.keymaps import Keymap, long_key
from mmconsole.tui.session import Crashing, run

_SHOWN: Final = 12
_LEAVES: Final = "ctrl+c"


class KeyProbe(Crashing, inherit_bindings=False):
    """The newest key is at the bottom; ctrl+c leaves, after it was shown."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, keymap: Keymap) -> None:
        super().__init__(driver_class=TerminalDriver)
        self._keys = keymap
        self._pressed: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Rule("Press keys; ctrl+c twice leaves")
            for number in range(_SHOWN):
                yield Line(f"key-{number}")

    def on_mount(self) -> None:
        self.query_one(Rule).tell(f"Press keys; {_LEAVES} twice leaves", self._keys.name)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        if event.key == _LEAVES and self._pressed[-1:] == [_LEAVES]:
            self.exit()
            return
        self._pressed.append(event.key)
        for number, key in enumerate(self._pressed[-_SHOWN:]):
            self.query_one(f"#key-{number}", Line).say(f" {key:<24}{meaning(self._keys, key)}")


def meaning(keymap: Keymap, key: str) -> str:
    """What a key does, by pane."""
    found = [
        f"{action.verb} ({pane})"
        for pane in (*PANES, Pane.EVERYWHERE)
        for action in actions_of(pane)
        if key in map(long_key, keymap.of(action))
    ]
    return ", ".join(found) or "nothing"


def probe(keymap: Keymap) -> int:
    """Run until somebody has seen enough. Returns the exit code."""
    return asyncio.run(run(KeyProbe(keymap)))
