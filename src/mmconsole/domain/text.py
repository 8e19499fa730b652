"""Text from outside made harmless, and names made legal for Mattermost."""

import re
import unicodedata
from typing import Final

USERNAME_LIMIT: Final = 64
"""Characters the server takes (seen on 11.6.0; its web page is stricter, which does not matter here)."""
RESERVED_USERNAMES: Final = frozenset({"all", "channel", "here", "matterbot", "system"})
"""The server refuses all of these but `here`, which would read as a mention of everybody online."""
NAME_LIMIT: Final = 64
"""Characters of a first or last name, and of a channel's name for people (seen on 11.6.0)."""
EMAIL_LIMIT: Final = 128
"""Characters of an address the server takes."""

_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_ILLEGAL: Final = re.compile(r"[^a-z0-9._-]+")
_LEGAL_USERNAME: Final = re.compile(r"[a-z0-9._-]{1,64}\Z")
_PLAIN: Final = re.compile(r"[\x20-\x7e]*\Z")
# Marks of order and obsolete letters, which the server itself takes out of names (its SanitizeUnicode). A name that
# kept one would be another than the account's after every update.
_TAKEN_OUT: Final = re.compile(
    "[\u0340\u0341\u17a3\u17d3\u2028-\u202e\u206a-\u206f\ufeff\ufff9-\ufffc\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""Show control, escape and direction-changing characters as symbols, so that text cannot act on a terminal.

    `\x1b` becomes `␛`, a newline `␊`, an override `⟨U+202E⟩`. Joiners that scripts need are kept.
    """
    if _PLAIN.match(text):
        return text
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    code = ord(character)
    if code < 0x20:  # noqa: PLR2004 - the C0 controls have pictures of their own
        return chr(0x2400 + code)
    if code == 0x7F:  # noqa: PLR2004 - DEL
        return "␡"
    if character in "\u200c\u200d":
        return character
    if character in _BIDI or unicodedata.category(character) in _HIDDEN:
        return f"⟨U+{code:04X}⟩"
    return character


def legal_username(wanted: str) -> str:
    """The nearest username that Mattermost takes: lower case, other scripts transliterated, at most 64 characters.

    Returns an empty string when nothing legal is left of it.
    """
    from anyascii import anyascii  # noqa: PLC0415 - it takes as long as three empty Pythons, and few commands need it

    folded = anyascii(wanted).lower().strip()
    name = _ILLEGAL.sub("-", folded).strip("-._")[:USERNAME_LIMIT].rstrip("-._")
    return f"{name}-1" if name in RESERVED_USERNAMES else name


def is_legal_username(name: str) -> bool:
    return bool(_LEGAL_USERNAME.match(name)) and name not in RESERVED_USERNAMES


def numbered_username(name: str, number: int) -> str:
    """The same name with a number behind it, still within the limit."""
    suffix = f"-{number}"
    return name[: USERNAME_LIMIT - len(suffix)].rstrip("-._") + suffix


def is_numbered(name: str, wanted: str) -> bool:
    """Whether a username is the wanted one, or that with a number behind it."""
    number = name.rpartition("-")[2]
    return name == wanted or (number.isdecimal() and numbered_username(wanted, int(number)) == name)


def fitting_name(name: str) -> str:
    """A name of a person or a channel as the server takes it: trimmed, without what it takes out, at most 64."""
    # Half a surrogate pair is no character, and no JSON of ours could carry it.
    clean = "".join(c for c in name if unicodedata.category(c) not in {"Cc", "Cs"})
    return _TAKEN_OUT.sub("", clean).strip()[:NAME_LIMIT].strip()
