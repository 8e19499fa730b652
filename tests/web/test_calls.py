"""The application's own calls: safe to repeat, and told plainly when they could not be done."""

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from mmconsole.simulator import Fault

if TYPE_CHECKING:
    from tests.web.conftest import OpenSite, Site


async def test_a_user_is_brought_into_step(site: "Site") -> None:
    ann = site.world.add("ann@example.org", verified=True)

    first = await site.ask("POST", f"/api/mattermost/users/{ann}/sync")
    again = await site.ask("POST", f"/api/mattermost/users/{ann}/sync")

    assert [first.status_code, again.status_code] == [200, 200]
    assert [first.json()["outcome"], again.json()["outcome"]] == ["created", "unchanged"]
    site.world.assert_in_step(ann)


async def test_what_a_call_did_is_told_under_the_name_of_its_key(site: "Site") -> None:
    ann, project = site.world.add("ann@example.org", verified=True), "/api/mattermost/projects/7/channel"

    await site.ask("POST", f"/api/mattermost/users/{ann}/sync")
    made = await site.ask("PUT", project, json={"name": "Bridge", "team": "main"})
    await site.ask("POST", f"/api/mattermost/channels/{made.json()['channel']['name']}/members", json={"user": ann})
    await site.ask("DELETE", project)

    by_key = site.world.sql("SELECT verb FROM mmconsole_activity WHERE actor = 'key test' ORDER BY id")
    verbs = ["account created", "token generated", "channel created", "channel joined", "channel archived"]
    assert [verb for (verb,) in by_key if verb in verbs] == verbs
    assert set(site.world.sql("SELECT actor FROM mmconsole_jobs")) == {("key test",)}


async def test_users_who_are_synced_at_once_are_synced_one_after_the_other(site: "Site") -> None:
    people = [site.world.add(f"user{n}@example.org", verified=True) for n in range(5)]

    answers = await asyncio.gather(*(site.ask("POST", f"/api/mattermost/users/{one}/sync") for one in people))

    assert {answer.status_code for answer in answers} == {200}
    site.world.assert_in_step(*people)


async def test_a_sync_that_needs_a_decision_says_so(site: "Site") -> None:
    site.world.server.add("ann@example.org")
    ann = site.world.add("ann@example.org")

    answer = await site.ask("POST", f"/api/mattermost/users/{ann}/sync")

    assert answer.status_code == 409
    assert answer.json()["outcome"] == "conflict"
    assert "has not verified" in answer.json()["note"]


async def test_a_user_without_row_and_one_named_by_address_are_unknown(site: "Site", ann: str) -> None:
    gone = await site.ask("POST", "/api/mattermost/users/999/sync")
    by_address = await site.ask("POST", "/api/mattermost/users/ann@example.org/sync")

    assert [gone.status_code, by_address.status_code] == [404, 404]
    assert "whose id is `ann@example.org`" in by_address.json()["detail"]


async def test_a_user_is_added_to_a_channel_as_themselves(site: "Site", ann: str) -> None:
    channel = await site.ask("PUT", "/api/mattermost/projects/7/channel", json={"name": "Bridge", "team": "main"})
    name = channel.json()["channel"]["name"]

    first = await site.ask("POST", f"/api/mattermost/channels/{name}/members", json={"user": ann})
    again = await site.ask("POST", f"/api/mattermost/channels/{name}/members", json={"user": ann})
    nowhere = await site.ask("POST", "/api/mattermost/channels/main/nowhere/members", json={"user": ann})
    bad = await site.ask("POST", f"/api/mattermost/channels/{name}/members", json={"user": ann, "as_admin": True})

    assert [answer.status_code for answer in (first, again, nowhere, bad)] == [200, 200, 404, 400]
    account = site.world.record(ann)["account_id"]
    assert account in site.world.server.state.channels[channel.json()["channel"]["id"]].members


