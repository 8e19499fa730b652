"""Making, keeping and reading the seal keys."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mmconsole.config import Settings
from mmconsole.domain.secrets import Secret
from mmconsole.errors import SealKeyExists, SealKeyMissing, SecretError
from mmconsole.secrets import SealKey, SealKeys, seal_keys

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
Silence = Callable[[BaseException, str], None]
RAW = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def settings(settings_of: Callable[..., Settings], tmp_path: Path) -> Settings:
    return settings_of(seal={"source": "file", "file": str(tmp_path / "keys")})


def test_the_first_key_is_made_stored_and_read_again(settings: Settings) -> None:
    made = seal_keys.init(settings, now=NOW)

    assert seal_keys.load(settings) == made
    assert len(made.current.material()) == 32
    assert made.current.created_at == NOW
    assert made.current.id.isalnum()
    assert len(made.current.id) <= 16


def test_a_second_init_changes_nothing(settings: Settings) -> None:
    made = seal_keys.init(settings)

    with pytest.raises(SealKeyExists, match=made.current.id):
        seal_keys.init(settings)

    assert seal_keys.load(settings) == made


def test_without_keys_everything_says_what_to_do(settings: Settings, tmp_path: Path) -> None:
    for call in (seal_keys.load, seal_keys.export):
        with pytest.raises(SealKeyMissing, match=f"in the file {tmp_path / 'keys'}.*seal init"):
            call(settings)

    assert seal_keys.status(settings).keys == ()


def test_the_status_tells_ids_place_and_age_but_no_key(settings: Settings, tmp_path: Path) -> None:
    made = seal_keys.init(settings, now=NOW)

    status = seal_keys.status(settings)

    assert status.keys == ((made.current.id, NOW),)
    assert status.source == f"file {tmp_path / 'keys'}"
    assert status.warning == ""
    assert made.current.secret.reveal() not in repr(status)


def test_an_export_can_be_brought_back_in_another_place(
    settings: Settings, settings_of: Callable[..., Settings]
) -> None:
    made = seal_keys.init(settings)
    elsewhere = settings_of(seal={"source": "environment"})

    text = seal_keys.export(settings)

    assert seal_keys.load(elsewhere, environment={"MMCONSOLE_SEAL_KEYS": text.reveal()}) == made
    assert seal_keys.status(elsewhere, environment={"MMCONSOLE_SEAL_KEYS": text.reveal()}).warning


def test_where_only_others_can_write_no_key_is_made(settings_of: Callable[..., Settings]) -> None:
    with pytest.raises(SecretError, match="export MMCONSOLE_SEAL_KEYS"):
        seal_keys.init(settings_of(seal={"source": "environment"}), environment={})
    with pytest.raises(SecretError, match="systemd-creds encrypt"):
        seal_keys.init(settings_of(seal={"source": "credential"}), environment={})


def test_the_current_key_comes_first_whatever_the_order_of_the_text() -> None:
    other = base64.b64encode(bytes(32)).decode()
    text = json.dumps({"current": "k2", "keys": {"k1": RAW, "k2": other}})

    keys = seal_keys.from_text(Secret(text))

    assert keys is not None
    assert [key.id for key in keys.keys] == ["k2", "k1"]
    assert keys.current.material() == bytes(32)
    assert seal_keys.from_text(seal_keys.as_text(keys)) == keys


@pytest.mark.parametrize(
    "text",
    [
        RAW,
        "[]",
        "7",
        "null",
        "{}",
        "[" * 50_000,
        json.dumps({"current": "k2", "keys": {"k1": RAW}}),
        json.dumps({"current": "k1", "keys": {"k1": RAW[:-4]}}),
        json.dumps({"current": "k1", "keys": {"k1": RAW + "!"}}),
        json.dumps({"current": "k1", "keys": {"k1": 5}}),
        json.dumps({"current": "K 1", "keys": {"K 1": RAW}}),
        json.dumps({"current": "k" * 17, "keys": {"k" * 17: RAW}}),
        json.dumps({"current": "k1", "keys": [RAW]}),
        json.dumps({"current": ["k1"], "keys": {"k1": RAW}}),
        json.dumps({"current": "k1", "keys": {"k1": RAW}, "created": {"k1": "yesterday"}}),
        json.dumps({"current": "k1", "keys": {"k1": RAW}, "created": 5}),
    ],
)
def test_a_damaged_text_is_neither_used_nor_overwritten_nor_shown(
    assert_silent: Silence, settings: Settings, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(0o600)

    for call in (seal_keys.load, seal_keys.init, seal_keys.status, seal_keys.export):
        with pytest.raises(SecretError, match="not a set of seal keys") as caught:
            call(settings)
        assert_silent(caught.value, RAW)

    assert file.read_text() == text


def test_keys_in_memory_are_new_each_time() -> None:
    one, other = seal_keys.in_memory(now=NOW), seal_keys.in_memory(now=NOW)

    assert one.current.id != other.current.id
    assert one.current.material() != other.current.material()


def test_profiles_have_keys_of_their_own(settings_of: Callable[..., Settings], empty_home: Path) -> None:
    one, other = (settings_of(profile=name, seal={"source": "file"}) for name in ("one", "other"))

    made = seal_keys.init(one)

    assert seal_keys.init(other) != made
    assert (empty_home / ".config/mmconsole/secrets/one.seal-keys").is_file()


def test_a_set_of_keys_has_at_least_one_and_an_id_for_each() -> None:
    key = SealKey.new(now=NOW)

    for keys in ((), (key, key)):
        with pytest.raises(ValueError, match="seal keys"):
            SealKeys(keys)


def test_a_rotation_puts_a_new_key_before_the_old_one_and_is_begun_once(settings: Settings) -> None:
    old = seal_keys.init(settings, now=NOW)

    begun = seal_keys.begin_rotation(settings, now=NOW)

    assert begun.keys[1:] == old.keys
    assert begun.current.id != old.current.id
    assert seal_keys.begin_rotation(settings) == begun == seal_keys.load(settings)


def test_a_retired_key_is_forgotten_and_the_current_one_never(settings: Settings) -> None:
    old = seal_keys.init(settings).current
    begun = seal_keys.begin_rotation(settings)

    assert seal_keys.retire(settings, set()) == begun
    assert seal_keys.retire(settings, {old.id, begun.current.id}).keys == (begun.current,)
    assert seal_keys.load(settings).keys == (begun.current,)


def test_an_export_may_begin_a_rotation_elsewhere_and_changes_nothing_here(settings: Settings) -> None:
    made = seal_keys.init(settings)

    exported = seal_keys.from_text(seal_keys.export(settings, with_new=True))

    assert exported is not None
    assert exported.keys[1:] == made.keys
    assert seal_keys.load(settings) == made


def test_without_keys_there_is_nothing_to_rotate(settings: Settings) -> None:
    with pytest.raises(SealKeyMissing):
        seal_keys.begin_rotation(settings)
