"""The keys that sealed secrets are sealed with: made, kept in one place, and read from it.

A lost key is a lost column, so nothing here ever overwrites one; only `retire` forgets those that have had their day.
"""

import base64
import hashlib
import json
import os
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from mmconsole.config import Settings
from mmconsole.domain.secrets import Secret
from mmconsole.errors import SealKeyExists, SealKeyMissing, SecretError
from mmconsole.secrets.places import Place, place_of

KEY_BYTES: Final = 32
_ID: Final = re.compile(r"[a-z0-9]{1,16}\Z")


@dataclass(frozen=True, slots=True)
class SealKey:
    """One key. `secret` is the base64 of its 32 bytes."""

    id: str
    secret: Secret
    created_at: datetime | None = None

    @classmethod
    def new(cls, *, now: datetime) -> Self:
        raw = secrets.token_bytes(KEY_BYTES)
        return cls(_id_of(raw), Secret(base64.b64encode(raw).decode()), now)

    def material(self) -> bytes:
        """The 32 bytes themselves."""
        return base64.b64decode(self.secret.reveal())


@dataclass(frozen=True, slots=True)
class SealKeys:
    """All keys in order: the first is the current one and seals, all of them open."""

    keys: tuple[SealKey, ...]

    def __post_init__(self) -> None:
        if not self.keys or len({key.id for key in self.keys}) != len(self.keys):
            raise ValueError("seal keys need at least one key, and an id for each")

    @property
    def current(self) -> SealKey:
        return self.keys[0]


@dataclass(frozen=True, slots=True)
class SealStatus:
    """What can be told of the keys without telling them. The first of `keys` is the current one; none may be."""

    source: str
    warning: str
    keys: tuple[tuple[str, datetime | None], ...]
    """Id and time of making, where it is known."""


def load(
    settings: Settings, *, interactive: bool | None = None, environment: Mapping[str, str] = os.environ
) -> SealKeys:
    """The keys. Raises SealKeyMissing when there are none."""
    where = place(settings, interactive=interactive, environment=environment)
    keys = _read(where)
    if keys is None:
        raise SealKeyMissing(which="", source=where.description)
    return keys


def init(
    settings: Settings,
    *,
    now: datetime | None = None,
    interactive: bool | None = None,
    environment: Mapping[str, str] = os.environ,
) -> SealKeys:
    """Make and store the first key. Raises SealKeyExists when there is one."""
    where = place(settings, interactive=interactive, environment=environment)
    known = _read(where)
    if known is not None:
        raise SealKeyExists(key_id=known.current.id)
    keys = in_memory(now=now)
    where.write(as_text(keys))
    return keys


def begin_rotation(
    settings: Settings,
    *,
    now: datetime | None = None,
    interactive: bool | None = None,
    environment: Mapping[str, str] = os.environ,
) -> SealKeys:
    """Put a new key before the known one, which goes on opening.

    Where there is more than one key, a rotation was begun before, and those are the keys to go on with. Raises
    SealKeyMissing, and SecretError where only others can write.
    """
    known = load(settings, interactive=interactive, environment=environment)
    if len(known.keys) > 1:
        return known
    keys = _with_new(known, now or datetime.now(UTC))
    place(settings, interactive=interactive, environment=environment).write(as_text(keys))
    return keys


def retire(
    settings: Settings,
    key_ids: Collection[str],
    *,
    interactive: bool | None = None,
    environment: Mapping[str, str] = os.environ,
) -> SealKeys:
    """Forget keys that nothing is sealed with any more. The current one always stays."""
    known = load(settings, interactive=interactive, environment=environment)
    kept = SealKeys(tuple(key for key in known.keys if key is known.current or key.id not in key_ids))
    if kept != known:
        place(settings, interactive=interactive, environment=environment).write(as_text(kept))
    return kept


def in_memory(*, now: datetime | None = None) -> SealKeys:
    """New keys that are stored nowhere, for the demo."""
    return SealKeys((SealKey.new(now=now or datetime.now(UTC)),))


def status(
    settings: Settings, *, interactive: bool | None = None, environment: Mapping[str, str] = os.environ
) -> SealStatus:
    where = place(settings, interactive=interactive, environment=environment)
    keys = _read(where)
    told = tuple((key.id, key.created_at) for key in keys.keys) if keys else ()
    return SealStatus(where.description, where.warning, told)


def export(
    settings: Settings,
    *,
    with_new: bool = False,
    interactive: bool | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Secret:
    """All keys as one text, for a backup or for a place that only others can write.

    `with_new` puts a new key before them, with which a rotation begins where only others can write.
    """
    keys = load(settings, interactive=interactive, environment=environment)
    return as_text(_with_new(keys, datetime.now(UTC)) if with_new else keys)


def place(settings: Settings, *, interactive: bool | None = None, environment: Mapping[str, str] = os.environ) -> Place:
    """Where this profile's keys live."""
    return place_of(
        settings.values.seal,
        key="seal.source",
        name=f"{settings.profile}.seal-keys",
        interactive=interactive,
        environment=environment,
    )


def as_text(keys: SealKeys) -> Secret:
    """`{"current": "k1", "keys": {"k1": "<base64>"}, "created": {"k1": "<time>"}}`."""
    kept = {
        "current": keys.current.id,
        "keys": {key.id: key.secret.reveal() for key in keys.keys},
        "created": {key.id: key.created_at.isoformat() for key in keys.keys if key.created_at},
    }
    return Secret(json.dumps(kept))


def from_text(text: Secret) -> SealKeys | None:
    """The keys of such a text; None when it is not one. An error of parsing would carry the keys along."""
    try:
        kept = json.loads(text.reveal())
        created = kept.get("created", {})
        current = kept["current"]
        ids = [current, *(key_id for key_id in kept["keys"] if key_id != current)]
        return SealKeys(tuple(_checked(key_id, kept["keys"][key_id], created.get(key_id)) for key_id in ids))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _read(where: Place) -> SealKeys | None:
    text = where.read()
    if text is None:
        return None
    keys = from_text(text)
    if keys is None:
        raise SecretError(why=f"what is in the {where.description} is not a set of seal keys; bring back your copy")
    return keys


def _with_new(keys: SealKeys, now: datetime) -> SealKeys:
    return SealKeys((SealKey.new(now=now), *keys.keys))


def _checked(key_id: str, encoded: str, created_at: str | None) -> SealKey:
    raw = base64.b64decode(encoded, validate=True)
    if not _ID.match(key_id) or len(raw) != KEY_BYTES:
        raise ValueError
    return SealKey(key_id, Secret(encoded), datetime.fromisoformat(created_at) if created_at else None)


def _id_of(raw: bytes) -> str:
    """An id made from the key, so that another key never goes by the same name and a wrong copy is noticed."""
    return "k" + hashlib.sha256(b"mmconsole|v1|key id|" + raw).hexdigest()[:8]
