"""What stands in the token column, read in pages and exchanged value by value: for who rewrites the whole column."""

from typing import Any, Final, NamedTuple

from mmconsole.database.connection import Connection
from mmconsole.database.layout import Layout
from mmconsole.database.roster_statements import statements_for
from mmconsole.domain.users import UserId
from mmconsole.errors import OnlyAView

PAGE: Final = 1000


class Stored(NamedTuple):
    """A row's primary key, as the driver gives it, and what stands in its token column."""

    key: Any
    text: str

    def __repr__(self) -> str:
        # The text may be the plain secret.
        return f"Stored({self.user_id})"

    @property
    def user_id(self) -> UserId:
        return UserId(str(self.key))


class EnvelopeRepository:
    __slots__ = ("_connection", "_exchange", "_held", "_layout")

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self._connection = connection
        self._layout = layout
        statements = statements_for(connection.dialect, layout.names)
        self._held = statements.held
        token = statements.ours["token"]
        held = connection.dialect.as_text(token)
        self._exchange = f"{statements.store.format(changes=f'{token} = ?')} AND {held} = ?"

    def page(self, after: Stored | None, limit: int = PAGE) -> list[Stored]:
        """The next stored tokens in the order of the primary key."""
        if after is None:
            rows = self._connection.rows(self._held.first, (limit,))
        else:
            rows = self._connection.rows(self._held.next, (after.key, limit))
        return [Stored(key, str(held)) for key, held in rows]

    def exchange(self, user_id: UserId, old: str, new: str) -> bool:
        """Put another text in the place of one. False when something else stands there by now: then that stays.

        Raises OnlyAView.
        """
        if not self._layout.writable:
            raise OnlyAView(table=self._layout.names.table)
        native = self._layout.native(user_id)
        return native is not None and bool(self._connection.run(self._exchange, (new, native, old)))
