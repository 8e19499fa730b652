"""Looking: what the application and the server say right now, batch by batch, so that memory stays flat."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from mmconsole.database import Database, Scratch, Settled, Snapshot, UserAndRecord
from mmconsole.domain.accounts import Account, AccountId, TeamId
from mmconsole.domain.plans import Rules, Seen, UserPlan, is_address, looks_settled, plan_removed, plan_user
from mmconsole.domain.tokens import Health, Token, TokenId, TokenRecord
from mmconsole.domain.users import User, UserId
from mmconsole.errors import Refused
from mmconsole.services.asking import PAGE, all_pages, at_once

if TYPE_CHECKING:
    from mmconsole.mattermost.client import MattermostClient


BATCH: Final = 5_000
"""Ids in one `POST /users/ids`: 145 KB of the 300,000 bytes that a body may have (seen on 11.6.0)."""
_ACCOUNT_ID: Final = re.compile(r"[a-z0-9]{26}\Z")
_FEW: Final = 8
"""So many unlinked users are asked for by address without thinking about it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One user's decision, with the row it was made from (no user when the row is gone)."""

    plan: UserPlan
    user: User | None
    record: TokenRecord | None
    digest: str = ""
    """Of a linked user whose row is not what was last pushed."""


@dataclass(frozen=True, slots=True)
class Page:
    """Users as the database has them: whole rows, and those of whom a glance was enough."""

    rows: list[UserAndRecord]
    settled: Settled = field(default_factory=Settled)
    last: UserId | None = None
    """The key after which the next page begins."""

    def __len__(self) -> int:
        return len(self.rows) + len(self.settled)

    @property
    def linked(self) -> int:
        return len(self.settled) + sum(record is not None and record.account_id is not None for _, record in self.rows)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some users: those there is something to say of, and how many others are in step."""

    planned: list[Planned]
    in_step: int = 0


@dataclass(frozen=True, slots=True)
class Aim:
    """What a look is for."""

    ids: tuple[UserId, ...] | None = None
    """Named users; None means all."""
    missing: bool = False
    since: int | None = None
    """The server's time of the last look in ms; None compares everything."""
    trusting: bool = False
    """Tokens of named users that worked the last time are not asked for."""

    @property
    def everything(self) -> bool:
        return self.ids is None and not self.missing


