"""Filters: which users are meant, in one language for console, commands and HTTP.

    status:expired,revoked team:eng checked>30d -bot "Ann Lee"

Terms stand side by side and all of them must hold; values between commas are alternatives; `-` turns a term round.

    ann "Ann Lee"             in the id, e-mail, username or name; case and width of spaces do not count
    email: username: name: locale: cause:      the same in one of them
    id: account: token:       exactly this id
    status:                   a word of the health table
    active: withheld: link: verified:          yes or no
    team:                     who is in it must be asked of the server first (`Filter.teams`)
    checked created expires   `checked>30d` more than 30 days ago, or never; `expires<14d` ends within 14 days, or has
                              ended; `created<2026-01-31` before that day (UTC); also <= and >=, and `:never`

`parse` reads it, `str()` writes it, `Filter.matches` answers it. The same answer in SQL is in `database/filters.py`.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NoReturn, TypeVar

from mmconsole.domain.accounts import AccountId
from mmconsole.domain.health import AsOf, status_of
from mmconsole.domain.spans import LONGEST, SECONDS, span_text
from mmconsole.domain.text import visible
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.domain.users import User
from mmconsole.errors import BadFilter

TEXT_FIELDS: Final = ("email", "username", "name", "locale", "cause")
ID_FIELDS: Final = ("id", "account", "token")
FLAG_FIELDS: Final = ("active", "withheld", "link", "verified")
MOMENT_FIELDS: Final = ("checked", "created", "expires")
FIELDS: Final = ("status", *TEXT_FIELDS, *ID_FIELDS, *FLAG_FIELDS, *MOMENT_FIELDS, "team")

EVERYWHERE: Final = ""
"""The field of a bare word: id, e-mail, username and name."""
BETWEEN: Final = "\x01"
"""Stands between the fields that a bare word is looked for in, so that no match crosses from one into the next."""
VALUES_LIMIT: Final = 500
"""Values of a whole filter: below what any database takes as parameters, or as the depth of a condition."""

Teams = Mapping[str, Collection[AccountId]]
"""The accounts of each team, by its name in lower case."""
NO_TEAMS: Final[Teams] = MappingProxyType({})

_NEVER: Final = "never"
_FLAGS: Final = {"yes": True, "no": False}
_YEARS: Final = range(1970, 3000)
_AGE: Final = re.compile(r"([0-9]{1,10})([smhdw])", re.IGNORECASE)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HEAD: Final = re.compile(r"([A-Za-z_]+)(:|<=|>=|<|>)")
_BARE: Final = re.compile(r"[^\s,]*")
_SPACE: Final = re.compile(r"\s*")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_QUOTES: Final = re.compile(rf'[\s,"]|\A-|\A{_HEAD.pattern}')
# No database takes half a surrogate pair (a byte that was no UTF-8), and PostgreSQL no NUL.
_UNFIT: Final = re.compile("[\x00\ud800-\udfff]")

T = TypeVar("T")


class Comparison(StrEnum):
    BEFORE = "<"
    UNTIL = "<="
    AFTER = ">"
    FROM = ">="


_TURNED: Final = {
    Comparison.BEFORE: Comparison.AFTER,
    Comparison.UNTIL: Comparison.FROM,
    Comparison.AFTER: Comparison.BEFORE,
    Comparison.FROM: Comparison.UNTIL,
}
EARLIER: Final = frozenset({Comparison.BEFORE, Comparison.UNTIL})


class Sort(StrEnum):
    """What a list can be sorted by."""

    ID = "id"
    EMAIL = "email"
    NAME = "name"
    USERNAME = "username"
    STATUS = "status"
    """The gravest first."""
    CHECKED = "checked"
    CREATED = "created"
    EXPIRES = "expires"


@dataclass(frozen=True, slots=True)
class Order:
    """What has no value comes last in both directions; what is equal follows its id."""

    by: Sort = Sort.ID
    descending: bool = False


# ── conditions ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Contains:
    """One of the values is part of the field's text."""

    field: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return (f"{self.field}:" if self.field else "") + _listed(self.values)


