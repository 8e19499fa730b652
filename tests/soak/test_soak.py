"""Two, then four processes on one database while everything goes wrong: afterwards the laws hold, and nobody has grown.

`make soak` does it for MMCONSOLE_TEST_SOAK seconds (600). Without that number each misfortune happens once, and the
processes do not live long enough to say anything about their size.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.services.proxy import between
from tests.soak import meter
from tests.soak.company import COMMAND, ENDS, Company
from tests.soak.load import KEYS, Application, Callers, Operator, by_somebody_else
from tests.soak.meter import Reading, Trend
from tests.soak.misfortunes import Misfortunes

from mmconsole.secrets import seal_keys
from mmconsole.services.channels import adding
from mmconsole.services.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.conftest import World
    from tests.faults.services.proxy import Proxy

SECONDS = int(os.environ.get("MMCONSOLE_TEST_SOAK", "0"))
SEED = int(os.environ.get("MMCONSOLE_TEST_SEED", "8"))
DATABASES = ["sqlite", "postgresql"] if SECONDS else ["sqlite"]
PATIENCE = 2.0
"""`mattermost.timeout` of all processes."""
LONGEST = 180
"""Seconds in which somebody who is not stuck comes to an end, on any machine."""


@dataclass
class Soak:
    """A world under load, and who works in it."""

    world: World
    proxy: Proxy
    folder: Path
    environment: dict[str, str]
    dice: random.Random

    def __post_init__(self) -> None:
        self.company = Company(self.folder, self.environment)
        self.application = Application(self.world, self.dice)
        self.misfortunes = Misfortunes(self.world, self.proxy, self.company, self.dice)
        self.operator = Operator(self.application, self.environment, self.dice)
        self.callers: Callers | None = None
        self.third_tokens: list[str] = []
        """Accounts that had more than two live tokens of ours at any moment."""
        self.secrets: list[str] = []

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [COMMAND, *arguments], env=self.environment, capture_output=True, text=True, check=False, timeout=LONGEST
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def engage_two(self) -> None:
        listen = f"unix:{self.folder / 'web'}"
        self.company.engage("serve", "--headless", "serve", "--listen", listen, ready="follows changes")
        self.company.engage("console", "--debug", ready="@x.test", on_terminal=True)

    def engage_two_more(self) -> None:
        self.company.engage("watch", "watch", ready="follows")
        self.company.engage("another watch", "watch", ready="follows")

    # ── those who go on ──────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def everybody(self) -> AsyncIterator[None]:
        """All who load it, until the end of the block; what they find wrong ends it."""
        assert self.callers is not None
        async with asyncio.TaskGroup() as group:
            roles = (
                *(self.callers.go_on() for _ in range(3)),
                self.operator.go_on(),
                self._change_users(),
                self._type(),
                self._begin_anew(),
                self._look(),
            )
            tasks = [group.create_task(role) for role in roles]
            yield
            for task in tasks:
                task.cancel()
        await self.callers.aclose()

    async def _change_users(self) -> None:
        while True:
            await self.application.change()
            await asyncio.sleep(0.3)

    async def _type(self) -> None:
        while True:
            for worker in self.company.workers:
                if worker.on_terminal:
                    self.company.type(worker, self.dice.choice(KEYS))
            await asyncio.sleep(0.2)

    async def _begin_anew(self) -> None:
        while True:
            self.company.begin_anew()
            await asyncio.sleep(0.1)

    async def _look(self) -> None:
        while True:
            self.company.look()
            await asyncio.sleep(1)

    # ── laws ─────────────────────────────────────────────────────────────────────────────────────

    def watch_tokens(self) -> None:
        """Count the live tokens of ours at each that is made."""
        state, add_token = self.world.server.state, self.world.server.state.add_token

        def counted(user: Any, *about: Any, **more: Any) -> Any:
            made = add_token(user, *about, **more)
            self.secrets.append(made.secret)
            if sum(token.description.startswith("mmconsole:") for token in user.tokens) > 2:
                self.third_tokens.append(user.username)
            return made

        state.add_token = counted  # type: ignore[method-assign]

    async def nobody_is_stuck(self) -> None:
        """Those who live follow one more change, and end when they are told to."""
        last = await by_somebody_else(self.world.add, "the.last@x.test", verified=True)
        workers = self.company.workers
        async with asyncio.timeout(LONGEST):
            await until(lambda: self.world.row(last)["mattermost_token"])
            await until(lambda: all(map(self.company.is_ready, workers)))
            self.application.users.append(last)
            for worker in workers:
                self.company.tell_to_end(worker)
            await until(lambda: all(map(self.company.has_ended, workers)))
        codes = {worker.name: worker.process.returncode for worker in workers if worker.process is not None}
        assert set(codes.values()) <= ENDS, codes

    def nobody_told_of_a_mistake_or_a_secret(self) -> None:
        for worker in self.company.workers:
            said = self.company.said(worker)
            for word in ("Traceback", "mistake in mmconsole", "mistake:", "please report"):
                assert word not in said, f"{worker.name}: …{said[max(0, said.find(word) - 2000) :][:4000]}"
            assert not [secret for secret in (*self.secrets, self.world.admin_token) if secret in said], worker.name

    async def all_is_in_order(self) -> None:
        """Once the server's time has passed for whatever was begun, and one run has looked after it."""
        world, state = self.world, self.world.server.state
        world.later(1000)
        await world.recover()
        first = await world.sync(full=True)
        assert first.fault is None
        assert (await world.plan(full=True)).planned == 0, first.counts
        records = world.records()
        apart = self._withheld() | self._gone() | self._left_inactive()
        lacking = [one for one in self.application.users if one not in apart and not world.row(one)["mattermost_token"]]
        assert lacking == [], [(world.row(one), world.record(one)) for one in lacking]
        world.assert_in_step(*(user for user in self.application.users if user not in apart))
        assert self.third_tokens == [], "never more than two live tokens"
        assert {one["account_id"] for one in records} >= {account.id for account in world.server.people}
        made = world.sql("SELECT user_id FROM mmconsole_activity WHERE verb = 'account created'")
        assert [user for user, times in Counter(made).items() if times > 1] == [], "an account was made twice"
        names = Counter(channel.display_name for channel in state.channels.values())
        assert [name for name, times in names.items() if name.startswith("Project ") and times > 1] == []
        # Who was killed, or lost the lease, cannot say that it ended. The next run of its kind does, if there is one;
        # jobs of tokens are an operator's to resume or to stop.
        left = {kind for (kind,) in world.sql("SELECT kind FROM mmconsole_jobs WHERE state = 'running'")}
        assert left <= {tokens.KIND, adding.KIND}
        if world.database.startswith("sqlite"):
            assert world.sql("PRAGMA integrity_check") == [("ok",)]

    def _withheld(self) -> set[str]:
        return {str(row[0]) for row in self.world.sql("SELECT user_id FROM mmconsole_tokens WHERE withheld")}

    def _gone(self) -> set[str]:
        return {str(row[0]) for row in self.world.sql("SELECT id FROM users WHERE deleted_at IS NOT NULL")}

    def _left_inactive(self) -> set[str]:
        """A server that deactivates an account long after it was asked to, when it was reactivated meanwhile, leaves it
        so: mmconsole then tells whom it is about, and leaves it to an operator.
        """
        users, records = self.world.server.state.users, self.world.records()
        return {
            one["user_id"]
            for one in records
            if one["account_id"] and users[one["account_id"]].delete_at and one["health"] == "inactive"
        }

    def nobody_has_grown(self) -> None:
        """Of those who lived long enough."""
        trends = self._trends
        assert [f"{name}: {trend}" for name, trend in trends.items() if not trend.flat] == []
        assert trends or not SECONDS

    @property
    def _trends(self) -> dict[str, Trend]:
        return {one.name: Trend.of(one.readings) for one in self.company.workers if len(one.readings) > meter.ENOUGH}

    def report(self) -> str:
        assert self.callers is not None
        befell, operator, callers = dict(self.misfortunes.befell), self.operator, self.callers
        lines = (
            f"befell {befell}; {len(self.proxy.spoilt)} calls spoilt on the way",
            f"lives { ({worker.name: worker.lives for worker in self.company.workers}) }",
            f"commands {dict(operator.ran)}, ended with {dict(operator.endings)}",
            f"answers {dict(callers.answers)}, {callers.signed_in} signed in",
            f"{len(self.application.users)} users, {len(self._left_inactive())} left inactive",
            f"{sum(self.world.server.calls.values())} calls",
            *(f"{name}: {trend}" for name, trend in self._trends.items()),
        )
        return "\n".join(lines)


