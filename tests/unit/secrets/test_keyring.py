"""The keyring: what it keeps, and where the secret never is."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.secrets.conftest import Select, entry, wait_for

from mmconsole.config import Settings
from mmconsole.domain.secrets import Secret
from mmconsole.errors import KeyringSlow, KeyringUnavailable, SecretError
from mmconsole.secrets import admin_token, seal_keys

TEXT = "k3yq9jc9ab8kzfm1jd6m7w5ype"
Silence = Callable[[BaseException, str], None]


def test_what_was_stored_is_read_and_deleted(select: Select) -> None:
    select("strange.Faithful")

    assert entry().read() is None
    entry().write(Secret(TEXT))
    assert entry().read() == Secret(TEXT)
    entry().delete()
    entry().delete()
    assert entry().read() is None


def test_token_and_seal_keys_are_kept_by_profile(select: Select, settings_of: Callable[..., Settings]) -> None:
    select("strange.Faithful")
    one, other = settings_of(profile="one"), settings_of(profile="other")

    admin_token.store(one, Secret(TEXT))
    made = seal_keys.init(one)

    assert admin_token.load(one) == Secret(TEXT)
    assert seal_keys.load(one) == made
    with pytest.raises(SecretError, match=r"no admin token for .* in the keyring"):
        admin_token.load(other)


def test_a_bare_token_in_the_keyring_is_not_one_of_ours(
    select: Select, settings_of: Callable[..., Settings], assert_silent: Silence
) -> None:
    select("strange.Faithful")
    entry().write(Secret(TEXT))

    with pytest.raises(SecretError, match="mmconsole login") as caught:
        admin_token.load(settings_of())

    assert_silent(caught.value, TEXT)


def test_the_secret_is_in_no_process_argument_or_environment(
    select: Select, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    select("strange.Hanging")
    monkeypatch.setenv("MMCONSOLE_ADMIN_TOKEN", TEXT)

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(entry(seconds=10).write, Secret(TEXT))
        assert wait_for((folder / "hangs").exists)
        seen = {pid: _shown_of(pid) for pid in map(int, (folder / "hangs").read_text().split())}
        raised = writing.exception()

    assert isinstance(raised, KeyringSlow)
    assert all(shown and TEXT[:8].encode() not in shown for shown in seen.values())
    assert any(b"mmconsole.secrets.keyring_child" in shown for shown in seen.values())


def _shown_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()


def test_what_a_back_end_prints_goes_nowhere(select: Select, capfd: pytest.CaptureFixture[str]) -> None:
    select("strange.Faithful")
    entry().write(Secret(TEXT))
    select("strange.Talkative")

    assert entry().read() == Secret(TEXT)
    assert capfd.readouterr() == ("", "")


def test_what_a_back_end_says_of_its_failure_is_not_repeated(
    select: Select, capfd: pytest.CaptureFixture[str], assert_silent: Silence
) -> None:
    select("strange.Blabbing")

    with pytest.raises(KeyringUnavailable, match="failed with ValueError") as caught:
        entry().write(Secret(TEXT))

    assert_silent(caught.value, TEXT)
    assert capfd.readouterr() == ("", "")


def test_this_process_imports_neither_keyring_nor_cryptography(select: Select) -> None:
    select("strange.Faithful")
    code = (
        "import sys, mmconsole.secrets as room; from mmconsole.secrets.keyring import KeyringEntry\n"
        "KeyringEntry('name', key='seal.source', seconds=20).read(); room.seal_keys.in_memory()\n"
        "print([name for name in sys.modules if name.split('.')[0] in {'keyring', 'cryptography', 'secretstorage'}])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_a_module_in_the_working_folder_is_not_taken_for_the_keyring(
    select: Select, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    select("strange.Faithful")
    (tmp_path / "keyring.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)

    assert entry().read() is None
