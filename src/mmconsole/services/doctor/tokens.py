"""The doctor's look at tokens of ours: those that nobody stores, and users who have none that works."""

from typing import Final

from mmconsole.domain.findings import Sheet
from mmconsole.domain.health import WORKS
from mmconsole.domain.tokens import Health, is_ours
from mmconsole.services.doctor.examination import Examination
from mmconsole.services.overview import Overview
from mmconsole.services.tokens.unstored import marked_as_ours, unstored

NAMES: Final = ("users", "orphans", "foreign")
_WELL: Final = WORKS | {Health.WORKING}


async def look(examination: Examination, sheet: Sheet) -> None:
    await _look_at_users(examination, sheet)
    await _look_at_orphans(examination, sheet)


async def _look_at_users(examination: Examination, sheet: Sheet) -> None:
    database = await examination.database()
    glance = await Overview(examination.settings, database, now=examination.now).glance()
    well = sum(count for status, count in glance.by_status.items() if status in _WELL)
    told = f"{well:,} of {glance.users:,} users have a token that works, as far as was last seen."
    if well == glance.users:
        sheet.yes("users", told)
    else:
        cure = "`mmconsole users list --filter 'status:missing,revoked,expired'` shows whom a repair would help."
        sheet.no("users", told, cure, advice=True)


async def _look_at_orphans(examination: Examination, sheet: Sheet) -> None:
    """Tokens with our marker that no record and no open note names."""
    database, client = await examination.database(), await examination.client()
    await examination.token()
    await examination.facts()
    installation = await database.read(lambda db: db.meta.installation_id)
    # The tokens first: one that is made meanwhile is then in the records.
    ours = await marked_as_ours(client)
    own = [token for token in ours if is_ours(token.description, installation_id=installation)]
    orphans = await database.read(lambda db: unstored(db, own))
    if orphans:
        why = f"{len(orphans):,} tokens that this installation made live on the server, and nobody stores them."
        sheet.no("orphans", why, "`mmconsole tokens recover` lists them, and `--foreign` revokes them.")
    else:
        sheet.yes("orphans", "Every token of ours on the server is stored.")
    if len(ours) > len(own):
        why = f"{len(ours) - len(own):,} tokens were made by another installation (a backup, a staging copy)."
        sheet.no("foreign", why, "Look whether that installation is still wanted.", advice=True)
    else:
        sheet.yes("foreign", "No other installation made tokens there.")
