"""The people of the demo: mostly ordinary ones in many scripts, and every awkward kind a users table ever had.

The same seed makes the same people.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from typing import Final

AWKWARD_SHARE: Final = 24
"""One in so many is awkward."""


class Before(StrEnum):
    """What Mattermost had of somebody before the first sync."""

    NOTHING = "nothing"
    VERIFIED = "an account with a verified address"
    UNVERIFIED = "an account whose address nobody verified"
    DEACTIVATED = "a deactivated account"
    LIVE_TOKEN = "an account and a token that works"  # noqa: S105 - words
    DEAD_TOKEN = "an account and a token that is revoked"  # noqa: S105 - words


@dataclass(frozen=True, slots=True)
class Person:
    """A row of the application's users table, and what the server knows of it."""

    name: str
    email: str | None
    verified: bool = True
    deleted: bool = False
    locale: str | None = None
    before: Before = Before.NOTHING


_NAMES: Final = (
    ("Ann Baker", "ann.baker", "en"),
    ("Jürgen Groß", "juergen.gross", "de"),
    ("Şeyma Yıldız", "seyma.yildiz", "tr"),  # noqa: RUF001 - a dotless i is what it is about
    ("محمد علي", "mohamed.ali", "ar"),
    ("王小明", "xiaoming.wang", "zh-CN"),
    ("Анна Петрова", "anna.petrova", "ru"),
    ("🦊 Mia Fuchs", "mia.fuchs", "de"),
    ("Zoë O'Brien", "zoe.obrien", "en-AU"),
    ("João d'Ávila", "joao.davila", "pt_BR"),
    ("Ελένη Παπαδοπούλου", "eleni.p", "el"),
    ("山田 花子", "hanako.yamada", "ja"),
    ("김철수", "chulsoo.kim", "ko"),
    ("नेहा शर्मा", "neha.sharma", "hi"),
    ("Nguyễn Thị Ánh", "anh.nguyen", "vi"),
    ("Łukasz Wójcik", "lukasz.wojcik", "pl"),
    ("דוד כהן", "david.cohen", "he"),
    ("Madonna", "madonna", None),
    ("İbrahim Çelik", "ibrahim.celik", "tr"),
)
_DOMAINS: Final = ("example.org", "example.com", "example.net")
_RESERVED: Final = ("all", "system", "channel", "here", "matterbot")


def people(number: int, *, seed: int) -> list[Person]:
    """So many people, each awkward kind at least once if there is room for it."""
    chance = random.Random(seed)  # noqa: S311 - nobody's secret depends on it
    serial = count(1)
    made = list(_once())
    for kind in _AWKWARD:
        made += kind(next(serial))
    while len(made) < number:
        if chance.randrange(AWKWARD_SHARE) == 0:
            made += chance.choice(_AWKWARD)(next(serial))
        else:
            made.append(_ordinary(next(serial), chance))
    made = made[:number]
    chance.shuffle(made)
    return made


def _ordinary(number: int, chance: random.Random) -> Person:
    name, local, locale = chance.choice(_NAMES)
    verified = chance.random() < 0.9  # noqa: PLR2004 - most applications see most addresses verified
    return Person(name, f"{local}{number}@{chance.choice(_DOMAINS)}", verified, locale=locale)


# ── awkward kinds ────────────────────────────────────────────────────────────────────────────────


def _once() -> Iterator[Person]:
    """Who cannot be there twice."""
    yield Person("The Administrator", "admin@example.test")
    for name in _RESERVED:
        yield Person(f"Mr. {name.title()}", f"{name}@example.org")
    for domain in _DOMAINS:
        yield Person("Chris Same", f"chris@{domain}")
    yield Person("Robert'); DROP TABLE users;--", "bobby.tables@example.org")


def _same_address(number: int) -> list[Person]:
    one = Person("Twin Müller", f"twin{number}@example.org")
    return [one, replace(one, name="Twin Mueller", email=f"Twin{number}@Example.ORG")]


def _known(before: Before, name: str, local: str, *, verified: bool = True) -> Callable[[int], list[Person]]:
    """Somebody who was on the server before."""
    return lambda number: [Person(name, f"{local}{number}@example.org", verified, locale="en", before=before)]


def _plain(name: str, email: str | None, *, deleted: bool = False) -> Callable[[int], list[Person]]:
    """A row that is awkward by itself; a `#` in its address becomes the number."""
    return lambda number: [Person(name, email.replace("#", str(number)) if email else email, deleted=deleted)]


_AWKWARD: Final[tuple[Callable[[int], list[Person]], ...]] = (
    _same_address,
    _plain("Shouting Sam", "  SAM.SHOUT#@EXAMPLE.ORG "),
    _plain("No Address", None),
    _plain("Empty Address", ""),
    _plain("Odd Address", "n/a"),
    _plain("Long " + "x" * 9_995, "long#@example.org"),
    _plain("\x1b[31mRed\x1b[0m \u202eesreveR", "red#@example.org"),
    _plain("", "nameless#@example.org"),
    _plain("Gone Already", "gone#@example.org", deleted=True),
    _known(Before.VERIFIED, "Vera Known", "vera"),
    _known(Before.VERIFIED, "Una Checked", "una", verified=False),
    _known(Before.UNVERIFIED, "Ursula Open", "ursula"),
    _known(Before.DEACTIVATED, "Dea Ctivated", "dea"),
    _known(Before.LIVE_TOKEN, "Laura Vel", "laura"),
    _known(Before.DEAD_TOKEN, "Old Token", "oldtoken"),
)
