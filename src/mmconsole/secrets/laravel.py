r"""What `Crypt::encryptString` writes and `Crypt::decryptString` reads, exactly as Illuminate\\Encryption does it.

base64 of `{"iv","value","mac","tag"}`. CBC is guarded by an HMAC over the base64 of iv and value; GCM by its tag,
and its mac is empty. It imports cryptography, so import it where something is sealed or opened.
"""

import base64
import binascii
import hmac
import json
import os
import re
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from mmconsole.domain.secrets import Secret
from mmconsole.errors import Altered, Damaged, OtherCipher
from mmconsole.secrets.forms import laravel_parts
from mmconsole.secrets.laravel_keys import LaravelKeys

IV_BYTES: Final = {"CBC": 16, "GCM": 12}
TAG_BYTES: Final = 16
_BLOCK_BITS: Final = 128
_SERIALIZED: Final = re.compile(rb's:([0-9]{1,9}):"(.*)";', re.DOTALL)


class Crypt:
    """Writes with the current key and reads with any, as Laravel does with APP_PREVIOUS_KEYS.

    The form binds nothing to a row: a value copied to another row opens there, as it does in Laravel.
    """

    def __init__(self, keys: LaravelKeys) -> None:
        self._source = keys.source
        self._cipher = keys.cipher
        self._mode = keys.cipher.rpartition("-")[2]
        self._keys = {key.id: key.material() for key in keys.keys}
        self.current = keys.current.id

    def seal(self, secret: Secret, bound_to: bytes) -> str:  # noqa: ARG002 - Laravel binds a value to nothing
        """As `encryptString`, with a random iv."""
        # A strict encoder's error would carry the secret along.
        raw, key = secret.reveal().encode("utf-8", "surrogatepass"), self._keys[self.current]
        iv = os.urandom(IV_BYTES[self._mode])
        if self._mode == "GCM":
            sealed = AESGCM(key).encrypt(iv, raw, None)
            return _written(_encoded(iv), _encoded(sealed[:-TAG_BYTES]), mac="", tag=_encoded(sealed[-TAG_BYTES:]))
        value = _encoded(_encrypted(key, iv, raw))
        return _written(_encoded(iv), value, mac=_mac(key, _encoded(iv), value), tag="")

    def open(self, text: str, bound_to: bytes) -> Secret:  # noqa: ARG002 - as above
        """As `decryptString`; what `encrypt` wrote, a PHP-serialized string, is read too.

        Raises Damaged, OtherCipher, or Altered, which also stands for a key that is not here: a MAC that does not fit
        does not tell these apart.
        """
        return _text_of(_unserialized(self._opened(text)[1]))

    def key_of(self, text: str) -> str:
        """The id of the key that it opens with; empty if it does not."""
        try:
            return self._opened(text)[0]
        except (Altered, Damaged, OtherCipher):
            return ""

    def _opened(self, text: str) -> tuple[str, bytes]:
        parts = laravel_parts(text)
        if parts is None:
            raise Damaged(why="it is not what Laravel writes")
        iv, value, tag = (_decoded(parts[name], name) for name in ("iv", "value", "tag"))
        self._check_shape(iv, tag)
        for key_id, key in self._keys.items():
            opened = self._with_tag(key, iv, value + tag) if self._mode == "GCM" else _with_mac(key, iv, value, parts)
            if opened is not None:
                return key_id, opened
        raise Altered(otherwise=f"it was written with a key that is not in the {self._source}")

    def _check_shape(self, iv: bytes, tag: bytes) -> None:
        others = {size for mode, size in IV_BYTES.items() if mode != self._mode}
        if len(iv) in others or (tag and self._mode == "CBC"):
            raise OtherCipher(cipher=self._cipher)
        if len(iv) != IV_BYTES[self._mode] or (self._mode == "GCM" and len(tag) != TAG_BYTES):
            raise Damaged(why="its iv or tag has a wrong length")

    @staticmethod
    def _with_tag(key: bytes, iv: bytes, sealed: bytes) -> bytes | None:
        try:
            return AESGCM(key).decrypt(iv, sealed, None)
        except InvalidTag:
            return None


def _with_mac(key: bytes, iv: bytes, value: bytes, parts: dict[str, str]) -> bytes | None:
    expected = _mac(key, parts["iv"], parts["value"])
    # Only what the MAC vouches for is decrypted, and compare_digest takes no text beyond ASCII.
    if not hmac.compare_digest(expected.encode(), parts["mac"].encode("utf-8", "surrogatepass")):
        return None
    return _decrypted(key, iv, value)


def _encrypted(key: bytes, iv: bytes, raw: bytes) -> bytes:
    padder = PKCS7(_BLOCK_BITS).padder()
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    return encryptor.update(padder.update(raw) + padder.finalize()) + encryptor.finalize()


def _decrypted(key: bytes, iv: bytes, value: bytes) -> bytes:
    decryptor, unpadder = Cipher(AES(key), CBC(iv)).decryptor(), PKCS7(_BLOCK_BITS).unpadder()
    try:
        padded = decryptor.update(value) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError as fault:
        raise Damaged(why="its length or padding is wrong") from fault


def _mac(key: bytes, iv: str, value: str) -> str:
    return hmac.digest(key, (iv + value).encode("utf-8", "surrogatepass"), "sha256").hex()


def _written(iv: str, value: str, *, mac: str, tag: str) -> str:
    parts = {"iv": iv, "value": value, "mac": mac, "tag": tag}
    return _encoded(json.dumps(parts, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decoded(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise Damaged(why=f"its {name} is no base64") from fault


def _unserialized(raw: bytes) -> bytes:
    """The text of a PHP-serialized string; what is none stays as it is."""
    match = _SERIALIZED.fullmatch(raw)
    return match[2] if match and int(match[1]) == len(match[2]) else raw


def _text_of(raw: bytes) -> Secret:
    try:
        return Secret(raw.decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        pass
    # Raised out here, since the error of decoding carries all bytes along, and would be this one's context.
    raise Damaged(why="it holds no text")
