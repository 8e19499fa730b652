"""Times as our tables keep them: whole microseconds since 1970, UTC; the same in every database, and cheap."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_from_seconds: Final = datetime.fromtimestamp


def stored(moment: datetime) -> int:
    """A moment for the database. It must know its time zone."""
    return (moment - _EPOCH) // _MICROSECOND


def stored_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def moment_of(number: int) -> datetime:
    # Exact: a float holds a microsecond of any date until 2255, and this is twice as fast as adding a timedelta.
    return _from_seconds(number / 1e6, UTC)


def moment_or_none(number: int | None) -> datetime | None:
    return None if number is None else _from_seconds(number / 1e6, UTC)
