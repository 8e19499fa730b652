"""Changes to the database that several services make in the same way."""

from collections.abc import Callable
from datetime import datetime

from mmconsole.database import Transaction
from mmconsole.domain.activity import Activity
from mmconsole.domain.tokens import TokenRecord

Change = Callable[[Transaction], None]


def keep(record: TokenRecord, activity: Activity) -> Change:
    """What we know of a user now, together with what happened."""

    def change(tx: Transaction) -> None:
        tx.tokens.save(record)
        tx.activity.add(activity)

    return change


def note(*activities: Activity) -> Change:
    """What happened, where there is nothing else to store."""
    return lambda tx: tx.activity.add_many(activities)


def forget(tx: Transaction, *, before: datetime) -> None:
    """Remove what happened before, and the jobs that ended before."""
    tx.activity.prune(before)
    tx.jobs.prune(before)
