"""Passwords, hashed so cheaply that a test may have thousands of them."""

from __future__ import annotations

import hashlib
import hmac

ROUNDS = 1
"""The real server takes 0.12 s for each; here only the table in `costs.py` pretends to."""


def hashed(password: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), ROUNDS).hex()


def matches(password: str, salt: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(hashed(password, salt), expected)