class Look:
    """One pass over the users in an aim."""

    def __init__(  # noqa: PLR0913 - the parts meet in sync.py
        self,
        database: Database,
        client: "MattermostClient",
        scratch: Scratch,
        *,
        aim: Aim,
        rules: Rules,
        teams: Mapping[TeamId, str],
    ) -> None:
        self._database = database
        self._client = client
        self._scratch = scratch
        self._aim = aim
        self._rules = rules
        self._teams = teams
        self._shared: frozenset[UserId] = frozenset()
        self._twice: frozenset[AccountId] = frozenset()
        self._unlinked = 0
        self._listed_accounts: bool | None = None

    async def batches(self, *, advance: Callable[[int], None]) -> AsyncIterator[Batch]:
        """Plan everybody in the aim; `advance` hears how many users were read."""
        await asyncio.gather(self._find_shared(), self._list_tokens())
        linked = 0
        async for page in self._pages():
            linked += page.linked
            advance(len(page))
            yield await self._plan(page)
        if self._aim.ids is not None:
            yield await self._plan_removed(await self._without_rows(self._aim.ids))
        # Links without a row are looked for only when there are more links than were met.
        if self._aim.everything and await self._database.read(lambda db: db.tokens.count_linked()) != linked:
            async for records in self._removed():
                yield await self._plan_removed(records)

    # ── the application's side ───────────────────────────────────────────────────────────────────

    async def _pages(self) -> AsyncIterator[Page]:
        if self._aim.ids is not None:
            for start in range(0, len(self._aim.ids), BATCH):
                yield Page(await self._whole(self._aim.ids[start : start + BATCH]))
            return
        page = asyncio.create_task(self._page(None))
        try:
            while found := await page:
                # The next page is read while the server is asked about this one.
                page = asyncio.create_task(self._page(found.last))
                yield found
        finally:
            page.cancel()

    async def _page(self, after: UserId | None) -> Page | None:
        if self._mostly_settled:
            return await self._database.read(partial(_glanced, after=after))
        return await self._database.read(partial(_read, after=after, missing=self._aim.missing))

    async def _find_shared(self) -> None:
        """What belongs to one user only, and does not: addresses, and accounts."""
        self._shared = await self._database.read(lambda db: db.roster.emails_held_twice())
        self._twice = frozenset(await self._database.read(lambda db: db.tokens.accounts_claimed_twice()))

    @property
    def _mostly_settled(self) -> bool:
        """Whether a user who is in step need not be looked at whole."""
        return self._aim.everything and self._aim.since is not None and not self._rules.teams

    async def _removed(self) -> AsyncIterator[list[TokenRecord]]:
        records = await self._gone_after(None)
        while records:
            yield records
            records = await self._gone_after(records[-1].user_id)

    async def _without_rows(self, ids: Sequence[UserId]) -> list[TokenRecord]:
        """What we remember of those among named users whose rows are gone."""
        known = await self._database.read(lambda db: db.tokens.of(ids))
        there = {user.id for user, _ in await self._whole(list(known))}
        return [record for user_id, record in known.items() if user_id not in there]

    async def _gone_after(self, after: UserId | None) -> list[TokenRecord]:
        return await self._database.read(lambda db: db.roster.removed(after, BATCH))

    # ── the server's side ────────────────────────────────────────────────────────────────────────

    async def _list_tokens(self) -> None:
        if not self._aim.everything:
            return
        async for tokens in all_pages(self._client.tokens_page):
            await self._scratch.add_tokens(tokens)

    async def _has_all_accounts(self, unlinked: int) -> bool:
        """Whether all accounts are in the scratch, after so many more unlinked users were met.

        They are read once that is cheaper than asking for each of these users by address. A sync with nothing to do
        meets none, and does not even count them.
        """
        self._unlinked += unlinked
        if self._listed_accounts is None and self._aim.ids is None and self._unlinked >= _FEW:
            self._listed_accounts = await self._list_accounts()
        return bool(self._listed_accounts)

    async def _list_accounts(self) -> bool:
        unlinked = await self._database.read(lambda db: db.roster.count_unlinked())
        if await self._client.count_accounts() / PAGE > unlinked / 4:
            return False
        async for accounts in all_pages(self._client.accounts_page):
            await self._scratch.add_accounts(accounts)
        return True

    async def _plan(self, page: Page) -> Batch:
        """Sort out the many that are in step before anything is made for them; decide about the rest."""
        changed = _changed(page.rows)
        accounts = await self._linked_accounts(page, changed)
        rows = page.rows + await self._whole(self._suspects(page.settled, accounts))
        seen = await self._see(rows, accounts)
        planned = [
            Planned(plan_user(user, record, seen, self._rules), user, record, changed.get(user.id, ""))
            for user, record in rows
        ]
        return Batch(planned, len(page) - len(rows))

    def _suspects(self, settled: Settled, accounts: Mapping[AccountId, Account | None]) -> tuple[UserId, ...]:
        """Who is settled on our side, but for whom the server or another row says something else."""
        apart = accounts.keys() | self._twice
        alone = apart.isdisjoint(settled.accounts) and self._shared.isdisjoint(settled.ids)
        if alone and self._scratch.all_active(settled.held):
            return ()
        each = zip(settled.ids, settled.accounts, self._scratch.active(settled.held), strict=True)
        return tuple(
            user_id
            for user_id, account_id, works in each
            if not works or account_id in apart or user_id in self._shared
        )

    async def _whole(self, ids: Sequence[UserId]) -> list[UserAndRecord]:
        return await self._database.read(lambda db: db.roster.rows(ids)) if ids else []

    async def _plan_removed(self, records: list[TokenRecord]) -> Batch:
        """Users whose rows are gone. Only an account that may be deactivated is looked at."""
        wanted = [record.account_id for record in records if record.account_id] if self._rules.deactivate else []
        found = await self._asked(wanted)
        pairs = [(record, found.get(record.account_id) if record.account_id else None) for record in records]
        return Batch([Planned(plan_removed(record, account, self._rules), None, record) for record, account in pairs])

    async def _linked_accounts(self, page: Page, changed: Mapping[UserId, str]) -> dict[AccountId, Account | None]:
        """Linked accounts that were asked for (None when the answer did not have them) or that the server changed.

        What was found wrong the last time is asked for again, since nothing need have changed since then.
        """
        linked = {record.account_id: (user, record) for user, record in page.rows if record and record.account_id}
        everything = self._aim.since is None
        compare = [
            account_id
            for account_id, (user, record) in linked.items()
            if everything or user.id in changed or not looks_settled(user, record)
        ]
        asked_for = frozenset(compare)
        rest = [account_id for account_id in linked if account_id not in asked_for]
        rest += page.settled.accounts
        asked, moved = await asyncio.gather(
            self._asked(compare), self._client.accounts_by_ids(rest, since=self._aim.since)
        )
        found: dict[AccountId, Account | None] = dict.fromkeys(compare)
        return found | asked | {account.id: account for account in moved}

    async def _see(self, rows: Sequence[UserAndRecord], linked: Mapping[AccountId, Account | None]) -> Seen:
        """Everything else that a decision about these users needs."""
        unlinked = [user for user, record in rows if not (record and record.account_id) and user.active]
        named = [AccountId(name) for user in unlinked if (name := user.stored_account_id) and _ACCOUNT_ID.match(name)]
        by_address, by_name = await asyncio.gather(self._by_address(unlinked), self._asked(named))
        known = {account_id: account for account_id, account in linked.items() if account is not None}
        return Seen(
            accounts=known | by_name,
            gone=frozenset(account_id for account_id, account in linked.items() if account is None),
            by_address=by_address,
            tokens=await self._tokens([record for _, record in rows if record and record.account_id]),
            shared_addresses=self._shared,
            claimed=await self._claims([*by_address.values(), *by_name.values()]),
            claimed_twice=self._twice,
            outside_teams=await self._outside([record for _, record in rows if record]),
        )

    async def _asked(self, ids: list[AccountId]) -> dict[AccountId, Account]:
        return {account.id: account for account in await self._client.accounts_by_ids(ids)}

    async def _by_address(self, unlinked: list[User]) -> dict[str, Account]:
        # One row with an address that no server takes must not end the run for everybody.
        addresses = [user.address for user in unlinked if user.address and is_address(user.address)]
        if await self._has_all_accounts(len(addresses)):
            return await self._scratch.accounts_by_email(addresses)
        found = await at_once(self._find_by_address, addresses)
        return {account.email.lower(): account for account in found if account is not None}

    async def _find_by_address(self, address: str) -> Account | None:
        try:
            return await self._client.find_account_by_email(address)
        except Refused:
            # The server takes no such address, which its owner hears when an account is to be made.
            return None

    async def _tokens(self, records: list[TokenRecord]) -> Mapping[TokenId, Token] | None:
        ids = [record.token_id for record in records if record.token_id]
        if self._aim.everything:
            held = [(one.token_id, one.account_id) for one in records if one.token_id and one.account_id]
            found = {
                pair[0]: Token(*pair) for pair, works in zip(held, self._scratch.active(held), strict=True) if works
            }
            return found | await self._scratch.disabled([token_id for token_id in ids if token_id not in found])
        if self._aim.missing:
            return None
        trusted = _trusted(records) if self._aim.trusting else {}
        asked = await at_once(self._client.find_token, [token_id for token_id in ids if token_id not in trusted])
        return trusted | {token.id: token for token in asked if token is not None}

    async def _claims(self, accounts: Iterable[Account]) -> Mapping[AccountId, UserId]:
        ids = [account.id for account in accounts]
        return await self._database.read(lambda db: _standing_claims(db, ids)) if ids else {}

    async def _outside(self, records: list[TokenRecord]) -> frozenset[AccountId]:
        """Who misses one of the configured teams; asked with `--teams`, and for links that were never completed."""
        wanted = (record for record in records if self._rules.teams or not record.pushed_digest)
        ids = [record.account_id for record in wanted if record.account_id]
        outside: set[AccountId] = set()
        for team_id in self._teams:
            outside |= set(ids) - await self._client.team_members(team_id, ids)
        return frozenset(outside)


