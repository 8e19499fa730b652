"""The database of a profile, opened: checked once, then written by one thread and read by a few."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from mmconsole.config import Settings
from mmconsole.database.address import Address, address_of
from mmconsole.database.connection import Connection
from mmconsole.database.door import Door, looked_at
from mmconsole.database.layout import Layout, read_layout, read_projects
from mmconsole.database.migrate import heads_of
from mmconsole.database.migrations import REVISIONS, finished, unknown
from mmconsole.database.readers import Readers
from mmconsole.database.session import Session, Snapshot, Transaction
from mmconsole.database.writer import Writer
from mmconsole.errors import NewerSchema, NotMigrated

T = TypeVar("T")


class Database:
    """Synchronous inside, awaited from outside. A change or query is a function of the repositories.

    It runs in a thread, so it only calls the repositories and pure functions, and returns values.
    """

    def __init__(self, writer: Writer, readers: Readers, *, address: Address, layout: Layout) -> None:
        self._writer = writer
        self._readers = readers
        self._address = address
        self.layout = layout

    @property
    def name(self) -> str:
        return self._address.name

    @property
    def commits(self) -> int:
        """How many groups of changes were committed so far."""
        return self._writer.commits

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Run a change: all of it is stored and durable when this returns, or nothing when it raises.

        Whatever the change raises is raised here. Raises DatabaseError for what the database could not do.
        """
        return await self._writer.write(change)

    async def read(self, query: Callable[[Snapshot], T]) -> T:
        """Run a query on the database as of one moment."""
        return await self._readers.read(query)


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database of a profile. It belongs to the running event loop.

    Raises DatabaseUnreachable, NotMigrated, NewerSchema, TableMissing, ColumnMissing or ColumnUnfit.
    """
    address = address_of(settings)
    layout = await asyncio.to_thread(_checked, settings, address)
    writing, reading = Door(address, read_only=False), Door(address, read_only=True)
    whose = {"database": address.name}
    writer = Writer(partial(Session, writing, layout, **whose), **whose, of_a_file=address.sqlite)
    readers = Readers(partial(Session, reading, layout, **whose), **whose, of_a_file=address.sqlite)
    try:
        yield Database(writer, readers, address=address, layout=layout)
    finally:
        await writer.close()
        await readers.close()


def _checked(settings: Settings, address: Address) -> Layout:
    """Look whether everything is as it must be, before a thread is started."""
    if address.embedded and address.file is not None and not address.file.exists():
        raise NotMigrated(database=address.name, missing="there is no such file yet")
    with looked_at(address) as connection:
        _demand_migrated(connection, address)
        users = read_layout(connection, settings.users_table, database=address.name, embedded=address.embedded)
        return replace(users, projects=read_projects(connection, settings.projects_table, database=address.name))


def _demand_migrated(connection: Connection, address: Address) -> None:
    heads = heads_of(connection)
    if heads is None:
        raise NotMigrated(database=address.name, missing="nothing has run yet")
    newer = unknown(heads)
    if newer:
        raise NewerSchema(database=address.name, found=newer)
    done = finished(heads)
    wanted = [revision for revision in REVISIONS if address.embedded or not revision.embedded_only]
    missing = [revision.name for revision in wanted if revision.id not in done]
    if missing:
        raise NotMigrated(database=address.name, missing=f"{missing[0]} has not run")
