"""Personal access tokens: create, list, find, revoke, disable, enable, rotate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from mmconsole.simulator import permissions, views
from mmconsole.simulator.errors import AppError, bad_body, bad_url, forbidden, no_user
from mmconsole.simulator.ids import is_id
from mmconsole.simulator.routing import Route
from mmconsole.simulator.wire import Call, Reply, answer, done, joined

if TYPE_CHECKING:
    from mmconsole.simulator.entities import Token, User

DAY = 24 * 3_600_000


class NewToken(msgspec.Struct):
    """What is read of a create. The id, secret and owner of the body are ignored."""

    description: str | None = None
    expires_at: int | None = None


def create(call: Call) -> Reply:
    user = call.state.users.get(call.id(0, "user_id"))
    if user is None:
        raise no_user()
    if user.remote_id:
        raise forbidden()
    wanted = call.decode(NewToken, "user_access_token")
    if not wanted.description:
        raise bad_body("description")
    call.audit("")
    _check_owner(call, user, "create_user_access_token")
    expires_at = _expiry(call, wanted.expires_at or 0)
    _check_new(call, user, wanted.description, expires_at)
    token = call.state.add_token(user, wanted.description, expires_at=expires_at)
    call.audit(f"success - token_id={token.id}")
    reply = Reply(views.new_token(token, call.state.options.release))
    reply.wait = call.state.mail(user)
    return reply


def _expiry(call: Call, expires_at: int) -> int:
    """Older servers do not know the field and say nothing about it (1.4)."""
    return expires_at if call.state.options.release >= (11, 9) else 0


def _check_owner(call: Call, user: User, permission: str) -> None:
    if not permissions.may(call.user, permission) or not permissions.may_edit(call.user, user.id):
        raise forbidden()
    if user.is_admin and not call.user.is_admin:
        raise forbidden()


def _check_new(call: Call, user: User, description: str, expires_at: int) -> None:
    if not call.state.config.tokens_enabled and not user.is_bot:
        raise AppError("app.user_access_token.disabled", 501)
    _check_policy(call, user, expires_at)
    if len(description.encode()) > 255:
        raise AppError("model.user_access_token.is_valid.description.app_error", 400)
    if expires_at < 0:
        raise AppError("model.user_access_token.is_valid.expires_at.app_error", 400)


def _check_policy(call: Call, user: User, expires_at: int) -> None:
    """With a longest life set, each new token needs an end within it. Bots are exempt (1.4)."""
    days, now = call.state.config.token_lifetime_days, call.state.millis()
    if 0 < expires_at <= now:
        raise AppError("app.user_access_token.expires_at_in_past.app_error", 400)
    if not days or user.is_bot or expires_at < 0:
        return
    if expires_at == 0:
        raise AppError("app.user_access_token.expires_at_required.app_error", 400)
    if expires_at > now + days * DAY:
        raise AppError("app.user_access_token.expires_at_too_far.app_error", 400)


def page(call: Call) -> Reply:
    """All tokens, in no order: rows move when others go."""
    if not call.user.is_admin:
        raise forbidden()
    start, end = call.page()
    return _listed(call, call.state.token_rows[start:end])


def of_user(call: Call) -> Reply:
    user_id = call.id(0, "user_id")
    if not permissions.may(call.user, "read_user_access_token") or not permissions.may_edit(call.user, user_id):
        raise forbidden()
    user = call.state.users.get(user_id)
    start, end = call.page()
    return _listed(call, list(user.tokens[start:end]) if user else [])


def _listed(call: Call, tokens: list[Token]) -> Reply:
    if call.hidden_since is not None:
        tokens = [token for token in tokens if not call.hides(token.create_at)]
    release = call.state.options.release
    return joined([token.encoded or views.listed_token(token, release) for token in tokens])


def get(call: Call) -> Reply:
    token_id = call.params[0]
    if not is_id(token_id):
        raise bad_url("token_id")
    if not permissions.may(call.user, "read_user_access_token"):
        raise forbidden()
    token = _find(call, token_id)
    if call.hides(token.create_at):
        raise _missing()
    if not permissions.may_edit(call.user, token.user_id):
        raise forbidden()
    return Reply(views.listed_token(token, call.state.options.release))


def search(call: Call) -> Reply:
    """In effect an exact match on token id, user id or username: the wildcards of the term are escaped."""
    if not call.user.is_admin:
        raise forbidden()
    term = call.decode(dict[str, Any], "user_access_token_search").get("term")
    if not isinstance(term, str) or not term:
        raise bad_body("term")
    state = call.state
    if token := state.tokens.get(term):
        return _listed(call, [token])
    user = state.users.get(term) or state.by_username.get(term.lower())
    return _listed(call, list(user.tokens) if user else [])


def revoke(call: Call) -> Reply:
    token = _named(call, "revoke_user_access_token")
    call.state.remove_token(token)
    call.audit(f"success - token_id={token.id}")
    return done()


def disable(call: Call) -> Reply:
    token = _named(call, "revoke_user_access_token")
    token.is_active, token.encoded = False, None
    call.state.end_session(token.secret)
    call.audit(f"success - token_id={token.id}")
    return done()


def enable(call: Call) -> Reply:
    token = _named(call, "create_user_access_token")
    token.is_active, token.encoded = True, None
    call.audit(f"success - token_id={token.id}")
    return done()


def _named(call: Call, permission: str) -> Token:
    """The token a body names. An unreadable body names none, which is a 404 and not a 400 (1.2)."""
    token_id = call.texts().get("token_id", "")
    call.audit("")
    if not permissions.may(call.user, permission):
        raise forbidden()
    token = _find(call, token_id)
    if not permissions.may_edit(call.user, token.user_id):
        raise forbidden()
    return token


def _find(call: Call, token_id: str) -> Token:
    token = call.state.tokens.get(token_id)
    if token is None:
        raise _missing()
    return token


def _missing() -> AppError:
    return AppError("app.user_access_token.get_by_user.app_error", 404)


class Rotation(msgspec.Struct):
    """What a rotation reads. No `expires_at` means none, not the old one."""

    token_id: str = ""
    expires_at: int = 0


def rotate(call: Call) -> Reply:
    """A new secret for the same token. The old one is dead before the answer is out."""
    wanted = call.decode(Rotation, "user_access_token")
    if not wanted.token_id:
        raise bad_body("token_id")
    if not permissions.may(call.user, "create_user_access_token"):
        raise forbidden()
    token = _find(call, wanted.token_id)
    user = call.state.users[token.user_id]
    _check_owner(call, user, "create_user_access_token")
    if not token.is_active:
        raise AppError("api.user.rotate_user_access_token.disabled_token.app_error", 400)
    _check_new(call, user, token.description, wanted.expires_at)
    call.state.replace_secret(token)
    token.expires_at = wanted.expires_at
    call.audit(f"success - token_id={token.id}")
    reply = Reply(views.new_token(token, call.state.options.release))
    reply.wait = call.state.mail(user)
    return reply


def _non_compliant(call: Call) -> list[Token]:
    """Tokens that today's policy would not let be made."""
    if not call.user.is_admin:
        raise forbidden()
    days = call.state.config.token_lifetime_days
    if not days:
        return []
    latest = call.state.millis() + days * DAY
    return [
        token
        for token in call.state.token_rows
        if not 0 < token.expires_at <= latest and not call.state.users[token.user_id].is_bot
    ]


def count_non_compliant(call: Call) -> Reply:
    return answer({"count": len(_non_compliant(call))})


def revoke_non_compliant(call: Call) -> Reply:
    tokens = _non_compliant(call)
    if not call.state.config.token_lifetime_days:
        raise AppError("app.user_access_token.revoke_non_compliant.no_policy.app_error", 400)
    for token in tokens:
        call.state.remove_token(token)
    return answer({"count": len(tokens)})


ROUTES = (
    Route("GET", "/users/tokens", page),
    Route("POST", "/users/tokens/search", search),
    Route("POST", "/users/tokens/revoke", revoke),
    Route("POST", "/users/tokens/disable", disable),
    Route("POST", "/users/tokens/enable", enable),
    Route("POST", "/users/tokens/rotate", rotate, since=(11, 10)),
    Route("GET", "/users/tokens/non_compliant/count", count_non_compliant, since=(11, 10)),
    Route("POST", "/users/tokens/non_compliant/revoke", revoke_non_compliant, since=(11, 10)),
    Route("GET", "/users/tokens/{token_id}", get),
    Route("POST", "/users/{id}/tokens", create),
    Route("GET", "/users/{id}/tokens", of_user),
)
