"""Known secrets, and every command there is: no part of one leaves through anything that a command writes or shows."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
from base64 import b64encode
from contextlib import contextmanager, suppress
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from tests.cli.conftest import COMMAND
from tests.cli.test_help import commands
from tests.secrets.conftest import Searcher, watched

from mmconsole.simulator.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Shell
    from tests.secrets.conftest import Watched

EVERYTHING = os.environ.get("MMCONSOLE_TEST_FAULTS") == "all"
"""`make faults` gives every command all that it can be given, in every trouble; `make test` a little, in a few."""
CRASHED = 70
"""The exit code of what nobody thought of."""
MISUNDERSTOOD = (b"UsageError", b"--help`.")
"""How a command says, with --debug, that it was not told what it needs."""
UNTIL_TOLD = {("serve",), ("watch",), ("worker",), ("demo",), ("simulator",), ("keys",), ("activity", "--follow")}
"""These go on until they are told to end."""
GIVEN: dict[tuple[str, ...], list[tuple[str, ...]]] = {
    ("sync",): [("--all", "--json"), ("1", "2", "--dry-run"), ("--missing",)],
    ("validate",): [("--all", "--deep", "--json"), ("--filter", "status:revoked")],
    ("generate",): [("1", "--json", "--force", "--yes")],
    ("revoke",): [("2", "--json", "--yes"), ("3", "--now", "--yes")],
    ("activity",): [("--json",), ("--follow",), ("-n", "1000")],
    ("serve",): [("--listen", "127.0.0.1:0")],
    ("plan", "sync"): [("--all", "-o", "plan.json"), ("--all", "-o", "/dev/full")],
    ("plan", "tokens"): [("rotate", "--older-than", "0d", "-o", "tokens.json")],
    ("plan", "show"): [("seal-keys",), ("plan.json",), ("tokens.json", "--json"), ("admin-token",)],
    ("apply",): [("tokens.json", "--json", "--yes"), ("seal-keys",)],
    ("users", "list"): [("--json",), ()],
    ("users", "show"): [("1", "--json"), ("1",)],
    ("users", "export"): [("users.csv",), ("users.json",), ("users.jsonl",)],
    ("users", "import"): [("seal-keys",), ("users.csv",)],
    ("users", "add"): [("zoe@example.org", "--json")],
    ("users", "edit"): [("1", "--first-name", "Zoe")],
    ("users", "remove"): [("1", "--yes")],
    ("tokens", "generate"): [("4", "--force", "--yes")],
    ("tokens", "repair"): [("--all-broken", "--yes", "--json")],
    ("tokens", "rotate"): [("--older-than", "0d", "--yes")],
    ("tokens", "revoke"): [("5", "--yes")],
    ("tokens", "undo"): [("5", "--json")],
    ("tokens", "validate"): [("--all", "--deep")],
    ("tokens", "list"): [("--json",), ()],
    ("tokens", "identify"): [(), ("--json",)],
    ("tokens", "restorage"): [("--to", "laravel"), ("--to", "sealed")],
    ("channel", "add"): [("town-square", "1", "2", "--json", "--yes")],
    ("channel", "create"): [("Bridge",), ("--json", "Tunnel")],
    ("channel", "archive"): [("bridge", "--yes")],
    ("channel", "restore"): [("bridge",)],
    ("channel", "list"): [("--json",)],
    ("jobs", "list"): [("--json",), ()],
    ("jobs", "show"): [("1", "--json"), ("1",)],
    ("jobs", "resume"): [("1",)],
    ("jobs", "pause"): [("1",)],
    ("jobs", "stop"): [("1",)],
    ("api-keys", "create"): [("other", "--scope", "link")],
    ("api-keys", "list"): [("--json",), ()],
    ("api-keys", "revoke"): [("x",)],
    ("migrate",): [("status",), ("status", "--json"), ()],
    ("migrate", "rollback"): [("--step", "1")],
    ("seal", "status"): [("--json",), ()],
    ("seal", "init"): [()],
    ("config", "show"): [("--json",), ()],
    ("doctor",): [("--json",), ()],
}
"""What commands are given; one that is not named here is run without anything."""
READS = {("tokens", "identify"), ("login",)}
"""These are given a user's secret on standard input."""
REFUSED = {("init",)}
"""There are settings already, and it overwrites none unasked."""
PARTS = 3
"""So many workers can share the commands."""
WRONG = "wrongq7w8e9r0t1y2u3i4o5p6a"
LATE = [("seal", "rotate"), ("api-keys", "revoke"), ("migrate", "rollback"), ("logout",)]
"""What takes away what others need comes last."""
TELLS: dict[tuple[str, ...], set[str]] = {
    ("seal", "export"): {"seal key"},
    # A made-up server's own, the same one that the test uses.
    ("simulator",): {"admin token"},
}
"""What a command is there to print, on standard output and nowhere else."""


