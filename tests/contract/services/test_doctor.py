"""The doctor: each thing that can be wrong is found, named and cured, and nothing is changed by looking."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.database import install_triggers
from mmconsole.database.writer import Writer
from mmconsole.domain.findings import Finding, Verdict
from mmconsole.domain.secrets import Secret
from mmconsole.secrets import seal_keys
from mmconsole.services.doctor.doctor import Doctor
from mmconsole.services.doctor.examination import Examination
from mmconsole.simulator import RateLimit, SimulatorOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.conftest import World

Found = dict[tuple[str, str], Finding]


@pytest.fixture
async def well(new_world: Callable[..., Any], tmp_path: Path) -> AsyncIterator[World]:
    """A world in which a sync has brought everybody into step."""
    async with new_world(laravel=True) as world:
        keys = tmp_path / "seal-keys"
        keys.touch(mode=0o600)
        keys.write_text(seal_keys.as_text(world.seal_keys).reveal(), encoding="utf-8")
        world.set(admin_token__source="file", seal__source="file", seal__file=str(keys))
        world.admin_token = world.server.simulator.bot_token
        world.add("ann@x.test", verified=True)
        world.add("bob@x.test", verified=True)
        await world.sync()
        yield world


async def look(world: World, *, deadline: float = 30.0, load_token: Callable[..., Secret] | None = None) -> Found:
    load = load_token or (lambda _: Secret(world.admin_token))
    doctor = Doctor(Examination(world.load(), load_token=load), deadline=deadline)
    findings = [finding async for finding in doctor.look()]
    assert len({(one.group, one.name) for one in findings}) == len(findings)
    return {(one.group, one.name): one for one in findings}


async def test_all_is_well_after_a_sync(well: World) -> None:
    found = await look(well)

    # Nobody has asked for triggers, and a sync in cron does without.
    assert [one.name for one in found.values() if one.verdict is not Verdict.YES] == ["triggers"]
    assert not any(one.ails for one in found.values())


async def test_triggers_that_are_there_are_told_of(well: World) -> None:
    install_triggers(well.load())

    assert (await look(well))["database", "triggers"].verdict is Verdict.YES


async def test_looking_changes_nothing(well: World, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    monkeypatch.setattr(Writer, "write", lambda _, change: written.append(change))
    before, asked = well.dump(), len(well.server.calls.recent)

    await look(well)

    calls = list(well.server.calls.recent)[asked:]
    assert written == []
    assert well.dump() == before
    assert {call.method for call in calls} == {"GET"}


async def _no_server(world: World) -> None:
    await world.stop()


async def _no_team(world: World) -> None:
    world.set(sync__teams=["none"])


async def _full_team(world: World) -> None:
    world.server.state.config.patch({"TeamSettings": {"MaxUsersPerTeam": len(world.server.team.members)}})


def _cap(world: World, users: int) -> None:
    world.server.simulator.options = SimulatorOptions(user_cap=users)
    world.server.state.options = SimulatorOptions(user_cap=users)


async def _user_limit(world: World) -> None:
    _cap(world, 1)


async def _tokens_off(world: World) -> None:
    world.server.state.config.patch({"ServiceSettings": {"EnableUserAccessTokens": False}})


async def _weak_token(world: World) -> None:
    account = world.server.add("weak@x.test", roles="system_user")
    world.admin_token = world.server.state.add_token(account, "weak").secret


async def _dead_token(world: World) -> None:
    world.admin_token = "z" * 26


async def _clock(world: World) -> None:
    world.server.clock.ahead = 3_600


async def _no_database(world: World) -> None:
    world.file.unlink()


async def _no_migration(world: World) -> None:
    world.sql("DROP TABLE mmconsole_alembic")


async def _wrong_column(world: World) -> None:
    world.set(database__users__locale="language")


async def _wrong_table(world: World) -> None:
    world.set(database__users__table="people")


async def _other_form(world: World) -> None:
    world.sql("UPDATE users SET mattermost_token = ? WHERE id = 1", "a" * 26)


async def _other_keys(world: World) -> None:
    world.set(seal__file="/nowhere/keys")


async def _other_server(world: World) -> None:
    world.sql("UPDATE mmconsole_meta SET value = 'x' WHERE name = 'server.diagnostic_id'")


async def _wanted_triggers(world: World) -> None:
    world.set(observer__enabled=True)


async def _projects_without_triggers(world: World) -> None:
    install_triggers(world.load())
    world.sql("CREATE TABLE projects (id INTEGER PRIMARY KEY, name TEXT, archived_at TEXT)")
    world.set(database__projects__table="projects")


def _change(world: World, *, aside_at: int | None) -> None:
    world.sql(
        "INSERT INTO mmconsole_user_events (at, subject, subject_id, kind, attempts, due_at, aside_at)"
        " VALUES (1, 'user', '1', 'update', 0, 0, ?)",
        aside_at,
    )


async def _change_set_aside(world: World) -> None:
    _change(world, aside_at=1)


async def _changes_that_nobody_follows(world: World) -> None:
    _change(world, aside_at=None)


async def _dead_job(world: World) -> None:
    world.sql("UPDATE mmconsole_jobs SET state = 'running'")


async def _old_note(world: World) -> None:
    world.sql(
        "INSERT INTO mmconsole_intents (operation_id, user_id, kind, account_id, description, opened_at)"
        " VALUES ('op', '1', 'token', NULL, 'x', 1)"
    )


async def _due_revocation(world: World) -> None:
    world.sql(
        "INSERT INTO mmconsole_intents (operation_id, user_id, kind, account_id, description, opened_at)"
        " VALUES ('op', '1', 'revoke', NULL, 'x', 1)"
    )


async def _orphan(world: World) -> None:
    (installation,) = world.sql("SELECT value FROM mmconsole_meta WHERE name = 'installation_id'")[0]
    world.server.state.add_token(world.server.account("ann@x.test"), f"mmconsole:v1:{installation}:1:lost")


BROKEN: list[tuple[Callable[[World], Awaitable[None]], tuple[str, str], str]] = [
    (_no_server, ("server", "reachable"), "Check the address"),
    (_dead_token, ("server", "admin token"), "mmconsole login"),
    (_weak_token, ("server", "administrator"), "system_admin"),
    (_tokens_off, ("server", "access tokens"), "System Console"),
    (_user_limit, ("server", "user limit"), "licence"),
    (_no_team, ("server", "teams"), "sync.teams"),
    (_full_team, ("server", "teams"), "MaxUsersPerTeam"),
    (_clock, ("server", "clock"), "time server"),
    (_no_database, ("database", "database"), "database.url"),
    (_no_migration, ("database", "prepared"), "mmconsole migrate"),
    (_wrong_column, ("database", "columns"), "database.users.locale"),
    (_wrong_table, ("database", "columns"), "database.users.table"),
    (_other_form, ("database", "stored form"), "restorage"),
    (_other_keys, ("keys", "keys of stored tokens"), "seal init"),
    (_other_keys, ("database", "keys open it"), "seal init"),
    (_other_server, ("database", "same server"), "mattermost.url"),
    (_wanted_triggers, ("database", "triggers"), "migrate --triggers"),
    (_projects_without_triggers, ("database", "triggers"), "migrate --triggers"),
    (_change_set_aside, ("database", "changes"), "watch --retry"),
    (_changes_that_nobody_follows, ("database", "changes"), "mmconsole watch"),
    (_dead_job, ("database", "jobs"), "jobs resume"),
    (_old_note, ("database", "notes"), "tokens recover"),
    (_due_revocation, ("database", "revocations"), "tokens recover"),
    (_orphan, ("tokens", "orphans"), "tokens recover"),
]


@pytest.mark.parametrize(("damage", "name", "cure"), BROKEN, ids=[one[0].__name__.strip("_") for one in BROKEN])
async def test_what_is_broken_is_named_with_its_cure(
    well: World, damage: Callable[[World], Awaitable[None]], name: tuple[str, str], cure: str
) -> None:
    await damage(well)

    finding = (await look(well))[name]

    assert finding.verdict is Verdict.NO
    assert finding.ails
    assert finding.cure
    assert cure in f"{finding.sentence} {finding.cure}"


async def _bot(world: World) -> None:
    world.admin_token = world.server.simulator.admin_token


async def _mails(world: World) -> None:
    world.server.state.config.patch({"EmailSettings": {"SMTPServer": "mail.example.org"}})


async def _rate(world: World) -> None:
    world.server.state.config.patch({"RateLimitSettings": {"Enable": True, "PerSec": 10}})


async def _lifetime(world: World) -> None:
    world.set(tokens__lifetime="30d")


async def _plain(world: World) -> None:
    await _other_form(world)
    world.set(tokens__accept=["plain"])


async def _foreign(world: World) -> None:
    world.server.state.add_token(world.server.account("ann@x.test"), "mmconsole:v1:another:1:op")


async def _new_user(world: World) -> None:
    world.add("new@x.test")


async def _more_users_than_room(world: World) -> None:
    for name in ("one", "two"):
        world.add(f"{name}@x.test")
    _cap(world, world.server.state.active_people + 1)


async def _column_named_after_the_triggers(world: World) -> None:
    install_triggers(world.load())
    world.set(database__users__locale="password")


ADVICE: list[tuple[Callable[[World], Awaitable[None]], tuple[str, str]]] = [
    (_bot, ("server", "bot")),
    (_mails, ("server", "e-mails")),
    (_rate, ("server", "rate limit")),
    (_lifetime, ("server", "token lifetime")),
    (_column_named_after_the_triggers, ("database", "triggers")),
    (_plain, ("database", "plain tokens")),
    (_foreign, ("tokens", "foreign")),
    (_new_user, ("tokens", "users")),
    (_more_users_than_room, ("server", "user limit")),
]


@pytest.mark.parametrize(("change", "name"), ADVICE, ids=[one[0].__name__.strip("_") for one in ADVICE])
async def test_what_only_should_be_known_ails_nobody(
    well: World, change: Callable[[World], Awaitable[None]], name: tuple[str, str]
) -> None:
    await change(well)

    found = await look(well)

    assert found[name].verdict is Verdict.NO
    assert found[name].cure
    assert not any(one.ails for one in found.values())


async def test_one_broken_part_hides_no_other(well: World) -> None:
    await well.stop()

    found = await look(well)

    assert found["database", "keys open it"].verdict is Verdict.YES
    assert found["tokens", "users"].verdict is Verdict.YES
    assert found["server", "teams"].verdict is Verdict.UNKNOWN
    assert found["server", "teams"].sentence.startswith(f"Not looked at: {well.url} cannot be reached")


async def test_what_hangs_is_given_up_and_the_rest_is_looked_at(well: World) -> None:
    let_go = threading.Event()

    def hanging(_: object) -> Secret:
        let_go.wait()
        return Secret("x")

    doctor = Doctor(Examination(well.load(), load_token=hanging), deadline=0.5)
    try:
        found = {(one.group, one.name): one async for one in doctor.look()}
    finally:
        let_go.set()
        await asyncio.sleep(0)

    assert doctor.gave_up
    assert found["keys", "admin token"].verdict is Verdict.UNKNOWN
    assert found["database", "prepared"].verdict is Verdict.YES


class TestOldServer:
    """A server that gets no fixes any more."""

    async def test_is_told_of(self, new_world: Callable[..., Any]) -> None:
        async with new_world(version="10.9.0", rate_limit=RateLimit(per_second=100_000)) as world:
            found = await look(world)

        assert found["server", "version"].verdict is Verdict.NO
        assert found["server", "version"].advice
