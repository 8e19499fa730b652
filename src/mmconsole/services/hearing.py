"""Who follows one run closely: which job it is, who is being worked on, and how far each new token is.

Those who know this are far below those who ask, so the listener is a context variable: whoever begins a run says who
listens to it, and its tasks inherit that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from mmconsole.domain.plans import Result
    from mmconsole.domain.users import UserId


class Making(StrEnum):
    """The four steps of a new token, in their order."""

    CREATE = "create"
    TEST = "test"
    STORE = "store"
    DROP = "drop the old one"


class Listener(Protocol):
    """Is told while a run goes on. Nothing of it may raise, or take long."""

    def job(self, job_id: int) -> None:
        """The run is this job from now on."""

    def begun(self, user_id: "UserId") -> None:
        """A user's steps begin."""

    def making(self, user_id: "UserId", step: Making) -> None:
        """This step of a user's new token begins."""

    def ended(self, result: "Result") -> None:
        """A user's steps have ended, and it is written down how."""


class _Nobody:
    def job(self, job_id: int) -> None:
        pass

    def begun(self, user_id: "UserId") -> None:
        pass

    def making(self, user_id: "UserId", step: Making) -> None:
        pass

    def ended(self, result: "Result") -> None:
        pass


_NOBODY: Final = _Nobody()
_listener: ContextVar[Listener] = ContextVar("listener", default=_NOBODY)


def listener() -> Listener:
    """Whoever listens to the run that this is called in."""
    return _listener.get()


@contextmanager
def heard_by(wanted: Listener) -> Iterator[None]:
    """Let somebody listen to what is begun within."""
    token = _listener.set(wanted)
    try:
        yield
    finally:
        _listener.reset(token)