class Lived:
    """An installation in use, every secret of which is known."""

    def __init__(self, shell: Shell, searcher: Searcher) -> None:
        self.shell = shell
        self.searcher = searcher
        self.home = shell.folder
        self.seal_keys = self.home / "seal-keys"
        self.by_right = {shell.token_file, self.seal_keys, self.home / ".env"}
        """Files that hold secrets because somebody put them there."""

    def plant_seal_keys(self) -> None:
        """A rotation makes new ones."""
        with suppress(ValueError):
            for key in json.loads(self.seal_keys.read_text())["keys"].values():
                self.searcher.plant("seal key", key)

    def run(self, path: tuple[str, ...], *more: str, command: tuple[str, ...] = (COMMAND,)) -> Watched:
        """Run a command with everything it says about itself, and search what others can see of it."""
        given = next(iter(self.shell.simulator.state.by_secret)) if path in READS else ""
        if path == ("seal", "laravel"):
            given = (self.home / ".env").read_text().removeprefix("APP_KEY=")
        follows = path in UNTIL_TOLD or (*path, *more[:1]) in UNTIL_TOLD
        words = (*command[1:], "--debug", *path, *more)
        done = watched(self.shell, *words, given=given, ends_in=3 if follows else 60, command=command[0])
        found = {
            "standard output": self.searcher.find(done.out) - TELLS.get(path, set()),
            "standard error": self.searcher.find(done.err),
            "/proc": self.searcher.find(done.seen),
        }
        assert not any(found.values()), (path, more, found)
        return done

    def run_every(self, paths: Iterable[tuple[str, ...]]) -> int:
        """Run commands with all that they are given, and understand. Returns how many runs that were."""
        number = 0
        for path in paths:
            given = GIVEN.get(path, [()])
            for more in given if EVERYTHING else given[:1]:
                done = self.run(path, *more)
                assert done.code != CRASHED, (path, more, done.err.decode())
                misunderstood = any(word in done.err for word in MISUNDERSTOOD)
                assert misunderstood is (path in REFUSED), (path, more, done.err.decode())
                if path == ("api-keys", "create"):
                    self.searcher.plant("api key", done.out.decode().strip().split("_", 2)[2])
                if path == ("seal", "rotate"):
                    self.plant_seal_keys()
                number += 1
        return number

    def search_files(self, *by_right: Path) -> None:
        """Journal, logs, exports, plans, settings: whatever lies there by now."""
        assert self.searcher.find_in_files(self.home, but={*self.by_right, *by_right}) == {}

    @contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Put the files and settings back afterwards."""
        settings = deepcopy(self.shell.settings)
        kept = {file: file.read_bytes() for file in self.home.rglob("*") if file.is_file()}
        yield
        self.shell.settings = settings
        for file, content in kept.items():
            file.write_bytes(content)


@contextmanager
def about(case: str) -> Iterator[None]:
    """Say in which case it was."""
    try:
        yield
    except BaseException as fault:
        fault.add_note(case)
        raise


@pytest.fixture
def lived(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Lived:
    """Six users with tokens, one of whom was revoked; keys of both storages, an API key."""
    lived = Lived(shell, Searcher())
    monkeypatch.chdir(shell.folder)
    add_token = State.add_token

    def known(state: State, *about: Any, **more: Any) -> Any:
        token = add_token(state, *about, **more)
        lived.searcher.plant("user's token", token.secret)
        return token

    monkeypatch.setattr(State, "add_token", known)
    app_key = b64encode(secrets.token_bytes(32)).decode()
    (shell.folder / ".env").touch(mode=0o600)
    (shell.folder / ".env").write_text(f"APP_KEY=base64:{app_key}\n")
    shell.set(laravel__source="env_file", laravel__file=str(shell.folder / ".env"))
    lived.searcher.plant("APP_KEY", app_key)
    lived.searcher.plant("admin token", shell.simulator.admin_token)
    lived.plant_seal_keys()
    shell.add_many(6)
    for order in (("sync", "--all"), ("revoke", "6", "--now", "--yes"), ("api-keys", "create", "x", "--scope", "link")):
        done = shell(*order)
        assert done.code == 0, (order, done.err)
    lived.searcher.plant("api key", done.out.strip().split("_", 2)[2])
    assert set(lived.searcher.parts.values()) == {"APP_KEY", "admin token", "seal key", "user's token", "api key"}
    return lived


def every() -> list[tuple[str, ...]]:
    """All commands but those that only lead to others; those that take away what others need come last."""
    paths = commands()
    lead = {path[:-1] for path in paths} - GIVEN.keys()
    return sorted(set(paths) - lead, key=lambda path: (LATE.index(path) if path in LATE else -1, path))


@pytest.mark.parametrize("part", range(PARTS))
def test_no_command_lets_out_any_part_of_a_secret(lived: Lived, part: int) -> None:
    some = every()[part::PARTS]

    assert lived.run_every(some) >= len(some)

    lived.search_files()


def test_whoever_searches_finds_what_is_there(lived: Lived) -> None:
    """A search that finds nothing proves nothing unless it can find something."""
    (lived.home / "note").write_text(f"try {lived.shell.simulator.admin_token[4:13]}")

    assert lived.searcher.find(lived.seal_keys.read_bytes()) == {"seal key"}
    assert lived.searcher.find_in_files(lived.home, but=lived.by_right) == {"note": {"admin token"}}
    assert lived.run(("seal", "export")).code == 0
    with pytest.raises(AssertionError, match="admin token"):
        lived.run(("users", "show", lived.shell.simulator.admin_token))


def _another_token(lived: Lived) -> None:
    lived.shell.keep_token(WRONG)
    lived.searcher.plant("admin token", WRONG)


def _secret_in_the_settings(lived: Lived) -> None:
    lived.shell.set(mattermost__token=lived.shell.simulator.admin_token)


def _spoilt_keys(lived: Lived) -> None:
    lived.seal_keys.write_text(lived.seal_keys.read_text()[:-30])


TROUBLES: dict[str, Callable[[Lived], object]] = {
    "another token": _another_token,
    "a secret in the settings": _secret_in_the_settings,
    "no server": lambda lived: lived.shell.set(mattermost__url="http://127.0.0.1:9"),
    "a spoilt column": lambda lived: lived.shell.sql("UPDATE users SET mattermost_token = substr(mattermost_token, 9)"),
    "spoilt keys": _spoilt_keys,
    "no tables": lambda lived: lived.shell.sql("DROP TABLE mmconsole_tokens"),
}


def test_no_error_lets_it_out_either(lived: Lived) -> None:
    some = every() if EVERYTHING else [("validate",), ("tokens", "repair")]
    for name, make in TROUBLES.items():
        with lived.as_it_was(), about(name):
            make(lived)

            lived.run_every(some)

            lived.search_files(lived.shell.config)


@contextmanager
def parrot(status: int, body: Callable[[str], bytes]) -> Iterator[str]:
    """A server, or something before it, that tells back whatever it was told."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            answer = body(f"{self.headers} {sent}")
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names are http.server's

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()


