"""A route whose parameters are texts of the query, handed over as they were sent.

FastAPI describes it by its signature, as any other, but there is nothing to check or to turn into something else: its
way of doing so costs as much as all the rest that it does for a request.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response


class TextRoute(APIRoute):
    """Parameters that are not sent keep their defaults; of several of one name the last one counts."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint, names = self.endpoint, [field.name for field in self.dependant.query_params]

        async def handle(request: Request) -> Response:
            given = request.query_params
            response: Response = await endpoint(request, **{name: given[name] for name in names if name in given})
            return response

        return handle
