"""From a method and a path to a handler: one dictionary look-up per segment, whatever the number of routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mmconsole.simulator.wire import Call, Reply

Handler = Callable[[Call], Reply]

_FORMS = {
    "id": re.compile(r"[A-Za-z0-9]+"),
    "username": re.compile(r"[A-Za-z0-9_.-]+"),
    "email": re.compile(r".+"),
    "name": re.compile(r"[A-Za-z0-9_-]+"),
    "channel_name": re.compile(r"[A-Za-z0-9_-]+"),
}
"""What a parameter may look like; anything else is a path that does not exist (404), not a wrong parameter (400)."""


@dataclass(frozen=True, slots=True)
class Route:
    """One call of the API. `since` is the first release that has it; `session` says whether it needs one."""

    method: str
    pattern: str
    handler: Handler
    session: bool = True
    since: tuple[int, int] = (0, 0)
    name: str = ""

    def named(self) -> Route:
        return Route(
            self.method, self.pattern, self.handler, self.session, self.since, name=f"{self.method} {self.pattern}"
        )


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    form: re.Pattern[str] | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    """The routes of one release of the server."""

    def __init__(self, routes: tuple[Route, ...], release: tuple[int, int]) -> None:
        self._root = _Node()
        for route in routes:
            if route.since <= release:
                self._add(route.named())

    def find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
        """The route of a path below `/api/v4`, and the values of its parameters."""
        node = self._root
        values: tuple[str, ...] = ()
        for segment in path.split("/")[1:]:
            child = node.children.get(segment)
            if child is None:
                child = node.parameter
                if child is None or child.form is None or not child.form.fullmatch(segment):
                    return None
                values = (*values, segment)
            node = child
        route = node.routes.get(method)
        return (route, values) if route else self._aside(method, path)

    def _aside(self, method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
        """A fixed word may hide a parameter: `GET /users/tokens/revoke` asks for a token of that id."""
        head, _, last = path.rpartition("/")
        node = self._root
        for segment in head.split("/")[1:]:
            child = node.children.get(segment)
            if child is None:
                return None
            node = child
        child = node.parameter
        if child is None or child.form is None or not child.form.fullmatch(last):
            return None
        route = child.routes.get(method)
        return (route, (last,)) if route else None

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.pattern.split("/")[1:]:
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                name = segment.strip("{}")
                node.parameter.form = _FORMS.get(name, _FORMS["id"])
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        node.routes[route.method] = route
