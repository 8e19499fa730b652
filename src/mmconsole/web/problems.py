"""Errors as callers see them: problem+json (RFC 9457), with the id under which the log knows more."""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse

from mmconsole.errors import MmconsoleError, NotAuthenticated, TooManyRequests, UsageError

_RETRY_LATER: Final = 10
"""Seconds after which it may be worth trying again when something else is at work, or away."""
SERVER_FAULTS: Final = 500
"""From this status on it is not the caller's mistake."""


class Problem(JSONResponse):
    media_type = "application/problem+json"


def problem(request: Request, status: int, *, kind: str, detail: str, headers: dict[str, str] | None = None) -> Problem:
    """`kind` is the error's own name, which programs may go by."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "kind": kind,
        "detail": detail,
        "request_id": request_id_of(request),
    }
    return Problem(content, status, {"cache-control": "no-store", **(headers or {})})


def problem_of(request: Request, fault: MmconsoleError) -> Problem:
    """What an error of ours says. Of what is wrong inside, a caller learns no more than that it is."""
    status = fault.http_status
    detail = str(fault) if status < SERVER_FAULTS else unavailable(status)
    return problem(request, status, kind=type(fault).__name__, detail=detail, headers=headers_of(fault))


def unavailable(status: int) -> str:
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return "This could not be done. The log of the service says why."
    return "This cannot be done right now. Nothing is lost; try again. The log of the service says why."


def headers_of(fault: MmconsoleError) -> dict[str, str]:
    if isinstance(fault, NotAuthenticated):
        return {"www-authenticate": "Bearer"}
    if isinstance(fault, TooManyRequests):
        return {"retry-after": str(max(1, round(fault.retry_after)))}
    if fault.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"retry-after": str(_RETRY_LATER)}
    return {}


def bad_input(request: Request, why: str) -> Problem:
    return problem_of(request, UsageError(why=why))


def request_id_of(request: Request) -> str:
    return str(request.scope.get("mmconsole.request_id", ""))
