"""Users by what an operator calls them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mmconsole.database import Database
from mmconsole.domain.plans import Outcome, Result
from mmconsole.domain.users import UserId
from mmconsole.errors import AmbiguousName, MmconsoleError, NobodyKnown, UserUnknown

_NAMED: Final = 5
"""So many unknown names are told in one sentence."""


@dataclass(frozen=True, slots=True)
class Meant:
    """Whom a list of names means."""

    ids: tuple[UserId, ...]
    """Each user once."""
    refused: tuple[Result, ...] = ()
    """The names that mean nobody, or several, by themselves."""


class Users:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def resolve(self, name: str) -> UserId:
        """The user behind what an operator typed: id, e-mail or username. Raises UserUnknown and AmbiguousName."""
        return _only(name, (await self._database.read(lambda db: db.names.find_all((name,))))[name])

    async def meant(self, names: Sequence[str]) -> Meant:
        """The users behind many names. One that is mistyped keeps nobody else waiting: it is refused by itself.

        Raises UserUnknown, AmbiguousName and NobodyKnown when no user is left.
        """
        found = await self._database.read(lambda db: db.names.find_all(names))
        users: dict[UserId, None] = {}
        faults: dict[str, UserUnknown | AmbiguousName] = {}
        for name in names:
            try:
                users[_only(name, found[name])] = None
            except (UserUnknown, AmbiguousName) as fault:
                faults[name] = fault
        if faults and not users:
            raise _nobody(faults)
        return Meant(
            tuple(users), tuple(Result(UserId(name), Outcome.REFUSED, str(one)) for name, one in faults.items())
        )


def _nobody(faults: dict[str, UserUnknown | AmbiguousName]) -> MmconsoleError:
    if len(faults) == 1:
        return next(iter(faults.values()))
    first = ", ".join(f"`{name}`" for name in [*faults][:_NAMED])
    rest = len(faults) - _NAMED
    return NobodyKnown(names=f"{first} and {rest:,} more" if rest > 0 else first)


def _only(name: str, ids: list[UserId]) -> UserId:
    if not ids:
        raise UserUnknown(name=name)
    if len(ids) > 1:
        raise AmbiguousName(name=name, of="users", ids=", ".join(ids[:5]))
    return ids[0]
