"""Changes to the database that several services make in the same way."""

from collections.abc import Callable

from mmconsole.database import Transaction
from mmconsole.domain.activity import Activity
from mmconsole.domain.tokens import Intent, OperationId, TokenRecord

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
