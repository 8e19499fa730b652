"""Orders about tokens: test, repair, revoke, and take a revocation back."""

from dataclasses import replace
from typing import Final

from mmconsole.domain.health import STATUSES
from mmconsole.domain.plans import Kind, UserPlan
from mmconsole.domain.token_plans import Act
from mmconsole.domain.tokens import Health
from mmconsole.services.checks.checks import CheckRequest, CheckSummary
from mmconsole.services.summary import Summary
from mmconsole.services.tokens import tokens
from mmconsole.services.tokens.tokens import TokenRequest
from mmconsole.tui.cells import counted
from mmconsole.tui.dialogs import MORE, YES, Dialog, word_to_type
from mmconsole.tui.ground import Approval, Ground, apply, tell_end, tripped_guard, why_nothing
from mmconsole.tui.plan_flows import make_plan, show_plan
from mmconsole.tui.running import TOKENS
from mmconsole.tui.targets import Targets
from mmconsole.tui.wording import on_screen
from mmconsole.tui.work import PlannedUser, Work

_NEVER_UNSEEN: Final = {Kind.REPLACE}
"""Steps that are only done after a look at the plan: the old token works."""


async def test(ground: Ground, targets: Targets) -> None:
    """Try each secret itself."""
    users = targets.shown

    async def do(work: Work) -> CheckSummary:
        return await ground.core.checks.run(CheckRequest(users, deep=True), progress=work, stop=work.stop)

    title = f"test {_who(ground, users)}"
    summary = await ground.running.perform(Work(title, users), do)
    found = sorted(summary.counts.items(), key=lambda entry: -entry[1])
    words = ", ".join(f"{STATUSES[status]}{_because(status, cause, ' ({})')} {n:,}" for (status, cause), n in found)
    if len(users) == 1 and found:
        ((status, cause), _), *_ = found
        words = f"{STATUSES[status]}{_because(status, cause, ': {}')}"
    ground.desk.say(f"{title}: {words or 'nothing to test'}")


async def repair(ground: Ground, targets: Targets) -> None:
    """Where nothing can be lost it is done at once; else, and for several users, the plan comes first."""
    users = targets.shown
    request = TokenRequest(Act.REPAIR, users, force=targets.only is not None)
    title = f"repair {_who(ground, users)}"
    summary, planned = await _planned(ground, title, request)
    if not planned and targets.only is not None:
        ground.desk.say(f"{ground.desk.name_of(users[0])}: {why_nothing(summary)}")
    elif targets.only is not None and _is_safe(planned[0].plan):
        # By now its token may work, and that is not replaced unseen.
        await _run(ground, title, replace(request, force=False))
    elif (approval := await show_plan(ground, title, request, summary, planned)) is not None:
        shown = [plan.user_id for plan in approval.plans]
        await apply(ground, tokens.KIND, tokens.title_of(request), approval, users=shown)


async def revoke(ground: Ground, targets: Targets) -> None:
    """Disabled now, revoked for good when the time to undo is over."""
    users = targets.shown
    while True:
        request = TokenRequest(Act.REVOKE, users)
        title = f"revoke {_who(ground, users)}"
        summary, planned = await _planned(ground, title, request)
        if not planned and not targets.hidden:
            ground.desk.say(f"{await ground.names(users)}: {why_nothing(summary)}")
            return
        answer = await ground.running.ask(await _revoke_dialog(ground, targets, users, summary, planned))
        if answer != MORE:
            break
        users = (*targets.shown, *targets.hidden)
    if answer != YES or not ground.permission.writable:
        return
    allowed = None if tripped_guard(summary) is None else summary.removals
    approval = Approval([one.plan for one in planned], allowed)
    done = await apply(ground, tokens.KIND, tokens.title_of(request), approval, users=users)
    if done.job_id is not None and (undoing := (await ground.core.jobs.show(done.job_id)).undoing).until is not None:
        # Of a token that was gone already nothing is left to take back, whatever was planned.
        await ground.running.can_undo(done.job_id, undoing.until)


