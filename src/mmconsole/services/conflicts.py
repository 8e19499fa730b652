"""The rule that is asked of the server right before a token is made or enabled: only an ordinary account has one."""

from typing import TYPE_CHECKING

from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.errors import NotFound
from mmconsole.services.accounts import StepConflict

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient


async def demand_ordinary(client: "MattermostClient", record: TokenRecord) -> None:
    """Raises StepConflict when the account of a record is none that gets a token, and what the call raises."""
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
