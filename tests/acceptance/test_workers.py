"""Several processes on one job: each item is done once, also when some of them are killed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.acceptance.conftest import Application, prepared

if TYPE_CHECKING:
    import subprocess

USERS = 400


@pytest.fixture
def application(tmp_path_factory: pytest.TempPathFactory, postgresql_url: str) -> Iterator[Application]:
    with prepared(tmp_path_factory.mktemp("workers"), postgresql_url) as made:
        made.settings["workers"] = {"share": True}
        yield made


def workers(application: Application, number: int) -> list["subprocess.Popen[str]"]:
    return [application.start("worker") for _ in range(number)]


def in_step(application: Application) -> None:
    """Everybody has one account with one token of ours, which is stored."""
    state = application.simulator.state
    for number in range(USERS):
        assert len(state.by_email[f"user{number}@example.org"].tokens) == 1
    assert application("SELECT COUNT(*) FROM users WHERE mattermost_token IS NOT NULL") == [(USERS,)]
    assert application("SELECT COUNT(DISTINCT account_id) FROM mmconsole_tokens WHERE health = 'ok'") == [(USERS,)]


def holders(application: Application) -> set[str]:
    """Who has a part of a job just now."""
    held = application("SELECT holder FROM mmconsole_leases WHERE name LIKE 'job %' AND holder IS NOT NULL")
    return {str(row[0]) for row in held}


def test_four_workers_take_part(application: Application) -> None:
    application.add_many(USERS)
    some, seen = workers(application, 4), set[str]()
    application.until(lambda: application.said.count("waits for jobs") == len(some), of=some)

    done = application.start("sync", "--all")
    while done.poll() is None:
        seen |= holders(application)

    assert done.wait() == 0, application.said
    in_step(application)
    assert len(seen) > 1
    assert application("SELECT state FROM mmconsole_jobs") == [("done",)]
    assert application("SELECT COUNT(*) FROM mmconsole_leases WHERE name LIKE 'job %'") == [(0,)]
    assert all(application.end(one) == 0 for one in some)
    assert application("SELECT to_regnamespace('mmconsole_workers') IS NULL") == [(False,)]
    assert application.start("migrate", "rollback", "--ours", "--abandon-tokens").wait() == 0, application.said
    assert application("SELECT to_regnamespace('mmconsole_workers') IS NULL") == [(True,)]


def test_what_killed_workers_had_is_done_by_others(application: Application) -> None:
    application.add_many(USERS)
    some = workers(application, 4)
    done = application.start("sync", "--all")
    state = application.simulator.state

    application.until(lambda: len(state.by_email) > 100, of=[done])
    for victim in some[:2]:
        victim.kill()
        victim.wait()

    assert done.wait() == 0, application.said
    in_step(application)
    assert all(application.end(one) == 0 for one in some[2:])


def test_one_that_is_told_to_stop_leaves_its_part_to_others(application: Application) -> None:
    application.add_many(USERS)
    some = workers(application, 2)
    done = application.start("sync", "--all")
    application.until(lambda: len(application.simulator.state.by_email) > 100, of=[done])

    assert application.end(some[0]) == 0

    assert done.wait() == 0, application.said
    in_step(application)
