"""What a sync is about to do, worked out: the request against the settings, the users against the server."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database, open_scratch
from mmconsole.domain.accounts import TeamId
from mmconsole.domain.checks import is_known_by_trial
from mmconsole.domain.plans import Finding, Kind, Result, Rules, UserPlan
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.domain.users import UserId
from mmconsole.errors import LinksUnnamed, NotFound, TeamUnknown
from mmconsole.services.look import Aim, Batch, Look, Planned
from mmconsole.services.server import Server
from mmconsole.services.successors import with_successors
from mmconsole.services.summary import SyncRequest
from mmconsole.services.users import Users
from mmconsole.services.waiting import patient

_NEWCOMERS: Final = frozenset({Kind.CREATE, Kind.LINK})


@dataclass(frozen=True, slots=True)
class Brief:
    """A request, worked out against the settings and the server."""

    request: SyncRequest
    aim: Aim
    rules: Rules
    teams: dict[TeamId, str]
    refused: tuple[Result, ...] = ()
    """Names in the request that mean no user."""

    def about(self, approved: Sequence[UserPlan]) -> "Brief":
        """The same for users whose plans were approved before: with what the operator said of each of them then."""
        ids = tuple(plan.user_id for plan in approved)
        rules = replace(
            self.rules,
            teams=any(Kind.JOIN in plan.steps and not _NEWCOMERS & {*plan.steps} for plan in approved),
            asked=frozenset(plan.user_id for plan in approved if plan.asked),
            confirmed=frozenset(plan.user_id for plan in approved if plan.confirmed),
        )
        return replace(self, aim=Aim(ids), rules=rules)


class Planning:
    def __init__(
        self, settings: Settings, database: Database, server: Server, users: Users, *, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._users = users
        self._now = now

    async def prepare(self, request: SyncRequest) -> Brief:
        """Raises LinksUnnamed, TeamUnknown, and what `Users.meant` raises."""
        if request.link_existing and not request.names:
            raise LinksUnnamed
        meant = await self._users.meant(request.names) if request.names else None
        ids, refused = (meant.ids, meant.refused) if meant is not None else (None, ())
        aim = Aim(ids, request.missing, await self._since(request))
        return Brief(request, aim, await self._rules(request, ids), await self._teams(), refused)

    async def total(self, aim: Aim) -> int:
        """How many users a look at this aim meets."""
        if aim.ids is not None:
            return len(aim.ids)
        missing = aim.missing
        return await self._database.read(lambda db: db.roster.count_missing() if missing else db.roster.count())

    async def batches(
        self, brief: Brief, *, advance: Callable[[int], None], stop: asyncio.Event
    ) -> AsyncGenerator[Batch, None]:
        """Everybody in the aim, planned; `advance` hears how many users were read."""
        client = patient(await self._server.client(), stop)
        with open_scratch() as scratch:
            look = Look(self._database, client, scratch, aim=brief.aim, rules=brief.rules, teams=brief.teams)
            async for batch in look.batches(advance=advance):
                yield _marked(await with_successors(batch, self._database, client, brief.rules), brief.rules)

    async def _rules(self, request: SyncRequest, ids: tuple[UserId, ...] | None) -> Rules:
        sync = self._settings.values.sync
        shared = frozenset[UserId]()
        if sync.update_username:
            shared = await self._database.read(lambda db: db.roster.wanted_usernames_held_twice())
        return Rules(
            reactivate=sync.reactivate,
            deactivate=sync.deactivate,
            update_username=sync.update_username,
            teams=request.teams,
            joins=bool(sync.teams),
            confirmed=frozenset(ids or ()) if request.link_existing else frozenset(),
            asked=frozenset(ids or ()) if request.by_operator else frozenset(),
            shared_usernames=shared,
        )

    async def _teams(self) -> dict[TeamId, str]:
        client = await self._server.client()
        found = {}
        for name in self._settings.values.sync.teams:
            try:
                team = await client.team_by_name(name)
            except NotFound as fault:
                raise TeamUnknown(name=name, server=self._settings.server) from fault
            if team.delete_at:
                raise TeamUnknown(name=name, server=self._settings.server)
            found[team.id] = team.name
        return found

    async def _since(self, request: SyncRequest) -> int | None:
        """The server's time of the last look, or None when everything is to be compared (daily, or --full)."""
        last, full_at = await self._database.read(lambda db: (db.meta.last_look, db.meta.last_full_look))
        every = timedelta(hours=self._settings.values.sync.full_every_hours)
        if request.full or not last or full_at is None or abs(self._now() - full_at) > every:
            return None
        return last


def noted(batch: list[Planned]) -> list[TokenRecord]:
    """The records whose health this look found to be another one."""
    return [record for planned in batch if (record := _noted_one(planned)) is not None]


def _noted_one(planned: Planned) -> TokenRecord | None:
    """What to remember of a user without steps, or None when that is known already."""
    plan, record = planned.plan, planned.record
    if planned.user is None or plan.steps:
        return None
    known = record or TokenRecord(plan.user_id)
    noted = known
    if plan.health is not None:
        # What somebody disabled stays withheld, also when it is deleted on the server later.
        withheld = known.withheld or plan.health is Health.DISABLED
        noted = replace(known, health=plan.health, cause=plan.why, withheld=withheld)
    elif known.token_id is not None and planned.user.active and not is_known_by_trial(known):
        noted = replace(known, health=Health.OK, cause="", withheld=False)
    if plan.finding is Finding.UNCHANGED and planned.digest:
        noted = replace(noted, pushed_digest=planned.digest)
    return None if noted == known else noted


def _marked(batch: Batch, rules: Rules) -> Batch:
    """The same, in which each plan says what the operator said of its user: whoever applies it knows nothing else."""
    if not (rules.asked or rules.confirmed):
        return batch
    return replace(batch, planned=[_marked_one(planned, rules) for planned in batch.planned])


def _marked_one(planned: Planned, rules: Rules) -> Planned:
    plan = planned.plan
    if not plan.steps:
        return planned
    asked, confirmed = plan.user_id in rules.asked, rules.confirms(plan.user_id)
    return replace(planned, plan=replace(plan, asked=asked, confirmed=confirmed))
