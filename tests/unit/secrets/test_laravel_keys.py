"""The application's keys: read from one place, never made, never shown."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from mmconsole.config import Settings
from mmconsole.domain.secrets import Secret
from mmconsole.errors import ExposedFile, LaravelKeyMissing, LaravelKeyUnfit, SecretError
from mmconsole.secrets import laravel_keys

Silence = Callable[[BaseException, str], None]
Build = Callable[..., Settings]
ONE, OTHER = ("base64:" + base64.b64encode(bytes([fill]) * 32).decode() for fill in (1, 2))
SHORT = "base64:" + base64.b64encode(bytes(range(16))).decode()


def materials(keys: laravel_keys.LaravelKeys) -> list[bytes]:
    return [key.material() for key in keys.keys]


@pytest.fixture
def env_file(settings_of: Build, tmp_path: Path) -> Callable[[str], Settings]:
    """Settings that name an application's .env with this content."""

    def build(content: str) -> Settings:
        file = tmp_path / ".env"
        file.write_text(content)
        file.chmod(0o644)
        return settings_of(laravel={"source": "env_file", "file": str(file)})

    return build


@pytest.mark.parametrize("between", [",", ", ", "\n", "\n\n", ",\n"])
def test_the_first_key_writes_and_the_others_read(settings_of: Build, between: str) -> None:
    settings = settings_of(laravel={"source": "environment"})

    keys = laravel_keys.load(settings, environment={"MMCONSOLE_LARAVEL_KEYS": f"{ONE}{between}{OTHER}{between}"})

    assert materials(keys) == [bytes([1]) * 32, bytes([2]) * 32]
    assert keys.current == keys.keys[0]


def test_a_key_that_stands_there_twice_is_one_key(settings_of: Build) -> None:
    settings = settings_of(laravel={"source": "environment"})

    assert len(laravel_keys.load(settings, environment={"MMCONSOLE_LARAVEL_KEYS": f"{ONE},{ONE}"}).keys) == 1


def test_a_key_without_the_prefix_is_its_own_bytes_as_in_laravel(settings_of: Build) -> None:
    settings = settings_of(laravel={"source": "environment", "cipher": "AES-128-CBC"})

    keys = laravel_keys.load(settings, environment={"MMCONSOLE_LARAVEL_KEYS": "SomeRandomString"})

    assert materials(keys) == [b"SomeRandomString"]


def test_stored_keys_come_back(settings_of: Build, tmp_path: Path) -> None:
    settings = settings_of(laravel={"source": "file", "file": str(tmp_path / "keys")})

    stored = laravel_keys.store(settings, Secret(f"{ONE},{OTHER}\n"))

    assert laravel_keys.load(settings) == stored
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600


def test_a_credential_holds_them_too(settings_of: Build, tmp_path: Path) -> None:
    (tmp_path / "mmconsole-laravel-keys").write_text(ONE)
    settings = settings_of(laravel={"source": "credential"})

    assert materials(laravel_keys.load(settings, environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}))


@pytest.mark.parametrize(
    ("text", "cipher", "sentence"),
    [
        (SHORT, "AES-256-CBC", "Key 1 in the .* AES-256-CBC needs 32 bytes, and it has 16"),
        (f"{ONE},{SHORT}", "AES-256-GCM", "Key 2 in the .* AES-256-GCM needs 32 bytes, and it has 16"),
        (ONE, "AES-128-CBC", "AES-128-CBC needs 16 bytes, and it has 32"),
        (ONE[:-1], "AES-256-CBC", "and it is no base64"),
        ("base64:", "AES-256-CBC", "and it has 0"),
    ],
)
def test_a_key_that_cannot_be_one_is_told_of_and_neither_shown_nor_stored(
    assert_silent: Silence, settings_of: Build, tmp_path: Path, text: str, cipher: str, sentence: str
) -> None:
    settings = settings_of(laravel={"source": "file", "file": str(tmp_path / "keys"), "cipher": cipher})

    with pytest.raises(LaravelKeyUnfit, match=sentence) as caught:
        laravel_keys.store(settings, Secret(text))

    assert_silent(caught.value, text)
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("text", ["", " \n", ",,"])
def test_without_a_key_the_error_says_where_it_belongs(settings_of: Build, text: str) -> None:
    settings = settings_of(laravel={"source": "environment"})

    with pytest.raises(LaravelKeyMissing, match=r"environment variable MMCONSOLE_LARAVEL_KEYS.*seal laravel"):
        laravel_keys.load(settings, environment={"MMCONSOLE_LARAVEL_KEYS": text})


