"""Rules that say no right before a step, whatever was planned: the refusal itself, and the one that several ask."""

from typing import TYPE_CHECKING

from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.errors import NotFound

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient


class StepConflict(Exception):
    """A rule said no right before the step. Its text is the reason and the cure, for people."""

    def __init__(self, why: str, health: Health = Health.CONFLICT) -> None:
        super().__init__(why)
        self.health = health


async def demand_ordinary(client: "MattermostClient", record: TokenRecord) -> None:
    """Only an ordinary account has a token, also when one is enabled again.

    Raises StepConflict when the account of a record is none, and what the call raises.
    """
    if record.account_id is None:
        message = "there is no account yet: `mmconsole sync` makes or links one"
        raise StepConflict(message, Health.NO_ACCOUNT)
    try:
        account = await client.account(record.account_id)
    except NotFound:
        message = f"the account is gone from the server; `mmconsole sync {record.user_id}` decides"
        raise StepConflict(message) from None
    if account.privileged:
        message = f"@{account.username} has administrator rights: such an account gets no token"
        raise StepConflict(message, Health.DENIED)
    if account.foreign:
        message = f"@{account.username} has become a bot or remote account"
        raise StepConflict(message)
    if not account.active:
        message = "the account is deactivated on the server: reactivate it there if that was a mistake"
        raise StepConflict(message, Health.INACTIVE)
