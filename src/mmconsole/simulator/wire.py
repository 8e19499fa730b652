"""A call as the handlers see it, and their reply: bytes in, bytes out, everything between them parsed once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from mmconsole.simulator.errors import bad_body, bad_url, session_expired, too_large
from mmconsole.simulator.ids import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmconsole.simulator.entities import Session, User
    from mmconsole.simulator.state import State

T = TypeVar("T")

PER_PAGE_DEFAULT = 60
PER_PAGE_MAX = 200
MIN_READ = 512
"""The server reads this much beyond its body limit before it gives up."""

UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What a body may do to a decoder: not be JSON, be of another shape, or be nested without end."""

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})


class Reply:
    """An answer. `wait` is time spent in the request without work, for instance on a mail server."""

    __slots__ = ("body", "headers", "status", "wait")

    def __init__(
        self, body: bytes, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = (), wait: float = 0.0
    ) -> None:
        self.body = body
        self.status = status
        self.headers = headers
        self.wait = wait


OK = b'{"status":"OK"}'


def done() -> Reply:
    return Reply(OK)


def answer(content: object, status: int = 200) -> Reply:
    return Reply(msgspec.json.encode(content), status)


def joined(items: list[bytes], status: int = 200) -> Reply:
    """A JSON list of parts that are encoded already."""
    return Reply(b"[" + b",".join(items) + b"]", status)


class Call:
    """One request: who asks, for what, with which body."""

    __slots__ = (
        "_query",
        "asker",
        "body",
        "headers",
        "hidden_since",
        "method",
        "params",
        "path",
        "query_string",
        "session",
        "state",
        "units",
        "warm",
    )

    def __init__(self, state: State, scope: Mapping[str, Any], path: str, params: tuple[str, ...]) -> None:
        self.state = state
        self.method: str = scope["method"]
        self.path = path
        self.params = params
        # Of a repeated header the first counts.
        self.headers: dict[bytes, bytes] = dict(reversed(list(scope["headers"])))
        self.query_string: bytes = scope["query_string"]
        self.body = b""
        self.session: Session | None = None
        self.asker: User | None = None
        self.units = 0.0
        """How much of what the call's cost depends on: rows, members, ids."""
        self.warm = False
        """Was the session of this token there already?"""
        self.hidden_since: int | None = None
        """A lagging replica does not know what was made after this moment (ms)."""
        self._query: dict[str, list[str]] | None = None

    # --- who asks ---------------------------------------------------------------------------------------------

    @property
    def user(self) -> User:
        """The user who asks; only handlers behind a session may say so."""
        if self.asker is None:
            raise session_expired()
        return self.asker

    @property
    def session_id(self) -> str:
        return self.session.id if self.session else ""

    def audit(self, extra_info: str, user_id: str | None = None) -> None:
        who = user_id if user_id is not None else self.asker.id if self.asker else ""
        self.state.audit(who, f"{self.state.options.base}/api/v4{self.path}", extra_info, self.session_id)

    # --- what is in the URL -----------------------------------------------------------------------------------

    def id(self, index: int, name: str) -> str:
        """An id of the path; `me` stands for the user who asks."""
        value = self.params[index]
        if name == "user_id" and value == "me" and self.asker is not None:
            return self.asker.id
        if not is_id(value):
            raise bad_url(name)
        return value

    def query(self, name: str) -> str:
        if not self.query_string:
            return ""
        if self._query is None:
            self._query = parse_qs(self.query_string.decode("latin-1"), keep_blank_values=True)
        values = self._query.get(name)
        return values[0] if values else ""

    def flag(self, name: str) -> bool:
        return self.query(name) in _TRUE

    def number(self, name: str, default: int) -> int:
        """An integer of the query; what is none, or negative, is silently the default."""
        value = _integer(self.query(name))
        return default if value is None or value < 0 else value

    def page(self) -> tuple[int, int]:
        """The first and the past-the-last index of the page that is asked for."""
        size = min(self.number("per_page", PER_PAGE_DEFAULT), PER_PAGE_MAX)
        start = self.number("page", 0) * size
        return start, start + size

    # --- what is in the body ----------------------------------------------------------------------------------

    def decode(self, shape: type[T], name: str) -> T:
        """The body as a value of this shape, or the refusal that names the parameter."""
        if len(self.body) > self.state.config.max_body + MIN_READ:
            raise too_large()
        try:
            return _parse(self.body, shape)
        except UNREADABLE as fault:
            raise bad_body(name) from fault

    def mapping(self) -> dict[str, Any]:
        """The body as a map; one that cannot be read is an empty map, never a refusal."""
        if len(self.body) > self.state.config.max_body + MIN_READ:
            return {}
        try:
            return _parse(self.body, dict[str, Any])
        except UNREADABLE:
            return {}

    def texts(self) -> dict[str, str]:
        """The body as a map of texts; anything else in it makes it empty."""
        body = self.mapping()
        return body if all(isinstance(value, str) for value in body.values()) else {}

    def ids(self, name: str) -> list[str]:
        """A list of ids or names that must not be empty."""
        values = self.decode(list[str], name)
        if not values:
            raise bad_body(name)
        return values

    def hides(self, create_at: int) -> bool:
        return self.hidden_since is not None and create_at > self.hidden_since


def _parse(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Go's decoder stops after the first value, whatever follows it, and replaces what is not UTF-8.
        text = body.decode(errors="replace").lstrip()
        value, _ = json.JSONDecoder().raw_decode(text)
        return msgspec.convert(value, type=shape)


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
