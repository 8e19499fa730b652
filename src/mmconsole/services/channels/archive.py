"""Channels into the archive and out of it. Archiving removes, so it is a job, and the guard counts it."""

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import ItemState, JobState, NewItem, Transaction
from mmconsole.domain.activity import Activity
from mmconsole.domain.channels import Channel, ChannelChange, Did, ProjectChannel
from mmconsole.domain.plans import Kind, Outcome
from mmconsole.domain.users import UserId
from mmconsole.errors import ChannelUnknown, MmconsoleError, Refused
from mmconsole.services.guard import demand_room
from mmconsole.services.runs import Run
from mmconsole.services.server import Server

KIND: Final = "archive"
"""Of its jobs."""
LEASE: Final = "channels"
"""Held for the few calls that make, archive or restore one channel, so that a project never gets two."""
_ONLY_ITEM: Final = 1


@dataclass(frozen=True, slots=True)
class _Job:
    """The job of one archiving, with one item."""

    id: int
    run: Run

    def finish(self, tx: Transaction, *, row: Activity) -> None:
        self._end(tx, ItemState.DONE, Outcome.ARCHIVED, removals=1)
        tx.jobs.finish(self.id, JobState.DONE, fence=self.run.lease.fence, at=self.run.now())
        tx.activity.add(replace(row, job_id=self.id))

    def fail(self, tx: Transaction, *, note: str, removals: int, link: ProjectChannel | None = None) -> None:
        """`link` is stored again as it was."""
        self._end(tx, ItemState.FAILED, Outcome.FAILED, note=note, removals=removals)
        tx.jobs.finish(self.id, JobState.FAILED, fence=self.run.lease.fence, at=self.run.now())
        if link is not None:
            tx.projects.save(link)

    def _end(self, tx: Transaction, state: ItemState, outcome: Outcome, *, note: str = "", removals: int) -> None:
        tx.jobs.items.finish(
            self.id,
            _ONLY_ITEM,
            state,
            fence=self.run.lease.fence,
            at=self.run.now(),
            outcome=outcome,
            note=note,
            removals=removals,
        )


class ChannelArchive:
    def __init__(self, settings: Settings, server: Server) -> None:
        self._settings = settings
        self._server = server

    async def archive(
        self, channel: Channel, run: Run, *, confirmed: int | None = None, of: ProjectChannel | None = None
    ) -> ChannelChange:
        """Archive a channel, by itself or with its project. One that is archived already is left as it is.

        Raises GuardTripped, ChannelUnknown, DefaultChannel, and what the server can raise.
        """
        client = await self._server.client()
        current = await client.find_channel(channel.id)
        if current is None:
            # Somebody has just seen it, so this is no answer to build a removal on.
            raise ChannelUnknown(name=channel.address, where=" any more", server=self._settings.server)
        if current.archived:
            return ChannelChange(replace(current, team=channel.team), Did.UNCHANGED)
        job = await run.write(partial(self._begin, channel=channel, run=run, confirmed=confirmed, of=of))
        try:
            await client.archive_channel(channel.id)
        except Refused as fault:
            await run.write(partial(job.fail, note=str(fault), removals=0, link=of))
            raise
        except MmconsoleError as fault:
            # It may have been archived: the guard rather counts too much.
            await run.write(partial(job.fail, note=str(fault), removals=1))
            raise
        of_project = f" with the project {of.project_id}" if of else ""
        row = run.activity("channel archived", None, channel.address + of_project, request_id=client.last_request_id)
        await run.write(partial(job.finish, row=row))
        return ChannelChange(replace(current, team=channel.team, delete_at=client.server_time_ms()), Did.ARCHIVED)

    async def close_left(self, run: Run) -> None:
        """End the jobs of processes that died while they archived. The guard counts them, for they may have."""

        def close(tx: Transaction) -> None:
            for left in tx.jobs.resumable():
                if left.kind == KIND:
                    tx.jobs.start(left.id, fence=run.lease.fence, at=run.now())
                    _Job(left.id, run).fail(tx, note="interrupted", removals=1)

        await run.write(close)

    async def restore(self, channel: Channel, run: Run) -> ChannelChange:
        """Take a channel out of the archive. One that is not in it is left as it is. Its webhooks do not come back."""
        if not channel.archived:
            return ChannelChange(channel, Did.UNCHANGED)
        client = await self._server.client()
        await client.restore_channel(channel.id)
        row = run.activity("channel restored", None, channel.address, request_id=client.last_request_id)

        def store(tx: Transaction) -> None:
            link = tx.projects.of_channel(channel.id)
            if link is not None:
                tx.projects.save(replace(link, archived_with_project=False))
            tx.activity.add(row)

        await run.write(store)
        return ChannelChange(replace(channel, delete_at=0), Did.RESTORED)

    def _begin(
        self, tx: Transaction, *, channel: Channel, run: Run, confirmed: int | None, of: ProjectChannel | None
    ) -> _Job:
        """Pass the guard, and write down what is about to be done."""
        demand_room(tx, self._settings.values.guard, removals=1, confirmed=confirmed, now=run.now())
        job_id = tx.jobs.create(kind=KIND, title=f"archive {channel.address}", actor=run.actor, at=run.now())
        steps = json.dumps({"steps": [Kind.ARCHIVE], "why": channel.address})
        tx.jobs.items.add(job_id, [NewItem(UserId(""), steps)])
        tx.jobs.start(job_id, fence=run.lease.fence, at=run.now())
        tx.jobs.items.start(job_id, _ONLY_ITEM, fence=run.lease.fence, at=run.now())
        if of is not None:
            # Before it is done: only what was archived with its project is restored with it.
            tx.projects.save(replace(of, archived_with_project=True))
        return _Job(job_id, run)
