"""Our own tables. The migrations make them; a test holds the two together.

Moments are whole microseconds since 1970 (`times.py`): the same in every database. Hot statements do not go through
these classes, and importing SQLModel takes most of a second, so only migrations' tests and tools import this module.
"""

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, String, Text, text
from sqlmodel import Field, SQLModel

metadata = MetaData()

BigId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column that is called INTEGER."""


class Ours(SQLModel):
    """A table of our own."""

    metadata: ClassVar[MetaData] = metadata


class Meta(Ours, table=True):
    __tablename__ = "mmconsole_meta"

    name: str = Field(sa_column=Column(String(64), primary_key=True))
    value: str = Field(sa_column=Column(Text, nullable=False))


class Tokens(Ours, table=True):
    __tablename__ = "mmconsole_tokens"
    __table_args__: ClassVar[Any] = (
        Index("mmconsole_tokens_account_id", "account_id"),
        Index("mmconsole_tokens_token_id", "token_id"),
        Index("mmconsole_tokens_fingerprint", "fingerprint"),
        {"sqlite_with_rowid": False},
    )

    user_id: str = Field(sa_column=Column(String(191), primary_key=True))
    account_id: str | None = Field(sa_column=Column(String(26)))
    token_id: str | None = Field(sa_column=Column(String(26)))
    description: str = Field(sa_column=Column(String(255), nullable=False))
    fingerprint: str = Field(sa_column=Column(String(64), nullable=False))
    health: str = Field(sa_column=Column(String(16), nullable=False))
    cause: str = Field(sa_column=Column(Text, nullable=False))
    checked_at: int | None = Field(sa_column=Column(BigInteger))
    created_at: int | None = Field(sa_column=Column(BigInteger))
    expires_at: int | None = Field(sa_column=Column(BigInteger))
    pushed_digest: str = Field(sa_column=Column(String(64), nullable=False))
    account_update_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    waiting_email: str = Field(sa_column=Column(Text, nullable=False))
    withheld: bool = Field(sa_column=Column(Boolean, nullable=False))
    deactivated_by_us: bool = Field(sa_column=Column(Boolean, nullable=False))


class Intents(Ours, table=True):
    __tablename__ = "mmconsole_intents"
    __table_args__: ClassVar[Any] = (Index("mmconsole_intents_user_id", "user_id"),)

    operation_id: str = Field(sa_column=Column(String(64), primary_key=True))
    user_id: str = Field(sa_column=Column(String(191), nullable=False))
    kind: str = Field(sa_column=Column(String(16), nullable=False))
    account_id: str | None = Field(sa_column=Column(String(26)))
    description: str = Field(sa_column=Column(String(255), nullable=False))
    opened_at: int = Field(sa_column=Column(BigInteger, nullable=False))


class Jobs(Ours, table=True):
    __tablename__ = "mmconsole_jobs"
    __table_args__: ClassVar[Any] = ({"sqlite_autoincrement": True},)

    id: int | None = Field(sa_column=Column(BigId, primary_key=True))
    kind: str = Field(sa_column=Column(String(32), nullable=False))
    title: str = Field(sa_column=Column(Text, nullable=False))
    state: str = Field(sa_column=Column(String(16), nullable=False))
    actor: str = Field(sa_column=Column(Text, nullable=False))
    created_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    started_at: int | None = Field(sa_column=Column(BigInteger))
    finished_at: int | None = Field(sa_column=Column(BigInteger))
    fence: int = Field(sa_column=Column(BigInteger, nullable=False))
    counts: str | None = Field(sa_column=Column(Text))


class JobItems(Ours, table=True):
    __tablename__ = "mmconsole_job_items"
    __table_args__: ClassVar[Any] = (
        Index("mmconsole_job_items_state", "job_id", "state", "position"),
        Index(
            "mmconsole_job_items_removals",
            "finished_at",
            "removals",
            sqlite_where=text("removals > 0"),
            postgresql_where=text("removals > 0"),
        ),
        {"sqlite_with_rowid": False},
    )

    job_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    position: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    user_id: str = Field(sa_column=Column(String(191), nullable=False))
    steps: str = Field(sa_column=Column(Text, nullable=False))
    digest: str = Field(sa_column=Column(String(64), nullable=False))
    state: str = Field(sa_column=Column(String(16), nullable=False))
    outcome: str = Field(sa_column=Column(String(64), nullable=False))
    note: str = Field(sa_column=Column(Text, nullable=False))
    removals: int = Field(sa_column=Column(Integer, nullable=False))
    started_at: int | None = Field(sa_column=Column(BigInteger))
    finished_at: int | None = Field(sa_column=Column(BigInteger))


class ActivityRows(Ours, table=True):
    __tablename__ = "mmconsole_activity"
    __table_args__: ClassVar[Any] = (
        Index("mmconsole_activity_user_id", "user_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(sa_column=Column(BigId, primary_key=True))
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    actor: str = Field(sa_column=Column(Text, nullable=False))
    verb: str = Field(sa_column=Column(String(64), nullable=False))
    user_id: str | None = Field(sa_column=Column(String(191)))
    detail: str = Field(sa_column=Column(Text, nullable=False))
    level: str = Field(sa_column=Column(String(16), nullable=False))
    job_id: int | None = Field(sa_column=Column(BigInteger))
    request_id: str = Field(sa_column=Column(String(64), nullable=False))


class UserEvents(Ours, table=True):
    __tablename__ = "mmconsole_user_events"
    __table_args__: ClassVar[Any] = (
        Index("mmconsole_user_events_subject", "subject", "subject_id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(sa_column=Column(BigId, primary_key=True))
    at: int = Field(sa_column=Column(BigInteger, nullable=False))
    subject: str = Field(sa_column=Column(String(16), nullable=False))
    subject_id: str = Field(sa_column=Column(String(191), nullable=False))
    kind: str = Field(sa_column=Column(String(16), nullable=False))
    attempts: int = Field(sa_column=Column(Integer, nullable=False))
    due_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    aside_at: int | None = Field(sa_column=Column(BigInteger))
    why: str | None = Field(sa_column=Column(Text))


class Projects(Ours, table=True):
    __tablename__ = "mmconsole_projects"
    __table_args__: ClassVar[Any] = (
        Index("mmconsole_projects_channel_id", "channel_id"),
        {"sqlite_with_rowid": False},
    )

    project_id: str = Field(sa_column=Column(String(191), primary_key=True))
    channel_id: str = Field(sa_column=Column(String(26), nullable=False))
    linked_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    archived_with_project: bool = Field(sa_column=Column(Boolean, nullable=False))


class Tickets(Ours, table=True):
    __tablename__ = "mmconsole_tickets"
    __table_args__: ClassVar[Any] = (
        Index("mmconsole_tickets_expires_at", "expires_at"),
        {"sqlite_with_rowid": False},
    )

    digest: str = Field(sa_column=Column(String(64), primary_key=True))
    user_id: str = Field(sa_column=Column(String(191), nullable=False))
    issued_by: str = Field(sa_column=Column(Text, nullable=False))
    issued_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    spent_at: int | None = Field(sa_column=Column(BigInteger))
    reused: bool = Field(sa_column=Column(Boolean, nullable=False))


class ApiKeys(Ours, table=True):
    __tablename__ = "mmconsole_api_keys"
    __table_args__: ClassVar[Any] = ({"sqlite_with_rowid": False},)

    id: str = Field(sa_column=Column(String(16), primary_key=True))
    name: str = Field(sa_column=Column(String(64), nullable=False))
    scopes: str = Field(sa_column=Column(Text, nullable=False))
    digest: str = Field(sa_column=Column(String(64), nullable=False))
    created_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_at: int | None = Field(sa_column=Column(BigInteger))
    last_used_at: int | None = Field(sa_column=Column(BigInteger))
    revoked_at: int | None = Field(sa_column=Column(BigInteger))


class Leases(Ours, table=True):
    __tablename__ = "mmconsole_leases"

    name: str = Field(sa_column=Column(String(64), primary_key=True))
    holder: str | None = Field(sa_column=Column(Text))
    fence: int = Field(sa_column=Column(BigInteger, nullable=False))
    acquired_at: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_at: int = Field(sa_column=Column(BigInteger, nullable=False))


class Columns(Ours, table=True):
    """Columns that we added to the application's table: what a rollback takes back, and nothing else."""

    __tablename__ = "mmconsole_columns"

    table_name: str = Field(sa_column=Column(String(128), primary_key=True))
    column_name: str = Field(sa_column=Column(String(64), primary_key=True))
