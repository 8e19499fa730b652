"""The order to add users to a channel: picked, looked at, then done as a job."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from mmconsole.domain.plans import Outcome, Result
from mmconsole.errors import MmconsoleError
from mmconsole.services.channels.adding import Added
from mmconsole.tui.ground import Ground, counts_words
from mmconsole.tui.picker import ChannelPicker
from mmconsole.tui.running import CHANNELS
from mmconsole.tui.targets import Targets
from mmconsole.tui.work import Work

_OFFERED: Final = 5_000
"""Channels that a list offers; any other is taken as it is typed."""


async def add_to_channel(ground: Ground, targets: Targets) -> None:
    users = targets.shown
    names = await ground.names(users)
    picker = ChannelPicker(f"Add {names} to a channel")
    ground.running.start(_offer(ground, picker))
    typed = await ground.running.ask(picker)
    if not typed:
        return
    channel = await ground.core.channels.find(typed)
    as_admin = not channel.public
    foreseen = await ground.core.channels.plan_adding(channel.address, users, as_admin=as_admin)
    lines = _lines(foreseen.results, as_admin=as_admin)
    title = f"Add {names} to {channel.address}"
    if not foreseen.planned:
        ground.desk.say(f"{channel.address}: {_words(foreseen.results)}")
    elif await ground.allows(title, lines, verb="add") and ground.permission.writable:
        await _add(ground, channel.address, users, as_admin=as_admin)


async def _add(ground: Ground, channel: str, users: Sequence[str], *, as_admin: bool) -> None:
    async def do(work: Work) -> Added:
        return await ground.core.channels.add_users(channel, users, as_admin=as_admin, progress=work, stop=work.stop)

    added = await ground.running.perform(Work(f"add to {channel}", users), do, turn=CHANNELS)
    ground.desk.say(str(added.fault) if added.fault else f"{channel}: {_words(added.results)}")


async def _offer(ground: Ground, picker: ChannelPicker) -> None:
    """Bring the channels as they come. What cannot be listed can still be typed."""
    found = []
    try:
        async for channel in ground.core.channels.list():
            found.append(channel)
            if len(found) == _OFFERED:
                break
    except MmconsoleError as fault:
        picker.offer(found, note=str(fault))
        return
    picker.offer(found)


def _lines(results: Sequence[Result], *, as_admin: bool) -> list[str]:
    lines = [_words(results)]
    reasons = Counter(result.note for result in results if result.outcome is Outcome.REFUSED)
    lines += [f"refused, {users:,}: {why}" for why, users in reasons.most_common(3)]
    how = "The channel is private: the administrator adds them." if as_admin else "Each joins with their own token."
    return [*lines, how]


def _words(results: Sequence[Result]) -> str:
    words = counts_words(Counter(result.outcome for result in results))
    refused = [result.note for result in results if result.outcome in {Outcome.REFUSED, Outcome.FAILED}]
    return f"{words}: {refused[0]}" if len(results) == 1 and refused else words