async def test_a_body_that_cannot_be_used_is_answered_with_what_it_must_be(site: "Site") -> None:
    path = "/api/mattermost/channels/town-square/members"

    unmarked = await site.ask("POST", path, content=b'{"user": "1"}')
    empty = await site.ask("POST", path, json={})

    assert "must be a JSON object, sent with `Content-Type: application/json`" in unmarked.json()["detail"]
    assert empty.json()["detail"] == "`body.user` is missing."


async def test_a_project_has_one_channel_however_often_it_is_asked_for(site: "Site") -> None:
    path, facts = "/api/mattermost/projects/7/channel", {"name": "Bridge", "team": "main"}

    answers = await asyncio.gather(*(site.ask("PUT", path, json=facts) for _ in range(5)))
    gone = await site.ask("DELETE", path)
    again = await site.ask("DELETE", path)
    never = await site.ask("DELETE", "/api/mattermost/projects/8/channel")

    assert sorted(answer.json()["outcome"] for answer in answers) == ["created", *["unchanged"] * 4]
    assert len({answer.json()["channel"]["id"] for answer in answers}) == 1
    assert [gone.json()["outcome"], again.json()["outcome"]] == ["archived", "unchanged"]
    assert never.json()["channel"] is None


async def test_a_project_that_nobody_names_is_unknown(site: "Site") -> None:
    answer = await site.ask("PUT", "/api/mattermost/projects/7/channel")

    assert answer.status_code == 404
    assert answer.json()["kind"] == "ProjectUnknown"


@pytest.mark.parametrize("project", ["a%0Ab", "a%00", "a%E2%80%AEb"])
async def test_an_id_with_characters_that_act_is_no_projects(site: "Site", project: str) -> None:
    path = f"/api/mattermost/projects/{project}/channel"

    answers = [await site.ask("PUT", path, json={"name": "Bridge", "team": "main"}), await site.ask("DELETE", path)]

    assert [answer.status_code for answer in answers] == [400, 400]


async def test_the_guard_holds_over_http(open_site: "OpenSite") -> None:
    site = await open_site()
    site.world.set(guard__removals=0, guard__percent=0)
    async with site.world.core() as core:
        await core.channels.create("x", team="main")
    site = await open_site()
    await site.ask("PUT", "/api/mattermost/projects/7/channel", json={"name": "Bridge", "team": "main"})

    answer = await site.ask("DELETE", "/api/mattermost/projects/7/channel")

    assert answer.status_code == 409
    assert answer.json()["kind"] == "GuardTripped"


async def test_an_application_cannot_undo_what_an_operator_withheld(site: "Site") -> None:
    ann = await site.synced()
    site.world.token(ann).is_active = False
    site.world.withhold(ann)
    before = site.world.record(ann)["token_id"]

    answer = await site.ask("POST", f"/api/mattermost/users/{ann}/sync")

    assert site.world.record(ann)["token_id"] == before
    assert site.world.record(ann)["withheld"]
    assert not site.world.token(ann).is_active
    assert answer.json()["outcome"] == "left alone"


async def test_a_server_that_is_away_is_a_503_that_names_no_inside(site: "Site", ann: str) -> None:
    site.world.server.faults.add(Fault("status", times=None))

    answer = await site.ask("POST", f"/api/mattermost/users/{ann}/sync")

    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert site.world.url not in answer.text


async def test_another_run_that_is_at_work_is_waited_for_and_then_told(site: "Site", ann: str) -> None:
    in_an_hour = time.time_ns() // 1_000 + 3_600_000_000
    site.world.sql("UPDATE mmconsole_leases SET holder = 'x', expires_at = ? WHERE name = 'sync'", in_an_hour)

    answer = await site.ask("POST", f"/api/mattermost/users/{ann}/sync")
    site.world.end_leases()
    later = await site.ask("POST", f"/api/mattermost/users/{ann}/sync")

    assert answer.status_code == 503
    assert answer.json()["kind"] == "Busy"
    assert later.status_code == 200
