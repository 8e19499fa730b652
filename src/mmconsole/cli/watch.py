"""`mmconsole watch`: follow what the application changes, as it happens."""

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import SOME_FAILED, given
from mmconsole.errors import UsageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Sequence

    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.database import UserEvent
    from mmconsole.services.observer import Followed, Tally

EXAMPLES: Final = """\b
Examples:
  mmconsole migrate --triggers     once: have changes written down
  mmconsole watch                  follow them until Ctrl-C, as `serve` does
  mmconsole watch --once           follow what is written down, and end
  mmconsole watch --list           what failed, and what was set aside
  mmconsole watch --retry          try what was set aside once more

One process follows at a time; another one waits for its end, and takes over.

Exit codes: 0 done, 1 failed, 2 usage, 3 some users failed or were held back, or there are no triggers (--once),
75 another process follows (--once).
"""
_NOT_DONE: Final = frozenset({"failed", "skipped", "held back"})


def watch(
    context: typer.Context,
    *,
    once: Annotated[bool, typer.Option("--once", help="Follow what is there, and end.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Show what failed and what was set aside.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try what was set aside once more.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Follow changes of the users table as they happen. Accounts and tokens are in step a moment later."""
    if once + listed + retry > 1:
        raise UsageError(why="Say only one of --once, --list and --retry.")
    settings = given(context).settings()
    from mmconsole.cli.loop import run_core  # noqa: PLC0415 - help needs no event loop

    async def work(core: "Core", signals: "Interrupts") -> int:
        if listed:
            return await _list(core, json=json)
        if retry:
            return await _retry(core)
        return await _follow(core, signals, once=once, json=json)

    raise typer.Exit(run_core(settings, work, face="watch", stays=not once))


# ── following ────────────────────────────────────────────────────────────────────────────────────


class Lines:
    """Tells on stderr how many were followed, and on stdout, if wanted, who."""

    def __init__(self, *, json: bool) -> None:
        self._json = json

    def followed(self, some: "Sequence[Followed]") -> None:
        if self._json:
            with output.reader():
                for one in some:
                    output.write_json(_document_of(one))
        for line in followed_lines(some):
            output.note(line)

    def said(self, line: str) -> None:
        output.note(output.visible(line))


def followed_lines(some: "Sequence[Followed]") -> list[str]:
    """How many there were of each outcome, and each that is not done."""
    lines = []
    for subject in dict.fromkeys(one.subject for one in some):
        counts = Counter(one.outcome for one in some if one.subject is subject)
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common())
        lines.append(f"{output.amount(counts.total(), subject.value)}: {told}")
    not_done = [one for one in some if one.outcome in _NOT_DONE]
    return lines + [f"  {output.visible(f'{one.subject_id} {one.outcome}: {one.note}')}" for one in not_done]


async def _follow(core: "Core", signals: "Interrupts", *, once: bool, json: bool) -> int:
    lines = Lines(json=json)
    # A signal ends it after the users under way; nothing is said when there are none.
    signals.under_way = lambda: len(core.observer.under_way)
    signals.say = lambda line: output.note(line) if core.observer.under_way else None
    if not once:
        output.note("mmconsole follows changes; Ctrl-C ends it.")
        await core.observer.watch(lines, signals.stop)
        return 0
    tally = await core.observer.drain(lines, signals.stop)
    output.note(_ending(tally))
    return SOME_FAILED if tally.blind or _NOT_DONE & tally.counts.keys() else 0


def _ending(tally: "Tally") -> str:
    left = tally.backlog
    waiting = f"; {left.waiting:,} wait, {left.aside:,} are set aside" if left.waiting or left.aside else ""
    return f"followed {tally.counts.total():,}{waiting}"


def _document_of(one: "Followed") -> dict[str, Any]:
    return {f"{one.subject.value}_id": one.subject_id, "outcome": one.outcome, "note": one.note}


@asynccontextmanager
async def alongside(core: "Core", signals: "Interrupts") -> "AsyncIterator[None]":
    """Follow changes while something else is served, if the settings say so, or the triggers are there."""
    if not await core.observer.wanted():
        yield
        return
    import asyncio  # noqa: PLC0415 - help needs no event loop

    output.note("mmconsole follows changes")
    following = asyncio.create_task(core.observer.watch(Lines(json=False), signals.stop))
    following.add_done_callback(_say_if_broken)
    try:
        yield
    finally:
        signals.stop.set()
        await asyncio.wait((following,))


def _say_if_broken(following: "asyncio.Task[Tally]") -> None:
    """What is served goes on; that nothing is followed any more must be seen."""
    if not following.cancelled() and (fault := following.exception()) is not None:
        output.note(f"mmconsole: changes are not followed any more ({type(fault).__name__}), please report it.")


# ── what waits ───────────────────────────────────────────────────────────────────────────────────


async def _list(core: "Core", *, json: bool) -> int:
    with output.reader():
        async for event in core.observer.waiting():
            if json:
                output.write_json(_event_document(event))
            else:
                output.write(_event_line(event))
    left = await core.observer.backlog()
    output.note(f"{left.due:,} due, {left.later:,} are tried again later, {left.aside:,} are set aside")
    return 0


async def _retry(core: "Core") -> int:
    output.note(f"{output.amount(await core.observer.take_up(), 'change')} will be tried once more.")
    return 0


def _event_line(event: "UserEvent") -> str:
    who = output.visible(f"{event.subject.value} {event.subject_id}")
    tries = output.amount(event.attempts, "try", "tries")
    when = "set aside" if event.aside_at else f"again at {output.moment(event.due_at)}"
    return f"{output.moment(event.at)}  {who:<16}  {tries}, {when}  {output.visible(event.why)}"


def _event_document(event: "UserEvent") -> dict[str, Any]:
    return {
        f"{event.subject.value}_id": event.subject_id,
        "at": event.at,
        "kind": event.kind,
        "attempts": event.attempts,
        "again_at": None if event.aside_at else event.due_at,
        "set_aside_at": event.aside_at,
        "why": event.why,
    }