def test_keys_are_not_shown() -> None:
    keys = laravel_keys.from_text(Secret(ONE), cipher="AES-256-CBC", source="test")

    assert ONE[7:15] not in repr(keys) + str(keys)


# ── .env ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        f"APP_NAME=x\nAPP_KEY={ONE}\nAPP_PREVIOUS_KEYS={OTHER}\n",
        f"APP_KEY=\"{ONE}\" # the new one\r\nAPP_PREVIOUS_KEYS='{OTHER}'\r\n",
        f"export APP_KEY = {ONE}   # the new one\nAPP_PREVIOUS_KEYS={OTHER},\n",
        f"APP_KEY={OTHER}\nAPP_KEY={ONE}\nAPP_PREVIOUS_KEYS={OTHER}",
        f"#APP_KEY={OTHER}\nMY_APP_KEY={OTHER}\nAPP_KEY={ONE}\nAPP_PREVIOUS_KEYS={ONE},{OTHER}",
    ],
)
def test_the_applications_env_file_is_read_as_laravel_reads_it(
    env_file: Callable[[str], Settings], content: str
) -> None:
    assert materials(laravel_keys.load(env_file(content))) == [bytes([1]) * 32, bytes([2]) * 32]


@pytest.mark.parametrize(
    "content", ["", "APP_KEY=\n", f"APP_KEY=\nAPP_PREVIOUS_KEYS={ONE}\n", f"KEY={ONE}", f"#APP_KEY={ONE}"]
)
def test_an_env_file_without_app_key_has_none(env_file: Callable[[str], Settings], content: str) -> None:
    with pytest.raises(LaravelKeyMissing, match=r"in the file .*\.env"):
        laravel_keys.load(env_file(content))


def test_a_missing_env_file_has_none_and_one_that_is_not_named_is_told_of(settings_of: Build, tmp_path: Path) -> None:
    with pytest.raises(LaravelKeyMissing, match=r"nowhere/\.env"):
        laravel_keys.load(settings_of(laravel={"source": "env_file", "file": str(tmp_path / "nowhere" / ".env")}))
    with pytest.raises(SecretError, match=r"`laravel.file` does not name"):
        laravel_keys.load(settings_of(laravel={"source": "env_file"}))


def test_a_link_to_an_env_file_is_followed_since_deployments_make_one(
    env_file: Callable[[str], Settings], settings_of: Build, tmp_path: Path
) -> None:
    env_file(f"APP_KEY={ONE}")
    (tmp_path / "current.env").symlink_to(tmp_path / ".env")

    settings = settings_of(laravel={"source": "env_file", "file": str(tmp_path / "current.env")})

    assert materials(laravel_keys.load(settings)) == [bytes([1]) * 32]


def test_a_folder_is_no_env_file(settings_of: Build, tmp_path: Path) -> None:
    with pytest.raises(ExposedFile, match="not a plain file"):
        laravel_keys.load(settings_of(laravel={"source": "env_file", "file": str(tmp_path)}))


def test_a_reference_to_another_variable_is_refused(env_file: Callable[[str], Settings]) -> None:
    with pytest.raises(SecretError, match=r"APP_KEY in .* refers to another variable"):
        laravel_keys.load(env_file("SECRET=x\nAPP_KEY=${SECRET}\n"))


def test_an_env_file_is_never_written(env_file: Callable[[str], Settings], tmp_path: Path) -> None:
    settings = env_file(f"APP_KEY={ONE}\n")

    with pytest.raises(SecretError, match="belongs to the application"):
        laravel_keys.store(settings, Secret(OTHER))
    with pytest.raises(SecretError, match="belongs to the application"):
        laravel_keys.place(settings).delete()

    assert (tmp_path / ".env").read_text() == f"APP_KEY={ONE}\n"
