"""Laravel's Crypt: what it wrote opens, what we write is what it writes, and what is wrong is told apart."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.secrets import Secret
from mmconsole.errors import Altered, CannotOpen, Damaged, OtherCipher
from mmconsole.secrets import laravel_keys
from mmconsole.secrets.laravel import Crypt

VECTORS: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[2] / "data" / "laravel-crypt-vectors.json").read_text()
)
CIPHERS = sorted({vector["cipher"] for vector in VECTORS})
TOKEN = Secret("k3yq9jc9ab8kzfm1jd6m7w5ype")
Silence = Callable[[BaseException, str], None]

ciphers = st.sampled_from(CIPHERS)


def crypt_of(cipher: str, *keys: str) -> Crypt:
    return Crypt(laravel_keys.from_text(Secret(",".join(keys)), cipher=cipher, source="file .env"))


def key_for(cipher: str, fill: int = 7) -> str:
    return "base64:" + base64.b64encode(bytes([fill]) * (16 if "128" in cipher else 32)).decode()


def parts_of(text: str) -> dict[str, Any]:
    parts: dict[str, Any] = json.loads(base64.b64decode(text))
    return parts


def text_of(parts: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()


@pytest.mark.parametrize("call", ["encryptString", "encrypt"])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['cipher']} {len(vector['plain'])}")
def test_what_laravel_wrote_opens(vector: dict[str, str], call: str) -> None:
    crypt = crypt_of(vector["cipher"], vector["app_key"])

    assert crypt.open(vector[call], b"").reveal() == vector["plain"]
    assert crypt.key_of(vector[call]) == crypt.current


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['cipher']} {len(vector['plain'])}")
def test_what_we_write_has_the_shape_of_what_laravel_writes(vector: dict[str, str]) -> None:
    crypt = crypt_of(vector["cipher"], vector["app_key"])

    ours = crypt.seal(Secret(vector["plain"]), b"")

    theirs = vector["encryptString"]
    assert len(ours) == len(theirs)
    assert [(name, len(part)) for name, part in parts_of(ours).items()] == [
        (name, len(part)) for name, part in parts_of(theirs).items()
    ]
    assert base64.b64decode(ours) == json.dumps(parts_of(ours), separators=(",", ":")).encode()
    assert crypt.open(ours, b"").reveal() == vector["plain"]


@given(ciphers, st.text(st.characters()).filter(lambda text: not text.startswith("s:")).map(Secret))
def test_everything_that_was_written_opens_again(cipher: str, secret: Secret) -> None:
    crypt = crypt_of(cipher, key_for(cipher))

    assert crypt.open(crypt.seal(secret, b"one row"), b"another row") == secret


def test_no_two_are_alike() -> None:
    crypt = crypt_of("AES-256-CBC", key_for("AES-256-CBC"))

    assert len({crypt.seal(TOKEN, b"") for _ in range(100)}) == 100


def test_the_mac_is_the_documented_one() -> None:
    crypt = crypt_of("AES-256-CBC", key_for("AES-256-CBC"))

    parts = parts_of(crypt.seal(TOKEN, b""))

    mac = hmac.new(bytes([7]) * 32, (parts["iv"] + parts["value"]).encode(), hashlib.sha256).hexdigest()
    assert (parts["mac"], parts["tag"]) == (mac, "")


@pytest.mark.parametrize("cipher", CIPHERS)
def test_previous_keys_open_and_the_current_one_writes(cipher: str) -> None:
    old = crypt_of(cipher, key_for(cipher, 1))
    both = crypt_of(cipher, key_for(cipher, 2), key_for(cipher, 1))
    text = old.seal(TOKEN, b"")

    assert both.open(text, b"") == TOKEN
    assert both.key_of(text) == old.current
    assert both.key_of(both.seal(TOKEN, b"")) == both.current != old.current


@pytest.mark.parametrize("cipher", CIPHERS)
def test_another_key_is_told_of(assert_silent: Silence, cipher: str) -> None:
    text = crypt_of(cipher, key_for(cipher, 1)).seal(TOKEN, b"")
    other = crypt_of(cipher, key_for(cipher, 2), key_for(cipher, 3))

    with pytest.raises(Altered, match=r"changed, or it was written with a key that is not in the file \.env") as caught:
        other.open(text, b"")

    assert other.key_of(text) == ""
    assert_silent(caught.value, TOKEN.reveal())


@given(ciphers, st.sampled_from(["iv", "value", "mac", "tag"]), st.data())
def test_with_any_changed_part_it_does_not_open(
    assert_silent: Silence, cipher: str, name: str, data: st.DataObject
) -> None:
    crypt = crypt_of(cipher, key_for(cipher))
    parts = parts_of(crypt.seal(TOKEN, b""))
    raw = bytearray(base64.b64decode(parts[name])) if name != "mac" else bytearray(parts[name].encode())
    if not raw:
        return
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1
    changed = base64.b64encode(raw).decode() if name != "mac" else raw.decode()

    with pytest.raises(Altered) as caught:
        crypt.open(text_of(parts | {name: changed}), b"")

    assert_silent(caught.value, TOKEN.reveal())


@given(ciphers, st.data())
def test_cut_short_anywhere_it_does_not_open(assert_silent: Silence, cipher: str, data: st.DataObject) -> None:
    crypt = crypt_of(cipher, key_for(cipher))
    text = crypt.seal(TOKEN, b"")

    with pytest.raises(Damaged, match="cut short or damaged") as caught:
        crypt.open(text[: data.draw(st.integers(0, len(text) - 1))], b"")

    assert_silent(caught.value, TOKEN.reveal())


@pytest.mark.parametrize("name", ["iv", "value"])
def test_a_part_that_is_no_base64_or_has_a_wrong_length_is_damaged(name: str) -> None:
    crypt = crypt_of("AES-256-GCM", key_for("AES-256-GCM"))
    parts = parts_of(crypt.seal(TOKEN, b""))

    with pytest.raises(Damaged, match=f"its {name} is no base64"):
        crypt.open(text_of(parts | {name: "?" * 16}), b"")
    for changed in ({"iv": "AAAA"}, {"tag": "AAAA"}, {"tag": ""}):
        with pytest.raises(Damaged, match="wrong length"):
            crypt.open(text_of(parts | changed), b"")


@pytest.mark.parametrize(("wrote", "reads"), [("AES-256-CBC", "AES-256-GCM"), ("AES-256-GCM", "AES-256-CBC")])
def test_another_mode_is_told_of(wrote: str, reads: str) -> None:
    text = crypt_of(wrote, key_for(wrote)).seal(TOKEN, b"")

    with pytest.raises(OtherCipher, match=f"not written with {reads}, which `laravel.cipher` names"):
        crypt_of(reads, key_for(reads)).open(text, b"")


def test_a_tag_on_cbc_is_refused_as_laravel_does_and_a_missing_one_is_not() -> None:
    crypt = crypt_of("AES-256-CBC", key_for("AES-256-CBC"))
    parts = parts_of(crypt.seal(TOKEN, b""))

    with pytest.raises(OtherCipher):
        crypt.open(text_of(parts | {"tag": base64.b64encode(bytes(16)).decode()}), b"")
    with pytest.raises(Damaged):
        crypt.open(text_of(parts | {"tag": 5}), b"")
    assert crypt.open(text_of({name: parts[name] for name in ("iv", "value", "mac")}), b"") == TOKEN
    assert crypt.open(text_of(parts | {"tag": None}), b"") == TOKEN


def test_what_a_right_mac_vouches_for_and_is_no_ciphertext_is_damaged() -> None:
    """A MAC is made of texts, so it may fit what is no block of AES."""
    key, iv = bytes([7]) * 32, base64.b64encode(bytes(16)).decode()
    for value in ("AAAA", base64.b64encode(bytes(16)).decode()):
        mac = hmac.new(key, (iv + value).encode(), hashlib.sha256).hexdigest()

        with pytest.raises(Damaged, match="length or padding"):
            crypt_of("AES-256-CBC", key_for("AES-256-CBC")).open(text_of({"iv": iv, "value": value, "mac": mac}), b"")


@pytest.mark.parametrize("written", ['s:26:"k3y";', 's:3:"k3y"', "s:3:k3y;", 'i:3:"k3y";', 's:3:"k3y";;'])
def test_what_only_looks_like_a_serialized_string_stays_as_it_is(written: str) -> None:
    crypt = crypt_of("AES-256-CBC", key_for("AES-256-CBC"))

    assert crypt.open(crypt.seal(Secret(written), b""), b"").reveal() == written


@given(st.text(st.characters()) | st.binary().map(lambda raw: base64.b64encode(b'{"' + raw).decode()))
def test_any_other_text_is_refused_as_a_value(text: str) -> None:
    with pytest.raises(CannotOpen):
        crypt_of("AES-256-CBC", key_for("AES-256-CBC")).open(text, b"")