async def until(so: Callable[[], object]) -> None:
    while not await asyncio.to_thread(so):  # noqa: ASYNC110 - other processes have no event to tell
        await asyncio.sleep(0.1)


@pytest.fixture
async def soak(request: pytest.FixtureRequest, new_world: Callable[..., Any], tmp_path: Path) -> AsyncIterator[Soak]:
    url = request.getfixturevalue("new_url")(request.param) if request.param != "sqlite" else ""
    async with new_world(laravel=True, url=url) as world, between(world.url, patience=PATIENCE) as proxy:
        made = Soak(world, proxy, tmp_path, settled(world, proxy.url, tmp_path), random.Random(SEED))
        await asyncio.to_thread(made.command, "migrate", "--triggers")
        scopes = [word for scope in ("link", "sync", "channel", "project") for word in ("--scope", scope)]
        key = await asyncio.to_thread(made.command, "api-keys", "create", "soak", *scopes)
        made.callers = Callers(world, made.application, tmp_path / "web", key, made.dice)
        made.watch_tokens()
        try:
            yield made
        finally:
            made.misfortunes.end()
            made.company.close()


def settled(world: World, url: str, folder: Path) -> dict[str, str]:
    """The environment of everybody, with the settings and secrets of this world in files."""
    for name, secret in (("token", world.admin_token), ("keys", seal_keys.as_text(world.seal_keys).reveal())):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(secret)
    world.set(
        mattermost__url=url,
        mattermost__timeout=PATIENCE,
        admin_token__source="file",
        admin_token__file=str(folder / "token"),
        seal__source="file",
        seal__file=str(folder / "keys"),
        sync__deactivate=True,
        guard__removals=100_000,
        web__rate__caller=1_000_000,
        web__rate__user=1_000_000,
        web__rate__address=1_000_000,
    )
    if world.database.startswith("postgresql"):
        world.set(database__listen_url=world.database)
    written: dict[str, Any] = {}
    for key, (_, value) in world.flags.items():
        *sections, leaf = key.split(".")
        place = written
        for section in sections:
            place = place.setdefault(section, {})
        place[leaf] = value
    (folder / "config.yaml").write_text(json.dumps(written))
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(folder), "LANG": "C.UTF-8", "MMCONSOLE_CONFIG": str(folder / "config.yaml")}


