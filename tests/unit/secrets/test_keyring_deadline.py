"""Keyrings hang; we do not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import AF_UNIX, socket
from types import SimpleNamespace

import pytest
from tests.unit.secrets.conftest import Select, entry, wait_for

from mmconsole.config import Settings
from mmconsole.errors import KeyringSlow, KeyringUnavailable
from mmconsole.secrets import admin_token, seal_keys
from mmconsole.secrets.keyring import KeyringEntry


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("key", ["admin_token.source", "seal.source"])
def test_a_keyring_that_hangs_is_given_up(select: Select, folder: Path, key: str) -> None:
    select("strange.Hanging")
    start = time.monotonic()

    # Enough for its process to begin on a busy machine, which is what hangs.
    with pytest.raises(KeyringSlow, match=f"within 5 s.*set `{key}`"):
        KeyringEntry("name", key=key, seconds=5).read()

    assert time.monotonic() - start < 55
    assert wait_for((folder / "hangs").exists, seconds=0)
    child, grandchild = map(int, (folder / "hangs").read_text().split())
    assert wait_for(lambda: not is_running(child) and not is_running(grandchild))


def test_a_d_bus_that_accepts_and_never_answers_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket(AF_UNIX) as silent:
        silent.bind(str(tmp_path / "bus"))
        silent.listen()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")

        # Its client may give up before our deadline.
        with pytest.raises((KeyringSlow, KeyringUnavailable)):
            entry(seconds=5).read()


def test_an_interrupted_wait_leaves_no_child(select: Select, folder: Path) -> None:
    select("strange.Hanging")
    waiting = _waiting_process(seconds=60)
    assert wait_for((folder / "hangs").exists)

    waiting.send_signal(signal.SIGINT)
    waiting.wait(60)

    child = int((folder / "hangs").read_text().split()[0])
    assert wait_for(lambda: not is_running(child))


def test_a_child_ends_itself_when_its_parent_was_killed(select: Select, folder: Path) -> None:
    select("strange.Hanging")
    waiting = _waiting_process(seconds=8)
    assert wait_for((folder / "hangs").exists)
    child, grandchild = map(int, (folder / "hangs").read_text().split())

    waiting.kill()
    waiting.wait(60)

    assert wait_for(lambda: not is_running(child))
    os.kill(grandchild, signal.SIGKILL)


def _waiting_process(*, seconds: float) -> subprocess.Popen[bytes]:
    code = (
        "from mmconsole.secrets.keyring import KeyringEntry\n"
        f"KeyringEntry('name', key='seal.source', seconds={seconds}).read()"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


def test_a_back_end_that_leaves_threads_and_processes_behind_holds_nobody_up(select: Select) -> None:
    select("strange.Lingering")

    assert entry(seconds=60).read() is None


def test_a_person_gets_more_time_to_unlock(settings_of: Callable[..., Settings]) -> None:
    in_cron = admin_token.place(settings_of(), interactive=False)
    in_console = admin_token.place(settings_of(), interactive=True)

    assert in_cron == KeyringEntry("default.admin-token", key="admin_token.source", seconds=5)
    assert in_console == KeyringEntry("default.admin-token", key="admin_token.source", seconds=30)


@pytest.mark.parametrize(
    ("stdin", "seconds"),
    [(None, 5), (SimpleNamespace(isatty=lambda: False), 5), (SimpleNamespace(isatty=lambda: True), 30)],
)
def test_a_person_is_there_if_there_is_a_terminal(
    settings_of: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, stdin: object, seconds: float
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)

    assert seal_keys.place(settings_of()) == KeyringEntry("default.seal-keys", key="seal.source", seconds=seconds)


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    """Whatever happens, the child is ended and collected."""
    before = _children()
    yield
    assert _children() <= before


def _children() -> set[int]:
    lists = (task / "children" for task in Path("/proc/self/task").iterdir())
    return {int(pid) for one in lists for pid in one.read_text().split()}
