"""One session of the console in a terminal: signals end it in order, and a crash is told by whoever started it."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from textual import on
from textual.app import App
from textual.driver import Driver
from textual.worker import WorkerFailed

CRASHED: Final = 70
"""EX_SOFTWARE; Textual itself leaves no exit code after a panic."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Crashing(App[None]):
    """An app that ends with its first fault and keeps it, instead of drawing it with all its values."""

    crash: BaseException | None = None
    """What ended it. Its text is not shown here: it may carry a secret."""

    async def aclose(self) -> None:
        """End what outlives the screen."""

    @on(Driver.SignalResume)
    def _paint_everything(self) -> None:
        """Somebody came back from the shell: the terminal has forgotten what was there, and Textual does not know."""
        for screen in self.screen_stack:
            for widget in screen.walk_children(with_self=True):
                widget.refresh()

    def _handle_exception(self, error: Exception) -> None:
        self._return_code = CRASHED
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            self.crash = error.error if isinstance(error, WorkerFailed) else error
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        """Textual's own report shows local variables."""
        self._close_messages_no_wait()


async def run(app: Crashing) -> int:
    """Run a console to its end and leave the terminal as it was. Returns the exit code.

    Raises what crashed it.
    """
    with _heard(app):
        await app.run_async()
    # The terminal is as it was by now, and who cannot wait for what is under way presses ctrl+c.
    await app.aclose()
    if app.crash is not None:
        raise app.crash
    return CRASHED if app.return_code is None else app.return_code


def _ender(app: App[Any], number: int) -> Callable[[], None]:
    return lambda: app.exit(return_code=128 + number)


@contextmanager
def _heard(app: App[Any]) -> Iterator[None]:
    """End the app when the process is told to end; by itself it would leave the terminal as it is then."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _ender(app, number))
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
