"""Passwords that nobody keeps: an account needs one to be made, and its owner signs in by other ways."""

import string
from secrets import SystemRandom
from typing import Final

from mmconsole.domain.accounts import PasswordPolicy
from mmconsole.domain.secrets import Secret

WANTED_LENGTH: Final = 32
LENGTH_LIMIT: Final = 72
"""Bytes that bcrypt looks at, and the most that Mattermost takes."""
_SYMBOLS: Final = "!#$%&()*+,-./:;<=>?@[]^_~"
_CLASSES: Final = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _SYMBOLS)


def random_password(policy: PasswordPolicy) -> Secret:
    """A random password that the policy takes. It has characters of every class, whatever the policy demands."""
    chance = SystemRandom()
    length = min(max(policy.minimum_length, WANTED_LENGTH), policy.maximum_length, LENGTH_LIMIT)
    characters = [chance.choice(kind) for kind in _CLASSES]
    characters += chance.choices("".join(_CLASSES), k=length - len(_CLASSES))
    chance.shuffle(characters)
    return Secret("".join(characters))
