"""Signatures over what leaves this installation and comes back: plan files.

They are made with a subkey of the seal key. An installation that seals nothing has a key of its own in its database.
"""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import Final, Self

from mmconsole.domain.secrets import Secret

OF_INSTALLATION: Final = "installation"
"""The name of the key where there is no seal key. A seal key's own name is never longer than 16 characters."""
KEY_BYTES: Final = 32


class Signing:
    """Keys that sign and check. The first of them signs; after a rotation the older ones still check."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self.current = next(iter(keys))

    @classmethod
    def of_installation(cls, secret: Secret) -> Self:
        return cls({OF_INSTALLATION: secret.reveal().encode()})

    def begin(self, key_id: str) -> "hmac.HMAC | None":
        """A signature to be fed with what is signed; None when there is no such key here."""
        key = self._keys.get(key_id)
        return None if key is None else hmac.new(key, digestmod="sha256")


def new_installation_key() -> Secret:
    return Secret(b64encode(secrets.token_bytes(KEY_BYTES)).decode())
