"""Spans of time as people write them: `10m`, `36h`, `90d`."""

import re
from datetime import timedelta
from typing import Final

SECONDS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhdw])", re.IGNORECASE)
LONGEST: Final = timedelta(days=36_500)
_LARGEST_FIRST: Final = "dhms"


def parse_span(text: str) -> timedelta:
    """A number and a unit: seconds, minutes, hours, days or weeks; `0` alone is none at all. Raises ValueError."""
    found = _SPAN.fullmatch(text.strip())
    if found is None and text.strip() != "0":
        message = "it must be a number and a unit, as in 10m, 36h or 90d"
        raise ValueError(message)
    span = timedelta(seconds=int(found[1]) * SECONDS[found[2].lower()]) if found else timedelta()
    if span > LONGEST:
        message = f"it cannot be longer than {LONGEST.days}d"
        raise ValueError(message)
    return span


def span_text(span: timedelta) -> str:
    """The largest unit that fits without a rest; days rather than weeks, as people count."""
    seconds = int(span.total_seconds())
    if not seconds:
        return "0"
    unit = next(unit for unit in _LARGEST_FIRST if seconds % SECONDS[unit] == 0)
    return f"{seconds // SECONDS[unit]}{unit}"
