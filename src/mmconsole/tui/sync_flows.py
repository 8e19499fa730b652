"""Orders to sync: some users at once, everybody after a look at the plan."""

from mmconsole.services import sync
from mmconsole.services.summary import Confirm, Summary, SyncRequest
from mmconsole.tui.ground import Approval, Ground, apply, tell_end
from mmconsole.tui.plan_flows import make_plan, show_plan
from mmconsole.tui.plan_rows import forecast_lines
from mmconsole.tui.running import TOKENS
from mmconsole.tui.targets import Targets
from mmconsole.tui.work import Work


async def sync_some(ground: Ground, targets: Targets) -> None:
    users = targets.shown
    who = ground.desk.name_of(users[0]) if len(users) == 1 else f"{len(users):,} users"
    title = f"sync {who}"

    async def confirm(summary: Summary) -> bool:
        # Who syncs one user expects the mail about that user's token.
        mails = summary.forecast.mails if summary.planned > 1 else 0
        if not (summary.removals or summary.links or summary.asks or mails):
            return True
        return await ground.allows(title, forecast_lines(summary), verb="start", losing=summary.removals)

    await _run(ground, title, SyncRequest(names=users), confirm)


async def sync_all(ground: Ground) -> None:
    request = SyncRequest()
    title = sync.title_of(request)

    async def plan(work: Work) -> Summary:
        return await ground.core.sync.plan(request, progress=work)

    summary, planned = await make_plan(ground, title, plan)
    if not planned and not summary.listed:
        # A look is remembered, so that the next one need not go so far back.
        await _run(ground, title, request, _as_seen(ground, title, summary))
        return
    approval = await show_plan(ground, title, request, summary, planned)
    if approval is None:
        return
    if len(approval.plans) < len(planned):
        await apply(ground, sync.KIND, f"{title}, some left out", approval)
    else:
        await _whole(ground, title, summary, approval)


async def _whole(ground: Ground, title: str, summary: Summary, approval: Approval) -> None:
    """A plan of which nobody was left out is a sync, which also remembers how far it has looked."""
    request = SyncRequest(allow_removals=approval.allow_removals)
    await _run(ground, title, request, _as_seen(ground, title, summary))


def _as_seen(ground: Ground, title: str, seen: Summary) -> Confirm:
    """Ask once more when by now more would be sent, linked or lost than was shown."""

    async def confirm(now: Summary) -> bool:
        mails = now.forecast.mails <= seen.forecast.mails
        if mails and now.removals <= seen.removals and len(now.links) <= len(seen.links):
            return True
        lines = ["By now it comes to more than was shown:", *forecast_lines(now)]
        return await ground.allows(title, lines, verb="start", losing=now.removals)

    return confirm


async def _run(ground: Ground, title: str, request: SyncRequest, confirm: Confirm) -> None:
    async def do(work: Work) -> Summary:
        return await ground.core.sync.run(request, confirm=confirm, progress=work, stop=work.stop)

    summary = await ground.running.perform(Work(title, request.names), do, turn=TOKENS)
    tell_end(ground, title, summary, request.names)
