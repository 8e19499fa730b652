"""The rights in the database that mmconsole needs, and which of them are missing."""

import asyncio

from mmconsole.config import Settings
from mmconsole.database import Grants, grants, refused_rights


def needed(settings: Settings, *, role: str | None = None) -> Grants:
    """The statements for an administrator of the database's server; none for a file. Nothing is asked of the server."""
    return grants(settings, role=role)


async def refused(settings: Settings) -> list[str]:
    """The rights that are missing, as `UPDATE on users`. Nothing is changed. Raises DatabaseError."""
    return await asyncio.to_thread(refused_rights, settings)
