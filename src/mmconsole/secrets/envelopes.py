"""Envelopes: `mm1$<key id>$<base64url(nonce 12 ‖ ciphertext ‖ tag)>`, AES-256-GCM.

It imports cryptography, so import it where something is sealed or opened.
"""

import binascii
import hmac
import os
import re
from base64 import urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mmconsole.domain.secrets import Secret
from mmconsole.errors import Altered, Damaged, KeyNotHere
from mmconsole.secrets.forms import SEALED_PREFIX, seal_key_of
from mmconsole.secrets.seal_keys import SealKey, SealKeys

NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
_ENVELOPE: Final = re.compile(re.escape(SEALED_PREFIX) + r"([a-z0-9]{1,16})\$([A-Za-z0-9_-]+)\Z")
_URLSAFE: Final = str.maketrans("-_", "+/")


class Sealer:
    """Seals with the current key and opens with any. Its ciphers are made once: a list opens 100,000 envelopes."""

    def __init__(self, keys: SealKeys, *, installation_id: str) -> None:
        self.current = keys.current.id
        self._ciphers = {key.id: AESGCM(key.material()) for key in keys.keys}
        self._fingerprint_keys = [subkey(key, installation_id, "fingerprint") for key in keys.keys]

    def seal(self, secret: Secret, bound_to: bytes) -> str:
        """A new envelope with a random nonce. `bound_to` must be the same on opening."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self.current].encrypt(nonce, _bytes_of(secret), bound_to)
        return f"{SEALED_PREFIX}{self.current}${_encoded(nonce + sealed)}"

    def open(self, envelope: str, bound_to: bytes) -> Secret:
        """Raises Damaged, KeyNotHere, or Altered, which also stands for an envelope of another place."""
        key_id, raw = _taken_apart(envelope)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise KeyNotHere(key_id=key_id)
        try:
            text = cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to)
        except InvalidTag as fault:
            otherwise = f"it was sealed for another row or another installation (key {key_id})"
            raise Altered(otherwise=otherwise) from fault
        return Secret(text.decode("utf-8", "surrogatepass"))

    def key_of(self, text: str) -> str:
        """The id of the key that an envelope names."""
        return seal_key_of(text)

    def fingerprints(self, secret: Secret) -> list[str]:
        """HMAC-SHA256 in hex under each key, the current one's first: tells a known secret, and nothing about it."""
        raw = _bytes_of(secret)
        return [hmac.digest(key, raw, "sha256").hex() for key in self._fingerprint_keys]


def _taken_apart(envelope: str) -> tuple[str, bytes]:
    """Key id, and nonce with ciphertext and tag."""
    match = _ENVELOPE.match(envelope)
    if match is None:
        raise Damaged(why="it is no envelope")
    key_id, encoded = match.groups()
    try:
        raw = binascii.a2b_base64(encoded.translate(_URLSAFE) + "=" * (-len(encoded) % 4), strict_mode=True)
    except binascii.Error as fault:
        raise Damaged(why="it is no envelope") from fault
    # The unused bits of the last character would let several texts mean one envelope.
    if len(raw) < NONCE_BYTES + TAG_BYTES or _encoded(raw) != encoded:
        raise Damaged(why="its envelope is too short or has an odd end")
    return key_id, raw


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes_of(secret: Secret) -> bytes:
    # A strict encoder's error would carry the secret along.
    return secret.reveal().encode("utf-8", "surrogatepass")


def subkey(key: SealKey, installation_id: str, purpose: str) -> bytes:
    """A key for another purpose than sealing, of this installation alone."""
    told = f"mmconsole|v1|{installation_id}|{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=told).derive(key.material())