def _read(db: Snapshot, *, after: UserId | None, missing: bool) -> Page | None:
    rows = db.roster.page(after, BATCH, missing_only=missing)
    return Page(rows, last=rows[-1][0].id) if rows else None


def _glanced(db: Snapshot, *, after: UserId | None) -> Page | None:
    """A page of which only those are read whole of whom our own side says that they are not in step."""
    seen = db.roster.glances(after, BATCH)
    return None if seen.last is None else Page(db.roster.rows(seen.others), seen.settled, seen.last)


def _standing_claims(db: Snapshot, ids: list[AccountId]) -> dict[AccountId, UserId]:
    """Who holds these accounts. A user whose row is gone and whose token is revoked holds nothing any more."""
    held = db.tokens.holders(ids)
    known = db.tokens.of(list(held.values()))
    there = {user.id for user, _ in db.roster.rows(list(held.values()))}
    return {account: user for account, user in held.items() if user in there or known[user].token_id is not None}


def _trusted(records: Sequence[TokenRecord]) -> dict[TokenId, Token]:
    held = [(one.token_id, one.account_id) for one in records if one.health is Health.OK]
    return {token_id: Token(token_id, account_id) for token_id, account_id in held if token_id and account_id}


def _changed(rows: Sequence[UserAndRecord]) -> dict[UserId, str]:
    """The digests of linked users whose rows are not what was last pushed."""
    digests = ((user.id, user.digest, record) for user, record in rows if record and record.account_id)
    return {user_id: digest for user_id, digest, record in digests if digest != record.pushed_digest}
