"""Users by what people call them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.servers.application import add_users

from mmconsole.database import EmbeddedUser
from mmconsole.database.connection import IN_LIST, Connection

if TYPE_CHECKING:
    from mmconsole.database import Database

MANY = [f"nobody{number}@x.org" for number in range(IN_LIST + 1)]


@pytest.mark.parametrize("others", [[], MANY], ids=["few", "many"])
async def test_users_are_found_by_id_and_address_and_username(
    database: Database, laravel: Database, others: list[str]
) -> None:
    await database.write(lambda tx: add_users(tx, [EmbeddedUser("a@x.org", "Ann"), EmbeddedUser("b@x.org", "1")]))

    ours = await database.read(lambda db: db.names.find_all(["2", " A@X.org ", "ANN", "1", "", "%", *others]))
    theirs = await laravel.read(lambda db: db.names.find_all(["7", "BO@example.org", "Ann Lee", "x", *others]))

    assert {name: ids for name, ids in ours.items() if ids} == {
        "2": ["2"],
        " A@X.org ": ["1"],
        "ANN": ["1"],
        "1": ["1"],
    }
    assert {name: ids for name, ids in theirs.items() if ids} == {"7": ["7"], "BO@example.org": ["8"]}
    assert len(ours) == 6 + len(others)


@pytest.mark.parametrize("others", [[], MANY], ids=["few", "many"])
async def test_a_name_that_fits_several_users_has_all_of_them(database: Database, others: list[str]) -> None:
    users = [EmbeddedUser("Ümlaut@x.org"), EmbeddedUser(" ümlaut@X.org", "bo"), EmbeddedUser("bo", "other")]
    await database.write(lambda tx: add_users(tx, users))

    found = await database.read(lambda db: db.names.find_all(["üMLAUT@x.org", "bo", *others]))

    assert (found["üMLAUT@x.org"], found["bo"]) == (["1", "2"], ["2", "3"])


async def test_thousands_of_names_are_found_in_one_pass(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmconsole.database.names._PAGE", 1_000)
    users = [EmbeddedUser(f"p{number}@x.org") for number in range(2_500)]
    await database.write(lambda tx: add_users(tx, users))
    names = [user.email or "" for user in users]
    statements: Counter[str] = Counter()
    rows = Connection.rows

    def counted(self: Connection, statement: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        statements[statement] += 1
        return rows(self, statement, values)

    monkeypatch.setattr(Connection, "rows", counted)
    found = await database.read(lambda db: db.names.find_all(names))

    assert [found[name] for name in names] == [[str(number)] for number in range(1, 2_501)]
    assert sum(statements.values()) == 4
