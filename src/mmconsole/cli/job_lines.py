"""Jobs and their items, for people and as JSON."""

from collections.abc import Sequence
from typing import Any, Final

from mmconsole.cli import output
from mmconsole.cli.table import Table
from mmconsole.core import Core
from mmconsole.database import ItemState, Job, JobItem, JobState
from mmconsole.services.job_desk import KnownJob
from mmconsole.services.resumption import can_resume

SHOWN: Final = 20
"""Failures that people are shown; --failed has all."""
INTERRUPTED: Final = "interrupted"
_GLYPHS: Final = {
    JobState.PLANNED: "* planned",
    JobState.RUNNING: "* running",
    JobState.PAUSING: "* pausing",
    JobState.STOPPING: "* stopping",
    JobState.PAUSED: "~ paused",
    JobState.DONE: "+ done",
    JobState.FAILED: "x failed",
    JobState.STOPPED: "- stopped",
}


def print_jobs(jobs: Sequence[KnownJob], *, json: bool) -> None:
    if json:
        for known in jobs:
            output.write_json(document_of(known))
        return
    table = Table(
        "JOB",
        "STATE",
        "DONE",
        "FAILED",
        "LEFT",
        "BEGUN",
        "WHAT…",
        "BY…",
        glyphs=1,
        spare=("BY", "BEGUN", "LEFT", "DONE"),
    )
    for known in jobs:
        job, counts = known.job, known.job.counts
        numbers = (counts.done + counts.skipped, counts.failed, counts.planned + counts.running)
        who = (output.moment(job.started_at or job.created_at), output.visible(job.title), output.visible(job.actor))
        table.add(str(job.id), _status(known), *(f"{number:,}" for number in numbers), *who)
    table.end("There are no jobs yet.")


async def print_job(core: Core, known: KnownJob) -> None:
    """Its facts, its counts, and the first failures with their reasons."""
    job = known.job
    output.facts(_facts(known))
    for outcome, count in (await core.jobs.outcomes(job.id)).items():
        output.write(f"  {count:>7,}  {output.visible(outcome)}")
    left = job.counts.planned + job.counts.running
    if left:
        output.write(f"  {left:>7,}  not done")
    if job.counts.failed:
        output.write("")
        await _print_failures(core, job)
    if left and not known.alive and can_resume(job):
        output.note(f"`mmconsole jobs resume {job.id}` does the rest; `mmconsole jobs stop {job.id}` ends it.")


async def print_items(core: Core, job_id: int, *, failed: bool, json: bool) -> None:
    async for item in core.jobs.items(job_id, state=ItemState.FAILED if failed else None):
        if json:
            output.write_json(item_document(item))
        else:
            output.write(_failure(item))


def document_of(known: KnownJob) -> dict[str, Any]:
    job, counts = known.job, known.job.counts
    return {
        "id": job.id,
        "kind": job.kind,
        "title": job.title,
        "state": INTERRUPTED if known.interrupted else job.state,
        "actor": job.actor,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "items": counts.total,
        "done": counts.done,
        "skipped": counts.skipped,
        "failed": counts.failed,
        "left": counts.planned + counts.running,
        "workers": [{"name": hand.name, "first": hand.first, "since": hand.since} for hand in known.hands],
        "resumable": not (known.alive or job.state.ended) and can_resume(job),
    }


def item_document(item: JobItem) -> dict[str, Any]:
    return {
        "job_id": item.job_id,
        "position": item.position,
        "user_id": item.user_id,
        "state": item.state,
        "outcome": item.outcome or None,
        "note": item.note or None,
        "removals": item.removals,
        "started_at": item.started_at,
        "finished_at": item.finished_at,
    }


async def _print_failures(core: Core, job: Job) -> None:
    shown = 0
    async for item in core.jobs.items(job.id, state=ItemState.FAILED):
        if shown == SHOWN:
            break
        shown += 1
        output.write(_failure(item))
    if job.counts.failed > shown:
        output.write(f"and {job.counts.failed - shown:,} more: mmconsole jobs show {job.id} --failed")


def _failure(item: JobItem) -> str:
    about = output.visible(item.user_id)
    return f"{output.painted('x failed', 'x')}  {about}: {output.visible(item.note)}"


def _status(known: KnownJob) -> str:
    return f"! {INTERRUPTED}" if known.interrupted else _GLYPHS[known.job.state]


def _facts(known: KnownJob) -> dict[str, str]:
    job = known.job
    status = _status(known)
    return {
        "job": str(job.id),
        "what": output.visible(job.title),
        "state": output.painted(status, status[0]),
        "by": output.visible(job.actor),
        "workers": output.visible(", ".join(hand.name for hand in known.hands)),
        "planned": output.moment(job.created_at),
        "begun": output.moment(job.started_at),
        "ended": output.moment(job.finished_at),
        "items": f"{job.counts.total:,}",
    }
