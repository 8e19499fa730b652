"""The only door to SQLModel, SQLAlchemy and Alembic.

Synchronous inside, awaited from outside: `await database.write(lambda tx: tx.tokens.save(record))`.
"""

from mmconsole.database.activity import ActivityRepository
from mmconsole.database.embedded import EmbeddedUser, EmbeddedUsers
from mmconsole.database.engine import Database, open_database
from mmconsole.database.intents import IntentRepository
from mmconsole.database.job_items import ItemRepository, ItemState, JobItem, NewItem
from mmconsole.database.jobs import Job, JobCounts, JobRepository, JobState
from mmconsole.database.layout import Layout
from mmconsole.database.leases import Lease, LeaseHeld, LeaseRepository
from mmconsole.database.meta import MetaRepository, ServerIdentity
from mmconsole.database.migrate import Applied, MigrationStatus, migrate, rollback, status
from mmconsole.database.roster import KEEP, Keep, Roster, UserAndRecord
from mmconsole.database.scratch import Scratch, open_scratch
from mmconsole.database.session import Snapshot, Transaction
from mmconsole.database.tokens import TokenRepository

__all__ = [
    "KEEP",
    "ActivityRepository",
    "Applied",
    "Database",
    "EmbeddedUser",
    "EmbeddedUsers",
    "IntentRepository",
    "ItemRepository",
    "ItemState",
    "Job",
    "JobCounts",
    "JobItem",
    "JobRepository",
    "JobState",
    "Keep",
    "Layout",
    "Lease",
    "LeaseHeld",
    "LeaseRepository",
    "MetaRepository",
    "MigrationStatus",
    "NewItem",
    "Roster",
    "Scratch",
    "ServerIdentity",
    "Snapshot",
    "TokenRepository",
    "Transaction",
    "UserAndRecord",
    "migrate",
    "open_database",
    "open_scratch",
    "rollback",
    "status",
]
