"""Who is let in: callers are recognised and counted, and nobody else learns anything."""

from collections import Counter
from typing import Final

from starlette.requests import Request

from mmconsole.core import Gateway
from mmconsole.domain.callers import Caller, Scope
from mmconsole.domain.secrets import Secret
from mmconsole.domain.users import UserId
from mmconsole.errors import NotAllowed, NotAuthenticated, UsageError
from mmconsole.services.callers import Presented
from mmconsole.web.addresses import Origin, origin_of
from mmconsole.web.rates import Rates

_ORIGIN: Final = "mmconsole.origin"
_LONGEST_ID: Final = 191
"""As in our own tables."""


class Door:
    def __init__(self, gateway: Gateway, rates: Rates) -> None:
        settings = gateway.settings
        self._callers = gateway.callers
        self._trusted = settings.proxy.trusted
        self._by_header = settings.proxy.header is not None
        self.rates = rates

    def origin(self, request: Request) -> Origin:
        """Where a request comes from, found out once."""
        found: Origin | None = request.scope.get(_ORIGIN)
        if found is None:
            found = request.scope[_ORIGIN] = origin_of(request, trusted=self._trusted)
        return found

    async def caller(self, request: Request, scope: Scope) -> Caller:
        """The authenticated caller, who has this scope. Raises NotAuthenticated, NotAllowed, TooManyRequests."""
        origin = self.origin(request)
        # Whoever tries keys is slowed down before another one is looked at.
        self.rates.failures.demand_room(origin.counted)
        try:
            caller = await self._callers.authenticate(self._presented(request, origin))
        except NotAuthenticated:
            self.rates.failures.take(origin.counted)
            raise
        request.scope["mmconsole.caller"] = caller.name
        self.rates.caller.take(caller.name)
        if scope not in caller.scopes:
            raise NotAllowed(why=f"its key has no scope `{scope}`")
        return caller

    async def caller_for(self, request: Request, scope: Scope, user: str | None) -> tuple[Caller, UserId]:
        """The caller, and the user it is about: people act on themselves, and an application names somebody.

        Raises UsageError, and what `caller` raises.
        """
        caller = await self.caller(request, scope)
        user_id = UserId(user) if user else caller.user_id
        if user_id is None:
            raise UsageError(why="`user` must say for whom, by the id in the users table.")
        if len(user_id) > _LONGEST_ID or not user_id.isprintable():
            raise UsageError(why="`user` is no id of a users table.")
        if not caller.may(scope, user_id=user_id):
            raise NotAllowed(why="people act only on themselves")
        self.rates.user.take(user_id)
        return caller, user_id

    def _presented(self, request: Request, origin: Origin) -> Presented:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        bearer = Secret(value.strip()) if kind.lower() == "bearer" and value.strip() else None
        return Presented(bearer, _said_once(request) if self._by_header and origin.by_proxy else None)


def _said_once(request: Request) -> dict[str, str]:
    """The headers, but for those with several lines: of two that name a user, one may be the client's own."""
    headers = request.headers
    counts = Counter(headers.keys())
    return {name: headers[name] for name, count in counts.items() if count == 1}
