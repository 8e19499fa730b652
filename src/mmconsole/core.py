"""The one place where the parts meet."""

import getpass
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from mmconsole.config import Settings, WebSettings
from mmconsole.database import Database, open_database
from mmconsole.domain.secrets import Secret
from mmconsole.secrets import admin_token
from mmconsole.secrets.ciphers import Vault, open_vault

if TYPE_CHECKING:
    from mmconsole.services.activity import ActivityLog
    from mmconsole.services.application_calls import ApplicationCalls
    from mmconsole.services.applying import Applying
    from mmconsole.services.callers import Callers
    from mmconsole.services.channels.channels import Channels
    from mmconsole.services.checks.checks import Checks
    from mmconsole.services.crew import Crew
    from mmconsole.services.job_desk import JobDesk
    from mmconsole.services.magic_links import MagicLinks
    from mmconsole.services.observer import Observer
    from mmconsole.services.overview import Overview
    from mmconsole.services.own_users import OwnUsers
    from mmconsole.services.planning import Planning
    from mmconsole.services.plans.plans import Plans
    from mmconsole.services.readiness import Readiness
    from mmconsole.services.restorage import Restorage
    from mmconsole.services.resumption import Resumption
    from mmconsole.services.rotation import Rotation
    from mmconsole.services.server import Server
    from mmconsole.services.standings import Standings
    from mmconsole.services.storage import Storage
    from mmconsole.services.sync import Sync
    from mmconsole.services.tokens.fingerprints import Fingerprints
    from mmconsole.services.tokens.tokens import TokenLife
    from mmconsole.services.tokens.unstored import UnstoredTokens
    from mmconsole.services.turns import Turns
    from mmconsole.services.users import Users

# Each service is imported by who first asks for it: all of them take ten times what a command needs.
# ruff: noqa: PLC0415


@dataclass(frozen=True, slots=True)
class Gateway:
    """What the HTTP service is given: nothing in here leads a stranger to the other services."""

    settings: WebSettings
    mattermost_url: str
    """Where people open Mattermost; empty where that is not set."""
    public_url: str
    """Where they find the HTTP service."""
    links: "MagicLinks"
    callers: "Callers"
    calls: "ApplicationCalls"
    readiness: "Readiness"


@dataclass(frozen=True, slots=True)
class Keys:
    """How a core gets at its secrets; the demo and tests bring their own."""

    admin_token: Callable[[Settings], Secret] = admin_token.load
    vault: Callable[[Settings, str], Vault] = lambda settings, installation: open_vault(
        settings, installation_id=installation
    )


@asynccontextmanager
async def open_core(
    settings: Settings, *, face: str, keys: Keys | None = None, warn: Callable[[str], None] = lambda _: None
) -> AsyncIterator["Core"]:
    """Open the database of a profile and wire the services; `face` is part of the actor in the activity log.

    `warn` is told once when the admin token comes from a place that is not safe.

    Neither the server nor a keyring is asked before an operation needs it. Raises DatabaseError.
    """
    actor = f"{_user_name()}@{socket.gethostname()} {face}"
    async with AsyncExitStack() as closing:
        database = await closing.enter_async_context(open_database(settings))
        core = Core(settings, database, keys=keys or Keys(), warn=warn, actor=actor, closing=closing)
        if settings.values.workers.share:
            core.share_work()
        yield core


