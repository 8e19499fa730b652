"""Who is asking: where the token is read, what session it has, and whether a cookie may change anything.

The order in here is the server's own; to read the header before the cookie, for instance,
would let a client with a stale cookie pass that a real server turns away.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from mmconsole.simulator.entities import Session
from mmconsole.simulator.errors import AppError, forbidden, session_expired

if TYPE_CHECKING:
    from mmconsole.simulator.entities import Token, User
    from mmconsole.simulator.state import State
    from mmconsole.simulator.wire import Call

LONGEST_TOKEN = 50
HUNDRED_YEARS = 100 * 365 * 24 * 3_600_000


class Place(Enum):
    """Where the token stood."""

    COOKIE = auto()
    HEADER = auto()
    QUERY = auto()
    NOWHERE = auto()


class DeadCookie(AppError):
    """The token leads to no session. The server then also clears its cookie, wherever the token came from."""

    def __init__(self) -> None:
        expired = session_expired()
        super().__init__(expired.id, expired.status)


def find_token(call: Call) -> tuple[str, Place]:
    """The first of cookie, Authorization header and query that holds one; of two cookies the first."""
    cookie = call.headers.get(b"cookie")
    if cookie is not None:
        value = _cookie(cookie.decode("latin-1"), "MMAUTHTOKEN")
        if value is not None:
            return value[:LONGEST_TOKEN], Place.COOKIE
    header = call.headers.get(b"authorization", b"").decode("latin-1")
    if len(header) > 6 and header[:6].upper() == "BEARER":
        return header[7 : 7 + LONGEST_TOKEN], Place.HEADER
    if len(header) > 5 and header[:5].lower() == "token":
        return header[6 : 6 + LONGEST_TOKEN], Place.HEADER
    value = call.query("access_token")
    return (value[:LONGEST_TOKEN], Place.QUERY) if value else ("", Place.NOWHERE)


def identify(call: Call, *, required: bool) -> None:
    """Give the call its session, or refuse. Without `required` a bad token is as good as none."""
    token, place = find_token(call)
    if token:
        session = find_session(call, token)
        if session is None:
            if required:
                raise DeadCookie
        elif place is Place.QUERY:
            raise AppError("api.context.token_provided.app_error", 401)
        else:
            if place is Place.COOKIE and call.method != "GET":
                _check_csrf(call, session)
            call.session = session
            call.asker = call.state.users[session.user_id]
    if required:
        _require_session(call)


def find_session(call: Call, token: str) -> Session | None:
    state = call.state
    session = state.sessions.get(token)
    if session is not None:
        if session.expires_at <= state.millis():
            return None
        call.warm = True
        session.last_activity_at = state.millis()
        return session
    row = state.by_secret.get(token)
    if row is None or not row.is_active or call.hides(row.create_at):
        return None
    return _open_session(state, row, state.users[row.user_id])


def _open_session(state: State, token: Token, user: User) -> Session | None:
    """The session of a token, made at its first use."""
    now = state.millis()
    if not (state.config.tokens_enabled or user.is_bot) or user.delete_at:
        return None
    if 0 < token.expires_at <= now:
        return None
    ends = min(now + HUNDRED_YEARS, token.expires_at or now + HUNDRED_YEARS)
    session = Session(state.ids.new(), token.secret, user.id, now, ends, now, token.id, user.is_bot)
    return state.add_session(session)


def _require_session(call: Call) -> None:
    session = call.session
    if session is None:
        raise session_expired()
    if session.token_id and not session.is_bot and not call.state.config.tokens_enabled:
        raise session_expired()
    _require_second_factor(call)


def _require_second_factor(call: Call) -> None:
    """Enforced only by licensed servers; `/users/me` and bots are spared."""
    state, user = call.state, call.user
    if not state.licensed or user.mfa_active or user.is_bot or call.path == "/users/me":
        return
    settings = state.config.sections["ServiceSettings"]
    if user.is_guest and not state.config["GuestAccountsSettings", "EnforceMultifactorAuthentication"]:
        return
    if settings["EnableMultifactorAuthentication"] and settings["EnforceMultifactorAuthentication"]:
        raise AppError("api.context.mfa_required.app_error", forbidden().status)


def _check_csrf(call: Call, session: Session) -> None:
    """A token's session has no CSRF value, so a call without the header passes: the known hole (seen on 11.6.0)."""
    if call.headers.get(b"x-csrf-token", b"").decode("latin-1") == session.csrf:
        return
    strict = call.state.config["ServiceSettings", "ExperimentalStrictCSRFEnforcement"]
    if call.headers.get(b"x-requested-with") == b"XMLHttpRequest" and not strict:
        return
    raise DeadCookie


def _cookie(header: str, name: str) -> str | None:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value.strip('"')
    return None
