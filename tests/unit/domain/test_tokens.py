"""The description that marks a token as ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.tokens import OperationId, describe, is_ours
from mmconsole.domain.users import UserId

INSTALLATION = "i" * 26
OPERATION = OperationId("0123456789abcdef")
LIMIT = 255
"""Bytes that Mattermost takes as a description (model.user_access_token, seen on 11.6.0)."""

user_ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=300).map(UserId)
operations = st.from_regex(r"[0-9a-f]{16}", fullmatch=True).map(OperationId)


def test_description_is_readable() -> None:
    assert describe(INSTALLATION, UserId("7"), OPERATION) == f"mmconsole:v1:{INSTALLATION}:7:{OPERATION}"


def test_uuid_stays_readable() -> None:
    uuid = UserId("123e4567-e89b-12d3-a456-426614174000")

    assert uuid in describe(INSTALLATION, uuid, OPERATION)


@given(user_ids, operations)
def test_law_any_id_fits_and_is_known_as_ours(user_id: UserId, operation: OperationId) -> None:
    description = describe(INSTALLATION, user_id, operation)

    assert len(description.encode()) <= LIMIT
    assert is_ours(description)
    assert is_ours(description, installation_id=INSTALLATION)


@given(user_ids, user_ids, operations)
def test_law_a_description_is_of_one_user_only(one: UserId, other: UserId, operation: OperationId) -> None:
    same = describe(INSTALLATION, one, operation) == describe(INSTALLATION, other, operation)

    assert same == (one == other)


def test_ids_with_colons_do_not_run_into_the_operation() -> None:
    tricky, operation = UserId("7:0123"), OperationId("0123:4567")

    assert describe(INSTALLATION, tricky, OperationId("4567")) != describe(INSTALLATION, UserId("7"), operation)


@pytest.mark.parametrize("description", ["", "mmconsole", "Laravel", "mmconsole:v2:i:7:o", "my mmconsole:v1:i:7:o"])
def test_descriptions_that_are_not_ours(description: str) -> None:
    assert not is_ours(description)


def test_token_of_another_installation_carries_our_marker() -> None:
    description = describe("other", UserId("7"), OPERATION)

    assert is_ours(description)
    assert not is_ours(description, installation_id=INSTALLATION)
