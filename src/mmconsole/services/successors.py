"""Users whose account is gone from the server: whoever has their address by now may be linked instead."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from mmconsole.database import Database
from mmconsole.domain.accounts import Account
from mmconsole.domain.plans import Rules, Seen, is_address, plan_successor
from mmconsole.errors import Refused
from mmconsole.services.look import Batch, Planned

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient

_AT_ONCE = 64


async def with_successors(batch: Batch, database: Database, client: "MattermostClient", rules: Rules) -> Batch:
    """The same batch, in which users whose account is gone are decided about once more, knowing who has the address."""
    gone = [number for number, planned in enumerate(batch.planned) if planned.plan.gone]
    if not gone:
        return batch
    decided = list(batch.planned)
    for start in range(0, len(gone), _AT_ONCE):
        some = gone[start : start + _AT_ONCE]
        accounts = await asyncio.gather(*(_successor(client, decided[number]) for number in some))
        ids = [account.id for account in accounts if account is not None]
        claimed = await database.read(lambda db, ids=ids: db.tokens.holders(ids))  # type: ignore[misc]
        for number, account in zip(some, accounts, strict=True):
            decided[number] = _decided(decided[number], account, Seen(claimed=claimed), rules)
    return replace(batch, planned=decided)


async def _successor(client: "MattermostClient", planned: Planned) -> Account | None:
    address = planned.user.address if planned.user else None
    if address is None or not is_address(address):
        return None
    try:
        return await client.find_account_by_email(address)
    except Refused:
        # The server takes no such address, which its owner hears when an account is to be made.
        return None


def _decided(planned: Planned, account: Account | None, seen: Seen, rules: Rules) -> Planned:
    if account is None or planned.user is None or planned.record is None:
        return planned
    return replace(planned, plan=plan_successor(planned.user, planned.record, account, seen, rules))
