"""Ids and secrets: 26 letters of Mattermost's alphabet, the same ones for the same seed."""

from __future__ import annotations

import random

ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
ID_LENGTH = 26
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)


class Ids:
    """A source of ids. Two letters at a time, because a million users need three million of them."""

    __slots__ = ("_bits",)

    def __init__(self, seed: int) -> None:
        self._bits = random.Random(seed).getrandbits  # noqa: S311 - it shall be foreseeable

    def new(self) -> str:
        bits = self._bits(130)
        pairs = _PAIRS
        return "".join([pairs[(bits >> shift) & 1023] for shift in range(0, 130, 10)])


def is_id(text: object) -> bool:
    """Mattermost accepts any 26 letters or digits as the form of an id, not only its own alphabet."""
    return isinstance(text, str) and len(text) == ID_LENGTH and text.isalnum()
