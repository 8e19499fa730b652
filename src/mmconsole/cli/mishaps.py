"""What happens to tokens in the demo once everybody is in step, so that its console shows every kind of health."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from mmconsole.core import Core
from mmconsole.database import Transaction, open_database
from mmconsole.domain.filters import parse
from mmconsole.domain.token_plans import Act
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.services.checks.checks import CheckRequest
from mmconsole.services.overview import ListedUser
from mmconsole.services.tokens.tokens import TokenRequest
from mmconsole.simulator import Simulator
from mmconsole.simulator.entities import Token

_EVERY: Final = 7
"""Of the users whose tokens work, one in so many has a mishap."""
_LIFE: Final = timedelta(days=90)


async def befall(core: Core, simulator: Simulator) -> None:
    """Let some tokens end, be revoked, disabled or withheld, and some accounts be deactivated; then check them all."""
    users = [one async for one in core.overview.all(parse("status:ok"))][::_EVERY]
    expired, revoked, disabled, inactive, missing, unknown, withheld, ending = (users[n::8] for n in range(8))
    for one in (*expired, *revoked, *missing):
        simulator.state.remove_token(_token(simulator, one))
    for one in disabled:
        token = _token(simulator, one)
        token.is_active, token.encoded = False, None
        simulator.state.end_session(token.secret)
    for one in inactive:
        simulator.state.set_active(simulator.state.users[one.record.account_id or ""], active=False)
    if withheld:
        # Nobody's name would mean everybody.
        await core.tokens.run(TokenRequest(Act.REVOKE, tuple(one.user.id for one in withheld[:3])))
    await core.checks.run(CheckRequest(deep=True))
    ends = [*_with_ends(expired, start=-4), *_with_ends(ending, start=1)]
    async with open_database(core.settings) as database:
        await database.write(lambda tx: _remember(tx, ends, missing, unknown))


def _token(simulator: Simulator, listed: ListedUser) -> Token:
    return next(token for token in simulator.state.token_rows if token.id == listed.record.token_id)


def _with_ends(users: Sequence[ListedUser], *, start: int) -> Iterator[TokenRecord]:
    """Their records, with tokens that end some days from now, one day apart and then again."""
    now = datetime.now(UTC)
    for one, n in zip(users, count(), strict=False):
        end = now + timedelta(days=start + (n % 14 if start > 0 else -(n % 3)), hours=2)
        yield replace(one.record, expires_at=end, created_at=end - _LIFE, checked_at=now)


def _remember(
    tx: Transaction, ends: Sequence[TokenRecord], missing: Sequence[ListedUser], unknown: Sequence[ListedUser]
) -> None:
    """What no check could find out on a server of this version, and what the application lost by itself."""
    long_ago = datetime.now(UTC) - timedelta(days=2)
    tx.tokens.save_many(ends)
    tx.tokens.save_many(
        replace(one.record, health=Health.UNKNOWN, cause="the server was busy (429)", checked_at=long_ago)
        for one in unknown
    )
    for one in missing:
        tx.tokens.save_many([replace(one.record, token_id=None, fingerprint="", health=Health.UNKNOWN)])
        tx.roster.store(one.user.id, envelope=None)
