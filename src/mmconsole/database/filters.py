"""Filters and statuses in SQL: the same answers as `domain/filters.py` and `domain/health.py`, for all rows at once."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mmconsole.database.columns import Kind
from mmconsole.database.connection import marks
from mmconsole.database.dialect import Dialect
from mmconsole.database.layout import Layout
from mmconsole.database.times import stored
from mmconsole.domain.filters import (
    BETWEEN,
    EVERYWHERE,
    Compared,
    Condition,
    Contains,
    Equals,
    Filter,
    InTeam,
    Is,
    Never,
    Order,
    Shows,
    Sort,
    Teams,
    Term,
    searchable,
)
from mmconsole.domain.health import GRAVEST_FIRST, OF_A_LOST_TOKEN, OF_THE_ACCOUNT, WORKS, AsOf
from mmconsole.domain.tokens import Health
from mmconsole.domain.users import UserId

_MOMENTS: Final = {"checked": "t.checked_at", "created": "t.created_at", "expires": "t.expires_at"}


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a statement and the values of its marks, in their order."""

    text: str
    values: tuple[object, ...] = ()


EVERYBODY: Final = Sql("1 = 1")


class Joined:
    """The users table `u` with what we remember `t`, as the names of the settings have it."""

    __slots__ = ("_dialect", "_layout", "has_token", "id", "source")

    def __init__(self, dialect: Dialect, layout: Layout) -> None:
        self._dialect = dialect
        self._layout = layout
        self.id = self._column("id")
        token = self._column("token")
        self.has_token = f"({token} IS NOT NULL AND {token} <> '')"
        table = dialect.quote(layout.names.table)
        self.source = f"{table} u LEFT JOIN mmconsole_tokens t ON t.user_id = {dialect.as_text(self.id)}"

    def status(self, as_of: AsOf) -> Sql:
        """The word that `status_of` gives."""
        works = self._of_a_working_token(as_of)
        text = (
            f"CASE WHEN t.health IN ({_words(OF_THE_ACCOUNT)}) THEN t.health"
            f" WHEN t.account_id IS NULL THEN '{Health.NO_ACCOUNT}'"
            f" WHEN t.health = '{Health.DISABLED}' THEN '{Health.DISABLED}'"
            f" WHEN t.withheld THEN '{Health.WITHHELD}'"
            f" WHEN t.health IN ({_words(OF_A_LOST_TOKEN)}) THEN t.health"
            f" WHEN NOT {self.has_token} THEN '{Health.MISSING}'"
            f" WHEN t.health NOT IN ({_words(WORKS)}) THEN '{Health.UNKNOWN}'"
            f" {works.text} ELSE '{Health.OK}' END"
        )
        return Sql(text, works.values)

    def where(self, wanted: Filter, as_of: AsOf, teams: Teams) -> Sql:
        """What `Filter.matches` says. Raises BadFilter for a team that is not given."""
        wanted.demand(teams)
        return _joined(" AND ", [self._term(term, as_of, teams) for term in wanted.terms]) if wanted else EVERYBODY

    def order(self, order: Order, as_of: AsOf) -> Sql:
        """What stands behind ORDER BY: the field without its gaps, the gaps last, then the id."""
        direction = "DESC" if order.descending else "ASC"
        if order.by is Sort.ID:
            return Sql(f"{self.id} {direction}")
        key = self._gravity(as_of) if order.by is Sort.STATUS else Sql(self._sorted_by(order.by))
        text, times = self._dialect.ordered(key.text, direction)
        return Sql(f"{text}, {self.id}", key.values * times)

    # ── terms ────────────────────────────────────────────────────────────────────────────────────

    def _term(self, term: Term, as_of: AsOf, teams: Teams) -> Sql:
        found = self._condition(term.condition, as_of, teams)
        # A comparison with NULL is neither true nor false, and must not stay so when it is turned round.
        text = f"NOT COALESCE({found.text}, FALSE)" if term.negated else found.text
        return Sql(text, found.values)

    def _condition(self, condition: Condition, as_of: AsOf, teams: Teams) -> Sql:
        match condition:
            case Contains(field, values):
                return self._contains(field, values)
            case Equals(field, values):
                return self._equals(field, values)
            case Shows(statuses):
                status = self.status(as_of)
                return Sql(f"({status.text} IN ({_words(statuses)}))", status.values)
            case Is(field, yes):
                return Sql(self._flag(field) if yes else f"(NOT {self._flag(field)})")
            case Never(field):
                return Sql(f"({_MOMENTS[field]} IS NULL)")
            case Compared():
                return _compared(condition, as_of)
            case InTeam(names):
                return self._in_team(names, teams)

    def _contains(self, field: str, values: tuple[str, ...]) -> Sql:
        text = self._dialect.searchable(self._text_of(field))
        found = f"{self._dialect.position(text)} > 0"
        return _joined(" OR ", [Sql(found, (searchable(value),)) for value in values])

    def _equals(self, field: str, values: tuple[str, ...]) -> Sql:
        if field != "id":
            return Sql(f"(t.{field}_id IN ({marks(len(values))}))", values)
        # An id that the key cannot have is nobody's.
        natives = [native for value in values if (native := self._layout.native(UserId(value))) is not None]
        if not natives:
            return Sql("(1 = 0)")
        found = f"{self.id} IN ({marks(len(natives))})"
        if self._layout.id_kind is not Kind.TEXT or not self._dialect.mysql:
            return Sql(f"({found})", tuple(natives))
        # The column's own collation, which the index needs, may take two ids for one.
        exact = f"{self._dialect.as_text(self.id)} IN ({marks(len(natives))})"
        return Sql(f"({found} AND {exact})", (*natives, *natives))

    def _flag(self, field: str) -> str:
        if field == "withheld":
            return "COALESCE(t.withheld, FALSE)"
        if field == "link":
            return "(t.account_id IS NOT NULL)"
        return self._verified() if field == "verified" else self._active()

    def _verified(self) -> str:
        verified = self._dialect.moment(self._column("email_verified_at"))
        return f"({verified} IS NOT NULL AND {self._dialect.says_yes(verified)})"

    def _active(self) -> str:
        active, deleted = self._column("active"), self._dialect.moment(self._column("deleted_at"))
        return f"({deleted} IS NULL AND ({active} IS NULL OR {self._dialect.says_yes(active)}))"

    def _in_team(self, names: tuple[str, ...], teams: Teams) -> Sql:
        accounts = sorted({str(account_id) for name in names for account_id in teams[name.lower()]})
        # One value however many accounts there are: a team can be the whole company.
        return Sql(f"(t.account_id IN ({self._dialect.unpacked()}))", (json.dumps(accounts),))

    # ── fields ───────────────────────────────────────────────────────────────────────────────────

    def _column(self, field: str) -> str:
        """The mapped column; NULL where there is none."""
        name = getattr(self._layout.names, field)
        return f"u.{self._dialect.quote(name)}" if name else "NULL"

    def _text(self, field: str) -> str:
        return f"COALESCE({self._dialect.as_text(self._column(field))}, '')"

    def _text_of(self, field: str) -> str:
        if field == EVERYWHERE:
            texts = (self._text("id"), self._text("email"), self._text("username"), self._name())
            return self._dialect.joined(f"'{BETWEEN}'", texts)
        if field == "name":
            return self._name()
        return "COALESCE(t.cause, '')" if field == "cause" else self._text(field)

    def _name(self) -> str:
        """First and last name, or the one column there is."""
        names = self._layout.names
        if names.first_name is None and names.last_name is None:
            return self._text("name")
        return self._dialect.joined("' '", (self._text("first_name"), self._text("last_name")))

    def _of_a_working_token(self, as_of: AsOf) -> Sql:
        old = None if as_of.lifetime is None else stored(as_of.now - as_of.lifetime)
        return Sql(
            f"WHEN t.expires_at <= ? THEN '{Health.EXPIRED}'"
            f" WHEN t.expires_at <= ? THEN '{Health.EXPIRING}'"
            f" WHEN t.expires_at IS NULL AND t.created_at <= ? THEN '{Health.OVERDUE}'",
            (stored(as_of.now), stored(as_of.now + as_of.soon), old),
        )

    def _gravity(self, as_of: AsOf) -> Sql:
        status = self.status(as_of)
        ranks = " ".join(f"WHEN '{health}' THEN {rank}" for rank, health in enumerate(GRAVEST_FIRST))
        return Sql(f"CASE {status.text} {ranks} END", status.values)

    def _sorted_by(self, sort: Sort) -> str:
        if sort.value in _MOMENTS:
            return _MOMENTS[sort.value]
        text = self._name() if sort is Sort.NAME else self._text(sort.value)
        return f"NULLIF({self._dialect.searchable(text)}, '')"


def _compared(compared: Compared, as_of: AsOf) -> Sql:
    moment = _MOMENTS[compared.field]
    comparison, edge = compared.instant(as_of.now)
    never = f" OR {moment} IS NULL" if compared.counts_never else ""
    return Sql(f"({moment} {comparison} ?{never})", (stored(edge),))


def _joined(word: str, pieces: list[Sql]) -> Sql:
    return Sql(f"({word.join(piece.text for piece in pieces)})", tuple(v for piece in pieces for v in piece.values))


def _words(healths: Iterable[Health]) -> str:
    return ", ".join(f"'{health}'" for health in healths)
