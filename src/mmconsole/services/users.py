"""Users as the database knows them: the application's row, the link, the token's health."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from mmconsole.database import Database
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import AmbiguousName, UserUnknown

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user with what we remember. The token's secret is no part of it."""

    user: User
    record: TokenRecord

    @property
    def health(self) -> Health:
        """What to show as status."""
        if self.record.account_id is None and self.record.health is Health.UNKNOWN:
            return Health.NO_ACCOUNT
        return self.record.health


class Users:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def resolve(self, names: tuple[str, ...]) -> tuple[UserId, ...]:
        """The users behind what an operator typed (id, e-mail or username), each once.

        Raises UserUnknown and AmbiguousName.
        """
        found = await self._database.read(lambda db: [(name, db.roster.find(name)) for name in names])
        return tuple(dict.fromkeys(_only(name, ids) for name, ids in found))

    async def show(self, name: str) -> KnownUser:
        """One user by id, e-mail or username."""
        ids = await self.resolve((name,))
        rows = await self._database.read(lambda db: db.roster.rows(ids))
        if not rows:
            raise UserUnknown(name=name)
        return _known(*rows[0])

    async def all(self, *, health: Health | None = None) -> AsyncIterator[KnownUser]:
        """Everybody in the order of the users table, or those of one health; read in pages."""
        after: UserId | None = None
        while rows := await self._page(after):
            for user, record in rows:
                known = _known(user, record)
                if health is None or known.health is health:
                    yield known
            after = rows[-1][0].id

    async def _page(self, after: UserId | None) -> list[tuple[User, TokenRecord | None]]:
        return await self._database.read(lambda db: db.roster.page(after, _PAGE))


def _known(user: User, record: TokenRecord | None) -> KnownUser:
    return KnownUser(user, record or TokenRecord(user.id))


def _only(name: str, ids: list[UserId]) -> UserId:
    if not ids:
        raise UserUnknown(name=name)
    if len(ids) > 1:
        raise AmbiguousName(name=name, ids=", ".join(ids[:5]))
    return ids[0]
