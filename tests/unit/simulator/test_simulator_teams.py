"""Teams and channels of the simulated server: joining, refusing, archiving, restoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.simulator.conftest import Api

UNKNOWN = "a" * 26
FORBIDDEN = (403, "api.context.permissions.app_error")


async def channel(api: Api, name: str = "project-1", kind: str = "O", **more: Any) -> dict[str, Any]:
    body = {"team_id": api.team, "name": name, "display_name": name, "type": kind}
    response = await api("POST", "/channels", body, **more)
    assert response.status_code == 201, response.text
    return dict(response.json())


async def test_an_open_team_is_joined_with_ones_own_token_and_a_closed_one_is_not(api: Api) -> None:
    user = await api.user("ann")
    secret = (await api.token(user["id"]))["token"]
    path, body = f"/teams/{api.team}/members", {"team_id": api.team, "user_id": user["id"]}

    closed = await api.refusal("POST", path, body, token=secret)
    await api("PUT", f"/teams/{api.team}/patch", {"allow_open_invite": True})
    joined = await api("POST", path, body, token=secret)
    again = await api("POST", path, body, token=secret)

    assert closed == FORBIDDEN
    assert joined.status_code == again.status_code == 201
    assert joined.json() == again.json()


async def test_members_add_others_but_strangers_do_not(api: Api) -> None:
    _, member = await api.member("ann")
    stranger = await api.user("bob")
    secret = (await api.token(stranger["id"]))["token"]
    path, body = f"/teams/{api.team}/members", {"team_id": api.team, "user_id": stranger["id"]}
    other = {"team_id": api.team, "user_id": api.simulator.state.by_username["consolebot"].id}

    refused = await api.refusal("POST", path, other, token=secret)
    added = await api("POST", path, body, token=member)

    assert refused == FORBIDDEN
    assert added.status_code == 201


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"team_id": UNKNOWN, "user_id": UNKNOWN}, (400, "api.context.invalid_body_param.app_error")),
        ({"team_id": "", "user_id": "short"}, (400, "api.context.invalid_body_param.app_error")),
        ({"user_id": UNKNOWN}, (404, "app.user.missing_account.const")),
    ],
)
async def test_who_cannot_join_a_team(api: Api, body: dict[str, str], expected: tuple[int, str]) -> None:
    wanted = {"team_id": api.team, **body} if body.get("team_id") != "" else {**body, "team_id": api.team}

    assert await api.refusal("POST", f"/teams/{api.team}/members", wanted) == expected


async def test_an_unknown_team_is_not_found(api: Api) -> None:
    body = {"team_id": UNKNOWN, "user_id": api.admin}

    assert await api.refusal("POST", f"/teams/{UNKNOWN}/members", body) == (404, "app.team.get.find.app_error")


async def test_a_full_team_counts_its_active_members_only(make_api: Callable[..., Api]) -> None:
    api = make_api(users=2)
    await api.settings(TeamSettings={"MaxUsersPerTeam": 3})
    newcomer = await api.user("ann")
    path, body = f"/teams/{api.team}/members", {"team_id": api.team, "user_id": newcomer["id"]}

    full = await api.refusal("POST", path, body)
    await api("PUT", f"/users/{api.simulator.state.by_username['user000001'].id}/active", {"active": False})
    room = await api("POST", path, body)

    assert full == (400, "app.team.join_user_to_team.save_member.max_accounts.app_error")
    assert room.status_code == 201


async def test_a_team_of_certain_domains_refuses_other_addresses(api: Api) -> None:
    await api("PUT", f"/teams/{api.team}/patch", {"allowed_domains": "acme.test"})
    user = await api.user("ann")

    refused = await api.refusal("POST", f"/teams/{api.team}/members", {"team_id": api.team, "user_id": user["id"]})

    assert refused == (400, "api.team.join_user_to_team.allowed_domains.app_error")


@pytest.mark.parametrize("graceful", ["true", "false", "0"])
async def test_any_word_makes_a_batch_graceful(api: Api, graceful: str) -> None:
    user = await api.user("ann")
    batch = [{"team_id": api.team, "user_id": id_} for id_ in (UNKNOWN, user["id"])]

    response = await api("POST", f"/teams/{api.team}/members/batch?graceful={graceful}", batch)

    first, second = response.json()
    assert response.status_code == 201
    assert (first["member"], first["error"]["id"]) == (None, "app.user.missing_account.const")
    assert (second["member"]["user_id"], second["error"]) == (user["id"], None)


async def test_without_grace_a_batch_ends_at_the_first_error_and_keeps_the_earlier_ones(api: Api) -> None:
    first, last = await api.user("ann"), await api.user("bob")
    batch = [{"team_id": api.team, "user_id": id_} for id_ in (first["id"], UNKNOWN, last["id"])]

    refused = await api.refusal("POST", f"/teams/{api.team}/members/batch", batch)

    members = api.simulator.state.teams[api.team].members
    assert refused == (404, "app.user.missing_account.const")
    assert first["id"] in members
    assert last["id"] not in members


@pytest.mark.parametrize("size", [0, 257])
async def test_a_batch_holds_one_to_256(api: Api, size: int) -> None:
    batch = [{"team_id": api.team, "user_id": UNKNOWN}] * size

    refused = await api.refusal("POST", f"/teams/{api.team}/members/batch?graceful=true", batch)

    assert refused == (400, "api.context.invalid_body_param.app_error")


async def test_who_left_a_team_is_no_longer_in_its_channels(api: Api) -> None:
    user_id, secret = await api.member("ann")
    made = await channel(api)
    await api("POST", f"/channels/{made['id']}/members", {"user_id": user_id})

    await api("DELETE", f"/teams/{api.team}/members/{user_id}")
    member = (await api("GET", f"/teams/{api.team}/members/{user_id}")).json()
    teams = (await api("GET", "/users/me/teams", token=secret)).json()
    back = await api.refusal("POST", f"/channels/{made['id']}/members", {"user_id": user_id})

    assert member["delete_at"] > 0
    assert teams == []
    assert back == (400, "api.channel.add_user.to.channel.failed.deleted.app_error")


async def test_teams_are_made_with_their_channels_and_their_creator(api: Api) -> None:
    made = (await api("POST", "/teams", {"name": "acme", "display_name": "Acme", "type": "O"})).json()

    names = [one["name"] for one in (await api("GET", f"/teams/{made['id']}/channels")).json()]
    member = (await api("GET", f"/teams/{made['id']}/members/me")).json()
    taken = await api.refusal("POST", "/teams", {"name": "acme", "display_name": "Again", "type": "O"})

    assert names == ["off-topic", "town-square"]
    assert member["scheme_admin"] is True
    assert taken[0] == 400


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": "a"}, "url"),
        ({"name": "Bad Name"}, "characters"),
        ({"name": "admin"}, "reserved"),
        ({"display_name": ""}, "name"),
        ({"type": "X"}, "type"),
    ],
)
async def test_what_a_team_may_not_look_like(api: Api, fields: dict[str, str], error: str) -> None:
    body = {"name": "acme", "display_name": "Acme", "type": "O", **fields}

    assert await api.refusal("POST", "/teams", body) == (400, f"model.team.is_valid.{error}.app_error")


async def test_strangers_do_not_see_a_closed_team(api: Api) -> None:
    user = await api.user("ann")
    secret = (await api.token(user["id"]))["token"]
    _, member = await api.member("bob")

    by_id = await api.refusal("GET", f"/teams/{api.team}", token=secret)
    by_name = await api.refusal("GET", "/teams/name/main", token=secret)
    for_member = (await api("GET", "/teams/name/main", token=member)).json()

    assert by_id == by_name == FORBIDDEN
    assert for_member["email"] == ""
    assert for_member["invite_id"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"team_id": ""}, "api.context.invalid_body_param.app_error"),
        ({"display_name": ""}, "api.context.invalid_body_param.app_error"),
        ({"name": "UPPER"}, "model.channel.is_valid.1_or_more.app_error"),
        ({"name": "n" * 65}, "model.channel.is_valid.1_or_more.app_error"),
        ({"name": "0123456789" * 4}, "model.channel.is_valid.name.app_error"),
        ({"display_name": "d" * 65}, "model.channel.is_valid.display_name.app_error"),
        ({"header": "h" * 1025}, "model.channel.is_valid.header.app_error"),
        ({"purpose": "p" * 251}, "model.channel.is_valid.purpose.app_error"),
        ({"type": "X"}, "model.channel.is_valid.type.app_error"),
        ({"type": "D"}, "api.channel.create_channel.direct_channel.app_error"),
        ({"name": "town-square"}, "store.sql_channel.save_channel.exists.app_error"),
    ],
)
async def test_what_a_channel_may_not_look_like(api: Api, fields: dict[str, str], expected: str) -> None:
    body = {"team_id": api.team, "name": "project", "display_name": "Project", "type": "O", **fields}

    assert await api.refusal("POST", "/channels", body) == (400, expected)


async def test_a_team_has_a_largest_number_of_channels(api: Api) -> None:
    await api.settings(TeamSettings={"MaxChannelsPerTeam": 3})
    await channel(api, "third")

    body = {"team_id": api.team, "name": "fourth", "display_name": "x", "type": "O"}
    refused = await api.refusal("POST", "/channels", body)

    assert refused == (400, "api.channel.create_channel.max_channel_limit.app_error")


async def test_an_archived_channel_keeps_its_name_until_it_is_restored(api: Api) -> None:
    made = await channel(api)
    by_name = f"/teams/{api.team}/channels/name/project-1"

    await api("DELETE", f"/channels/{made['id']}")
    hidden = await api.refusal("GET", by_name)
    found = (await api("GET", by_name + "?include_deleted=true")).json()
    twice = await api.refusal("DELETE", f"/channels/{made['id']}")
    listed = [one["id"] for one in (await api("GET", f"/teams/{api.team}/channels/deleted")).json()]
    restored = await api("POST", f"/channels/{made['id']}/restore")
    again = await api.refusal("POST", f"/channels/{made['id']}/restore")

    assert hidden == (404, "app.channel.get_by_name.missing.app_error")
    assert found["delete_at"] > 0
    assert twice == (400, "api.channel.delete_channel.deleted.app_error")
    assert listed == [made["id"]]
    assert restored.json()["delete_at"] == 0
    assert again == (400, "api.channel.restore_channel.restored.app_error")


async def test_a_private_channel_looks_to_strangers_as_if_it_did_not_exist(api: Api) -> None:
    user_id, secret = await api.member("ann")
    made = await channel(api, "secret", "P")

    by_name = await api.refusal("GET", f"/teams/{api.team}/channels/name/secret", token=secret)
    by_names = await api.refusal("GET", "/teams/name/main/channels/name/secret", token=secret)
    by_id = await api.refusal("GET", f"/channels/{made['id']}", token=secret)
    join = await api.refusal("POST", f"/channels/{made['id']}/members", {"user_id": user_id}, token=secret)
    await api("POST", f"/channels/{made['id']}/members", {"user_id": user_id})
    as_member = await api("GET", "/teams/name/main/channels/name/secret", token=secret)

    assert by_name == by_names == (404, "app.channel.get_by_name.missing.app_error")
    assert by_id == join == FORBIDDEN
    assert as_member.status_code == 200


async def test_a_list_of_newcomers_answers_with_those_who_could_be_added(api: Api) -> None:
    made = await channel(api)
    first, _ = await api.member("ann")
    path = f"/channels/{made['id']}/members"

    some = await api("POST", path, {"user_ids": [first, UNKNOWN]})
    one_of_list = await api("POST", path, {"user_ids": [first]})
    nobody = await api.refusal("POST", path, {"user_ids": [UNKNOWN]})
    too_many = await api.refusal("POST", path, {"user_ids": [UNKNOWN] * 1001})
    nonsense = await api.refusal("POST", path, {"user_ids": ["short"]})
    neither = await api.refusal("POST", path, {})

    assert [member["user_id"] for member in some.json()] == [first]
    assert isinstance(one_of_list.json(), list)
    assert nobody == (404, "app.user.missing_account.const")
    assert too_many[0] == nonsense[0] == neither[0] == 400


async def test_plain_members_add_others_to_public_channels(api: Api) -> None:
    made = await channel(api)
    first, secret = await api.member("ann")
    second, _ = await api.member("bob")
    path = f"/channels/{made['id']}/members"

    from_outside = await api.refusal("POST", path, {"user_id": second}, token=secret)
    await api("POST", path, {"user_id": first}, token=secret)
    from_inside = await api("POST", path, {"user_id": second}, token=secret)

    assert from_outside == FORBIDDEN
    assert from_inside.status_code == 201


async def test_everybody_of_the_team_is_in_town_square_and_may_leave_off_topic(api: Api) -> None:
    user_id, secret = await api.member("ann")
    channels = {one.name: one.id for one in api.simulator.state.channels_of[api.team]}

    stay = await api.refusal("DELETE", f"/channels/{channels['town-square']}/members/me", token=secret)
    leave = await api("DELETE", f"/channels/{channels['off-topic']}/members/me", token=secret)
    left = [one["name"] for one in (await api("GET", f"/users/{user_id}/channels")).json()]
    back = await api("POST", f"/channels/{channels['off-topic']}/members", {"user_id": user_id}, token=secret)
    stats = (await api("GET", f"/channels/{channels['off-topic']}/stats")).json()

    assert stay == (400, "api.channel.remove.default.app_error")
    assert leave.status_code == 200
    assert left == ["town-square"]
    assert back.status_code == 201
    assert stats["member_count"] == 7


async def test_the_members_of_a_channel_are_listed_in_pages(make_api: Callable[..., Api]) -> None:
    api = make_api(users=100)
    square = api.simulator.state.channels_by_name[api.team, "town-square"]

    pages = [(await api("GET", f"/channels/{square.id}/members?page={page}")).json() for page in range(3)]
    one = await api("GET", f"/channels/{square.id}/members/{pages[1][0]['user_id']}")

    assert [len(page) for page in pages] == [60, 41, 0]
    assert one.json() == pages[1][0]
