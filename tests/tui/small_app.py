"""A small app on a real terminal, for tests of the driver: says what it hears, and ends as it is told."""

import asyncio
import os
import sys

import uvloop
from textual import events
from textual.app import ComposeResult
from textual.widgets import Static

from mmconsole.tui.driver import TerminalDriver
from mmconsole.tui.session import Crashing, run


class SmallApp(Crashing):
    """Shows the last key or click."""

    def __init__(self) -> None:
        super().__init__(driver_class=TerminalDriver)

    def compose(self) -> ComposeResult:
        yield Static("ready", markup=False, id="said")
        yield Static("still here")

    def say(self, text: str) -> None:
        self.query_one("#said", Static).update(text)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.say(f"mouse {event.button} at {event.screen_x} {event.screen_y}.")

    def on_key(self, event: events.Key) -> None:
        self.say(f"key {event.key}.")
        if event.key == "q":
            self.exit(return_code=5)
        if event.key == "z":
            self.action_suspend_process()
        if event.key == "p":
            self.panic("panic")
        if event.key == "w":
            self.run_worker(self.fail())
        if event.key == "x":
            secret = os.environ["PLANTED"]
            raise ValueError(secret)

    async def fail(self) -> None:
        secret = os.environ["PLANTED"]
        raise ValueError(secret)


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            code = runner.run(run(SmallApp()))
        except ValueError as fault:
            sys.stderr.write(f"told: {type(fault).__name__}\n")
            code = 70
    sys.exit(code)


if __name__ == "__main__":
    main()