@dataclass(frozen=True, slots=True)
class Equals:
    """The id is one of the values."""

    field: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.field}:{_listed(self.values)}"


@dataclass(frozen=True, slots=True)
class Shows:
    """The status that is shown is one of these."""

    statuses: tuple[Health, ...]

    def __str__(self) -> str:
        return f"status:{','.join(self.statuses)}"


@dataclass(frozen=True, slots=True)
class Is:
    field: str
    yes: bool

    def __str__(self) -> str:
        return f"{self.field}:{'yes' if self.yes else 'no'}"


@dataclass(frozen=True, slots=True)
class Never:
    """There is no such moment."""

    field: str

    def __str__(self) -> str:
        return f"{self.field}:{_NEVER}"


@dataclass(frozen=True, slots=True)
class Compared:
    """A moment, by how far it is from now, or by a day (UTC)."""

    field: str
    comparison: Comparison
    bound: timedelta | date

    def __str__(self) -> str:
        return f"{self.field}{self.comparison}{self._bound_as_text()}"

    def _bound_as_text(self) -> str:
        if not isinstance(self.bound, timedelta):
            return self.bound.isoformat()
        # A bare `0` is a span, and no age.
        return span_text(self.bound) if self.bound else "0d"

    @property
    def counts_never(self) -> bool:
        """Whether a missing moment fits: what was never checked was not checked lately."""
        by_age = isinstance(self.bound, timedelta)
        long_ago = _TURNED[self.comparison] if by_age else self.comparison
        return self.field == "checked" and long_ago in EARLIER

    def instant(self, now: datetime) -> tuple[Comparison, datetime]:
        """The same as a comparison of the moment itself: `checked>30d` is `<` 30 days before now."""
        if not isinstance(self.bound, timedelta):
            return self._on_the_calendar(self.bound)
        if self.field == "expires":
            return self.comparison, now + self.bound
        return _TURNED[self.comparison], now - self.bound

    def _on_the_calendar(self, day: date) -> tuple[Comparison, datetime]:
        whole = self.comparison in {Comparison.UNTIL, Comparison.AFTER}
        edge = datetime.combine(day, time(), UTC) + timedelta(days=1 if whole else 0)
        return Comparison.BEFORE if self.comparison in EARLIER else Comparison.FROM, edge


@dataclass(frozen=True, slots=True)
class InTeam:
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"team:{_listed(self.names)}"


Condition = Contains | Equals | Shows | Is | Never | Compared | InTeam


@dataclass(frozen=True, slots=True)
class Term:
    condition: Condition
    negated: bool = False

    def __str__(self) -> str:
        return f"{'-' if self.negated else ''}{self.condition}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms that must all hold. Without any it means everybody. `str()` of it parses back to the same."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))

    def __bool__(self) -> bool:
        return bool(self.terms)

    def teams(self) -> frozenset[str]:
        """The teams it names, in lower case. Their accounts must be known before it can be answered."""
        named = (term.condition.names for term in self.terms if isinstance(term.condition, InTeam))
        return frozenset(name.lower() for names in named for name in names)

    def demand(self, teams: Teams) -> None:
        """Raises BadFilter when it names a team whose accounts are not given."""
        for name in sorted(self.teams() - teams.keys()):
            text = str(self)
            at = max(text.lower().find("team:"), 0)
            why = f"who is in the team `{visible(name)}` only the server knows, and it was not asked"
            raise BadFilter(text=text, at=at, why=why)

    def matches(self, user: User, record: TokenRecord | None, as_of: AsOf, *, teams: Teams = NO_TEAMS) -> bool:
        """Whether it means this user, with what we remember of them. Raises BadFilter, as `demand`."""
        self.demand(teams)
        known = record or TokenRecord(user.id)
        return all(_holds(term.condition, user, record, known, as_of, teams) != term.negated for term in self.terms)


# ── answering ────────────────────────────────────────────────────────────────────────────────────


def searchable(text: str) -> str:
    """Text as it is searched in: lower case in every script, and one space where there are several."""
    return " ".join(text.split()).lower()


