"""Signing in and out, and the sessions that come of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mmconsole.simulator import passwords, permissions, views
from mmconsole.simulator.entities import Session
from mmconsole.simulator.errors import AppError, bad_body, bad_url, forbidden
from mmconsole.simulator.routing import Route
from mmconsole.simulator.wire import Call, Reply, answer, done

if TYPE_CHECKING:
    from mmconsole.simulator.entities import User

HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def clear_cookie(base: str) -> tuple[bytes, bytes]:
    return b"set-cookie", f"MMAUTHTOKEN=; Path={base or '/'}; Max-Age=0; HttpOnly".encode()


def login(call: Call) -> Reply:
    body = call.texts()
    login_id = body.get("login_id", "")
    call.audit(f"attempt - login_id={login_id}", body.get("id", ""))
    user = _authenticate(call, body.get("id", ""), login_id, body.get("password", ""))
    call.audit("authenticated", user.id)
    session = _open(call, user)
    call.audit("success", user.id)
    headers: tuple[tuple[bytes, bytes], ...] = ((b"token", session.token.encode()),)
    if call.headers.get(b"x-requested-with") == b"XMLHttpRequest":
        headers += _cookies(call, session)
    reply = Reply(views.for_self(user), 200, headers)
    user.last_login = session.create_at
    call.state.touch(user)
    return reply


def _authenticate(call: Call, user_id: str, login_id: str, password: str) -> User:
    """All refusals but a few are one and the same, so that nobody learns which accounts exist."""
    if not password:
        raise AppError("api.user.login.blank_pwd.app_error", 401)
    state = call.state
    user = state.users.get(user_id) or state.by_username.get(login_id.lower()) or state.by_email.get(login_id.lower())
    if user is None:
        raise _wrong(call)
    if user.is_bot:
        raise AppError("api.user.login.bot_login_forbidden.app_error", 401)
    if user.failed_attempts >= state.config["ServiceSettings", "MaximumLoginAttempts"]:
        raise AppError("api.user.check_user_login_attempts.too_many.app_error", 401)
    if not passwords.matches(password, user.id, user.password):
        user.failed_attempts += 1
        user.as_self = None
        raise _wrong(call)
    if user.delete_at:
        raise AppError("api.user.login.inactive.app_error", 401)
    if state.config["EmailSettings", "RequireEmailVerification"] and not user.email_verified:
        raise AppError("api.user.login.not_verified.app_error", 401)
    user.failed_attempts = 0
    return user


def _wrong(call: Call) -> AppError:
    config = call.state.config
    by_name = config["EmailSettings", "EnableSignInWithUsername"]
    by_email = config["EmailSettings", "EnableSignInWithEmail"]
    what = "email_username" if by_name == by_email else "username" if by_name else "email"
    return AppError(f"api.user.login.invalid_credentials_{what}", 401)


def _open(call: Call, user: User) -> Session:
    state, now = call.state, call.state.millis()
    ends = now + state.config["ServiceSettings", "SessionLengthWebInHours"] * 3_600_000
    session = Session(state.ids.new(), state.ids.new(), user.id, now, ends, now, csrf=state.ids.new())
    return state.add_session(session)


def _cookies(call: Call, session: Session) -> tuple[tuple[bytes, bytes], ...]:
    seconds = call.state.config["ServiceSettings", "SessionLengthWebInHours"] * 3600
    ends = datetime.fromtimestamp(call.state.now() + seconds, UTC).strftime(HTTP_DATE)
    about = f"; Path={call.state.options.base or '/'}; Expires={ends}; Max-Age={seconds}"
    secure = "; Secure" if call.headers.get(b"x-forwarded-proto") == b"https" else ""
    cookies = (
        f"MMAUTHTOKEN={session.token}{about}; HttpOnly{secure}",
        f"MMUSERID={session.user_id}{about}{secure}",
        f"MMCSRF={session.csrf}{about}{secure}",
    )
    return tuple((b"set-cookie", cookie.encode()) for cookie in cookies)


def logout(call: Call) -> Reply:
    """Ends the session. A token makes itself a new one at its next use."""
    call.audit("")
    if call.session is not None:
        call.state.end_session(call.session.token)
    reply = done()
    reply.headers = (clear_cookie(call.state.options.base),)
    return reply


def login_type(call: Call) -> Reply:
    """Without guest magic links there is nothing here, not even a body."""
    del call
    return Reply(b"", 404)


def of_user(call: Call) -> Reply:
    user_id = call.id(0, "user_id")
    if not permissions.may_edit(call.user, user_id):
        raise forbidden()
    user, now = call.state.users.get(user_id), call.state.millis()
    if user is None:
        return answer([])
    live = [session for session in call.state.sessions_of.get(user_id, {}).values() if session.expires_at > now]
    live.sort(key=lambda session: session.last_activity_at, reverse=True)
    return answer([views.session_fields(session, user) for session in live])


def revoke(call: Call) -> Reply:
    user_id = call.id(0, "user_id")
    if not permissions.may_edit(call.user, user_id):
        raise forbidden()
    session_id = call.texts().get("session_id", "")
    if not session_id:
        raise bad_body("session_id")
    session = next((one for one in call.state.sessions.values() if one.id == session_id), None)
    if session is None:
        raise AppError("app.session.get.app_error", 400)
    if session.user_id != user_id:
        raise bad_url("user_id")
    call.state.end_session(session.token)
    call.audit("")
    return done()


def revoke_all(call: Call) -> Reply:
    """Ends all sessions of a user. Tokens survive it (1.6)."""
    user_id = call.id(0, "user_id")
    if not permissions.may_edit(call.user, user_id):
        raise forbidden()
    call.state.end_sessions(user_id)
    call.audit("")
    return done()


def revoke_everybodys(call: Call) -> Reply:
    if not call.user.is_admin:
        raise forbidden()
    for user_id in list(call.state.sessions_of):
        call.state.end_sessions(user_id)
    call.audit("")
    return done()


ROUTES = (
    Route("POST", "/users/login", login, session=False),
    Route("POST", "/users/login/type", login_type, session=False),
    Route("POST", "/users/logout", logout, session=False),
    Route("GET", "/users/{id}/sessions", of_user),
    Route("POST", "/users/{id}/sessions/revoke", revoke),
    Route("POST", "/users/{id}/sessions/revoke/all", revoke_all),
    Route("POST", "/users/sessions/revoke/all", revoke_everybodys),
)
