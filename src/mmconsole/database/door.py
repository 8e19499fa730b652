"""Plain connections: what is on the way of every command, and leaves BEGIN and COMMIT to its user.

A file is opened by its own driver. How a server's driver is to be set up SQLAlchemy knows, and to import that takes
0.3 s: longer than all the rest of a command that only reads.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmconsole.database.address import Address, make_engine, open_file, told
from mmconsole.database.connection import Connection
from mmconsole.database.dialect import Dialect

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlConnection
    from sqlalchemy import Engine


class Door:
    """Opens as many connections as are wanted, in any thread."""

    def __init__(self, address: Address, *, read_only: bool) -> None:
        self._address = address
        self._read_only = read_only
        self._engine: Engine | None = None

    def open(self) -> Connection:
        """A connection of whoever asks, who closes it. Raises DatabaseError."""
        with told(self._address):
            return self._of_a_server() if self._address.file is None else self._of_a_file()

    def _of_a_file(self) -> Connection:
        return Connection(open_file(self._address, read_only=self._read_only), Dialect("sqlite"))

    def _of_a_server(self) -> Connection:
        # It remembers what the server is, which takes longer to ask than to connect.
        self._engine = self._engine or make_engine(self._address, plain=True, read_only=self._read_only)
        pooled = self._engine.raw_connection()
        driver = pooled.driver_connection
        assert driver is not None  # noqa: S101 - only a detached connection has none
        pooled.detach()
        return Connection(driver, _dialect_of(self._engine))


@contextmanager
def looked_at(address: Address) -> Iterator[Connection]:
    """A connection for one look. Raises DatabaseError."""
    with told(address):
        connection = Door(address, read_only=True).open()
        try:
            yield connection
        finally:
            connection.close()


def plain(connection: "SqlConnection") -> Connection:
    """The connection behind one of SQLAlchemy's, in the same transaction."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - only a detached connection has none
    return Connection(driver, _dialect_of(connection.engine))


def _dialect_of(engine: "Engine") -> Dialect:
    return Dialect(engine.dialect.name, mariadb=bool(getattr(engine.dialect, "is_mariadb", False)))
