"""Orders about jobs: pause, go on, stop, and see whom one failed for."""

from typing import Final

from mmconsole.database import ItemState
from mmconsole.services.applying import Watching
from mmconsole.services.job_desk import KnownJob, Told
from mmconsole.services.resumption import Again
from mmconsole.services.summary import Summary
from mmconsole.tui.cells import counted
from mmconsole.tui.ground import Ground, tell_end
from mmconsole.tui.job_screen import USERS, JobScreen
from mmconsole.tui.plan_rows import forecast_lines
from mmconsole.tui.running import TOKENS
from mmconsole.tui.work import Work

_SHOWN: Final = 10_000
"""Failures of a job that are listed."""


async def toggle(ground: Ground, job_id: int) -> None:
    """Pause a job that somebody works on, go on with one that nobody does."""
    known = await ground.core.jobs.show(job_id)
    if known.job.state.ended:
        ground.desk.say(f"Job {job_id} has ended ({known.job.state}).")
    elif not known.alive:
        await _resume(ground, known)
    else:
        await ground.core.jobs.pause(job_id)
        ground.desk.say(f"Job {job_id} pauses after the users under way; p goes on with it.")


async def stop(ground: Ground, job_id: int) -> None:
    known = await ground.core.jobs.show(job_id)
    if known.job.state.ended:
        ground.desk.say(f"Job {job_id} has ended ({known.job.state}).")
        return
    lines = [_stop_words(known, ground.running.of_job(job_id)), "What was done stays; the rest is not resumed."]
    if await ground.allows(f"Stop job {job_id}: {known.job.title}", lines, verb="stop"):
        told = await ground.core.jobs.stop(job_id)
        words = {Told.ASKED: "stops after the users under way", Told.DONE: "is stopped", Told.ENDED: "had ended"}
        ground.desk.say(f"Job {job_id} {words[told]}.")


async def show(ground: Ground, job_id: int) -> None:
    """Show a job, and its failures as a view if that is asked for."""
    core, failed = ground.core, []
    known, outcomes = await core.jobs.show(job_id), await core.jobs.outcomes(job_id)
    async for item in core.jobs.items(job_id, state=ItemState.FAILED):
        failed.append(item)
        if len(failed) == _SHOWN:
            break
    ids = [item.user_id for item in failed]
    names = await ground.addresses(ids)
    screen = JobScreen(known, outcomes, failed, names=names, masked=ground.desk.masked)
    if await ground.running.ask(screen) == USERS:
        ground.desk.show_only(f"failed in job {job_id}", ids)


async def _resume(ground: Ground, known: KnownJob) -> None:
    title = f"resume {known.job.title}"

    async def confirm(summary: Summary) -> bool:
        if not (summary.removals or summary.links):
            return True
        return await ground.allows(title, forecast_lines(summary), verb="go on", losing=summary.removals)

    async def do(work: Work) -> Summary:
        return await ground.core.resumption.resume(known.job.id, Again(), Watching(confirm, work, work.stop))

    summary = await ground.running.perform(Work(title), do, turn=TOKENS)
    tell_end(ground, title, summary)


def _stop_words(known: KnownJob, work: Work | None) -> str:
    """`It stops after the 8 running requests: 6,812 done, 5,668 not started.`"""
    counts = known.job.counts
    if work is not None:
        there = counted(work.under_way, "user")
        return f"It stops after the {there} under way: {work.done:,} done, {work.left:,} not started."
    done, left = counts.done + counts.failed + counts.skipped, counts.planned + counts.running
    first = "It stops after the users under way" if known.alive else "Nobody works on it"
    return f"{first}: {done:,} done, {left:,} not started."