def _holds(  # noqa: PLR0913, PLR0917 - everything a condition can be about
    condition: Condition, user: User, record: TokenRecord | None, known: TokenRecord, as_of: AsOf, teams: Teams
) -> bool:
    match condition:
        case Contains(field, values):
            text = searchable(_text_of(field, user, known))
            return any(searchable(value) in text for value in values)
        case Equals(field, values):
            return _id_of(field, user, known) in values
        case Shows(statuses):
            return status_of(user, record, as_of) in statuses
        case Is(field, yes):
            return _flag_of(field, user, known) is yes
        case Never(field):
            return _moment_of(field, known) is None
        case Compared(field):
            return _compares(condition, _moment_of(field, known), as_of.now)
        case InTeam(names):
            return any(known.account_id in teams[name.lower()] for name in names)


def _text_of(field: str, user: User, record: TokenRecord) -> str:
    texts = {
        "email": user.email or "",
        "username": user.username or "",
        "name": f"{user.first_name or ''} {user.last_name or ''}",
        "locale": user.locale or "",
        "cause": record.cause,
    }
    if field == EVERYWHERE:
        return BETWEEN.join((user.id, texts["email"], texts["username"], texts["name"]))
    return texts[field]


def _id_of(field: str, user: User, record: TokenRecord) -> str | None:
    return {"id": user.id, "account": record.account_id, "token": record.token_id}[field]


def _flag_of(field: str, user: User, record: TokenRecord) -> bool:
    flags = {
        "active": user.active,
        "withheld": record.withheld,
        "link": record.account_id is not None,
        "verified": user.email_verified,
    }
    return flags[field]


def _moment_of(field: str, record: TokenRecord) -> datetime | None:
    return {"checked": record.checked_at, "created": record.created_at, "expires": record.expires_at}[field]


def _compares(compared: Compared, moment: datetime | None, now: datetime) -> bool:
    if moment is None:
        return compared.counts_never
    comparison, edge = compared.instant(now)
    match comparison:
        case Comparison.BEFORE:
            return moment < edge
        case Comparison.UNTIL:
            return moment <= edge
        case Comparison.AFTER:
            return moment > edge
        case Comparison.FROM:
            return moment >= edge


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def _listed(values: tuple[str, ...]) -> str:
    return ",".join(map(_quoted_if_needed, values))


