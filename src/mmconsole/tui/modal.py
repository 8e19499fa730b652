"""A screen over the others, which is left once."""

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

A = TypeVar("A")


class Modal(ModalScreen[A]):
    """Keys that were typed before it was gone still come to it. Left twice, it would take the screen below with it."""

    def dismiss(self, result: A | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()
