"""Known secrets, and every route of the service: no part of one is in an answer, the log, or what others see of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.cli.conftest import COMMAND
from tests.secrets.conftest import Searcher, shown_by
from tests.web.clicks import A_CLICK

from mmconsole.simulator import Fault
from mmconsole.simulator.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Shell

HTTP_FAULT = 500
LINK = "/api/mattermost/magic-link"
MISTAKEN = """
import mmconsole.services.magic_links as magic_links
async def issue(self, user_id, *, by):
    link = await issued(self, user_id, by=by)
    raise ValueError(f"{link.token.reveal()} {link.code.reveal()}")
issued, magic_links.MagicLinks.issue = magic_links.MagicLinks.issue, issue
from mmconsole.cli import main
main()
"""
"""The service, with a mistake in the middle of a link."""


class Service:
    """A running service, and all that it lets out."""

    def __init__(self, shell: Shell, searcher: Searcher, key: str, process: subprocess.Popen[bytes]) -> None:
        self.shell = shell
        self.searcher = searcher
        self.key = key
        self.process = process
        self.statuses: set[int] = set()
        transport = httpx.HTTPTransport(uds=str(shell.folder / "web"))
        self._client = httpx.Client(transport=transport, base_url="http://service", timeout=60)

    def ask(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        """Send it, and search the answer for all but the one secret that it is about."""
        answer = self.send(method, path, key=key, **more)
        told = [f"{name}: {value}" for name, value in answer.headers.items() if name != "set-cookie"]
        body = json.dumps(answer.json() | {"token": ""}) if _hands_out_a_token(path, answer) else answer.text
        found = self.searcher.find("\n".join([*told, body]).encode())
        assert found == set(), (method, path, answer.status_code, found)
        return answer

    def send(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.key if key is None else key}"} | more.pop("headers", {})
        answer = self._client.request(method, path, headers=headers, **more)
        self._client.cookies.clear()
        self.statuses.add(answer.status_code)
        return answer

    def every_route(self) -> list[tuple[str, str]]:
        document = self.ask("GET", "/openapi.json").json()
        described = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
        return [*described, *(("GET", path) for path in ("/docs", "/openapi.json", "/metrics", "/nothing/here"))]

    def close(self) -> None:
        self._client.close()


def _hands_out_a_token(path: str, answer: httpx.Response) -> bool:
    return path.startswith(LINK) and answer.status_code == httpx.codes.OK


@pytest.fixture
def searcher(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Searcher:
    """Knows every secret there is; of links, the tickets as they are made."""
    made, add_token = Searcher(), State.add_token

    def known(state: State, *about: Any, **more: Any) -> Any:
        token = add_token(state, *about, **more)
        made.plant("user's token", token.secret)
        return token

    monkeypatch.setattr(State, "add_token", known)
    made.plant("admin token", shell.simulator.admin_token)
    for key in json.loads((shell.folder / "seal-keys").read_text())["keys"].values():
        made.plant("seal key", key)
    return made


@contextmanager
def served(shell: Shell, searcher: Searcher, *, command: tuple[str, ...] = (COMMAND,)) -> Iterator[Service]:
    """A service of which everything is searched in the end: what it said, its command line, its environment, files."""
    shell.set(web__rate__address=100_000)
    shell.add_many(4)
    assert shell("sync", "--all").code == 0
    scopes = [word for scope in ("link", "sync", "channel", "project") for word in ("--scope", scope)]
    key = shell("api-keys", "create", "app", *scopes).out.strip()
    searcher.plant("api key", key.split("_", 2)[2])
    said, listen = shell.folder / "said", f"unix:{shell.folder / 'web'}"
    with said.open("wb") as log:
        words = [*command, "--debug", "--headless", "serve", "--listen", listen]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=shell.saved())
    service = Service(shell, searcher, key, process)
    try:
        shell.until(lambda: b"listens on" in said.read_bytes() or process.poll() is not None)
        assert process.poll() is None, said.read_text()
        yield service
        seen = b"\n".join(sorted(shown_by(process.pid)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()
        service.close()
    assert b"mmconsole" in seen
    assert searcher.find(seen) == set()
    assert searcher.find_in_files(shell.folder, but={shell.token_file, shell.folder / "seal-keys"}) == {}


def _filled(path: str, value: str) -> str:
    for name in ("user", "channel", "project"):
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return path


def test_no_route_lets_out_any_part_of_a_secret(shell: Shell, searcher: Searcher) -> None:
    with served(shell, searcher) as service:
        for method, path in service.every_route():
            for user in ("1", "99", "main/town-square"):
                about: dict[str, Any] = {"params": {"user": user}} if method == "GET" else {"json": {"user": user}}
                service.ask(method, _filled(path, user), **about)
                service.ask(method, _filled(path, user), key="mmc_none", **about)
        _follow_a_link(service)
        assert {200, 303, 400, 401, 404, 410} <= service.statuses

        # A caller may be told what they said themselves; the log must not be.
        for misplaced in (shell.simulator.admin_token, service.key, *list(shell.simulator.state.by_secret)[:2]):
            for method, path in service.every_route():
                more: dict[str, Any] = {"params": {"user": misplaced, "to": f"/{misplaced}", misplaced: "x"}}
                service.send(method, _filled(path, misplaced), headers={"x-request-id": misplaced}, **more)
                service.send(
                    method, _filled(path, "1"), key=misplaced, json={"user": misplaced, misplaced: "x"}, **more
                )
    assert all(status < HTTP_FAULT for status in service.statuses), service.statuses


def _follow_a_link(service: Service) -> None:
    link = httpx.URL(service.ask("GET", LINK, params={"user": "1"}).json()["url"])
    url, ticket = link.raw_path.decode(), link.params["ticket"]
    page = service._client.get(url, headers={"sec-fetch-site": "cross-site"})
    assert ticket in page.text
    entered = service.ask("GET", url, headers=A_CLICK)
    assert entered.status_code == httpx.codes.SEE_OTHER
    # Spent, it is a secret like any other, and it was nowhere but in the link and on the page with the button.
    service.searcher.plant("ticket", ticket)
    assert service.ask("GET", url, headers=A_CLICK).status_code == httpx.codes.GONE


def test_no_answer_of_a_service_whose_server_is_gone_lets_out_a_secret(shell: Shell, searcher: Searcher) -> None:
    with served(shell, searcher) as service:
        shell.sql("UPDATE users SET mattermost_token = substr(mattermost_token, 9) WHERE id = 2")
        shell.sql("UPDATE mmconsole_tokens SET health = 'revoked', checked_at = 0")
        shell.simulator.faults.add(Fault("drop_before", times=None))
        for method, path in service.every_route():
            for user in ("1", "2"):
                about: dict[str, Any] = {"params": {"user": user}} if method == "GET" else {"json": {"user": user}}
                service.ask(method, _filled(path, user), **about)

    assert 503 in service.statuses


def test_a_mistake_with_secrets_in_hand_lets_out_none(shell: Shell, searcher: Searcher) -> None:
    with served(shell, searcher, command=(sys.executable, "-c", MISTAKEN)) as service:
        answer = service.ask("GET", LINK, params={"user": "1"})

    assert answer.status_code == HTTP_FAULT
    assert "ValueError" in (shell.folder / "said").read_text()
