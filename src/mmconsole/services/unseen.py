"""Changes that no trigger saw: every row is compared with what we remember of it. The server is not asked.

A table that was rebuilt loses its triggers, a restored backup never had the events, and replication fires none.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from mmconsole.database import Database, Snapshot, Subject
from mmconsole.domain.channels import ProjectId
from mmconsole.domain.tokens import TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.services.leases import Lease

_PAGE: Final = 5_000
_KIND: Final = "compare"
_Page = Callable[..., tuple[Sequence[str], str | None]]
"""Reads the ids of a page that changed `after` a key, and the key after which the next page begins."""


class Unseen:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def write_down(self, lease: Lease, *, at: datetime) -> int:
        """Add an event of each user and project whose row says something else than we remember. Returns how many.

        Before the first complete sync nothing is remembered, and who gets an account is the operator's to say.
        """
        if await self._database.read(lambda db: db.meta.last_full_look) is None:
            return 0
        users = await self._changed(lease, Subject.USER, _changed_users, at)
        removed = await self._removed(lease, at)
        return users + removed + await self._changed(lease, Subject.PROJECT, _changed_projects, at)

    async def _changed(self, lease: Lease, subject: Subject, page: _Page, at: datetime) -> int:
        found, after = 0, None
        while True:
            ids, last = await self._database.read(partial(page, after=after))
            found += await _add(lease, subject, ids, at)
            if last is None:
                return found
            after = last

    async def _removed(self, lease: Lease, at: datetime) -> int:
        found, after = 0, None
        while records := await self._database.read(partial(_removed, after=after)):
            ids = [record.user_id for record in records if record.token_id is not None]
            found += await _add(lease, Subject.USER, ids, at)
            after = records[-1].user_id
        return found


async def _add(lease: Lease, subject: Subject, ids: Sequence[str], at: datetime) -> int:
    return await lease.write(lambda tx: tx.events.add(subject, ids, kind=_KIND, at=at)) if ids else 0


def _changed_users(db: Snapshot, *, after: UserId | None) -> tuple[list[UserId], UserId | None]:
    """Those of the next page, and the key after which the page after it begins; None when there was nobody."""
    seen = db.roster.glances(after, _PAGE)
    return [user.id for user, record in db.roster.rows(seen.others) if _differs(user, record)], seen.last


def _differs(user: User, record: TokenRecord | None) -> bool:
    if not user.active:
        return record is not None and record.token_id is not None
    if record is None or record.pushed_digest != user.digest:
        return True
    return record.account_id is not None and not user.has_stored_token and not record.withheld


def _removed(db: Snapshot, *, after: UserId | None) -> list[TokenRecord]:
    return db.roster.removed(after, _PAGE)


def _changed_projects(db: Snapshot, *, after: ProjectId | None) -> tuple[list[ProjectId], ProjectId | None]:
    projects = db.projects.page(after, _PAGE)
    ids = []
    for project in projects:
        link = db.projects.channel_of(project.id)
        made = link is not None and not link.archived_with_project
        if made is project.archived and (project.name or link is not None):
            ids.append(project.id)
    return ids, projects[-1].id if projects else None
