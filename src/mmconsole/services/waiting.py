"""Waiting for a server that is away, as while it restarts: the same for a look and for the steps that follow."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from mmconsole.errors import BreakerOpen, MattermostError, ServerFault, Unreachable

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient

PATIENCE: Final = 300.0
"""Seconds that a server may fail everything before a run ends."""
_PAUSE: Final = 5.0
"""Seconds until a server is asked again that does not answer, but has not tripped the breaker yet."""
_AWAY: Final = (BreakerOpen, Unreachable, ServerFault)


class Absence:
    """How long a server has been away, and whether to go on waiting for it."""

    def __init__(self) -> None:
        self._since: float | None = None

    async def rest(self, fault: MattermostError, stop: asyncio.Event) -> None:
        """Wait as long as the breaker does. Raises the fault when the server has had its time."""
        now = asyncio.get_running_loop().time()
        self._since = now if self._since is None else self._since
        if now - self._since >= PATIENCE:
            raise fault
        wait = fault.wait if isinstance(fault, BreakerOpen) else _PAUSE
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)

    def over(self) -> None:
        """The server is there."""
        self._since = None


def patient(client: "MattermostClient", stop: asyncio.Event) -> "MattermostClient":
    """The client for those who only read: a question to a server that is away is asked again when it is back."""
    return cast("MattermostClient", _Patient(client, stop))


class _Patient:
    """Has the client's methods, whichever they are. Nothing that writes may be asked through it."""

    def __init__(self, client: "MattermostClient", stop: asyncio.Event) -> None:
        self._client = client
        self._stop = stop
        self._absence = Absence()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        ask = getattr(self._client, name)

        async def patiently(*about: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the method takes and answers
            while True:
                try:
                    answer = await ask(*about, **more)
                except _AWAY as fault:
                    await self._absence.rest(fault, self._stop)
                    if self._stop.is_set():
                        raise
                else:
                    self._absence.over()
                    return answer

        return patiently
