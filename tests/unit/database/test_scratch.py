"""What a sync saw on the server."""

import os
import resource
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


async def test_accounts_come_back_as_they_were(tmp_path: Path) -> None:
    with open_scratch() as scratch:
        await scratch.add_accounts([ANN, BO])

        assert await scratch.accounts_by_email(["ann@example.org", "ANN@example.org", "x@x"]) == {
            "ann@example.org": ANN
        }
        assert await scratch.accounts_by_id([BO.id, AccountId("x")]) == {BO.id: BO}
        assert await scratch.count_accounts() == 2


async def test_tokens_are_found_by_id_and_by_account() -> None:
    with open_scratch() as scratch:
        await scratch.add_tokens([token(1, 7), token(2, 7)])
        assert await scratch.tokens_by_id([TokenId(f"{1:026d}")]) == {token(1, 7).id: token(1, 7)}
        await scratch.add_tokens([token(3, 8)])

        found = await scratch.tokens_of([AccountId(f"{n:026d}") for n in (7, 8, 9)])

        assert found == {f"{7:026d}": [token(1, 7), token(2, 7)], f"{8:026d}": [token(3, 8)]}


async def test_a_row_that_comes_on_two_pages_is_one_row_as_it_came_last() -> None:
    with open_scratch() as scratch:
        renamed = Token(token(1, 7).id, token(1, 7).account_id, "renamed")
        await scratch.add_tokens([token(1, 7), token(2, 7)])
        await scratch.add_tokens([renamed])
        await scratch.add_accounts([ANN, ANN])

        assert await scratch.tokens_by_id([renamed.id]) == {renamed.id: renamed}
        assert await scratch.tokens_of([renamed.account_id]) == {renamed.account_id: [renamed, token(2, 7)]}
        assert await scratch.count_tokens() == 2
        assert await scratch.count_accounts() == 1


async def test_a_username_is_taken_by_an_account_or_by_this_run() -> None:
    with open_scratch() as scratch:
        await scratch.add_accounts([ANN])

        assert await scratch.reserve_username("cee")
        assert not await scratch.reserve_username("cee")

        assert await scratch.usernames_taken(["ann", "bo", "cee"]) == {"ann", "cee"}


async def test_a_hundred_thousand_rows_neither_weigh_nor_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_scratch() as scratch:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await fill(scratch, 100_000)
        wanted = [TokenId(f"{n:026d}") for n in range(0, 100_000, 20)]

        found = await scratch.tokens_by_id(wanted)

        assert set(found) == set(wanted)
        assert await scratch.count_tokens() == 100_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - pathlib would block the loop just as much


async def fill(scratch: Scratch, count: int) -> None:
    for start in range(0, count, 1000):
        await scratch.add_tokens([token(n * 7919 % count, n) for n in range(start, start + 1000)])


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
        await kept.count_accounts()