@pytest.mark.parametrize("soak", DATABASES, indirect=True)
async def test_laws_hold_whoever_works_at_once_and_whatever_goes_wrong(soak: Soak) -> None:
    loop = asyncio.get_running_loop()
    begun, misfortunes = loop.time(), soak.misfortunes
    misfortunes.patient = bool(SECONDS)
    if not SECONDS:
        misfortunes.longest = 1.0
    await asyncio.to_thread(soak.application.add, 40)
    soak.engage_two()
    if not SECONDS:
        soak.engage_two_more()

    await until(lambda: all(map(soak.company.is_ready, soak.company.workers)))
    async with soak.everybody():
        to_come = soak.dice.sample(misfortunes.all, len(misfortunes.all))
        while to_come or loop.time() < begun + SECONDS:
            passed = (loop.time() - begun) / (SECONDS or 1)
            if SECONDS and len(soak.company.workers) < 4 and passed > 0.2:
                soak.engage_two_more()
            # Who shall say something about its size must live on.
            misfortunes.deadly = not SECONDS or passed < 0.4
            await misfortunes.befall(to_come.pop() if to_come else soak.dice.choice(misfortunes.all))
            await asyncio.sleep(soak.dice.uniform(0.2, 2))
        misfortunes.end()
        await soak.nobody_is_stuck()

    print(soak.report())  # noqa: T201 - what `make soak` is for
    soak.nobody_told_of_a_mistake_or_a_secret()
    await soak.all_is_in_order()
    soak.nobody_has_grown()


def test_a_leak_would_be_seen_and_a_process_that_only_fills_up_is_flat() -> None:
    mega = 1 << 20
    leaking = [Reading(100 * mega + n * 50_000, 20) for n in range(300)]
    filling = [Reading(120 * mega - int(20 * mega * 0.97**n), 20) for n in range(300)]
    at_rest = [Reading(100 * mega + (n % 7) * 400_000, 20 + n % 5) for n in range(300)]

    assert not Trend.of(leaking).flat
    assert not Trend.of([Reading(100 * mega, 20 + n // 15) for n in range(300)]).flat
    assert Trend.of(filling).flat
    assert Trend.of(at_rest).flat
