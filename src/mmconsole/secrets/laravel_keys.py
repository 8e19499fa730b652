"""The keys of the Laravel application whose column we share: its APP_KEY and APP_PREVIOUS_KEYS.

They are the application's. We read them from one place, and never make or change one.
"""

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mmconsole.config import Settings
from mmconsole.domain.secrets import Secret
from mmconsole.errors import LaravelKeyMissing, LaravelKeyUnfit
from mmconsole.secrets.places import Place, place_of

_PREFIX: Final = "base64:"
_KEY_BYTES: Final = {"AES-128": 16, "AES-256": 32}


@dataclass(frozen=True, slots=True)
class LaravelKey:
    """One key. `secret` is the base64 of its 16 or 32 bytes; the id is ours, since Laravel has none."""

    id: str
    secret: Secret

    def material(self) -> bytes:
        """The bytes themselves."""
        return base64.b64decode(self.secret.reveal())


@dataclass(frozen=True, slots=True)
class LaravelKeys:
    """All keys in order, at least one: the first writes, all of them read."""

    cipher: str
    keys: tuple[LaravelKey, ...]
    source: str
    """As it follows "in the"."""

    @property
    def current(self) -> LaravelKey:
        return self.keys[0]


def load(
    settings: Settings, *, interactive: bool | None = None, environment: Mapping[str, str] = os.environ
) -> LaravelKeys:
    """The keys. Raises LaravelKeyMissing, LaravelKeyUnfit, and SecretError for a place that fails."""
    where = place(settings, interactive=interactive, environment=environment)
    text = where.read()
    return from_text(text or Secret(""), cipher=settings.values.laravel.cipher, source=where.description)


def store(
    settings: Settings,
    text: Secret,
    *,
    interactive: bool | None = None,
    environment: Mapping[str, str] = os.environ,
) -> LaravelKeys:
    """Keep the application's keys. Raises the same, and SecretError where only others can write."""
    where = place(settings, interactive=interactive, environment=environment)
    keys = from_text(text, cipher=settings.values.laravel.cipher, source=where.description)
    where.write(Secret(text.reveal().strip()))
    return keys


def place(settings: Settings, *, interactive: bool | None = None, environment: Mapping[str, str] = os.environ) -> Place:
    """Where this profile's application keeps its keys, or where a copy of them lives."""
    return place_of(
        settings.values.laravel,
        key="laravel.source",
        name=f"{settings.profile}.laravel-keys",
        interactive=interactive,
        environment=environment,
    )


def from_text(text: Secret, *, cipher: str, source: str) -> LaravelKeys:
    """The keys of a text that has them as Laravel writes them, between commas or on lines of their own."""
    written = [one for one in re.split(r"[,\s]+", text.reveal()) if one]
    if not written:
        raise LaravelKeyMissing(source=source)
    keys = [_key_of(one, number, cipher, source) for number, one in enumerate(written, 1)]
    # A key that stands there twice is one key.
    return LaravelKeys(cipher, tuple({key.id: key for key in keys}.values()), source)


def _key_of(written: str, number: int, cipher: str, source: str) -> LaravelKey:
    raw, needed = _bytes_of(written), _KEY_BYTES[cipher[:7]]
    if raw is None or len(raw) != needed:
        found = "is no base64" if raw is None else f"has {len(raw)}"
        raise LaravelKeyUnfit(number=number, source=source, cipher=cipher, needed=needed, found=found)
    key_id = "k" + hashlib.sha256(b"mmconsole|v1|laravel key id|" + raw).hexdigest()[:8]
    return LaravelKey(key_id, Secret(base64.b64encode(raw).decode()))


def _bytes_of(written: str) -> bytes | None:
    """The bytes of a key; None when it is damaged. Without the prefix it is the key itself, as in Laravel."""
    if not written.startswith(_PREFIX):
        return written.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(written.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return None
