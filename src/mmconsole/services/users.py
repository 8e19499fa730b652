"""Users by what an operator calls them."""

from collections.abc import Sequence

from mmconsole.database import Database
from mmconsole.domain.users import UserId
from mmconsole.errors import AmbiguousName, MmconsoleError, UserUnknown


class Users:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def resolve(self, names: tuple[str, ...]) -> tuple[UserId, ...]:
        """The users behind what an operator typed (id, e-mail or username), each once.

        Raises UserUnknown and AmbiguousName.
        """
        found = await self._database.read(lambda db: db.names.find_all(names))
        return tuple(dict.fromkeys(_only(name, found[name]) for name in names))

    async def resolve_each(self, names: Sequence[str]) -> dict[str, UserId | MmconsoleError]:
        """The same for each name by itself: the user, or why there is none."""
        found = await self._database.read(lambda db: db.names.find_all(names))
        resolved: dict[str, UserId | MmconsoleError] = {}
        for name, ids in found.items():
            try:
                resolved[name] = _only(name, ids)
            except (UserUnknown, AmbiguousName) as fault:
                resolved[name] = fault
        return resolved


def _only(name: str, ids: list[UserId]) -> UserId:
    if not ids:
        raise UserUnknown(name=name)
    if len(ids) > 1:
        raise AmbiguousName(name=name, of="users", ids=", ".join(ids[:5]))
    return ids[0]
