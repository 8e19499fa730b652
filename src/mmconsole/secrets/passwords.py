"""Passwords that nobody keeps: an account needs one to be made, and its owner signs in by other ways."""

from secrets import token_urlsafe
from typing import Final

from mmconsole.domain.accounts import PasswordPolicy
from mmconsole.domain.secrets import Secret

WANTED_LENGTH: Final = 32
LENGTH_LIMIT: Final = 72
"""Bytes that bcrypt looks at, and the most that Mattermost takes."""
_ONE_OF_EACH: Final = "aA1!"


def random_password(policy: PasswordPolicy) -> Secret:
    """A random password that the policy takes: 6 bits a character, and one of every class whatever is demanded."""
    length = min(max(policy.minimum_length, WANTED_LENGTH), policy.maximum_length, LENGTH_LIMIT)
    return Secret(token_urlsafe(LENGTH_LIMIT)[: length - len(_ONE_OF_EACH)] + _ONE_OF_EACH)
