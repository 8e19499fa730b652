"""Everything that can be wrong with an installation, looked at without changing anything.

Nothing must be in order for it: each group of findings stands alone, has a deadline, and says what it could not find
out, so that one broken part hides no other.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from mmconsole.domain.findings import Finding, Sheet, sentence_and_cure
from mmconsole.errors import MmconsoleError
from mmconsole.services.doctor import database, keys, server, settings, tokens
from mmconsole.services.doctor.examination import Examination

DEADLINE: Final = 30.0
"""Seconds for each group. They are looked at side by side."""
_Look = Callable[[Examination, Sheet], Awaitable[None]]
_GROUPS: Final[tuple[tuple[str, tuple[str, ...], _Look], ...]] = (
    ("settings", settings.NAMES, settings.look),
    ("keys", keys.NAMES, keys.look),
    ("server", server.NAMES, server.look),
    ("database", database.NAMES, database.look),
    ("tokens", tokens.NAMES, tokens.look),
)


class Doctor:
    def __init__(self, examination: Examination, *, deadline: float = DEADLINE) -> None:
        self._examination = examination
        self._deadline = deadline
        self.gave_up = False
        """Whether something hangs that only the end of this process ends."""

    async def look(self) -> AsyncIterator[Finding]:
        """All findings in their order, as they come."""
        tasks = [self._begun(*group) for group in _GROUPS]
        for sheet, task in tasks:
            # wait_for would wait for what it has cancelled, which may hang in a foreign library.
            await asyncio.wait({task}, timeout=self._deadline)
            for finding in sheet.findings(otherwise=self._why(task)):
                yield finding
        if not self.gave_up:
            await self._examination.aclose()

    def _begun(self, name: str, names: tuple[str, ...], look: _Look) -> tuple[Sheet, asyncio.Task[str]]:
        sheet = Sheet(name, names)
        return sheet, asyncio.create_task(_told(look(self._examination, sheet)))

    def _why(self, task: "asyncio.Task[str]") -> str:
        """Why the rest of a group is unknown."""
        if task.done():
            return task.result()
        self.gave_up = True
        task.cancel()
        return f"Not looked at: there was no answer within {self._deadline:.0f} s."


async def _told(look: Awaitable[None]) -> str:
    """What kept somebody from looking further."""
    try:
        await look
    except MmconsoleError as fault:
        return f"Not looked at: {sentence_and_cure(fault)[0]}"
    except Exception as mistake:  # noqa: BLE001 - a mistake of ours in one group must not hide the others
        return f"Not looked at: a mistake in mmconsole ({type(mistake).__name__}), please report it."
    return "Not looked at."
