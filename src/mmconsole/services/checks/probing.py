"""The deep check: each secret is tried itself, and who is refused is asked about as administrator.

The server answers every refusal with the same 401 (seen on 11.6.0), so only the administrator learns the reason.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mmconsole.domain.accounts import AccountId
from mmconsole.domain.checks import WORKING, Cause, Verdict, assess, verdict_of
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import Health, TokenRecord
from mmconsole.domain.users import User
from mmconsole.errors import (
    AdminTokenDead,
    BreakerOpen,
    CannotOpen,
    Garbled,
    MattermostError,
    NotMattermost,
    Refused,
    ServerFault,
    Throttled,
    TokensSwitchedOff,
    Unauthorized,
    Unreachable,
)
from mmconsole.secrets.ciphers import Vault
from mmconsole.services.asking import at_once
from mmconsole.services.checks.pages import Advance, Looked, Page
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage
from mmconsole.services.tokens.making import ANOTHERS, MFA, PRIVILEGED, identified, why_barred
from mmconsole.services.waiting import Absence

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient

_TRIES: Final = 3
"""How often a user is asked about, when the server fails without having been found away."""
_BARRED: Final = {ANOTHERS: Cause.ANOTHERS, PRIVILEGED: Cause.PRIVILEGED, MFA: Cause.MFA}
_UNANSWERED: Final = {
    AdminTokenDead: Cause.ADMIN_REFUSED,
    TokensSwitchedOff: Cause.SWITCHED_OFF,
    Throttled: Cause.THROTTLED,
    Garbled: Cause.GARBLED,
    NotMattermost: Cause.GARBLED,
}


def unanswered(fault: MattermostError) -> Verdict:
    """The verdict when there was no answer to go by."""
    if isinstance(fault, Refused):
        return Verdict(Health.UNKNOWN, f"server refused to tell: {fault.error_id}")
    return verdict_of(_UNANSWERED.get(type(fault), Cause.NO_ANSWER))


class Asking:
    """Asks about one user at a time. A server that is away is waited for; any other fault is this user's."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._absence = Absence()

    async def look(self, user: User, record: TokenRecord, ask: Callable[[], Awaitable[Looked]]) -> Looked:
        """What is found, or that nothing is known. Raises nothing of the server's."""
        tries = 0
        while True:
            try:
                found = await ask()
            except (BreakerOpen, Unreachable, ServerFault) as fault:
                tries += not isinstance(fault, BreakerOpen)
                if tries >= _TRIES or not await self._is_back(fault):
                    return Looked(user, record, unanswered(fault))
            except MattermostError as fault:
                return Looked(user, record, unanswered(fault))
            else:
                self._absence.over()
                return found

    async def _is_back(self, fault: MattermostError) -> bool:
        """Wait. Returns whether to ask again."""
        try:
            await self._absence.rest(fault, self._stop)
        except MattermostError:
            return False
        return not self._stop.is_set()


@dataclass(frozen=True, slots=True)
class _Held:
    """A linked user's secret."""

    user: User
    record: TokenRecord
    account_id: AccountId
    envelope: str = field(repr=False)
    secret: Secret


class Probing:
    """Tries secrets. Those without a known id get one where the account's sessions leave no doubt."""

    def __init__(self, server: Server, storage: Storage, *, now: Callable[[], datetime], stop: asyncio.Event) -> None:
        self._server = server
        self._storage = storage
        self._now = now
        self._stop = stop
        self._asking = Asking(stop)

    async def begin(self) -> None:
        """Nothing is asked once."""

    async def look(self, page: Page, advance: Advance) -> list[Looked]:
        """Try the secrets of a page. Raises SecretError when the keys cannot be had."""
        if not page.envelopes:
            advance(len(page.rows))
            return [Looked(user, record) for user, record in page.rows]
        vault = await self._storage.vault()
        opened = await asyncio.to_thread(_opened, page, vault)
        looked = [item for item in opened if isinstance(item, Looked)]
        advance(len(looked))

        async def one(held: _Held) -> Looked | None:
            if self._stop.is_set():
                return None
            tried = await self._try(held, vault)
            advance(1)
            return tried

        tried = await at_once(one, [item for item in opened if isinstance(item, _Held)])
        return looked + [one for one in tried if one is not None]

    async def _try(self, held: _Held, vault: Vault) -> Looked:
        client = await self._server.client()
        user, record = held.user, held.record

        async def ask() -> Looked:
            verdict = await self._verdict(client, held)
            named = None
            if verdict is WORKING and record.token_id is None:
                fingerprint = vault.fingerprint(held.secret)
                named = await identified(client, record, held.account_id, fingerprint=fingerprint)
            return Looked(user, record, verdict, probed=True, identified=named, envelope=held.envelope)

        return await self._asking.look(user, record, ask)

    async def _verdict(self, client: "MattermostClient", held: _Held) -> Verdict:
        """Raises what the calls raise."""
        try:
            return await _tried(client, held)
        except Unauthorized:
            pass
        account = await client.find_account(held.account_id)
        token = None if held.record.token_id is None else await client.find_token(held.record.token_id)
        verdict = assess(held.user, held.record, account, token, now=self._now())
        if verdict is not WORKING and held.record.token_id is not None:
            return verdict
        if (await client.facts()).tokens_enabled is False:
            return verdict_of(Cause.SWITCHED_OFF)
        if verdict is WORKING:
            return await self._once_more(client, held)
        if verdict.cause == Cause.REVOKED and await _has_a_disabled_one(client, held.account_id):
            return verdict_of(Cause.PERHAPS_DISABLED)
        return verdict

    async def _once_more(self, client: "MattermostClient", held: _Held) -> Verdict:
        """Nothing is wrong with the token: it was enabled between the two looks, or the secret is another one's."""
        try:
            return await _tried(client, held)
        except Unauthorized:
            return verdict_of(Cause.OTHER_SECRET)


async def _has_a_disabled_one(client: "MattermostClient", account_id: AccountId) -> bool:
    """Whether a refused secret whose token is not known by an id may be that of one that somebody disabled."""
    return any(not token.active for token in await client.tokens_of(account_id))


async def _tried(client: "MattermostClient", held: _Held) -> Verdict:
    """Raises Unauthorized for a refused secret."""
    why = await why_barred(client, held.secret, held.account_id)
    return verdict_of(_BARRED[why]) if why else WORKING


def _opened(page: Page, vault: Vault) -> list[Looked | _Held]:
    """The secrets of a page; of who has none, or one that does not open, what there is to say already."""
    return [_opened_one(user, record, page.envelopes.get(user.id), vault) for user, record in page.rows]


def _opened_one(user: User, record: TokenRecord | None, envelope: str | None, vault: Vault) -> Looked | _Held:
    if envelope is None or record is None or record.account_id is None:
        return Looked(user, record)
    try:
        return _Held(user, record, record.account_id, envelope, vault.open(envelope, user.id))
    except CannotOpen as fault:
        why = str(fault).removeprefix("What is stored ").removesuffix(".")
        return Looked(user, record, Verdict(Health.UNKNOWN, why))