class Core:
    """What an operator can do. A face is given one; none builds one. A service is made when it is first asked for."""

    def __init__(  # noqa: PLR0913 - `open_core` is the only caller, and names them
        self,
        settings: Settings,
        database: Database,
        *,
        keys: Keys,
        warn: Callable[[str], None],
        actor: str,
        closing: AsyncExitStack,
    ) -> None:
        self.settings = settings
        self._database = database
        self._keys = keys
        self._warn = warn
        self._actor = actor
        self._closing = closing

    def share_work(self) -> None:
        """Let other processes take a part of each job."""
        self._applying.crew = self.crew

    @property
    def operator(self) -> str:
        """Who is at work here, as the operating system calls them."""
        return self._actor.partition("@")[0]

    # ── users ────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def users(self) -> "Users":
        from mmconsole.services.users import Users

        return Users(self._database)

    @cached_property
    def own_users(self) -> "OwnUsers":
        from mmconsole.services.own_users import OwnUsers

        return OwnUsers(self._database, actor=self._actor)

    @cached_property
    def overview(self) -> "Overview":
        from mmconsole.services.overview import Overview

        return Overview(self.settings, self._database)

    @cached_property
    def standings(self) -> "Standings":
        from mmconsole.services.standings import Standings

        return Standings(self.server)

    @cached_property
    def sync(self) -> "Sync":
        from mmconsole.services.sync import Sync

        return Sync(self.settings, self._database, self.server, self._planning, self._applying, actor=self._actor)

    # ── tokens ────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def tokens(self) -> "TokenLife":
        from mmconsole.services.tokens.tokens import TokenLife

        return TokenLife(
            self.settings,
            self._database,
            self.server,
            self._storage,
            self.users,
            applying=self._applying,
            actor=self._actor,
        )

    @cached_property
    def checks(self) -> "Checks":
        from mmconsole.services.checks.checks import Checks

        return Checks(
            self.settings,
            self._database,
            self.server,
            self._storage,
            self.users,
            overview=self.overview,
            actor=self._actor,
        )

    @cached_property
    def unstored_tokens(self) -> "UnstoredTokens":
        from mmconsole.services.tokens.unstored import UnstoredTokens

        return UnstoredTokens(
            self.settings, self._database, self.server, applying=self._applying, actor=self._actor, now=_now
        )

    @cached_property
    def fingerprints(self) -> "Fingerprints":
        from mmconsole.services.tokens.fingerprints import Fingerprints

        return Fingerprints(self._database, self._storage)

    @cached_property
    def restorage(self) -> "Restorage":
        from mmconsole.services.restorage import Restorage

        return Restorage(self._database, self._storage, actor=self._actor)

    @cached_property
    def rotation(self) -> "Rotation":
        from mmconsole.services.rotation import Rotation

        return Rotation(self.settings, self._database, self._storage, actor=self._actor)

    # ── jobs, and what has happened ───────────────────────────────────────────────────────────────────

    @cached_property
    def jobs(self) -> "JobDesk":
        from mmconsole.services.job_desk import JobDesk

        return JobDesk(self._database, actor=self._actor)

    @cached_property
    def plans(self) -> "Plans":
        from mmconsole.services.plans.plans import Plans

        return Plans(
            self.settings,
            self._database,
            self.server,
            self._storage,
            syncs=self.sync,
            life=self.tokens,
            resumption=self.resumption,
            actor=self._actor,
        )

    @cached_property
    def resumption(self) -> "Resumption":
        from mmconsole.services.resumption import Resumption

        return Resumption(self._database, self._planning, self._applying, self.tokens, actor=self._actor)

    @cached_property
    def crew(self) -> "Crew":
        from mmconsole.services.crew import Crew

        return Crew(
            self.settings,
            self._database,
            self._applying,
            self.resumption,
            actor=f"{self._actor} {os.getpid()}",
            now=_now,
        )

    @cached_property
    def activity(self) -> "ActivityLog":
        from mmconsole.services.activity import ActivityLog

        return ActivityLog(self._database)

    # ── channels ──────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def channels(self) -> "Channels":
        from mmconsole.services.channels.channels import Channels

        return Channels(self.settings, self._database, self.server, self._storage, self.users, actor=self._actor)

    # ── the observer and the HTTP service ──────────────────────────────────────────────────────────────

    @cached_property
    def observer(self) -> "Observer":
        from mmconsole.services.leases import OBSERVER
        from mmconsole.services.observer import Observer

        actor = f"{self._actor} {OBSERVER}"
        return Observer(
            self.settings,
            self._database,
            self._planning,
            self._new_applying(actor),
            self.channels,
            turns=self._turns,
            actor=actor,
        )

    @cached_property
    def callers(self) -> "Callers":
        from mmconsole.services.callers import Callers

        return Callers(self.settings, self._database, actor=self._actor, now=_now)

    @cached_property
    def gateway(self) -> Gateway:
        from mmconsole.services.application_calls import ApplicationCalls
        from mmconsole.services.readiness import Readiness

        return Gateway(
            settings=self.settings.values.web,
            mattermost_url=self.settings.mattermost_for_people or "",
            public_url=self.settings.public_url or "",
            links=self._links,
            callers=self.callers,
            calls=ApplicationCalls(self._database, self.sync, self.channels, turns=self._turns),
            readiness=Readiness(self._database, self.server, self._storage),
        )

    @cached_property
    def _links(self) -> "MagicLinks":
        from mmconsole.services.link_tokens import LinkTokens
        from mmconsole.services.magic_links import MagicLinks

        tokens = LinkTokens(
            self.settings,
            self._database,
            self.server,
            self._storage,
            self.checks,
            life=self.tokens,
            applying=self._applying,
            turns=self._turns,
            actor=self._actor,
            now=_now,
        )
        return MagicLinks(self.settings, self._database, tokens, now=_now)

    # ── what several of them share ─────────────────────────────────────────────────────────────────────

    @cached_property
    def server(self) -> "Server":
        from mmconsole.services.server import Server

        server = Server(self.settings, self._database, load_token=self._keys.admin_token, warn=self._warn)
        self._closing.push_async_callback(server.aclose)
        return server

    @cached_property
    def _storage(self) -> "Storage":
        from mmconsole.services.storage import Storage

        return Storage(self.settings, self._database, open_with=self._keys.vault)

    @cached_property
    def _planning(self) -> "Planning":
        from mmconsole.services.planning import Planning

        return Planning(self.settings, self._database, self.server, self.users, now=_now)

    @cached_property
    def _applying(self) -> "Applying":
        return self._new_applying(self._actor)

    def _new_applying(self, actor: str) -> "Applying":
        from mmconsole.services.applying import Applying

        return Applying(self.settings, self._database, self.server, self._storage, actor=actor, now=_now)

    @cached_property
    def _turns(self) -> "Turns":
        from mmconsole.services.turns import Turns

        return Turns()


def _now() -> datetime:
    return datetime.now(UTC)


def _user_name() -> str:
    """Who runs this. In a container there may be nobody of this number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
