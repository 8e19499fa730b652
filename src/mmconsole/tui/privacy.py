"""What is covered while the screen is shared: names and addresses, also within a sentence."""

import re
from typing import Final

COVER: Final = "•••••"
"""As long for everybody: a length would give a name away."""
_ADDRESS: Final = re.compile(r"[^\s<>()\[\]{},;:'\"`]*@[^\s<>()\[\]{},;:'\"`]+")
"""`ann@example.org`, and `@ann` as the server calls people."""


def mask(text: str, *, hidden: bool) -> str:
    """A name or an address: the first letter stays, so that rows can be told apart."""
    return f"{text[0]}{COVER}" if hidden and text else text


def mask_within(sentence: str, *, hidden: bool) -> str:
    """A sentence without the addresses and account names in it."""
    return _ADDRESS.sub(COVER, sentence) if hidden and "@" in sentence else sentence
