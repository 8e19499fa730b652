"""Plans that outlive the command that made them: written to a file, shown, and applied later."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Final

from mmconsole.config import Settings
from mmconsole.database import Database, Transaction
from mmconsole.domain.plans import UserPlan
from mmconsole.domain.secrets import Secret
from mmconsole.secrets import Signing, new_installation_key
from mmconsole.services import sync
from mmconsole.services.applying import Watching
from mmconsole.services.look import Planned
from mmconsole.services.plans.files import PlanDraft, PlanFile, PlanHeader, PlanTotals
from mmconsole.services.resumption import AT_ONCE, Again, Approved, Resumption
from mmconsole.services.server import Server
from mmconsole.services.storage import Storage
from mmconsole.services.summary import Progress, Silent, Summary, SyncRequest
from mmconsole.services.sync import Sync
from mmconsole.services.tokens import tokens
from mmconsole.services.tokens.tokens import TokenLife, TokenRequest

_KEY: Final = "plans.key"


class _Recording:
    """Passes on how far a sync's plan is, and writes its users down."""

    def __init__(self, shown: Progress, draft: PlanDraft) -> None:
        self._shown = shown
        self._draft = draft

    def stage(self, name: str, total: int | None) -> None:
        self._shown.stage(name, total)

    def advance(self, done: int = 1) -> None:
        self._shown.advance(done)

    def planned(self, planned: Planned) -> None:
        self._draft.add(planned)
        self._shown.planned(planned)


class Plans:
    def __init__(  # noqa: PLR0913 - the parts meet in core.py
        self,
        settings: Settings,
        database: Database,
        server: Server,
        storage: Storage,
        *,
        syncs: Sync,
        life: TokenLife,
        resumption: Resumption,
        actor: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._database = database
        self._server = server
        self._storage = storage
        self._sync = syncs
        self._life = life
        self._resumption = resumption
        self._actor = actor
        self._now = now

    async def write(
        self,
        request: SyncRequest | TokenRequest,
        path: Path,
        *,
        expires_in: timedelta,
        progress: Progress | None = None,
    ) -> Summary:
        """Plan a sync, or what is asked for tokens, into a new file of mode 0600.

        Raises FileThere, PlanError, and what planning can raise.
        """
        signing = await self.signing()
        header = await self._header(request, signing, expires_in)
        with PlanDraft(path, header, signing) as draft:
            watch = _Recording(progress or Silent(), draft)
            if isinstance(request, TokenRequest):
                summary = await self._life.plan(request, progress=watch)
            else:
                summary = await self._sync.plan(request, progress=watch)
            draft.finish(summary)
        return summary

    async def check(self, plan: PlanFile) -> PlanTotals:
        """What a plan comes to, after its signature was found right. The server is not asked.

        Raises PlanElsewhere, PlanAltered, PlanDamaged, PlanExpired, SecretError.
        """
        signing, installation = await self.signing(), await self._installation()
        return await asyncio.to_thread(plan.check, signing, installation=installation, now=self._now())

    async def users(self, plan: PlanFile) -> AsyncIterator[list[UserPlan]]:
        """The plans of its users, some thousand at a time. Raises PlanAltered at the end."""
        users = plan.users(await self.signing())
        while some := await asyncio.to_thread(lambda: list(islice(users, AT_ONCE))):
            yield [user.plan for user in some]

    async def apply(self, plan: PlanFile, again: Again, watching: Watching) -> Summary:
        """Do what a plan says, as far as it is still right.

        Raises what `check` and `Resumption.apply` raise; nothing was done then.
        """
        totals = await self.check(plan)
        facts = await self._server.facts()
        plan.check_server(server=self._settings.server, server_id=facts.diagnostic_id)
        title = f"apply {plan.header.title}, planned {plan.header.made_at:%Y-%m-%d %H:%M} UTC"
        approved = Approved(plan.header.kind, title, totals.planned, partial(self.users, plan))
        return await self._resumption.apply(approved, again, watching)

    async def signing(self) -> Signing:
        """What plan files of this installation are signed with. Raises SecretError."""
        vault = await self._storage.vault()
        return vault.signing() or Signing.of_installation(await self._own_key())

    async def _own_key(self) -> Secret:
        """The key of an installation that seals nothing, made when it is first needed."""

        def make(tx: Transaction) -> str:
            # Another process may have made one meanwhile.
            found = tx.meta.get(_KEY) or new_installation_key().reveal()
            tx.meta.set(_KEY, found)
            return found

        kept = await self._database.read(lambda db: db.meta.get(_KEY))
        return Secret(kept if kept is not None else await self._database.write(make))

    async def _header(self, request: SyncRequest | TokenRequest, signing: Signing, expires_in: timedelta) -> PlanHeader:
        facts, now = await self._server.facts(), self._now()
        if isinstance(request, TokenRequest):
            kind, title = tokens.KIND, tokens.title_of(request)
        else:
            kind, title = sync.KIND, sync.title_of(request)
        return PlanHeader(
            kind=kind,
            title=title,
            server=self._settings.server,
            server_id=facts.diagnostic_id,
            installation=await self._installation(),
            actor=self._actor,
            version=version("mmconsole"),
            made_at=now,
            expires_at=now + expires_in,
            key=signing.current,
        )

    async def _installation(self) -> str:
        return await self._database.read(lambda db: db.meta.installation_id)
