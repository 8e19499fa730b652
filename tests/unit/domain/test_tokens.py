"""The description that marks a token as ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmconsole.domain.tokens import DESCRIPTION_BYTES, OperationId, describe, is_ours, operation_of
from mmconsole.domain.users import UserId

INSTALLATION = "i" * 26
OPERATION = OperationId("0123456789abcdef")

user_ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=300).map(UserId)
operations = st.from_regex(r"[0-9a-f]{16}", fullmatch=True).map(OperationId)


def test_description_is_readable() -> None:
    assert describe(INSTALLATION, UserId("7"), OPERATION) == f"mmconsole:v1:{INSTALLATION}:7:{OPERATION}"


def test_uuid_stays_readable() -> None:
    uuid = UserId("123e4567-e89b-12d3-a456-426614174000")

    assert uuid in describe(INSTALLATION, uuid, OPERATION)


@given(user_ids, operations)
def test_law_any_id_fits_and_its_operation_comes_back(user_id: UserId, operation: OperationId) -> None:
    description = describe(INSTALLATION, user_id, operation)

    assert len(description.encode()) <= DESCRIPTION_BYTES
    assert operation_of(description, installation_id=INSTALLATION, user_id=user_id) == operation
    assert is_ours(description)
    assert is_ours(description, installation_id=INSTALLATION)


@given(user_ids, user_ids, operations)
def test_law_a_description_is_of_one_user_only(one: UserId, other: UserId, operation: OperationId) -> None:
    description = describe(INSTALLATION, one, operation)

    found = operation_of(description, installation_id=INSTALLATION, user_id=other)
    assert (found is None) == (one != other)


def test_ids_with_colons_do_not_run_into_the_operation() -> None:
    tricky = UserId("7:0123")

    assert (
        operation_of(describe(INSTALLATION, tricky, OPERATION), installation_id=INSTALLATION, user_id=UserId("7"))
        is None
    )


@pytest.mark.parametrize("description", ["", "mmconsole", "Laravel", "mmconsole:v2:i:7:o", "my mmconsole:v1:i:7:o"])
def test_descriptions_that_are_not_ours(description: str) -> None:
    assert not is_ours(description)
    assert operation_of(description, installation_id=INSTALLATION, user_id=UserId("7")) is None


def test_token_of_another_installation_carries_our_marker_and_is_nobodys_operation() -> None:
    description = describe("other", UserId("7"), OPERATION)

    assert is_ours(description)
    assert not is_ours(description, installation_id=INSTALLATION)
    assert operation_of(description, installation_id=INSTALLATION, user_id=UserId("7")) is None
