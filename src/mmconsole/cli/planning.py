"""Plan files as the command line writes, shows and applies them."""

from collections import defaultdict
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from mmconsole.cli import output
from mmconsole.cli.loop import Interrupts
from mmconsole.cli.progress import watch
from mmconsole.cli.summary import Ending, forecast_lines, show_obstacles, show_plan
from mmconsole.cli.syncing import SHOWN_OF_EACH, Notes, watched
from mmconsole.cli.under_way import pace_of
from mmconsole.core import Core
from mmconsole.domain.forecast import Forecast
from mmconsole.domain.plans import Kind
from mmconsole.services.applying import Watching
from mmconsole.services.plans.files import PlanFile, PlannedUser, PlanTotals
from mmconsole.services.resumption import Again
from mmconsole.services.summary import Summary, SyncRequest
from mmconsole.services.tokens.tokens import TokenRequest


async def write(
    core: Core, request: SyncRequest | TokenRequest, file: Path, *, expires_in: timedelta, json: bool
) -> bool:
    """Write a plan, and show it like a dry run. Returns whether it would change anything."""
    shown = watch(pace_of(core))
    notes = Notes(shown, everything=json)
    try:
        summary = await core.plans.write(request, file, expires_in=expires_in, progress=notes)
    finally:
        shown.rest()
    with output.reader():
        show_plan(summary, notes.examples, notes.documents if json else None)
    show_obstacles(summary)
    output.note(f"Written to {output.visible(str(file))}. `mmconsole apply {output.visible(str(file))}` does it.")
    return summary.planned > 0


async def apply_file(  # noqa: PLR0913 - one parameter per option
    core: Core, file: Path, signals: Interrupts, *, allow_removals: int | None, yes: bool, wait: bool
) -> Ending:
    """Apply a plan. Raises what `Plans.apply` raises, and Interrupted."""
    with PlanFile(file) as plan:

        def run(waiting: bool, watching: Watching) -> Awaitable[Summary]:  # noqa: FBT001 - `patiently` calls it
            return core.plans.apply(plan, Again(allow_removals, waiting), watching)

        return await watched(core, run, signals, yes=yes, wait=wait)


async def show_file(core: Core, file: Path, *, json: bool) -> None:
    """Print a plan after its signature was found right. Raises what `Plans.check` raises."""
    with PlanFile(file) as plan:
        totals = await core.plans.check(plan)
        users = plan.users(await core.plans.signing())
        if json:
            output.write_json({"plan": asdict(plan.header)})
            for user in users:
                output.write_json(_document(user))
            output.write_json({"totals": asdict(totals)})
            return
        output.facts(_facts(plan, totals))
        _show_users(_first_of_each(users), totals)
        output.write("")
        for line in forecast_lines(Forecast(**totals.forecast)):
            output.write(line)


def _facts(plan: PlanFile, totals: PlanTotals) -> dict[str, str]:
    header = plan.header
    return {
        "plan": output.visible(header.title),
        "server": output.visible(header.server),
        "made by": output.visible(header.actor),
        "made": output.moment(header.made_at),
        "expires": output.moment(header.expires_at),
        "users": f"{totals.planned:,} to change, of {totals.users:,}",
    }


def _document(user: PlannedUser) -> dict[str, Any]:
    plan = user.plan
    more = {"links": plan.links or None, "asked": plan.asked, "confirmed": plan.confirmed}
    return {"user_id": plan.user_id, "email": user.email, "steps": plan.steps, "why": plan.why} | more


def _show_users(examples: Mapping[Kind, Sequence[PlannedUser]], totals: PlanTotals) -> None:
    for kind in (kind for kind in Kind if kind in examples):
        count = totals.steps.get(kind, 0)
        output.write(f"\n{kind} ({count:,})")
        for user in examples[kind]:
            link = f" → @{output.visible(user.plan.links)}" if user.plan.links and kind is Kind.LINK else ""
            reason = f"  ({output.visible(user.plan.why)})" if user.plan.why else ""
            output.write(f"  {output.visible(user.plan.user_id)}  {output.visible(user.email)}{link}{reason}")
        if count > len(examples[kind]):
            output.write(f"  and {count - len(examples[kind]):,} more: --json shows all")


def _first_of_each(users: Iterator[PlannedUser]) -> dict[Kind, list[PlannedUser]]:
    found: dict[Kind, list[PlannedUser]] = defaultdict(list)
    for user in users:
        for kind in user.plan.steps:
            if len(found[kind]) < SHOWN_OF_EACH:
                found[kind].append(user)
    return found
