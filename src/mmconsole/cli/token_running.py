"""What is asked for tokens, as the command line runs it: planned or applied, watched, and told at the end."""

from collections.abc import Awaitable
from dataclasses import replace

from mmconsole.cli import output
from mmconsole.cli.loop import Interrupts
from mmconsole.cli.summary import Ending, recovered_lines, show_ending
from mmconsole.cli.syncing import show_planned, watched
from mmconsole.core import Core
from mmconsole.services.applying import Watching
from mmconsole.services.recovery import Recovered
from mmconsole.services.summary import Summary
from mmconsole.services.tokens.tokens import TokenRequest


async def plan(core: Core, request: TokenRequest, *, json: bool) -> bool:
    """Show what would be done. Returns whether anything would."""
    return await show_planned(core, lambda notes: core.tokens.plan(request, progress=notes), json=json)


async def run(  # noqa: PLR0913 - one parameter per option
    core: Core, request: TokenRequest, signals: Interrupts, *, yes: bool, wait: bool, stay: bool, json: bool
) -> Ending:
    """Do it, and say how it ended. Raises what `TokenLife.run` raises, and Interrupted."""

    def do(waiting: bool, watching: Watching) -> Awaitable[Summary]:  # noqa: FBT001 - `patiently` calls it
        wanted = replace(request, wait=waiting)
        return core.tokens.run(wanted, confirm=watching.confirm, progress=watching.progress, stop=watching.stop)

    ending = await watched(core, do, signals, yes=yes, wait=wait)
    if json and stay:
        ended = (await _stay(core, ending.summary, signals)).ended
        ending.summary.recovered = replace(ending.summary.recovered, ended=ending.summary.recovered.ended + ended)
    tell(ending, json=json, stay=stay)
    if stay and not json:
        later = await _stay(core, ending.summary, signals)
        with output.reader():
            for line in recovered_lines(later):
                output.write(line)
    return ending


def tell(ending: Ending, *, json: bool, stay: bool = False) -> None:
    """Print how it ended, and until when a revocation can be undone."""
    with output.reader():
        show_ending(ending, json=json)
    until = ending.summary.undo_until
    if until is None:
        return
    back = f"mmconsole tokens undo --job {ending.summary.job_id}"
    output.note(f"mmconsole: Disabled, and revoked for good after {output.moment(until)}. Until then: {back}")
    if not stay:
        output.note("mmconsole: The first run after that revokes for good: a sync, or `mmconsole tokens recover`.")


async def _stay(core: Core, summary: Summary, signals: Interrupts) -> Recovered:
    """Wait until it is too late to undo, and revoke for good. A signal ends the waiting, and a later run revokes."""
    until = summary.undo_until
    if until is None or signals.stop.is_set():
        return Recovered()
    signals.under_way = lambda: 0
    signals.say = lambda _: output.note("mmconsole: No longer waiting. A later run revokes for good.")
    try:
        return await core.tokens.end_revocations(until, stop=signals.stop)
    finally:
        signals.under_way, signals.say = None, output.note
