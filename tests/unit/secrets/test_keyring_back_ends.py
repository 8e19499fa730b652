"""Which back ends of the keyring are asked, and which are refused."""

import sys
from pathlib import Path

import pytest
from tests.unit.secrets.conftest import Select, entry

from mmconsole.domain.secrets import Secret
from mmconsole.errors import KeyringUnavailable, KeyringUnsafe
from mmconsole.secrets.keyring_child import NoBackEnd, UnsafeBackEnd, chosen

TEXT = "k3yq9jc9ab8kzfm1jd6m7w5ype"


def test_a_back_end_that_does_not_give_back_what_was_stored_is_noticed(select: Select) -> None:
    select("strange.Forgetful")

    with pytest.raises(KeyringUnavailable, match="does not give back"):
        entry().write(Secret(TEXT))


@pytest.mark.parametrize("back_end", ["keyring.backends.null.Keyring", "keyrings.alt.file.PlaintextKeyring"])
def test_a_back_end_that_keeps_nothing_or_plain_text_is_refused_by_name(
    select: Select, folder: Path, back_end: str
) -> None:
    select(back_end)

    with pytest.raises(KeyringUnsafe, match=f"{back_end}.*admin_token.source"):
        entry().write(Secret(TEXT))

    assert not (folder / "kept.json").exists()


@pytest.mark.parametrize(
    ("back_end", "why"),
    [
        ("keyring.backends.fail.Keyring", "there is none"),
        ("keyrings.alt.file.EncryptedKeyring", "a password each time"),
        ("nonsense.Keyring", "failed with ModuleNotFoundError"),
        ("strange.Quitting", "ended without an answer"),
    ],
)
def test_a_back_end_that_cannot_be_asked_is_answered_with_the_cure(select: Select, back_end: str, why: str) -> None:
    select(back_end)

    with pytest.raises(KeyringUnavailable, match=f"{why}.*set `admin_token.source` to"):
        entry().read()


@pytest.mark.parametrize("address", [None, "", "unix:path=/nowhere/bus", "nonsense"])
def test_without_d_bus_the_keyring_is_unavailable(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nowhere")
    if address is None:
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    else:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)

    with pytest.raises(KeyringUnavailable, match="Over SSH"):
        entry().read()


def test_no_process_to_ask_in_means_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with pytest.raises(KeyringUnavailable, match="No such file"):
        entry().read()


def back_end(name: str, *, members: list[object] | None = None, inherits: type = object) -> object:
    """An object whose class has this dotted name."""
    module, _, short = name.rpartition(".")
    return type(short, (inherits,), {"__module__": module, "backends": members or []})()


GOOD = back_end("keyring.backends.SecretService.Keyring")
NULL = back_end("keyring.backends.null.Keyring")
PLAIN = back_end("keyrings.alt.file.PlaintextKeyring")
FAIL = back_end("keyring.backends.fail.Keyring")
CHAIN = "keyring.backends.chainer.ChainerBackend"


@pytest.mark.parametrize("members", [[GOOD], [PLAIN, GOOD], [NULL, FAIL, GOOD, PLAIN]])
def test_of_a_chain_only_the_good_one_is_asked_so_that_it_cannot_fall_back(members: list[object]) -> None:
    assert chosen(back_end(CHAIN, members=members)) is GOOD
    assert chosen(GOOD) is GOOD


@pytest.mark.parametrize("members", [[PLAIN], [NULL, PLAIN]])
def test_a_chain_of_unsafe_ones_is_unsafe(members: list[object]) -> None:
    with pytest.raises(UnsafeBackEnd):
        chosen(back_end(CHAIN, members=members))


@pytest.mark.parametrize("members", [[], [FAIL]])
def test_a_chain_of_nothing_is_nothing(members: list[object]) -> None:
    with pytest.raises(NoBackEnd):
        chosen(back_end(CHAIN, members=members))


@pytest.mark.parametrize(
    "unsafe",
    [
        back_end("keyrings.alt.pyfs.BasicKeyring"),
        back_end("keyrings.alt.multi.MultipartKeyringWrapper"),
        back_end("mine.PlaintextKeyring"),
        back_end("mine.Harmless", inherits=type(PLAIN)),
        back_end("mine.Harmless", inherits=type(NULL)),
    ],
)
def test_plain_text_by_another_name_is_refused(unsafe: object) -> None:
    with pytest.raises(UnsafeBackEnd):
        chosen(unsafe)
