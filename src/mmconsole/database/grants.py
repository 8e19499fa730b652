"""The rights that the user of `database.url` needs, and no more, as statements for an administrator of the server."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mmconsole.config import Settings
from mmconsole.database.address import address_of
from mmconsole.database.layout import OUR_FIELDS
from mmconsole.database.migrations import VERSION_TABLE

if TYPE_CHECKING:
    from sqlalchemy import URL

OUR_TABLES: Final = (
    *("meta", "leases", "tokens", "intents", "jobs", "job_items", "activity", "columns"),
    *("projects", "tickets", "api_keys", "user_events"),
)
NUMBERED: Final = ("jobs", "activity", "user_events")
"""Tables whose rows PostgreSQL numbers by a sequence, which has rights of its own."""
SANCTUM_COLUMNS: Final = ("id", "token", "tokenable_type", "tokenable_id", "abilities", "created_at", "expires_at")
"""What is read of the application's Sanctum tokens."""
_CHANGE: Final = "SELECT, INSERT, UPDATE, DELETE"


@dataclass(frozen=True, slots=True)
class Grants:
    """Nothing in either for a file."""

    running: list[str]
    """For every command but `migrate`."""
    migrating: list[str]
    """For `migrate` in addition. A second user can have these."""


def grants(settings: Settings, *, role: str | None = None) -> Grants:
    """What a role needs; the user of `database.url` if none is named. The database is not asked."""
    address = address_of(settings)
    if address.sqlite:
        return Grants([], [])
    who = role or address.url.username or "mmconsole"
    kind = _PostgreSQL if address.url.get_backend_name() == "postgresql" else _MySQL
    return kind(settings, address.url, who).grants()


class _PostgreSQL:
    _sign = '"'

    def __init__(self, settings: Settings, url: "URL", who: str) -> None:
        self._settings = settings
        self._url = url
        self._who = self._quoted(who)

    def grants(self) -> Grants:
        running = [*self._entry(), *self._application()]
        running += [self._grant(_CHANGE, self._ours(f"mmconsole_{table}")) for table in OUR_TABLES]
        running += [self._grant("SELECT", self._ours(VERSION_TABLE)), *self._numbers()]
        return Grants(running, list(self._migration()))

    # ── the application's tables ─────────────────────────────────────────────────────────────────

    def _application(self) -> Iterator[str]:
        """Only the mapped columns are read, and only the two are written."""
        users, projects = self._settings.users_table, self._settings.projects_table
        ours = [name for field, name in users.columns.items() if field in OUR_FIELDS and name]
        yield self._grant(self._on("SELECT", users.columns.values()), self._theirs(users.table))
        if users.base:
            yield self._grant(self._on("SELECT", [users.id, *ours]), self._theirs(users.base))
        yield self._grant(self._on("UPDATE", ours), self._theirs(users.written))
        if projects.table:
            yield self._grant(self._on("SELECT", projects.columns.values()), self._theirs(projects.table))
        sanctum = self._settings.values.web.sanctum
        if sanctum.enabled:
            yield self._grant(self._on("SELECT", SANCTUM_COLUMNS), self._theirs(sanctum.table))

    def _on(self, right: str, columns: Iterable[str | None]) -> str:
        names = ", ".join(self._quoted(name) for name in dict.fromkeys(columns) if name)
        return f"{right} ({names})"

    # ── what the servers spell differently ───────────────────────────────────────────────────────

    def _entry(self) -> Iterator[str]:
        # The schema of the workers' queue is made by the first one that comes.
        rights = "CONNECT, CREATE" if self._settings.values.workers.share else "CONNECT"
        yield f"GRANT {rights} ON DATABASE {self._quoted(self._url.database or '')} TO {self._who};"
        for schema in self._schemas():
            yield f"GRANT USAGE ON SCHEMA {schema} TO {self._who};"

    def _schemas(self) -> list[str]:
        users, sanctum = self._settings.users_table, self._settings.values.web.sanctum
        tables = (users.table, users.base, self._settings.projects_table.table, sanctum.enabled and sanctum.table)
        named = [table.rpartition(".")[0] for table in tables if table and "." in table]
        return [self._quoted(one) for one in dict.fromkeys(["public", *named])]

    def _numbers(self) -> Iterator[str]:
        for table in NUMBERED:
            yield self._grant("USAGE", f"SEQUENCE mmconsole_{table}_id_seq")

    def _migration(self) -> Iterator[str]:
        yield f"GRANT CREATE ON SCHEMA public TO {self._who};"
        yield f"-- Columns and triggers are added by the owner of {self._settings.users_table.written} alone."

    def _grant(self, right: str, on: str) -> str:
        return f"GRANT {right} ON {on} TO {self._who};"

    def _ours(self, table: str) -> str:
        return table

    def _theirs(self, table: str) -> str:
        return ".".join(self._quoted(part) for part in table.split("."))

    def _quoted(self, name: str) -> str:
        return f"{self._sign}{name.replace(self._sign, self._sign * 2)}{self._sign}"


class _MySQL(_PostgreSQL):
    _sign = "`"

    def __init__(self, settings: Settings, url: "URL", who: str) -> None:
        super().__init__(settings, url, who)
        self._who = who if "@" in who else f"{self._quoted(who)}@'%'"

    def _entry(self) -> Iterator[str]:
        yield from ()

    def _numbers(self) -> Iterator[str]:
        yield from ()

    def _migration(self) -> Iterator[str]:
        rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, TRIGGER"
        yield f"GRANT {rights} ON {self._quoted(self._url.database or '')}.* TO {self._who};"

    def _ours(self, table: str) -> str:
        return self._theirs(table)

    def _theirs(self, table: str) -> str:
        named = table if "." in table else f"{self._url.database}.{table}"
        return super()._theirs(named)
