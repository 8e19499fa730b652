"""The core comes after the first picture: who opens it is told by whoever starts the console."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmconsole.core import Core

Opening = Callable[[], AbstractAsyncContextManager["Core"]]
"""Opens a core and closes it in the end. May raise NotMigrated, and what else `open_core` raises."""


def already(core: "Core") -> Opening:
    """A core that somebody else opened, and closes."""
    return lambda: nullcontext(core)
