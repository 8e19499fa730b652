"""`mmconsole jobs`: what is being applied, what became of it, and how to go on with it or to end it."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from mmconsole.cli import output
from mmconsole.cli.run import run_core
from mmconsole.cli.sync import AllowRemovals

if TYPE_CHECKING:
    from mmconsole.cli.loop import Interrupts
    from mmconsole.core import Core
    from mmconsole.services.job_desk import Told

LIST_EXAMPLES: Final = """\b
Examples:
  mmconsole jobs list
  mmconsole jobs list --json | jq -r 'select(.state == "interrupted") | .id'
"""
SHOW_EXAMPLES: Final = """\b
Examples:
  mmconsole jobs show 12              how far it is, and what failed
  mmconsole jobs show 12 --json       every item, one JSON object per line
  mmconsole jobs show 12 --failed --json
"""
RESUME_EXAMPLES: Final = """\b
Examples:
  mmconsole jobs resume 12

It does the rest of a sync, or of what was asked for tokens, that was paused, stopped by a signal, or whose process
died. Each user is compared anew before: what somebody did meanwhile is not done twice, and what changed is left to
the next sync. A process that was killed holds its lease for 30 seconds; --wait waits for that. The next
`mmconsole sync --all` ends a sync's job instead, and plans anew what is missing.

Exit codes: 0 done, 1 failed, 2 usage, 3 some users failed or need a decision, 4 a guard stopped it,
75 another run is at work, 130 interrupted.
"""
STOP_EXAMPLES: Final = """\b
Examples:
  mmconsole jobs stop 12       end it for good, after the users under way
  mmconsole jobs pause 12      leave the rest for `mmconsole jobs resume 12`

The process may be another one, also on another machine.
"""
_Number = Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's number.")]


def app() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None, help="List jobs, show what failed, go on with one or end it.")
    group.command("list", epilog=LIST_EXAMPLES)(list_jobs)
    group.command("show", epilog=SHOW_EXAMPLES)(show)
    group.command("resume", epilog=RESUME_EXAMPLES)(resume)
    group.command("pause", epilog=STOP_EXAMPLES)(pause)
    group.command("stop", epilog=STOP_EXAMPLES)(stop)
    return group


def list_jobs(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="The newest N jobs.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List jobs, the newest first."""

    async def work(core: "Core", _: "Interrupts") -> None:
        from mmconsole.cli.job_lines import print_jobs  # noqa: PLC0415 - help needs no services

        with output.reader():
            print_jobs(await core.jobs.latest(limit=limit), json=json)

    run_core(context, work)


def show(
    context: typer.Context,
    *,
    job: _Number,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed, all of it.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print every item, one JSON object per line.")] = False,
) -> None:
    """Show how far a job is, and what failed and why."""

    async def work(core: "Core", _: "Interrupts") -> None:
        from mmconsole.cli.job_lines import print_items, print_job  # noqa: PLC0415

        known = await core.jobs.show(job)
        with output.reader():
            if not (failed or json):
                await print_job(core, known)
            else:
                await print_items(core, job, failed=failed, json=json)

    run_core(context, work)


def resume(  # noqa: PLR0913 - one parameter per option
    context: typer.Context,
    *,
    job: _Number,
    allow_removals: AllowRemovals = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another run to end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Do the rest of a job that paused, or whose process died."""
    from mmconsole.cli.summary import exit_code_of  # noqa: PLC0415
    from mmconsole.cli.syncing import resume as go_on  # noqa: PLC0415
    from mmconsole.cli.token_running import tell  # noqa: PLC0415

    ending = run_core(
        context, lambda core, signals: go_on(core, job, signals, allow_removals=allow_removals, yes=yes, wait=wait)
    )
    tell(ending, json=json)
    raise typer.Exit(exit_code_of(ending))


def pause(context: typer.Context, *, job: _Number) -> None:
    """Leave the rest of a job for later."""

    async def work(core: "Core", _: "Interrupts") -> "Told":
        return await core.jobs.pause(job)

    _say(job, run_core(context, work), "pause", "paused")


def stop(context: typer.Context, *, job: _Number) -> None:
    """End a job for good, whichever process works on it."""

    async def work(core: "Core", _: "Interrupts") -> "Told":
        return await core.jobs.stop(job)

    _say(job, run_core(context, work), "stop", "stopped")


def _say(job: int, told: "Told", verb: str, done: str) -> None:
    from mmconsole.services.job_desk import Told  # noqa: PLC0415

    sentences = {
        Told.ASKED: f"Job {job} was told to {verb}; it does so after the users under way.",
        Told.DONE: f"Job {job} is {done}.",
        Told.ENDED: f"Job {job} was at its end already.",
    }
    output.write(sentences[told])
