"""What the application's own code may have done over HTTP: few things, each of them safe to repeat.

Every call says who asks (`by`), which is what the activity log names.
"""

from dataclasses import dataclass
from functools import partial

from mmconsole.database import Database
from mmconsole.domain.channels import ChannelChange, ProjectId
from mmconsole.domain.plans import Finding, Outcome, Result
from mmconsole.domain.users import UserId
from mmconsole.errors import NoSuchId
from mmconsole.services.channels.channels import Channels
from mmconsole.services.runs import asked_by
from mmconsole.services.summary import Summary, SyncRequest
from mmconsole.services.sync import Sync
from mmconsole.services.turns import Turns

_NOT_DONE = frozenset({Outcome.CONFLICT, Outcome.FAILED, Outcome.REFUSED, Outcome.SKIPPED, Finding.LEFT})


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a call about one user."""

    user_id: UserId
    outcome: str
    note: str
    as_wanted: bool
    """False when something keeps the user from it; the note says what."""


class ApplicationCalls:
    def __init__(self, database: Database, sync: Sync, channels: Channels, *, turns: Turns) -> None:
        self._database = database
        self._sync = sync
        self._channels = channels
        self._turns = turns

    async def sync_user(self, user_id: UserId, *, by: str) -> Done:
        """Bring one user into step. Raises NoSuchId, Busy, GuardTripped, TooManyMails, and what a sync raises."""
        await self._demand_known(user_id)
        # Asked anew: an id may be somebody else's username, and is looked at as an id first.
        request = SyncRequest(names=(user_id,), by_operator=False)
        with asked_by(by):
            summary = await self._turns.take(partial(self._sync.run, request))
        if summary.fault is not None:
            raise summary.fault
        return _done(user_id, summary)

    async def add_to_channel(self, channel: str, user_id: UserId, *, by: str) -> Done:
        """Add one user to a public channel, as themselves. Raises NoSuchId, and what `Channels.add_user` raises."""
        await self._demand_known(user_id)
        with asked_by(by):
            result = await self._channels.add_user(channel, user_id)
        return Done(user_id, str(result.outcome), result.note, as_wanted=result.outcome not in _NOT_DONE)

    async def open_channel(
        self, project_id: ProjectId, *, by: str, name: str | None = None, team: str | None = None
    ) -> ChannelChange:
        """Make sure that a project has its channel. Raises what `Channels.create_for_project` raises."""
        with asked_by(by):
            return await self._channels.create_for_project(project_id, name=name, team=team)

    async def archive_channel(self, project_id: ProjectId, *, by: str) -> ChannelChange | None:
        """Archive a project's channel; None when it has none. Raises GuardTripped."""
        with asked_by(by):
            return await self._channels.archive_for_project(project_id)

    async def _demand_known(self, user_id: UserId) -> None:
        if not await self._database.read(lambda db: db.roster.rows([user_id])):
            raise NoSuchId(name=user_id)


def _done(user_id: UserId, summary: Summary) -> Done:
    told: list[Result] = [one for one in summary.listed if one.user_id == user_id]
    if told:
        return Done(user_id, str(told[0].outcome), told[0].note, as_wanted=told[0].outcome not in _NOT_DONE)
    outcome = next(iter(summary.counts), str(Finding.UNCHANGED))
    return Done(user_id, str(outcome), "", as_wanted=True)
