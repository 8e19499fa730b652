"""What of a user can be taken into the clipboard."""

from collections.abc import Callable, Sequence
from typing import Final

from mmconsole.domain.documents import as_json
from mmconsole.domain.text import visible
from mmconsole.services.overview import ListedUser
from mmconsole.tui.cells import harmless
from mmconsole.tui.menu import Choice
from mmconsole.tui.privacy import mask, mask_within
from mmconsole.tui.user_rows import label, reason

_TEXTS: Final[dict[str, Callable[[ListedUser], str]]] = {
    "user": lambda listed: label(listed, masked=False),
    "id": lambda listed: listed.user.id,
    "email": lambda listed: listed.user.email or "",
    "token": lambda listed: listed.record.token_id or "",
    "error": reason,
    "json": lambda listed: as_json(listed.document()),
}
WORDS: Final = {
    "user": "user",
    "id": "id",
    "email": "e-mail",
    "token": "token id",
    "error": "error",
    "json": "row as JSON",
}
_KEYS: Final = {"user": "u", "id": "i", "email": "e", "token": "t", "error": "r", "json": "j"}


def text_of(kind: str, users: Sequence[ListedUser]) -> str:
    """A line for each user who has such a thing, and nothing in it that acts where it is pasted."""
    return "\n".join(visible(text) for text in map(_TEXTS[kind], users) if text)


def choices(listed: ListedUser | None, count: int, *, masked: bool) -> list[Choice]:
    """What can be copied of one user; of several, if they are not one (`count`)."""
    return [_choice(kind, listed, count, masked=masked) for kind in WORDS]


def _choice(kind: str, listed: ListedUser | None, count: int, *, masked: bool) -> Choice:
    if count != 1 or listed is None:
        return Choice(kind, _KEYS[kind], WORDS[kind], f"of {count:,} users, a line each")
    text = _TEXTS[kind](listed)
    if kind in {"user", "email"}:
        shown = mask(text, hidden=masked)
    else:
        shown = "" if kind == "json" else mask_within(text, hidden=masked)
    return Choice(kind, _KEYS[kind], WORDS[kind], harmless(shown) or ("" if text else "none"), able=bool(text))
