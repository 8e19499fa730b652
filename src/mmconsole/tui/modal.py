"""A screen over the others, which is left once, and whose text can be marked with the mouse."""

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

from mmconsole.tui.selecting import SelectingScreen

A = TypeVar("A")


class Modal(ModalScreen[A], SelectingScreen[A]):
    """Keys that were typed before it was gone still come to it. Left twice, it would take the screen below with it."""

    def dismiss(self, result: A | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()
