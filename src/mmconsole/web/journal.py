"""What the service says of itself: one line per request, without its query, on stderr."""

import json
import logging
import re
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from mmconsole.domain.text import visible

LOG: Final = logging.getLogger("mmconsole.web")
_LIKE_A_SECRET: Final = re.compile(r"[A-Za-z0-9+=_|-]{20,}")
_LONGEST_PATH: Final = 120


@dataclass(frozen=True, slots=True)
class Answered:
    """One request, as the log tells it."""

    request_id: str
    method: str
    path: str
    status: int
    """0 where there was no answer: the client went away, or the process was stopped."""
    milliseconds: int
    address: str
    caller: str

    def __str__(self) -> str:
        by = f" by {self.caller}" if self.caller else ""
        took = f"{self.status} {self.milliseconds} ms"
        return f"{self.request_id} {self.method} {self.path} {took} from {self.address}{by}"


class _Text(logging.Formatter):
    """One line, which begins with the moment in the machine's own time."""

    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.msecs)
        # What an error says may hold a text from outside, and a line break in it would begin a line of its own.
        message = visible(record.getMessage())
        return f"{_second(int(record.created))},{milliseconds:03d} {record.levelname} {message}"


class _Json(logging.Formatter):
    """One JSON object per line; a request's parts stand in fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        told = asdict(record.msg) if isinstance(record.msg, Answered) else {"message": visible(record.getMessage())}
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"at": at, "level": record.levelname.lower()} | told, ensure_ascii=False)


def set_up_log(form: Literal["text", "json"]) -> None:
    """Write to stderr, where systemd and containers take it from."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    # None of this is in our lines, and finding it out takes half the time of writing one.
    logging._srcfile = None  # noqa: SLF001 - documented under "Optimization"
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # uvicorn's own lines would repeat ours, or quote what a client sent.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)


@lru_cache(maxsize=1)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


@lru_cache(maxsize=256)
def shown_path(path: str) -> str:
    """A path as it may stand in a log: whatever may be a ticket or token in it is starred out."""
    # Starred out before it is cut: of what is cut in two, the first part may be too short to be told.
    return _LIKE_A_SECRET.sub("***", visible(path))[:_LONGEST_PATH]


def place_of(fault: BaseException) -> str:
    """Which mistake it is and where it was made, without any value of it."""
    where = traceback.extract_tb(fault.__traceback__)
    last = f" at {Path(where[-1].filename).name}:{where[-1].lineno}" if where else ""
    return f"{type(fault).__name__}{last}"