def _as_an_error(said: str) -> bytes:
    return json.dumps({"id": said, "message": said, "detailed_error": said, "request_id": said}).encode()


def _as_a_page(said: str) -> bytes:
    return f"<html>{said}</html>".encode()


def test_a_server_that_tells_our_secrets_back_makes_us_repeat_none(lived: Lived) -> None:
    asked = [("login",), ("sync",), ("validate",), ("doctor",)] if EVERYTHING else [("login",), ("sync",)]
    statuses = [200, 400, 401, 403, 404, 500] if EVERYTHING else [200, 401]
    for status, body in product(statuses, (_as_an_error, _as_a_page)):
        with lived.as_it_was(), about(f"{status} {body.__name__}"), parrot(status, body) as url:
            lived.shell.set(mattermost__url=url)

            for path in asked:
                lived.run(path, *GIVEN.get(path, [()])[0])

            lived.search_files()


CRASHING = """
import mmconsole.services.tokens.making as tokens
async def why_barred(client, secret, account_id):
    held = secret.reveal()
    return {}[held and secret]
tokens.why_barred = why_barred
from mmconsole.cli import main
main()
"""


def test_a_crash_with_a_secret_in_hand_does_not_let_it_out(lived: Lived) -> None:
    crashing = (sys.executable, "-c", CRASHING)

    done = lived.run(("generate",), "1", "--force", "--yes", command=crashing)

    assert done.code == CRASHED, done.err.decode()
    lived.search_files()
