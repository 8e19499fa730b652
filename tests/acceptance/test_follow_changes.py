"""The application changes its own rows and nothing else; accounts and tokens follow."""

import os
from collections import Counter

from tests.acceptance.conftest import Application

MANY = 10_000 if os.environ.get("CI") == "true" else 1_000


def test_a_user_is_added_changed_and_deleted(application: Application) -> None:
    observer = application.watch()
    user = application.add("ann@example.org")
    application.until(lambda: application.token(user), of=[observer])
    account, first = application.account("ann@example.org"), application.token(user)
    assert account is not None

    application("UPDATE users SET name = 'Anna Lee'")
    application.until(lambda: account.first_name == "Anna", of=[observer])
    kept = application.token(user)
    application("DELETE FROM users")
    application.until(lambda: not account.tokens, of=[observer])

    assert kept == first
    assert application.end(observer) == 0
    assert [(one["user_id"], one["outcome"]) for one in application.told] == [
        (user, "created"),
        (user, "updated"),
        (user, "revoked"),
    ]


def test_a_project_gets_its_channel(application: Application) -> None:
    observer = application.watch()

    application("INSERT INTO projects (id, name) VALUES (7, 'Bridge')")
    application.until(lambda: not application.waiting, of=[observer])
    application("UPDATE projects SET archived_at = '2026-01-01 00:00:00'")
    application.until(lambda: len(application.told) == 2, of=[observer])

    (channel,) = [one for one in application.simulator.state.channels.values() if one.name == "bridge"]
    assert channel.delete_at
    assert application.end(observer) == 0


def test_a_mass_update_brings_everybody_into_step_once(application: Application) -> None:
    application.in_step(MANY)
    observer = application.watch()

    application("UPDATE users SET name = 'Somebody Else'")
    application.until(lambda: not application.waiting, of=[observer])

    state = application.simulator.state
    assert application.end(observer) == 0
    assert Counter(one["outcome"] for one in application.told) == {"updated": MANY}
    assert len({one["user_id"] for one in application.told}) == MANY
    assert sum(user.first_name == "Somebody" for user in state.users.values()) == MANY
    assert application.simulator.calls["PUT /users/{id}/patch"] == MANY


def test_one_that_is_killed_in_the_middle_loses_nothing(application: Application) -> None:
    ids = [application.add(f"user{n}@example.org") for n in range(60)]
    first = application.watch()
    application.until(lambda: application.simulator.state.by_email.get("user9@example.org"), of=[first])
    application.kill(first)

    second = application.watch()
    application("UPDATE users SET name = 'Somebody Else'")
    application.until(lambda: not application.waiting, of=[second])

    state = application.simulator.state
    assert application.end(second) == 0
    for number, user in enumerate(ids):
        account = state.by_email[f"user{number}@example.org"]
        assert application.token(user)
        assert account.first_name == "Somebody"
        assert len(account.tokens) == 1


def test_while_the_server_is_away_nothing_is_lost(application: Application) -> None:
    observer = application.watch()
    first = application.add("ann@example.org")
    application.until(lambda: application.token(first), of=[observer])
    application.unplug()
    second = application.add("bo@example.org")
    application("UPDATE users SET name = 'Anna Lee' WHERE email = 'ann@example.org'")
    application.until(lambda: "Trying again" in application.said, of=[observer])

    application.serve()
    application.until(lambda: not application.waiting, of=[observer])

    account = application.account("ann@example.org")
    assert account is not None
    assert account.first_name == "Anna"
    assert application.token(second)
    assert application.end(observer) == 0
