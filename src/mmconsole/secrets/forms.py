"""The forms in which a user's secret can stand in the application's table, told apart by looking at the text."""

import base64
import json
import re
from enum import StrEnum
from typing import Final

SEALED_PREFIX: Final = "mm1$"
_SEALED: Final = re.compile(re.escape(SEALED_PREFIX) + r"([a-z0-9]{1,16})\$")
_PLAIN: Final = re.compile(r"[a-z0-9]{26}\Z")
_LARAVEL_BEGINS: Final = "eyJ"
"""Laravel's JSON starts with `{"`, and these are its first characters in base64."""
_LARAVEL_LIMIT: Final = 65_535
"""Characters; what a TEXT column of MySQL holds."""


class Form(StrEnum):
    """How a secret is stored; the names are those of `tokens.storage`."""

    SEALED = "sealed"
    LARAVEL = "laravel"
    PLAIN = "plain"


WIDTHS: Final = {Form.SEALED: 96, Form.LARAVEL: 228, Form.PLAIN: 26}
"""Characters that a column must hold for a token in this form; sealed has room for a longer key id."""


def form_of(text: str) -> Form | None:
    """The form a text looks like, or None. Says nothing of whether it opens."""
    if text.startswith(SEALED_PREFIX):
        return Form.SEALED
    if _PLAIN.match(text):
        return Form.PLAIN
    return Form.LARAVEL if laravel_parts(text) is not None else None


def seal_key_of(text: str) -> str:
    """The id of the key that a sealed text names; empty for every other text."""
    match = _SEALED.match(text)
    return match[1] if match else ""


def begins_like_laravel(text: str) -> bool:
    """Whether it may be the beginning of what Laravel wrote into a column that was too narrow."""
    return text.startswith(_LARAVEL_BEGINS)


def laravel_parts(text: str) -> dict[str, str] | None:
    r"""Its `iv`, `value`, `mac` and `tag` (older versions of Laravel write none).

    None unless the text is base64 of such a JSON object, which is how Illuminate\\Encryption writes.
    """
    if not begins_like_laravel(text) or len(text) > _LARAVEL_LIMIT:
        return None
    try:
        parts = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(parts, dict) or not all(isinstance(parts.get(name), str) for name in ("iv", "value", "mac")):
        return None
    tag = parts.get("tag") or ""
    return {**parts, "tag": tag} if isinstance(tag, str) else None
