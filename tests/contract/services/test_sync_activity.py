"""The log as evidence: each change has a row, and names the server's own id of the call that did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mmconsole.simulator import Fault, Simulator

if TYPE_CHECKING:
    from tests.conftest import World

CREATE = "POST /users"
JOIN = "POST /teams/{id}/members"
TOKEN = "POST /users/{id}/tokens"
REVOKE = "POST /users/tokens/revoke"
PATCH = "PUT /users/{id}/patch"
ACTIVE = "PUT /users/{id}/active"

Answered = dict[str, tuple[str, str]]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Answered:
    """The server's own log: by request id the route, and what the call was about."""
    log: Answered = {}
    act = Simulator._act

    def logged(self: Simulator, exchange: Any, call: Any, route: Any) -> Any:
        reply, headers = act(self, exchange, call, route)
        log[dict(headers)[b"x-request-id"].decode()] = (route.name, f"{call.path} {call.body!r}")
        return reply, headers

    monkeypatch.setattr(Simulator, "_act", logged)
    return log


def rows(world: World, verb: str) -> list[tuple[str, str, str]]:
    """User, detail and request id of each activity of this kind, the oldest first."""
    return world.sql("SELECT user_id, detail, request_id FROM mmconsole_activity WHERE verb = ? ORDER BY id", verb)


async def test_each_change_of_many_at_once_names_its_own_call(world: World, answered: Answered) -> None:
    world.server.add_team("other")
    world.set(sync__teams=["main", "other"])
    ids = [world.add(f"p{number}@x.test") for number in range(20)]

    await world.sync()

    emails: dict[str, str] = {user: f"p{number}@x.test" for number, user in enumerate(ids)}
    made = rows(world, "account created")
    assert sorted(user for user, _, _ in made) == sorted(ids)
    for user, _, request_id in made:
        route, about = answered[request_id]
        assert (route, emails[user] in about) == (CREATE, True)
    joined = rows(world, "team joined")
    assert sorted((user, team) for user, team, _ in joined) == sorted((u, t) for u in ids for t in ("main", "other"))
    for user, team, request_id in joined:
        route, about = answered[request_id]
        assert (route, world.record(user)["account_id"] in about) == (JOIN, True)
        assert world.server.state.teams_by_name[team].id in about
    generated = rows(world, "token generated")
    assert len(generated) == 20
    for user, _, request_id in generated:
        route, about = answered[request_id]
        assert (route, world.record(user)["account_id"] in about) == (TOKEN, True)


async def test_token_that_another_one_replaces_is_logged_as_revoked(world: World, answered: Answered) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    old = world.token(ann)
    world.edit(ann, mattermost_token=None)

    await world.sync()

    [(user, detail, request_id)] = rows(world, "token revoked")
    assert (user, detail) == (ann, f"token {old.id}: another one took its place")
    route, about = answered[request_id]
    assert (route, old.id in about) == (REVOKE, True)


async def test_new_token_that_does_not_work_is_logged_as_revoked(world: World, answered: Answered) -> None:
    ann = world.add("ann@x.test")
    world.server.faults.add(Fault("status", "GET", "/users/{id}/teams", times=None, status=403))

    await world.sync()

    [(user, detail, request_id)] = rows(world, "token revoked")
    assert user == ann
    assert [(user, team) for user, team, _ in rows(world, "team joined")] == [(ann, "main")]
    assert answered[request_id][0] == REVOKE
    assert detail.partition(":")[0].removeprefix("token ") in answered[request_id][1]


async def test_team_that_somebody_is_put_back_into_is_logged(world: World, answered: Answered) -> None:
    ann = world.add("ann@x.test")
    await world.sync()
    account = world.server.account("ann@x.test")
    world.server.state.leave_team(world.server.team, account, account.teams[0])

    await world.sync(teams=True)

    joined = rows(world, "team joined")
    assert [(user, team) for user, team, _ in joined] == [(ann, "main"), (ann, "main")]
    assert [answered[request_id][0] for _, _, request_id in joined] == [JOIN, JOIN]
    assert joined[0] != joined[1]


async def test_token_whose_secret_was_lost_is_logged_as_revoked(world: World, answered: Answered) -> None:
    ann = world.add("ann@x.test")
    world.server.faults.add(Fault("drop_after", "POST", "/users/{id}/tokens"))

    await world.sync()

    [(user, detail, request_id)] = rows(world, "token revoked")
    assert (user, detail.partition(": ")[2]) == (ann, "its secret was lost on the way")
    assert answered[request_id][0] == REVOKE
    world.assert_in_step(ann)


async def test_account_whose_answer_was_lost_names_no_call(world: World, answered: Answered) -> None:
    ann = world.add("ann@x.test")
    world.server.faults.add(Fault("drop_after", "POST", "/users"))

    await world.sync()

    assert rows(world, "account created") == [(ann, "@ann", "")]


async def test_changes_of_an_account_name_their_calls(world: World, answered: Answered) -> None:
    world.set(sync__deactivate=True)
    ann, bo = world.add("ann@x.test", verified=True), world.add("bo@x.test")
    await world.sync()
    world.edit(ann, email="new@x.test")
    world.leave(bo)
    await world.sync()
    world.come_back(bo)
    await world.sync()

    verbs = {"account updated": PATCH, "token revoked": REVOKE, "account deactivated": ACTIVE}
    for verb, route in (verbs | {"account reactivated": ACTIVE}).items():
        [(user, _, request_id)] = rows(world, verb)
        assert (user, answered[request_id][0]) == (ann if route == PATCH else bo, route)


async def test_failure_names_the_call_that_failed(world: World, answered: Answered) -> None:
    ann = world.add("ann@x.test", verified=True)
    await world.sync()
    world.server.add("taken@x.test", "somebody")
    world.edit(ann, email="taken@x.test")

    await world.sync()

    [(user, _, request_id)] = rows(world, "sync failed")
    assert (user, answered[request_id][0]) == (ann, PATCH)


async def test_conflict_that_is_known_is_not_logged_again(world: World) -> None:
    world.set(tokens__accept=["plain"])
    account, other = (world.server.add(f"{name}@x.test", email_verified=True) for name in ("ann", "bo"))
    secret = world.server.state.add_token(other, "Laravel").secret
    world.add("ann@x.test", verified=True, token=secret, account_id=account.id)

    for _ in range(3):
        assert (await world.sync()).counts == {"conflict": 1}

    assert len(rows(world, "conflict found")) == 1
