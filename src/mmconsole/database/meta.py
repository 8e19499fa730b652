"""Facts of this database as a whole: which installation it is, and which server it belongs to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mmconsole.database.connection import Connection
from mmconsole.errors import NotMigrated, OtherServer

INSTALLATION_ID: Final = "installation_id"
_DIAGNOSTIC_ID: Final = "server.diagnostic_id"
_URL: Final = "server.url"
_LAST_LOOK: Final = "server.last_look"
_LAST_FULL_LOOK: Final = "server.last_full_look"
_COMPARED_AT: Final = "observer.compared_at"


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """The one server this database belongs to."""

    diagnostic_id: str
    url: str


class MetaRepository:
    __slots__ = ("_connection", "_set")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._set = connection.dialect.upsert("mmconsole_meta", ("name",), ("value",))

    def get(self, name: str) -> str | None:
        row = self._connection.row("SELECT value FROM mmconsole_meta WHERE name = ?", (name,))
        return str(row[0]) if row else None

    def set(self, name: str, value: str | None) -> None:
        """Remember a value; None forgets it."""
        if value is None:
            self._connection.run("DELETE FROM mmconsole_meta WHERE name = ?", (name,))
        else:
            self._connection.run(self._set, (name, value))

    @property
    def installation_id(self) -> str:
        """26 characters made by the migration, which mark our tokens on the server."""
        found = self.get(INSTALLATION_ID)
        if found is None:
            raise NotMigrated(database="of this profile", missing="it has no installation id")
        return found

    @property
    def server(self) -> ServerIdentity | None:
        """The server this database is bound to; None before the first time."""
        known = self.get(_DIAGNOSTIC_ID)
        return None if known is None else ServerIdentity(known, self.get(_URL) or "")

    def bind_server(self, *, diagnostic_id: str, url: str) -> None:
        """Bind to this server, or make sure that it is the one. Raises OtherServer.

        A server that moved to another address is still itself.
        """
        self.check_server(diagnostic_id=diagnostic_id, url=url)
        self.set(_DIAGNOSTIC_ID, diagnostic_id)
        self.set(_URL, url)

    def check_server(self, *, diagnostic_id: str, url: str) -> None:
        """Raises OtherServer when the database is bound to another one."""
        known = self.server
        if known and known.diagnostic_id != diagnostic_id:
            raise OtherServer(known=known.url, server=url, found=diagnostic_id)

    @property
    def last_look(self) -> int:
        """The server's milliseconds of the last look at its accounts; 0 for never."""
        return int(self.get(_LAST_LOOK) or 0)

    @last_look.setter
    def last_look(self, server_time: int) -> None:
        self.set(_LAST_LOOK, str(server_time))

    @property
    def last_full_look(self) -> datetime | None:
        """When all accounts were last asked for, by our own clock."""
        found = self.get(_LAST_FULL_LOOK)
        return datetime.fromisoformat(found) if found else None

    @last_full_look.setter
    def last_full_look(self, moment: datetime) -> None:
        self.set(_LAST_FULL_LOOK, moment.isoformat())

    @property
    def compared_at(self) -> datetime | None:
        """When an observer last compared all rows with what we remember, by its own clock."""
        found = self.get(_COMPARED_AT)
        return datetime.fromisoformat(found) if found else None

    @compared_at.setter
    def compared_at(self, moment: datetime) -> None:
        self.set(_COMPARED_AT, moment.isoformat())
