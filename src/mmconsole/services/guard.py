"""The guard: stops what would remove too much within 24 hours."""

from datetime import datetime, timedelta
from typing import Final

from mmconsole.config import GuardSettings
from mmconsole.database import Snapshot
from mmconsole.domain.forecast import allowed_removals
from mmconsole.errors import GuardTripped

_DAY: Final = timedelta(days=1)


def demand_room(db: Snapshot, settings: GuardSettings, *, removals: int, confirmed: int | None, now: datetime) -> None:
    """Let so many removals pass, beside all those of the last 24 hours, or when exactly that number is confirmed.

    Raises GuardTripped.
    """
    if not removals or confirmed == removals:
        return
    total = removals + db.jobs.items.removals_since(now - _DAY)
    allowed = allowed_removals(db.roster.count(), floor=settings.removals, percent=settings.percent)
    if total > allowed:
        raise GuardTripped(removals=removals, total=total, allowed=allowed)
