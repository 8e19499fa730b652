"""How long ago, and how long still, in a few cells."""

from datetime import datetime, timedelta
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))
NONE: Final = "-"


def ago(moment: datetime | None, now: datetime) -> str:
    """`6m ago`; `now` for the last minute."""
    if moment is None:
        return NONE
    size = _size(now - moment)
    return f"{size} ago" if size else "now"


def distance(moment: datetime | None, now: datetime) -> str:
    """`+41d` in the future, `-3d` in the past."""
    if moment is None:
        return NONE
    sign = "+" if moment >= now else "-"
    return f"{sign}{_size(abs(moment - now)) or '0m'}"


def day(moment: datetime | None) -> str:
    """The day and the minute, in the time zone of the machine."""
    return NONE if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M}"


def clock(moment: datetime) -> str:
    """The minute, in the time zone of the machine."""
    return f"{moment.astimezone():%H:%M}"


def duration(seconds: float) -> str:
    """`0:48`, `2:03:10`; below ten seconds `0:04`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def roughly(seconds: float) -> str:
    """`about 2:03` for a sentence; what is over at once is not `about 0:00`."""
    return f"about {duration(seconds)}" if seconds >= 1 else "less than a second"


def _size(span: timedelta) -> str:
    """In the largest unit of which there is a whole one; empty below a minute."""
    seconds = int(span.total_seconds())
    return next((f"{seconds // size:,}{unit}" for size, unit in _UNITS if seconds >= size), "")
