"""Plans on the screen: made as work that can be stopped, shown, saved to a file."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from mmconsole.services.summary import Summary, SyncRequest
from mmconsole.services.tokens.tokens import TokenRequest
from mmconsole.tui.ground import Approval, Ground, past_obstacles
from mmconsole.tui.plan_screen import PlanScreen
from mmconsole.tui.work import PlannedUser, Work

_VALID_FOR: Final = timedelta(hours=24)


async def make_plan(
    ground: Ground, title: str, plan: Callable[[Work], Awaitable[Summary]], *, users: Sequence[str] = ()
) -> tuple[Summary, list[PlannedUser]]:
    """Plan, and remember whose steps there are."""
    work = Work(f"plan: {title}", users, planning=True)
    summary = await ground.running.perform(work, plan)
    return summary, work.plans


async def show_plan(
    ground: Ground, title: str, request: SyncRequest | TokenRequest, summary: Summary, planned: Sequence[PlannedUser]
) -> Approval | None:
    """Show a plan and ask what of it shall be done. None means nothing."""

    def save() -> None:
        file = Path(f"mmconsole-plan-{datetime.now(UTC):%Y%m%d-%H%M%S}.json").absolute()
        ground.running.start(_save(ground, request, file))

    names = await ground.addresses([result.user_id for result in summary.listed])
    screen = PlanScreen(title, summary, planned, save=save, names=names, masked=ground.desk.masked)
    chosen = await ground.running.ask(screen)
    if chosen is None:
        return None
    if not ground.permission.writable:
        ground.desk.say("This profile is read-only again; W makes it writable.")
        return None
    return await past_obstacles(ground, title, summary, chosen)


async def _save(ground: Ground, request: SyncRequest | TokenRequest, file: Path) -> None:
    write = partial(ground.core.plans.write, request, file, expires_in=_VALID_FOR)
    await ground.running.perform(Work("save the plan", planning=True), lambda work: write(progress=work))
    ground.desk.say(f"Saved as {file}; `mmconsole apply` does it within 24 hours.")
