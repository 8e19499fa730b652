"""Passwords for new accounts."""

import string

from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.accounts import PasswordPolicy
from mmconsole.secrets import random_password

policies = st.builds(
    PasswordPolicy,
    minimum_length=st.integers(0, 72),
    maximum_length=st.just(72),
    lowercase=st.booleans(),
    uppercase=st.booleans(),
    number=st.booleans(),
    symbol=st.booleans(),
)


@given(policies)
def test_a_password_is_long_and_has_characters_of_every_class(policy: PasswordPolicy) -> None:
    password = random_password(policy)

    text = password.reveal()
    assert max(policy.minimum_length, 32) <= len(text.encode()) <= 72
    for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
        assert set(kind) & set(text)
    assert text not in repr(password)


def test_no_two_passwords_are_alike() -> None:
    passwords = {random_password(PasswordPolicy()).reveal() for _ in range(1000)}

    assert len(passwords) == 1000


def test_a_server_with_a_lower_maximum_gets_a_shorter_one() -> None:
    assert len(random_password(PasswordPolicy(maximum_length=20)).reveal()) == 20
