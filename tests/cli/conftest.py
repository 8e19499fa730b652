"""The installed command as a subprocess, with a served simulator, an application's SQLite file and an own home."""

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect
import pytest
from tests.cli.prepared import Prepared
from tests.cli.prepared import prepared as prepared_process

from mmconsole.secrets import seal_keys
from mmconsole.simulator import Running, Simulator, SimulatorOptions, serve_in_thread
from mmconsole.simulator.entities import User as ServerUser

COMMAND = str(Path(sys.executable).with_name("mmconsole"))
USERS = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR, email VARCHAR, email_verified_at DATETIME, deleted_at DATETIME
)
"""
LONG_AGO = "2024-01-01 00:00:00"
PATIENCE = 120.0
"""Seconds for what comes at once where nothing else runs. A test that is about time says its own."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Shell:
    """A shell of somebody who runs mmconsole."""

    folder: Path
    server: Running
    settings: dict[str, Any]
    environment: dict[str, str]
    prepared: Prepared | None = None
    width: int = 80
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    # ── running ──────────────────────────────────────────────────────────────────────────────────

    def __call__(self, *arguments: str, given: str = "", timeout: float = PATIENCE) -> Ended:
        """Run a command without a terminal."""
        environment = self.saved()
        if self.prepared is not None and self.prepared.takes(arguments, environment=environment, given=given):
            return Ended(*self.prepared.run(arguments, environment=environment, given=given, timeout=timeout))
        done = subprocess.run(
            [COMMAND, *arguments],
            input=given,
            capture_output=True,
            text=True,
            env=environment,
            timeout=timeout,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Begin a command and go on."""
        process = subprocess.Popen(
            [COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.saved(),
        )
        self.started.append(process)
        return process

    def ended(self, process: "subprocess.Popen[str]", *, timeout: float = PATIENCE) -> Ended:
        """Wait for the end of what was begun."""
        out, err = process.communicate(timeout=timeout)
        return Ended(process.returncode, out, err)

    def said(self, process: "subprocess.Popen[str]", word: str) -> str:
        """Wait until what was begun says something on standard error. The lines until then are read by that."""
        assert process.stderr is not None
        for line in process.stderr:
            if word in line:
                return line
        pytest.fail(f"it ended without {word!r}")

    def on_terminal(self, *arguments: str) -> "pexpect.spawn[str]":
        """Run a command on a terminal of 80 by 24."""
        environment = self.saved() | {"TERM": "xterm-256color"}
        return pexpect.spawn(
            COMMAND, list(arguments), env=environment, encoding="utf-8", timeout=PATIENCE, dimensions=(24, self.width)
        )

    def shown(self, *arguments: str) -> Ended:
        """What a terminal shows at the end."""
        child = self.on_terminal(*arguments)
        text = child.read()
        child.close()
        return Ended(_code(child), text.replace("\r\n", "\n"), "")

    # ── settings ─────────────────────────────────────────────────────────────────────────────────

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def set(self, **values: Any) -> None:
        """Settings by their keys with `__` for the dot."""
        for name, value in values.items():
            *sections, leaf = name.split("__")
            place = self.settings
            for section in sections:
                place = place.setdefault(section, {})
            place[leaf] = value

    @property
    def token_file(self) -> Path:
        return self.folder / "admin-token"

    def keep_token(self, token: str) -> None:
        """Make this the administrator's token."""
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(token, encoding="utf-8")

    def saved(self) -> dict[str, str]:
        """The environment, after the settings were written down. JSON is YAML."""
        if self.settings:
            self.config.write_text(json.dumps(self.settings), encoding="utf-8")
        return self.environment

    # ── the application and the server ───────────────────────────────────────────────────────────

    @property
    def file(self) -> Path:
        return self.folder / "application.sqlite3"

    def sql(self, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.file, timeout=PATIENCE, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def add(self, email: str | None, name: str = "Ann Lee", *, verified: bool = True, deleted: bool = False) -> str:
        statement = "INSERT INTO users (name, email, email_verified_at, deleted_at) VALUES (?, ?, ?, ?) RETURNING id"
        moments = (LONG_AGO if verified else None, LONG_AGO if deleted else None)
        return str(self.sql(statement, name, email, *moments)[0][0])

    def add_many(self, number: int) -> None:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            rows = [(f"User {n}", f"user{n}@example.org", LONG_AGO) for n in range(number)]
            connection.executemany("INSERT INTO users (name, email, email_verified_at) VALUES (?, ?, ?)", rows)

    def account(self, email: str, **fields: Any) -> ServerUser:
        """An account that was on the server before."""
        state = self.server.simulator.state
        stamp = state.millis()
        return state.add_user(ServerUser(state.ids.new(), email.partition("@")[0], email, stamp, stamp, **fields))

    @property
    def simulator(self) -> Simulator:
        return self.server.simulator

    @property
    def marked(self) -> int:
        """Tokens on the server that carry our marker."""
        return sum(token.description.startswith("mmconsole:") for token in self.simulator.state.token_rows)

    def until(self, true: Callable[[], object], *, seconds: float = PATIENCE) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "it never became so"
            time.sleep(0.01)


def _code(child: "pexpect.spawn[str]") -> int:
    return child.exitstatus if child.exitstatus is not None else -(child.signalstatus or 0)


class Tmux:
    """A terminal somebody sits at."""

    def __init__(self, shell: Shell, *, size: tuple[int, int] = (80, 24)) -> None:
        self._shell = shell
        self._socket = str(shell.folder / "tmux")
        self._size = size

    def open(self, *arguments: str) -> None:
        self.run("-c", f"{shlex.join([COMMAND, *arguments])}; echo ENDED-$?; read")

    def run(self, *arguments: str) -> None:
        """Begin with a shell of these arguments."""
        environment = self._shell.saved() | {"TERM": "screen-256color", "LANG": "C.UTF-8"}
        width, height = map(str, self._size)
        command = ["tmux", "-S", self._socket, "-u", "-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height]
        subprocess.run([*command, "bash", *arguments], env=environment, check=True, timeout=PATIENCE)

    def __call__(self, *arguments: str) -> str:
        command = ["tmux", "-S", self._socket, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout

    def press(self, *keys: str) -> None:
        self("send-keys", *keys)

    @property
    def screen(self) -> str:
        return self("capture-pane", "-p")

    def until(self, text: str) -> None:
        """Wait until this is on the screen."""
        try:
            self._shell.until(lambda: text in self.screen)
        except AssertionError:
            pytest.fail(f"no {text!r} on the screen:\n{self.screen}")

    def until_gone(self, text: str) -> None:
        """Wait until this is no longer on the screen."""
        self._shell.until(lambda: text not in self.screen)

    @property
    def pid(self) -> int:
        """The command that runs in it."""
        shell = self("list-panes", "-F", "#{pane_pid}").strip()
        return int(subprocess.run(["pgrep", "-P", shell], check=True, capture_output=True, text=True).stdout.split()[0])

    def close(self) -> None:
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def options() -> SimulatorOptions:
    """What the server is like; tests override it."""
    return SimulatorOptions()


@pytest.fixture
def server(options: SimulatorOptions) -> Iterator[Running]:
    with serve_in_thread(options) as running:
        yield running


@pytest.fixture(scope="session")
def prepared() -> Iterator[Prepared]:
    with prepared_process() as process:
        yield process


@pytest.fixture
def bare(tmp_path: Path, server: Running, prepared: Prepared) -> Iterator[Shell]:
    """A shell with nothing set but where the server is, and a database that nothing has touched."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "home" / "config"),
        "XDG_DATA_HOME": str(tmp_path / "home" / "data"),
        "LANG": "C.UTF-8",
        "MMCONSOLE_CONFIG": str(tmp_path / "config.yaml"),
    }
    settings = {
        "mattermost": {"url": server.url},
        "database": {
            "url": f"sqlite:///{tmp_path}/application.sqlite3",
            "users": {"deleted_at": "deleted_at"},
        },
    }
    shell = Shell(tmp_path, server, settings, environment, prepared)
    shell.sql(USERS)
    yield shell
    for process in shell.started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.communicate()


@pytest.fixture
def shell(bare: Shell) -> Shell:
    """A shell in which everything is ready: token, seal key, migrated database."""
    keys = bare.folder / "seal-keys"
    keys.touch(mode=0o600)
    keys.write_text(seal_keys.as_text(seal_keys.in_memory()).reveal(), encoding="utf-8")
    bare.set(admin_token__source="file", admin_token__file=str(bare.token_file))
    bare.set(seal__source="file", seal__file=str(keys), sync__teams=["main"])
    bare.keep_token(bare.simulator.admin_token)
    migrated(bare)
    return bare


_MIGRATED: dict[str, Path] = {}


def migrated(shell: Shell) -> None:
    """Prepare the database with the command itself, once for all tests; then its file is copied."""
    known = _MIGRATED.get("file")
    if known is None or not known.exists():
        assert shell("migrate").code == 0
        known = shell.folder.parent / f"migrated-{os.getpid()}.sqlite3"
        shutil.copyfile(shell.file, known)
        _MIGRATED["file"] = known
    else:
        shutil.copyfile(known, shell.file)


@pytest.fixture
def terminal(shell: Shell) -> Iterator[Tmux]:
    tmux = Tmux(shell)
    yield tmux
    tmux.close()
