"""Refusals, in the form in which Mattermost words them: an id, a status, and little else.

Clients must decide by the id and the status. The messages here are our own words, except that the name of a wrong
parameter is nowhere but in the message.
"""

from __future__ import annotations

import msgspec

_SAID = {
    "api.context.session_expired.app_error": "Invalid or expired session, please login again.",
    "api.context.permissions.app_error": "You do not have the appropriate permissions.",
    "api.context.404.app_error": "Sorry, we could not find the page.",
    "app.user.missing_account.const": "Unable to find the user.",
    "app.user.save.email_exists.app_error": "This e-mail address already has an account.",
    "app.user.save.username_exists.app_error": "This username already has an account.",
}


class AppError(Exception):
    """The server refuses a call."""

    def __init__(self, error_id: str, status: int, message: str = "") -> None:
        super().__init__(error_id)
        self.id = error_id
        self.status = status
        self.message = message or _SAID.get(error_id) or f"The server refused this call ({error_id})."

    def as_dict(self) -> dict[str, str | int]:
        """The error as it stands inside another answer, for instance in a batch."""
        return {"id": self.id, "message": self.message, "detailed_error": "", "status_code": self.status}

    def encode(self, request_id: str) -> bytes:
        body = self.as_dict()
        body["request_id"] = request_id
        return msgspec.json.encode(body)


def bad_body(name: str) -> AppError:
    message = f"Invalid or missing {name} in request body."
    return AppError("api.context.invalid_body_param.app_error", 400, message)


def bad_url(name: str) -> AppError:
    message = f"Invalid or missing {name} parameter in request URL."
    return AppError("api.context.invalid_url_param.app_error", 400, message)


def forbidden() -> AppError:
    """Which permission was missing is never said."""
    return AppError("api.context.permissions.app_error", 403)


def session_expired() -> AppError:
    """One answer for every dead token: revoked, disabled, expired, deactivated, switched off (2.2)."""
    return AppError("api.context.session_expired.app_error", 401)


def too_large() -> AppError:
    return AppError("api.context.request_body_too_large.app_error", 413, "The request body is too large.")


def no_user() -> AppError:
    return AppError("app.user.missing_account.const", 404)
