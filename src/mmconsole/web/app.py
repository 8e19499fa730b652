"""The application that is served: routes, what surrounds them, and how errors are told."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from mmconsole.core import Gateway
from mmconsole.errors import MmconsoleError, NothingHere
from mmconsole.web import calls, links, probes
from mmconsole.web.docs import docs_page
from mmconsole.web.door import Door
from mmconsole.web.journal import LOG
from mmconsole.web.problems import SERVER_FAULTS, bad_input, problem, problem_of, request_id_of, unavailable
from mmconsole.web.shared import Shared
from mmconsole.web.shield import Shield

_NOT_FOUND: Final = 404
_BODY_WITHIN: Final = 10.0


def make_app(gateway: Gateway, shared: Shared | None = None, *, body_within: float = _BODY_WITHIN) -> ASGIApp:
    """The service as an ASGI application. `body_within` is how many seconds a request's body may take.

    Several processes are given what they share.
    """
    settings = gateway.settings
    shared = shared or Shared.of(settings)
    door = Door(gateway, shared.rates)
    # A path with a slash too many would be sent, with its ticket, to whatever host the request itself names.
    app = _Described(
        title="mmconsole", redoc_url=None, docs_url=None, openapi_url="/openapi.json", redirect_slashes=False
    )
    app.add_route("/docs", docs_page(app.openapi), methods=["GET"], include_in_schema=False)
    for router in (links.routes(gateway, door), calls.routes(gateway, door), probes.routes(gateway, shared.metrics)):
        # Routers that are included are asked twice for each request.
        app.router.routes.extend(router.routes)
    app.add_exception_handler(MmconsoleError, _told)
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _nothing)
    app.add_exception_handler(Exception, _mistaken)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["GET"],
            allow_headers=["Authorization"],
        )
    audiences = dict.fromkeys(("/docs", "/openapi.json"), settings.docs) | {"/metrics": settings.metrics}
    return Shield(app, door=door, metrics=shared.metrics, audiences=audiences, body_within=body_within)


class _Described(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The description of all calls. What cannot be meant is a 400 here, and never FastAPI's 422."""
        document = super().openapi()
        for methods in document["paths"].values():
            for call in methods.values():
                call["responses"].pop("422", None)
        return document


async def _told(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, MmconsoleError)  # noqa: S101 - what it was registered for
    if fault.http_status >= SERVER_FAULTS:
        LOG.warning("%s %s: %s", request_id_of(request), type(fault).__name__, fault)
    return problem_of(request, fault)


async def _mistaken(request: Request, _fault: Exception) -> Response:
    """A mistake of ours, which the shield writes into the log."""
    return problem(request, SERVER_FAULTS, kind="Mistake", detail=unavailable(SERVER_FAULTS))


async def _unfit(request: Request, fault: Exception) -> Response:
    """Where it is wrong and how; never the value, which may be a ticket."""
    assert isinstance(fault, RequestValidationError)  # noqa: S101
    mistake = fault.errors()[0]
    where = ".".join(str(part) for part in mistake["loc"])
    match mistake["type"]:
        case "model_attributes_type" | "dict_type":
            why = "The body must be a JSON object, sent with `Content-Type: application/json`."
        case "missing":
            why = f"`{where}` is missing."
        case _:
            why = f"`{where}` cannot be used: {mistake['msg']}."
    return bad_input(request, why)


async def _nothing(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)  # noqa: S101
    if fault.status_code == _NOT_FOUND:
        return problem_of(request, NothingHere())
    return problem(
        request, fault.status_code, kind="HttpError", detail=str(fault.detail), headers=dict(fault.headers or {})
    )
