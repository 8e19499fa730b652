"""Notes that are written before what cannot be taken back: opened, closed, and compared with what the server has."""

import secrets
from datetime import timedelta
from typing import Final

from mmconsole.database import Transaction
from mmconsole.domain.accounts import moment_of
from mmconsole.domain.activity import Activity
from mmconsole.domain.tokens import Intent, OperationId
from mmconsole.services.changes import Change

SETTLED_AFTER: Final = timedelta(seconds=360)
"""A call that was under way when its process died may still act; after this it has not.

It may have waited 300 s for a server that asked to slow down, and then as long as a slow one takes.
"""
CLOCK_SLACK: Final = timedelta(seconds=5)


def new_operation() -> OperationId:
    """An id that no other note will ever have."""
    return OperationId(secrets.token_hex(8))


def open_intent(intent: Intent) -> Change:
    return lambda tx: tx.intents.open(intent)


def close_intent(operation_id: OperationId, *, activity: Activity | None = None) -> Change:
    def change(tx: Transaction) -> None:
        tx.intents.close(operation_id)
        if activity is not None:
            tx.activity.add(activity)

    return change


def replace_intent(old: Intent, new: Intent) -> Change:
    """The next try under another name, durable before it is made."""

    def change(tx: Transaction) -> None:
        tx.intents.close(old.operation_id)
        tx.intents.open(new)

    return change


def is_of_its_time(create_at: int, intent: Intent) -> bool:
    """Whether what the server made at this moment, in its milliseconds, may be what the note announced."""
    made_at = moment_of(create_at)
    return made_at is not None and intent.opened_at - CLOCK_SLACK <= made_at <= intent.opened_at + SETTLED_AFTER
