"""The people of the demo."""

from collections import Counter

import pytest

from mmconsole.cli.people import Before, people


def test_the_same_seed_makes_the_same_people() -> None:
    assert people(500, seed=7) == people(500, seed=7)
    assert people(500, seed=7) != people(500, seed=8)


@pytest.mark.parametrize("number", [1, 10, 45, 1_000])
def test_there_are_as_many_as_were_asked_for(number: int) -> None:
    assert len(people(number, seed=1)) == number


def test_every_awkward_kind_is_there() -> None:
    cast = people(1_000, seed=1)

    addresses = Counter((person.email or "").strip().lower() for person in cast)
    assert {person.before for person in cast} == set(Before)
    assert {"admin@example.test", "all@example.org", "system@example.org", "chris@example.net"} <= addresses.keys()
    assert any(count == 2 for address, count in addresses.items() if address.startswith("twin"))
    assert any(person.email is None for person in cast)
    assert any(person.deleted for person in cast)
    assert any(len(person.name) == 10_000 for person in cast)
    assert any("\x1b" in person.name for person in cast)


def test_nobody_but_the_twins_shares_an_address() -> None:
    addresses = Counter(
        person.email.strip().lower() for person in people(5_000, seed=3) if person.email and "@" in person.email
    )

    assert all(address.startswith("twin") for address, count in addresses.items() if count > 1)
