"""The real keyring, open and locked."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from mmconsole.config import Settings, Values
from mmconsole.domain.secrets import Secret
from mmconsole.errors import AdminTokenElsewhere, KeyringSlow, KeyringUnavailable, SealKeyExists
from mmconsole.secrets import admin_token, laravel_keys, seal_keys
from mmconsole.secrets.keyring import KeyringEntry

pytestmark = pytest.mark.keyring

TEXT = "k3yq9jc9ab8kzfm1jd6m7w5ype"
LOCK = """
import secretstorage
collection = secretstorage.get_default_collection(secretstorage.dbus_init())
collection.lock()
print(collection.is_locked())
"""
SEARCH = """
import secretstorage
found = secretstorage.get_default_collection(secretstorage.dbus_init()).search_items({"service": "mmconsole"})
print(sorted(item.get_attributes()["username"] for item in found))
"""


def settings(*, profile: str = "default", url: str = "https://chat.example.org") -> Settings:
    return Settings(profile, Values.model_validate({"mattermost": {"url": url}}), {})


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def fresh(keyring_session: str) -> Iterator[None]:
    """An open keyring without entries of ours."""
    yield
    for profile in ("default", "other"):
        admin_token.forget(settings(profile=profile))
        seal_keys.place(settings(profile=profile)).delete()
        laravel_keys.place(settings(profile=profile)).delete()


@pytest.mark.usefixtures("fresh")
def test_token_and_seal_keys_live_in_the_real_keyring() -> None:
    admin_token.store(settings(), Secret(TEXT))
    made = seal_keys.init(settings())

    assert admin_token.load(settings()) == Secret(TEXT)
    assert seal_keys.load(settings()) == made
    assert run(SEARCH) == "['default.admin-token', 'default.seal-keys']"


@pytest.mark.usefixtures("fresh")
def test_a_token_in_the_real_keyring_stays_with_its_server_and_profile() -> None:
    admin_token.store(settings(), Secret(TEXT))
    admin_token.store(settings(profile="other", url="https://other.example.org"), Secret("x" + TEXT[1:]))

    assert admin_token.load(settings()) == Secret(TEXT)
    with pytest.raises(AdminTokenElsewhere):
        admin_token.load(settings(url="https://other.example.org"))


@pytest.mark.usefixtures("fresh")
def test_a_second_init_leaves_the_key_in_the_real_keyring() -> None:
    made = seal_keys.init(settings())

    with pytest.raises(SealKeyExists):
        seal_keys.init(settings())

    assert seal_keys.load(settings()) == made


@pytest.mark.usefixtures("fresh")
def test_a_rotation_keeps_both_keys_in_the_real_keyring_until_the_old_one_is_retired() -> None:
    old = seal_keys.init(settings()).current

    both = seal_keys.begin_rotation(settings())
    again = seal_keys.begin_rotation(settings())
    left = seal_keys.retire(settings(), {old.id, both.current.id})

    assert both == again
    assert both.keys[1:] == (old,)
    assert left.keys == (both.current,)
    assert seal_keys.load(settings()) == left


@pytest.mark.usefixtures("fresh")
def test_the_applications_keys_live_in_the_real_keyring() -> None:
    stored = laravel_keys.store(settings(), Secret("0123456789abcdef" * 2))

    assert laravel_keys.load(settings()) == stored
    assert run(SEARCH) == "['default.laravel-keys']"


@pytest.mark.usefixtures("own_keyring_session")
def test_keys_in_a_locked_wallet_are_neither_made_anew_nor_rotated() -> None:
    made = seal_keys.init(settings())
    assert run(LOCK) == "True"

    for call in (seal_keys.load, seal_keys.init, seal_keys.begin_rotation, laravel_keys.load):
        with pytest.raises((KeyringUnavailable, KeyringSlow), match=r"locked.*set `(seal|laravel).source`"):
            call(settings(), interactive=False)

    assert made.current.secret


@pytest.mark.usefixtures("own_keyring_session")
def test_a_locked_wallet_that_nobody_unlocks_says_so_in_time() -> None:
    assert run(LOCK) == "True"
    locked = KeyringEntry("default.admin-token", key="admin_token.source", seconds=5)

    # By desktop: the prompt fails at once (no display), or is one that nobody sees.
    with pytest.raises((KeyringUnavailable, KeyringSlow), match=r"locked.*set `admin_token.source`"):
        locked.read()
    with pytest.raises((KeyringUnavailable, KeyringSlow), match="locked"):
        locked.write(Secret(TEXT))
