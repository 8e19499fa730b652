"""A real Secret Service: gnome-keyring under a D-Bus session of its own."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NEEDED = ("dbus-run-session", "gnome-keyring-daemon", "dbus-send")
# `exec cat` would leave nobody to end the daemon: when our end of the pipe closes, both end.
SESSION = """
printf known-password | gnome-keyring-daemon --foreground --unlock --components=secrets >/dev/null 2>&1 &
daemon=$!
echo "$DBUS_SESSION_BUS_ADDRESS"
cat >/dev/null
kill $daemon
"""


@contextmanager
def unlocked_keyring(home: Path) -> Iterator[str]:
    """The address of a D-Bus session with an unlocked keyring in an empty home."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"{', '.join(missing)} not installed")
    with subprocess.Popen(
        ["dbus-run-session", "--", "sh", "-c", SESSION],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=_environment(home),
    ) as session:
        assert session.stdin
        assert session.stdout
        address = session.stdout.readline().strip()
        try:
            _wait_for_service(address)
            yield address
        finally:
            session.stdin.close()
            session.wait(10)


def _environment(home: Path) -> dict[str, str]:
    """An empty home and no display, so that nothing of the person who runs the tests is touched or asked."""
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700)
    left_out = {"DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "GNOME_KEYRING_CONTROL"}
    kept = {name: value for name, value in os.environ.items() if name not in left_out and not name.startswith("XDG_")}
    return kept | {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime)}


def _wait_for_service(address: str) -> None:
    question = ["dbus-send", f"--bus={address}", "--print-reply", "--dest=org.freedesktop.DBus", "/"]
    question += ["org.freedesktop.DBus.NameHasOwner", "string:org.freedesktop.secrets"]
    for _ in range(1200):
        answer = subprocess.run(question, capture_output=True, text=True, check=False)
        if "boolean true" in answer.stdout:
            return
        time.sleep(0.05)
    pytest.fail("gnome-keyring-daemon did not start")


@pytest.fixture(scope="session")
def shared_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with unlocked_keyring(tmp_path_factory.mktemp("keyring")) as address:
        yield address


@pytest.fixture
def keyring_session(shared_bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """This test's child processes talk to the real keyring, which other tests use too."""
    _use(shared_bus, monkeypatch)


@pytest.fixture
def own_keyring_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This test's child processes talk to a real keyring that it may lock."""
    with unlocked_keyring(tmp_path) as address:
        _use(address, monkeypatch)
        yield


def _use(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
