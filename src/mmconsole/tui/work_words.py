"""A run in the words of the job line, and how long a revocation can still be undone."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from mmconsole.tui.cells import harmless
from mmconsole.tui.frame import Doing
from mmconsole.tui.moments import duration

if TYPE_CHECKING:
    from mmconsole.mattermost import Pace
    from mmconsole.tui.running import Running, Undo
    from mmconsole.tui.work import Work

_WORTH_TELLING: Final = 0.1
"""Seconds of a wait that are worth a word."""
_STEADY: Final = 3
"""Users that must be done before the time that is left says anything."""


def doing_now(running: "Running") -> Doing | None:
    """What the job line says of the run that is under way; None when there is none."""
    work = running.current
    if work is None:
        return None
    number = f"job {work.job_id}  " if work.job_id is not None else ""
    later = len(running.works) - 1
    more = f"   {later:,} more waiting" if later else ""
    words = _words(work, running.pace)
    return Doing(f"{number}{harmless(work.title)}{more}", work.done, work.total, words, going=True, job_id=work.job_id)


def _words(work: "Work", pace: "Pace | None") -> str:
    if work.total is None:
        return work.stage_name
    rate = work.rate()
    parts = [work.stage_name, f"{work.done:,}/{work.total:,}"]
    parts += [f"{rate:,.0f}/s"] if rate >= 1 else []
    parts += [_rest(work, rate, pace)]
    if work.job_id is not None:
        parts += [f"ok {work.ok:,}"]
        parts += [f"failed {work.failed:,}"] if work.failed else []
        retries = pace.retries - work.retries_before if pace else 0
        parts += [f"retry {retries:,}"] if retries > 0 else []
    return "  ".join(filter(None, parts))


def _rest(work: "Work", rate: float, pace: "Pace | None") -> str:
    if work.stop.is_set():
        return f"stopping after {work.under_way:,} users"
    wait = pace.wait_left if pace else 0.0
    if wait > _WORTH_TELLING:
        return f"the server asked us to wait {wait:.1f} s"
    left = (work.total or 0) - work.done
    return f"eta {duration(left / rate)}" if rate and left > 0 and work.done >= _STEADY else ""


def undo_words(undo: "Undo | None", now: datetime, key: str) -> str:
    """`undo 9:41 u`; empty when there is nothing to undo."""
    return f"undo {duration((undo.until - now).total_seconds())} {key}" if undo is not None else ""