async def undo(ground: Ground, targets: Targets) -> None:
    """Take back the last revocation of this console, else those of the users that are meant."""
    last = ground.running.undo
    request = TokenRequest(Act.UNDO, job_id=last.job_id) if last else TokenRequest(Act.UNDO, targets.shown)
    if last is None and not targets.shown:
        ground.desk.say("There is no revocation that could be undone.")
        return
    summary = await _run(ground, f"undo job {last.job_id}" if last else f"undo {_who(ground, targets.shown)}", request)
    if last is not None and summary.fault is None:
        ground.running.undone(last.job_id)


async def undo_job(ground: Ground, job_id: int) -> None:
    """Take back what a job revoked, or say why that cannot be."""
    undoing = (await ground.core.jobs.show(job_id)).undoing
    if undoing.until is None:
        ground.desk.say(f"Undo of job {job_id}: not possible, {undoing.why_not or 'there is nothing to take back'}.")
        return
    summary = await _run(ground, f"undo job {job_id}", TokenRequest(Act.UNDO, job_id=job_id))
    if summary.fault is None:
        ground.running.undone(job_id)


# ── inside ───────────────────────────────────────────────────────────────────────────────────────


async def _planned(ground: Ground, title: str, request: TokenRequest) -> tuple[Summary, list[PlannedUser]]:
    async def plan(work: Work) -> Summary:
        return await ground.core.tokens.plan(request, progress=work)

    return await make_plan(ground, title, plan, users=request.names)


async def _run(ground: Ground, title: str, request: TokenRequest) -> Summary:
    async def do(work: Work) -> Summary:
        return await ground.core.tokens.run(request, progress=work, stop=work.stop)

    summary = await ground.running.perform(Work(title, request.names), do, turn=TOKENS)
    tell_end(ground, title, summary, request.names)
    return summary


def _because(status: Health, cause: str, form: str) -> str:
    """The cause, where it says more than the status does."""
    return form.format(cause) if cause and cause != status else ""


def _is_safe(plan: UserPlan) -> bool:
    """Whether nothing that works can be lost, and nobody decided against it."""
    return not plan.asks and _NEVER_UNSEEN.isdisjoint(plan.steps)


async def _revoke_dialog(
    ground: Ground, targets: Targets, users: tuple[str, ...], summary: Summary, planned: list[PlannedUser]
) -> Dialog:
    number, left = len(planned), len(users) - len(planned)
    with_hidden = len(users) > len(targets.shown)
    ids = [one.plan.user_id for one in planned]
    grace = int(ground.core.settings.values.tokens.grace.total_seconds() // 60)
    tokens = counted(number, "token")
    lines = [f"On {ground.core.settings.server}: {tokens}", await ground.names(ids)]
    if targets.marked:
        hidden = f"{len(targets.hidden):,} hidden by the filter"
        included = "" if not targets.hidden else ", included" if with_hidden else ", not included"
        lines.append(f"{len(targets.shown) + len(targets.hidden):,} marked, {hidden}{included}")
    lines += [f"{left:,} have none that could be revoked: {why_nothing(summary)}"] if left else []
    lines.append(f"Disabled now, revoked after {grace} minutes; u undoes it until then.")
    lines += [f"! {on_screen(fault)}" for fault in summary.would_stop]
    more = f"{len(targets.hidden):,} hidden too" if targets.hidden and not with_hidden else ""
    word = word_to_type(number, profile=ground.desk.profile, protected=ground.permission.protected)
    tripped = tripped_guard(summary) is not None
    return Dialog(
        f"Revoke {tokens}",
        lines,
        verb="revoke",
        word=word or (str(number) if tripped else ""),
        more=more,
    )


def _who(ground: Ground, users: tuple[str, ...]) -> str:
    return ground.desk.name_of(users[0]) if len(users) == 1 else f"{len(users):,} users"
