"""Settings and known secrets for the tests of the secrets room."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmconsole.config import Settings, Values
from mmconsole.secrets.keyring import KeyringEntry

SERVER = "https://chat.example.org"
Silence = Callable[[BaseException, str], None]
Select = Callable[[str], None]
"""Chooses a back end of the keyring by its name."""


@pytest.fixture
def settings_of() -> Callable[..., Settings]:
    """Settings of given sections: `settings_of(admin_token={"source": "file"})`."""

    def build(*, profile: str = "default", url: str = SERVER, allow_http: bool = False, **sections: Any) -> Settings:
        tree = {"mattermost": {"url": url, "allow_http": allow_http}, **sections}
        return Settings(profile, Values.model_validate(tree), {})

    return build


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test of secrets touches the files of the person who runs it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)
    return home


def parts_of(secret: str) -> set[str]:
    """Every part of 8 characters."""
    return {secret[at : at + 8] for at in range(len(secret) - 7)}


@pytest.fixture(scope="session")
def assert_silent() -> Silence:
    """Fails when a part of a secret is in an error, in what it is chained to, or in what those carry."""
    return _assert_silent


def _assert_silent(fault: BaseException, secret: str) -> None:
    said = "".join(traceback.TracebackException.from_exception(fault, capture_locals=False).format())
    seen: BaseException | None = fault
    while seen is not None:
        said += str(seen) + repr(seen) + repr(vars(seen)) + repr(seen.args)
        said += repr(getattr(seen, "object", "")) + repr(getattr(seen, "doc", ""))
        seen = seen.__cause__ or seen.__context__
    assert not any(part in said for part in parts_of(secret))


def entry(*, seconds: float = 60) -> KeyringEntry:
    """Where the administrator's token would be kept."""
    return KeyringEntry("default.admin-token", key="admin_token.source", seconds=seconds)


def wait_for(happened: Callable[[], bool], *, seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not (done := happened()) and time.monotonic() < end:
        time.sleep(0.02)
    return done


# ── back ends of the keyring ─────────────────────────────────────────────────────────────────────

BACK_ENDS = '''
"""Back ends that behave as badly as real ones."""
import json, os, subprocess, sys, threading, time
from pathlib import Path
from keyring.backend import KeyringBackend

HERE = Path(__file__).parent

class Faithful(KeyringBackend):
    """Keeps entries in a file, for the tests that need one that works."""
    priority = 1
    file = HERE / "kept.json"

    def _kept(self):
        return json.loads(self.file.read_text()) if self.file.exists() else {}

    def get_password(self, service, name):
        return self._kept().get(service + "/" + name)

    def set_password(self, service, name, secret):
        self.file.write_text(json.dumps(self._kept() | {service + "/" + name: secret}))

    def delete_password(self, service, name):
        kept = self._kept()
        del kept[service + "/" + name]
        self.file.write_text(json.dumps(kept))

class Hanging(Faithful):
    def set_password(self, service, name, secret):
        child = subprocess.Popen(["sleep", "60"])
        (HERE / "draft").write_text(f"{os.getpid()} {child.pid}")
        (HERE / "draft").rename(HERE / "hangs")
        time.sleep(60)

    def get_password(self, service, name):
        self.set_password(service, name, "")

class Talkative(Faithful):
    def get_password(self, service, name):
        print("a password! " + str(super().get_password(service, name)), flush=True)
        os.write(1, b"{}")
        subprocess.run(["echo", "{}"])
        return super().get_password(service, name)

class Blabbing(Faithful):
    def set_password(self, service, name, secret):
        raise ValueError(f"cannot store {secret}")

class Forgetful(Faithful):
    def set_password(self, service, name, secret):
        super().set_password(service, name, secret[:-1])

class Quitting(Faithful):
    def get_password(self, service, name):
        sys.exit(0)

class Lingering(Faithful):
    def get_password(self, service, name):
        threading.Thread(target=time.sleep, args=(60,)).start()
        subprocess.Popen(["sleep", "2"])
        return super().get_password(service, name)
'''
PLAIN_TEXT = """
from strange import Faithful
class PlaintextKeyring(Faithful): ...
class EncryptedKeyring(Faithful): ...
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with back ends that the child can import."""
    folder = tmp_path / "back_ends"
    (folder / "keyrings" / "alt").mkdir(parents=True)
    (folder / "strange.py").write_text(BACK_ENDS)
    (folder / "keyrings" / "alt" / "file.py").write_text(PLAIN_TEXT)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def select(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Select:
    return lambda back_end: monkeypatch.setenv("PYTHON_KEYRING_BACKEND", back_end)
