"""Users added to a channel: one at once, or many as a job."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database
from mmconsole.domain.accounts import AccountId
from mmconsole.domain.channels import Channel
from mmconsole.domain.plans import Kind, Outcome, Result, UserPlan
from mmconsole.domain.users import UserId
from mmconsole.errors import Declined, MmconsoleError
from mmconsole.mattermost import MEMBERS_AT_ONCE
from mmconsole.services.channels.members import ChannelMembers
from mmconsole.services.jobs import Journal, Runner, end_left
from mmconsole.services.leases import Lease
from mmconsole.services.runs import Run
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage
from mmconsole.services.summary import Progress
from mmconsole.services.users import Users

KIND: Final = "channel members"
"""Of its jobs."""
LEASE: Final = "channel members"
"""Held for a job that adds many, which need not keep channels from being made."""


@dataclass(slots=True)
class Added:
    """How adding users to a channel ended: one result for each user who was named."""

    channel: Channel
    results: list[Result] = field(default_factory=list)
    planned: int = 0
    """Users who were neither unknown nor in the channel already."""
    users: int = 0
    """Everybody who was named, each once."""
    job_id: int | None = None
    fault: MmconsoleError | None = None
    """What ended the job before its end: then users are missing from the results."""

    @property
    def counts(self) -> Counter[str]:
        return Counter(result.outcome for result in self.results)


ConfirmAdding = Callable[[Added], Awaitable[bool]]
"""Whether to go on: who is planned, and who is known to need nothing."""


class ChannelAdding:
    def __init__(self, settings: Settings, database: Database, server: Server, storage: Storage, users: Users) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._storage = storage
        self._users = users

    async def add(self, channel: Channel, name: str, run: Run, *, as_admin: bool) -> Result:
        """Add one user. Raises UserUnknown, AmbiguousName, and the faults that would meet everybody."""
        user_id = await self._users.resolve(name)
        row = await self._database.read(lambda db: db.roster.row(user_id))
        account_ids = await self._accounts([user_id])
        if await self._in_channel(channel, account_ids):
            return Result(user_id, Outcome.THERE)
        members = await self._members(channel, account_ids, run, as_admin=as_admin)
        return await members.apply(UserPlan(user_id, steps=(Kind.ADD,)), row)

    async def plan(self, channel: Channel, names: Sequence[str], run: Run, *, as_admin: bool) -> Added:
        """How adding users would end, as far as it is known before their tokens are tried; nothing is done."""
        added, plans, account_ids = await self._look(channel, names)
        members = await self._members(channel, account_ids, run, as_admin=as_admin)
        ids = [plan.user_id for plan in plans]
        rows = {user.id: (user, record) for user, record in await self._database.read(lambda db: db.roster.rows(ids))}
        added.results += [members.foresee(user_id, rows.get(user_id, (None, None))) for user_id in ids]
        return added

    async def add_many(  # noqa: PLR0913 - a job needs to be watched and stopped
        self,
        channel: Channel,
        names: Sequence[str],
        lease: Lease,
        run: Run,
        *,
        as_admin: bool,
        confirm: ConfirmAdding,
        progress: Progress,
        stop: asyncio.Event,
    ) -> Added:
        """Add users as a job; what an interrupted one left is done by the next that names them. Raises Declined."""
        await end_left(lease, KIND, at=run.now())
        added, plans, account_ids = await self._look(channel, names)
        if plans and not await confirm(added):
            raise Declined
        if plans:
            job = Journal(lease, kind=KIND, title=_title(channel, plans), actor=run.actor, now=run.now)
            await job.add(plans, [])
            added.job_id = job.id
            members = await self._members(channel, account_ids, _of_job(run, job.id), as_admin=as_admin)
            added.fault = await self._apply(job, members, added, progress, stop)
        return added

    async def _look(
        self, channel: Channel, names: Sequence[str]
    ) -> tuple[Added, list[UserPlan], dict[UserId, AccountId]]:
        """Who is unknown or in the channel already, who is to be added, and their accounts."""
        added = Added(channel)
        ids = await self._known(names, added)
        account_ids = await self._accounts(ids)
        there = await self._in_channel(channel, account_ids)
        added.results += [Result(user_id, Outcome.THERE) for user_id in ids if account_ids.get(user_id) in there]
        plans = [UserPlan(one, steps=(Kind.ADD,)) for one in ids if account_ids.get(one) not in there]
        added.planned, added.users = len(plans), len(added.results) + len(plans)
        return added, plans, account_ids

    async def _apply(
        self, job: Journal, members: ChannelMembers, added: Added, progress: Progress, stop: asyncio.Event
    ) -> MmconsoleError | None:
        def done(result: Result) -> None:
            added.results.append(result)
            progress.advance(1)

        progress.stage("adding", added.planned)
        calls = self._settings.values.mattermost.max_concurrency
        return await Runner(self._database, job, members, calls=calls).run(done, stop)

    async def _known(self, names: Sequence[str], added: Added) -> list[UserId]:
        """The users who were named, each once; the others' results are told at once."""
        meant = await self._users.meant(names)
        added.results += meant.refused
        return list(meant.ids)

    async def _accounts(self, ids: Sequence[UserId]) -> dict[UserId, AccountId]:
        """Their accounts, for those who have one."""
        records = await self._database.read(lambda db: db.tokens.of(ids))
        return {user_id: record.account_id for user_id, record in records.items() if record.account_id}

    async def _in_channel(self, channel: Channel, account_ids: dict[UserId, AccountId]) -> set[AccountId]:
        client = await self._server.client()
        return await client.channel_members(channel.id, list(account_ids.values()))

    async def _members(
        self, channel: Channel, account_ids: dict[UserId, AccountId], run: Run, *, as_admin: bool
    ) -> ChannelMembers:
        client = await self._server.client()
        asked = list(account_ids.values())
        in_team: set[AccountId] = set()
        for start in range(0, len(asked), MEMBERS_AT_ONCE):
            in_team |= await client.team_members(channel.team_id, asked[start : start + MEMBERS_AT_ONCE])
        return ChannelMembers(
            self._database,
            self._server,
            self._storage,
            channel=channel,
            as_admin=as_admin,
            fallback=self._settings.values.tokens.fallback_to_admin,
            in_team=in_team,
            run=run,
        )


def _of_job(run: Run, job_id: int | None) -> Run:
    return Run(run.lease, run.actor, run.now, job_id)


def _title(channel: Channel, plans: Sequence[UserPlan]) -> str:
    who = f"{len(plans)} users" if len(plans) > 1 else plans[0].user_id
    return f"add {who} to {channel.address}"
