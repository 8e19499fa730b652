"""How much the server takes in one call."""

from typing import Final

MEMBERS_AT_ONCE: Final = 1_000
"""Ids in one question for members; as many as the server takes in one call that adds them (11.6.0)."""
