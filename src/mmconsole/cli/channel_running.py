"""What changes channels, as the command line runs it: watched, asked about, and stopped by signals."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mmconsole.cli import output
from mmconsole.cli.channel_summary import Ending
from mmconsole.cli.loop import Interrupts
from mmconsole.cli.progress import Watch
from mmconsole.cli.summary import named
from mmconsole.cli.under_way import UnderWay, asked, pace_of, patiently, under_way
from mmconsole.core import Core
from mmconsole.domain.channels import ChannelChange, Did, ProjectId
from mmconsole.domain.filters import Filter, Order
from mmconsole.errors import Declined
from mmconsole.services.channels.adding import Added
from mmconsole.services.channels.runs import ChannelRun, Watched
from mmconsole.services.jobs import users_at_once

_WILL_BE_ARCHIVED: Final = "will be archived. Webhooks are deleted with it, and no restore brings them back."


@dataclass(frozen=True, slots=True)
class Addition:
    """Whom to add to which channel."""

    channel: str
    names: tuple[str, ...] = ()
    """Users by id, e-mail or username."""
    wanted: Filter | None = None
    """Instead of names."""
    as_admin: bool = False


@dataclass(frozen=True, slots=True)
class How:
    """How to go about a run."""

    yes: bool = False
    wait: bool = False
    allow_removals: int | None = None


# ── users ────────────────────────────────────────────────────────────────────────────────────────


async def plan_adding(core: Core, addition: Addition) -> Added:
    names = await _names(core, addition)
    return await core.channels.plan_adding(addition.channel, names, as_admin=addition.as_admin)


async def add(core: Core, addition: Addition, signals: Interrupts, how: How, *, listed: bool) -> Ending[Added]:
    """Add users. `listed` is for those whom nobody typed one by one: on a terminal their number is asked about."""
    names = await _names(core, addition)
    begun = time.monotonic()
    workers = users_at_once(core.settings.values.mattermost.max_concurrency)
    with under_way(signals, workers=workers, pace=pace_of(core)) as progress:

        async def confirm(added: Added) -> bool:
            who = output.amount(added.planned, "user")
            question = f"{who} will be added to {added.channel.address}, with a message there for each."
            return not listed or how.yes or await _agreed(question, progress.shown)

        async def run(waiting: bool) -> Added:  # noqa: FBT001 - as `patiently` calls it
            return await core.channels.add_users(
                addition.channel,
                names,
                as_admin=addition.as_admin,
                wait=waiting,
                confirm=confirm,
                progress=progress,
                stop=signals.stop,
            )

        added = await patiently(run, progress.shown, wait=how.wait)
    return Ending(added, time.monotonic() - begun, interrupted=signals.count > 0)


async def _names(core: Core, addition: Addition) -> Sequence[str]:
    if addition.wanted is None:
        return addition.names
    return await core.overview.ids(addition.wanted, order=Order())


# ── channels ─────────────────────────────────────────────────────────────────────────────────────


async def archive(core: Core, names: Sequence[str], signals: Interrupts, how: How) -> Ending[ChannelRun]:
    begun = time.monotonic()
    with under_way(signals, workers=1, pace=pace_of(core), of="channel") as progress:
        watched = _watched(progress, signals, yes=how.yes)
        run = await core.channels.archive_all(names, allow_removals=how.allow_removals, watched=watched)
    return Ending(run, time.monotonic() - begun, interrupted=signals.count > 0)


async def archive_for_project(core: Core, project_id: str, signals: Interrupts, how: How) -> ChannelChange | None:
    with under_way(signals, workers=1, pace=pace_of(core), of="channel") as progress:
        if not (
            how.yes or await _agreed(f"The channel of the project {project_id} {_WILL_BE_ARCHIVED}", progress.shown)
        ):
            raise Declined
        return await core.channels.archive_for_project(ProjectId(project_id), allow_removals=how.allow_removals)


async def follow_projects(core: Core, signals: Interrupts, how: How, *, archived: bool) -> Ending[ChannelRun]:
    begun = time.monotonic()
    with under_way(signals, workers=1, pace=pace_of(core), of="project") as progress:
        watched = _watched(progress, signals, yes=how.yes)

        async def run(waiting: bool) -> ChannelRun:  # noqa: FBT001 - as `patiently` calls it
            return await core.channels.follow_projects(
                archived=archived, allow_removals=how.allow_removals, wait=waiting, watched=watched
            )

        done = await patiently(run, progress.shown, wait=how.wait)
    return Ending(done, time.monotonic() - begun, interrupted=signals.count > 0)


# ── watching and asking ──────────────────────────────────────────────────────────────────────────


def _watched(progress: UnderWay, signals: Interrupts, *, yes: bool) -> Watched:
    async def confirm(run: ChannelRun) -> bool:
        addresses = [plan.address for plan in run.planned if plan.did is Did.ARCHIVED]
        return yes or await _agreed(f"{named(addresses, of='channel')} {_WILL_BE_ARCHIVED}", progress.shown)

    return Watched(confirm, progress, signals.stop)


async def _agreed(will: str, shown: Watch) -> bool:
    """Ask on a terminal; elsewhere the guard decides."""
    if not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)):
        return True
    shown.rest()
    output.note(output.visible(will))
    return await asked("Go on? [y/N] ")
