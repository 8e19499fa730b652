"""The only door to SQLModel, SQLAlchemy and Alembic.

Synchronous inside, awaited from outside: `await database.write(lambda tx: tx.tokens.save(record))`.
"""

from mmconsole.database.activity import ActivityRepository
from mmconsole.database.callers import CallerRepository, SanctumToken
from mmconsole.database.chunk_queue import Chunk, ChunkQueue, open_chunk_queue
from mmconsole.database.embedded import EmbeddedUser, EmbeddedUsers
from mmconsole.database.engine import Database, open_database
from mmconsole.database.envelopes import EnvelopeRepository, Stored
from mmconsole.database.events import Backlog, Claim, EventRepository, Subject, UserEvent
from mmconsole.database.fitting import Fit, Fitting, Fittings, fittings
from mmconsole.database.grants import Grants, grants
from mmconsole.database.intents import IntentRepository
from mmconsole.database.job_items import ItemRepository, ItemState, JobItem, NewItem
from mmconsole.database.jobs import Job, JobCounts, JobRepository, JobState
from mmconsole.database.layout import Layout
from mmconsole.database.leases import Lease, LeaseHeld, LeaseRepository
from mmconsole.database.listening import open_wake
from mmconsole.database.listing import Listing
from mmconsole.database.meta import MetaRepository, ServerIdentity
from mmconsole.database.migrate import (
    Applied,
    MigrationStatus,
    install_triggers,
    migrate,
    remove_triggers,
    rollback,
    status,
    trigger_status,
)
from mmconsole.database.projects import ProjectRepository
from mmconsole.database.proposal import FirstLook, first_look
from mmconsole.database.rights import refused_rights
from mmconsole.database.roster import KEEP, Glances, Keep, PerhapsUser, Roster, Settled, UserAndRecord
from mmconsole.database.scratch import Scratch, open_scratch
from mmconsole.database.session import Snapshot, Transaction
from mmconsole.database.tickets import TicketRepository
from mmconsole.database.tokens import TokenRepository
from mmconsole.database.triggers import TriggerRepository, TriggerStatus

__all__ = [
    "KEEP",
    "ActivityRepository",
    "Applied",
    "Backlog",
    "CallerRepository",
    "Chunk",
    "ChunkQueue",
    "Claim",
    "Database",
    "EmbeddedUser",
    "EmbeddedUsers",
    "EnvelopeRepository",
    "EventRepository",
    "FirstLook",
    "Fit",
    "Fitting",
    "Fittings",
    "Glances",
    "Grants",
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
    "Listing",
    "MetaRepository",
    "MigrationStatus",
    "NewItem",
    "PerhapsUser",
    "ProjectRepository",
    "Roster",
    "SanctumToken",
    "Scratch",
    "ServerIdentity",
    "Settled",
    "Snapshot",
    "Stored",
    "Subject",
    "TicketRepository",
    "TokenRepository",
    "Transaction",
    "TriggerRepository",
    "TriggerStatus",
    "UserAndRecord",
    "UserEvent",
    "first_look",
    "fittings",
    "grants",
    "install_triggers",
    "migrate",
    "open_chunk_queue",
    "open_database",
    "open_scratch",
    "open_wake",
    "refused_rights",
    "remove_triggers",
    "rollback",
    "status",
    "trigger_status",
]
