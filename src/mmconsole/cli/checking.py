"""A check as the command line runs it: watched, stopped by signals, told by status and cause."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mmconsole.cli import output
from mmconsole.cli.loop import Interrupts
from mmconsole.cli.run import code_of_end
from mmconsole.cli.summary import refused_lines
from mmconsole.cli.under_way import pace_of, under_way
from mmconsole.core import Core
from mmconsole.domain.checks import cure_of, is_broken
from mmconsole.domain.health import GRAVEST_FIRST, STATUSES
from mmconsole.domain.tokens import Health
from mmconsole.services.checks.checks import Checked, CheckRequest, CheckSummary

SHOWN_OF_EACH: Final = 10
"""Users of each status and cause that a terminal shows; elsewhere it is all that are known."""

_Kind = tuple[Health, str]


@dataclass(frozen=True, slots=True)
class Ending:
    """A check that came to an end, or to a signal."""

    summary: CheckSummary
    deep: bool
    seconds: float
    interrupted: bool


async def check(core: Core, request: CheckRequest, signals: Interrupts) -> Ending:
    """Run a check to its end, or to where a signal stopped it. Raises what `Checks.run` raises."""
    begun, workers = time.monotonic(), core.settings.values.mattermost.max_concurrency
    with under_way(signals, workers=workers, pace=pace_of(core)) as progress:
        summary = await core.checks.run(request, progress=progress, stop=signals.stop)
    return Ending(summary, request.deep, time.monotonic() - begun, interrupted=signals.count > 0)


def exit_code_of(ending: Ending) -> int:
    return code_of_end(interrupted=ending.interrupted, troubled=ending.summary.troubled)


# ── showing ──────────────────────────────────────────────────────────────────────────────────────


def show_ending(ending: Ending, *, json: bool) -> None:
    """Print what was found: on stdout, and what stopped it as talk."""
    if json:
        output.write_json(_document(ending))
    else:
        for line in _lines(ending):
            output.write(line)
    if ending.interrupted:
        output.note("mmconsole: Stopped. What was found is stored; the same command checks the rest, too.")


def _document(ending: Ending) -> dict[str, Any]:
    summary = ending.summary
    return {
        "users": summary.users,
        "left_out": summary.left_out,
        "deep": ending.deep,
        "counts": [{"status": status, "cause": cause, "count": count} for (status, cause), count in _ordered(summary)],
        "broken": [_row(one) for one in summary.broken],
        "refused": [{"name": one.user_id, "why": one.note} for one in summary.refused],
        "changed": summary.changed,
        "seconds": round(ending.seconds, 3),
        "interrupted": ending.interrupted,
    }


def _row(one: Checked) -> dict[str, Any]:
    return {
        "id": one.user.id,
        "email": one.user.email,
        "status": one.status,
        "cause": one.cause,
        "cure": cure_of(one.status, one.cause),
        "token_id": one.token_id,
    }


def _ordered(summary: CheckSummary) -> list[tuple[_Kind, int]]:
    """The gravest first, and of one status the most frequent cause."""
    return sorted(summary.counts.items(), key=lambda one: (GRAVEST_FIRST.index(one[0][0]), -one[1], one[0][1]))


def _lines(ending: Ending) -> Iterator[str]:
    summary = ending.summary
    how = "deeply " if ending.deep else ""
    yield f"{output.amount(summary.users, 'user')} checked {how}in {output.duration(ending.seconds)}"
    ordered = _ordered(summary)
    room = max((len(f"{count:,}") for _, count in ordered), default=0)
    for kind, count in ordered:
        yield f"  {count:>{room},}  {_named(*kind)}"
    if summary.left_out:
        yield f"Left out: {output.amount(summary.left_out, 'user')} inactive in the application, without a token."
    if summary.changed:
        yield f"Of {output.amount(summary.changed, 'user')} something else is remembered now."
    yield from _troubles(summary)
    yield from refused_lines(summary.refused)


def _named(status: Health, cause: str) -> str:
    word = STATUSES[status]
    # Most causes are the status itself in other words.
    reason = f": {output.visible(cause)}" if cause and cause != status else ""
    return output.painted(word, word[0]) + reason


def _troubles(summary: CheckSummary) -> Iterator[str]:
    """Who is broken, by what can be done about it: the first of each on a terminal, all that are known elsewhere."""
    groups: dict[tuple[Health, str], list[Checked]] = defaultdict(list)
    for one in summary.broken:
        groups[one.status, cure_of(one.status, one.cause)].append(one)
    for (status, cure), users in sorted(groups.items(), key=lambda group: GRAVEST_FIRST.index(group[0][0])):
        word = STATUSES[status]
        yield f"\n{output.painted(word, word[0])}: {cure}"
        shown = users[:SHOWN_OF_EACH] if output.is_terminal(sys.stdout) else users
        yield from map(_trouble, shown)
        more = _count(summary, status, cure) - len(shown)
        if more > 0:
            yield f"  and {more:,} more: mmconsole tokens list --filter status:{status}"


def _count(summary: CheckSummary, status: Health, cure: str) -> int:
    kinds = (kind for kind in summary.counts if is_broken(kind[0]))
    return sum(summary.counts[kind] for kind in kinds if (kind[0], cure_of(*kind)) == (status, cure))


def _trouble(one: Checked) -> str:
    cause = output.visible(one.cause) if one.cause != one.status else ""
    parts = (output.visible(one.user.id), output.visible(one.user.email or ""), cause)
    return f"  {'  '.join(part for part in parts if part)}"
