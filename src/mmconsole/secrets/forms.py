"""The forms in which a user's secret can stand in the application's table, told apart by looking at the text."""

import base64
import json
import re
from enum import StrEnum
from typing import Final

SEALED_PREFIX: Final = "mm1$"
_PLAIN: Final = re.compile(r"[a-z0-9]{26}\Z")
_LARAVEL_LIMIT: Final = 65_535
"""Characters; what a TEXT column of MySQL holds."""


class Form(StrEnum):
    """How a secret is stored; the names are those of `tokens.storage`."""

    SEALED = "sealed"
    LARAVEL = "laravel"
    PLAIN = "plain"


WIDTHS: Final = {Form.SEALED: 96, Form.LARAVEL: 256, Form.PLAIN: 26}
"""Characters that a column must hold for a token in this form, with room for a longer key id."""


def form_of(text: str) -> Form | None:
    """The form a text looks like, or None. Says nothing of whether it opens."""
    if text.startswith(SEALED_PREFIX):
        return Form.SEALED
    if _PLAIN.match(text):
        return Form.PLAIN
    return Form.LARAVEL if _looks_like_laravel(text) else None


def _looks_like_laravel(text: str) -> bool:
    r"""Whether it is base64 of `{"iv": …, "value": …, "mac": …}`, which is how Illuminate\\Encryption writes."""
    # Laravel's JSON starts with `{"`, and these are its first characters in base64.
    if not text.startswith("eyJ") or len(text) > _LARAVEL_LIMIT:
        return False
    try:
        parts = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, RecursionError):
        return False
    return isinstance(parts, dict) and all(isinstance(parts.get(name), str) for name in ("iv", "value", "mac"))