def _quoted_if_needed(value: str) -> str:
    if not _NEEDS_QUOTES.search(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def render(bad: BadFilter) -> str:
    """Two lines: the text, harmless for a terminal, and a caret below the place."""
    return f"{visible(bad.text)}\n{' ' * _cells(visible(bad.text[: bad.at]))}^"


def _cells(text: str) -> int:
    """How many cells of a terminal it takes."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def parse(text: str) -> Filter:
    """Read a filter. Nothing at all means everybody. Raises BadFilter."""
    return _Reader(text).read()


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    at: int


class _Reader:
    """Reads from left to right; `_at` is the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._values_read = 0

    def read(self) -> Filter:
        if unfit := _UNFIT.search(self._text):
            self._refuse(unfit.start(), "this character cannot be searched for")
        terms: list[Term] = []
        self._skip(_SPACE)
        while self._at < len(self._text):
            terms.append(self._term())
            self._skip(_SPACE)
        return Filter(tuple(terms))

    def _term(self) -> Term:
        negated = self._takes("-")
        head = _HEAD.match(self._text, self._at)
        if head is None:
            return Term(Contains(EVERYWHERE, _texts(self._values())), negated)
        field, at = head[1].lower(), self._at
        if field not in FIELDS:
            near = _nearest(field, FIELDS) or f"; there are {', '.join(FIELDS)}"
            self._refuse(at, f"there is no field `{field}`{near}")
        self._at = head.end(1)
        condition = self._moment(field) if field in MOMENT_FIELDS else self._condition(field)
        return Term(condition, negated)

    def _condition(self, field: str) -> Condition:
        if not self._takes(":"):
            self._refuse(self._at, f"only {', '.join(MOMENT_FIELDS)} can be compared; say `{field}:`")
        values = self._values()
        if field == "status":
            return Shows(tuple(self._status(value) for value in values))
        if field in FLAG_FIELDS:
            return Is(field, self._word(self._only(values), _FLAGS, f"`{field}` is yes or no"))
        if field in ID_FIELDS:
            return Equals(field, _texts(values))
        return InTeam(_texts(values)) if field == "team" else Contains(field, _texts(values))

    def _moment(self, field: str) -> Condition:
        at = self._at
        if self._takes(":"):
            why = f"after `{field}:` only `never` can stand; else say `{field}<30d` or `{field}>2026-01-31`"
            self._word(self._only(self._values()), {_NEVER: None}, why)
            return Never(field)
        long = 2 if self._text.startswith("=", at + 1) else 1
        self._at += long
        return Compared(field, Comparison(self._text[at : at + long]), self._bound(self._only(self._values())))

    def _bound(self, value: _Value) -> timedelta | date:
        if age := _AGE.fullmatch(value.text):
            return self._age(int(age[1]) * SECONDS[age[2].lower()], value)
        if not _DATE.fullmatch(value.text):
            self._refuse(value.at, "say an age as 30d (s, m, h, d or w) or a day as 2026-01-31")
        return self._day(value)

    def _age(self, seconds: int, value: _Value) -> timedelta:
        if seconds > LONGEST.total_seconds():
            self._refuse(value.at, f"no age is longer than {LONGEST.days} days")
        return timedelta(seconds=seconds)

    def _day(self, value: _Value) -> date:
        try:
            day = date.fromisoformat(value.text)
        except ValueError:
            self._refuse(value.at, "there is no such day")
        if day.year not in _YEARS:
            self._refuse(value.at, f"a day is of a year from {_YEARS[0]} to {_YEARS[-1]}")
        return day

    def _status(self, value: _Value) -> Health:
        known = {health.value: health for health in Health}
        said = value.text.lower()
        why = f"there is no status `{visible(said)}`{_nearest(said, tuple(known))}; there are {', '.join(known)}"
        return self._word(value, known, why)

    def _word(self, value: _Value, known: Mapping[str, T], why: str) -> T:
        if value.text.lower() not in known:
            self._refuse(value.at, why)
        return known[value.text.lower()]

    def _only(self, values: list[_Value]) -> _Value:
        if len(values) > 1:
            self._refuse(values[1].at, "only one value can stand here")
        return values[0]

    def _values(self) -> list[_Value]:
        values = [self._value()]
        while self._takes(","):
            values.append(self._value())
        if self._at < len(self._text) and not self._text[self._at].isspace():
            self._refuse(self._at, "after a closing quote comes a space or a comma")
        return values

    def _value(self) -> _Value:
        at = self._at
        text = self._quoted() if self._text.startswith('"', at) else self._skip(_BARE)
        if not text.strip():
            self._refuse(at, "a value is missing here")
        self._values_read += 1
        if self._values_read > VALUES_LIMIT:
            self._refuse(at, f"a filter takes {VALUES_LIMIT} values at most")
        return _Value(text, at)

    def _quoted(self) -> str:
        quoted = _QUOTED.match(self._text, self._at)
        if quoted is None:
            self._refuse(self._at, "this quote is not closed")
        self._at = quoted.end()
        return _ESCAPED.sub(r"\1", quoted[1])

    def _skip(self, pattern: re.Pattern[str]) -> str:
        """Go on behind what fits the pattern, which fits nothing at all too. Returns it."""
        found = pattern.match(self._text, self._at)
        self._at, text = (found.end(), found[0]) if found else (self._at, "")
        return text

    def _takes(self, character: str) -> bool:
        there = self._text.startswith(character, self._at)
        self._at += there
        return there

    def _refuse(self, at: int, why: str) -> NoReturn:
        raise BadFilter(text=self._text, at=at, why=why)


def _texts(values: list[_Value]) -> tuple[str, ...]:
    return tuple(value.text for value in values)


def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean `{close[0]}`?)" if close else ""
