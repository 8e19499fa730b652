"""What callers are answered, by example: for `/openapi.json`, and for `/docs`, which is made of it."""

from typing import Any, Final

Responses = dict[int | str, dict[str, Any]]

_PROBLEMS: Final[dict[int, tuple[str, str, str]]] = {
    400: ("UsageError", "Something in the request is wrong.", "`user` is no id of a users table."),
    401: ("NotAuthenticated", "Who asks is not known. Nothing is said about any user.", "Show who you are."),
    403: ("NotAllowed", "Who asks is known, and may not do this.", "Its key has no scope `link`."),
    404: (
        "NoSuchId",
        "There is no such user.",
        "There is no user whose id is `17`.",
    ),
    409: ("LinkRefused", "The user cannot have it now: no account yet, inactive, withheld.", "The user is inactive."),
    429: ("TooManyRequests", "Too many requests; `Retry-After` says when to come again.", "Try again in 2 s."),
    503: ("Unreachable", "Mattermost or the database is away; nothing is lost.", "This cannot be done right now."),
}


def answers(example: dict[str, Any], *problems: int) -> Responses:
    """The answer that is hoped for, and the problems that there may be instead."""
    hoped: Responses = {200: {"description": "Done.", "content": {"application/json": {"example": example}}}}
    return hoped | {status: _problem(status) for status in problems}


def pages(*problems: int) -> Responses:
    """Answers for people: pages, and the way to Mattermost."""
    html: dict[str, Any] = {"text/html": {}}
    told: Responses = {
        200: {"description": "A page with a button, which says who will be signed in.", "content": html},
        303: {"description": "Signed in; on to Mattermost, or to a new link."},
        410: {"description": "The link was used already, or has expired.", "content": html},
    }
    return told | {status: {"description": _PROBLEMS[status][1]} for status in problems}


def _problem(status: int) -> dict[str, Any]:
    kind, description, detail = _PROBLEMS[status]
    example = {
        "type": "about:blank",
        "title": kind,
        "status": status,
        "kind": kind,
        "detail": detail,
        "request_id": "5f0c1d9be2000001",
    }
    return {"description": description, "content": {"application/problem+json": {"example": example}}}


LINK: Final = answers(
    {
        "token": "the user's own token; left out without web.include_token",
        "url": "https://chat.example.org/api/mattermost/redirect?ticket=…",
        "expires_at": "2026-11-23T02:36:12+00:00",
    },
    *(400, 401, 403, 404, 409, 429, 503),
)
REDIRECT: Final = pages(400, 401, 403, 404, 409, 429, 503)
CLICK: Final = pages(400, 403, 404, 409, 429, 503)
SYNC: Final = answers({"user": "17", "outcome": "created", "note": ""}, 401, 403, 404, 409, 429, 503)
MEMBER: Final = answers({"user": "17", "outcome": "added", "note": ""}, 400, 401, 403, 404, 409, 429, 503)
CHANNEL: Final = answers(
    {
        "project": "7",
        "outcome": "created",
        "channel": {"id": "4xp9fdt77pncbef59f4k1qe83o", "name": "main/bridge"},
    },
    *(400, 401, 403, 404, 409, 429, 503),
)
