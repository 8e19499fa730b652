"""What a sync saw on the server."""

import asyncio
import os
import resource
import sys
import tempfile
from pathlib import Path

import pytest

from mmconsole.database import Scratch, open_scratch
from mmconsole.domain.accounts import Account, AccountId
from mmconsole.domain.tokens import Token, TokenId

ANN = Account(AccountId("a" * 26), "ann", "Ann@Example.org", "Ann", "Lee", locale="de", is_bot=True, update_at=17)
BO = Account(AccountId("b" * 26), "bo", "bo@example.org", email_verified=None, remote_id="r")


def token(number: int, account: int) -> Token:
    return Token(TokenId(f"{number:026d}"), AccountId(f"{account:026d}"), f"token {number}", number % 2 == 0, number)


def is_active(scratch: Scratch, token_id: TokenId, account_id: AccountId) -> bool:
    assert scratch.active([(token_id, account_id)]) == [scratch.all_active([(token_id, account_id)])]
    return scratch.all_active([(token_id, account_id)])


async def test_accounts_come_back_as_they_were(tmp_path: Path) -> None:
    with open_scratch() as scratch:
        await scratch.add_accounts([ANN, BO])

        assert await scratch.accounts_by_email(["ann@example.org", "ANN@example.org", "x@x"]) == {
            "ann@example.org": ANN
        }


async def test_an_active_token_is_known_by_its_id_and_its_account() -> None:
    with open_scratch() as scratch:
        await scratch.add_tokens([token(2, 7), token(4, 8)])

        assert is_active(scratch, token(2, 7).id, token(2, 7).account_id)
        assert not is_active(scratch, token(2, 7).id, token(4, 8).account_id)
        await scratch.add_tokens([token(6, 8)])
        assert is_active(scratch, token(6, 8).id, token(6, 8).account_id)


async def test_a_disabled_token_comes_back_as_it_was_and_is_not_active() -> None:
    with open_scratch() as scratch:
        await scratch.add_tokens([token(1, 7), token(2, 7)])

        assert await scratch.disabled([token(1, 7).id, token(2, 7).id]) == {token(1, 7).id: token(1, 7)}
        assert not is_active(scratch, token(1, 7).id, token(1, 7).account_id)


async def test_a_row_that_comes_on_two_pages_is_one_row() -> None:
    with open_scratch() as scratch:
        await scratch.add_tokens([token(1, 7), token(2, 7)])
        await scratch.add_tokens([token(1, 7), token(2, 7)])
        await scratch.add_accounts([ANN, ANN])

        assert await scratch.disabled([token(1, 7).id]) == {token(1, 7).id: token(1, 7)}
        assert is_active(scratch, token(2, 7).id, token(2, 7).account_id)
        assert await scratch.accounts_by_email(["ann@example.org"]) == {"ann@example.org": ANN}


async def test_a_hundred_thousand_rows_neither_weigh_nor_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_scratch() as scratch:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await fill(scratch, 100_000)
        wanted = [TokenId(f"{n:026d}") for n in range(1, 100_000, 20)]

        found = await scratch.disabled(wanted)

        assert set(found) == set(wanted)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - pathlib would block the loop just as much


async def fill(scratch: Scratch, count: int) -> None:
    for start in range(0, count, 1000):
        await scratch.add_tokens([token(n * 7919 % count, n) for n in range(start, start + 1000)])


async def test_pages_that_come_at_once_do_not_disturb_each_other() -> None:
    switched = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with open_scratch() as scratch:
            async with asyncio.TaskGroup() as group:
                for page in range(40):
                    group.create_task(scratch.add_tokens([token(1, page * 1000 + n) for n in range(1000)]))

            assert await scratch.disabled([token(1, 0).id])
    finally:
        sys.setswitchinterval(switched)


async def test_an_error_in_the_block_still_closes_it() -> None:
    kept: Scratch | None = None

    async def use() -> None:
        nonlocal kept
        with open_scratch() as kept:
            await kept.add_accounts([ANN])
            message = "x"
            raise ValueError(message)

    with pytest.raises(ValueError, match="x"):
        await use()

    assert kept
    with pytest.raises(RuntimeError):
        await kept.accounts_by_email([])
