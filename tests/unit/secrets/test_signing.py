"""Signatures of plan files: whose key signs, and who may have written what is read."""

import os
from pathlib import Path

import pytest

from mmconsole.domain.secrets import Secret
from mmconsole.errors import ExposedFile
from mmconsole.secrets import Form, SealKeys, Signing, Vault, new_installation_key, open_private, seal_keys


def signed(signing: Signing, key_id: str, text: bytes = b"a plan") -> str | None:
    signature = signing.begin(key_id)
    if signature is None:
        return None
    signature.update(text)
    return signature.hexdigest()


def vault(keys: SealKeys | None, *, form: Form = Form.SEALED, installation: str = "here") -> Vault:
    return Vault(storage=form, keys=keys, installation_id=installation, table="users", column="token")


def test_the_current_seal_key_signs_and_an_older_one_still_checks() -> None:
    old, new = seal_keys.in_memory().current, seal_keys.in_memory().current
    before, after = vault(SealKeys((old,))).signing(), vault(SealKeys((new, old))).signing()
    assert before is not None
    assert after is not None

    assert (before.current, after.current) == (old.id, new.id)
    assert signed(before, old.id) == signed(after, old.id)
    assert signed(before, new.id) is None
    assert signed(after, new.id) != signed(after, old.id)


def test_another_installation_with_the_same_keys_signs_otherwise() -> None:
    keys = seal_keys.in_memory()
    here, there = vault(keys).signing(), vault(keys, installation="there").signing()
    assert here is not None
    assert there is not None

    assert signed(here, keys.current.id) != signed(there, keys.current.id)


def test_where_nothing_is_sealed_the_installation_has_a_key_of_its_own() -> None:
    one, other = (Signing.of_installation(new_installation_key()) for _ in range(2))

    assert vault(None, form=Form.PLAIN).signing() is None
    assert one.current == "installation"
    assert signed(one, "installation") != signed(other, "installation")


def test_a_key_is_not_seen_in_what_it_signs_with() -> None:
    secret = new_installation_key()

    assert secret.reveal() not in repr(Signing.of_installation(secret)) + repr(Secret(secret.reveal()))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_use_is_not_opened(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "plan"
    file.write_text("x")
    file.chmod(mode)

    with pytest.raises(ExposedFile):
        open_private(file)


def test_a_pipe_or_a_link_is_not_opened(tmp_path: Path) -> None:
    file, pipe, link = (tmp_path / name for name in ("file", "pipe", "link"))
    file.write_text("x")
    file.chmod(0o600)
    os.mkfifo(pipe, 0o600)
    link.symlink_to(file)

    for wrong in (pipe, link):
        with pytest.raises(ExposedFile):
            open_private(wrong)
    with open_private(file) as opened:
        assert opened.read() == b"x"
