"""Personal access tokens of the simulated server: what the recording does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.simulator.conftest import Api

UNKNOWN = "a" * 26
DAY = 24 * 3_600_000


async def test_a_token_works_until_it_is_revoked_and_is_then_unknown(api: Api) -> None:
    user = await api.user()
    token = await api.token(user["id"])

    before = await api("GET", "/users/me", token=token["token"])
    revoked = await api("POST", "/users/tokens/revoke", {"token_id": token["id"]})
    after = await api.refusal("GET", "/users/me", token=token["token"])
    looked_up = await api.refusal("GET", f"/users/tokens/{token['id']}")

    assert before.json()["id"] == user["id"]
    assert revoked.json() == {"status": "OK"}
    assert after == (401, "api.context.session_expired.app_error")
    assert looked_up == (404, "app.user_access_token.get_by_user.app_error")


async def test_only_the_answer_to_a_create_carries_the_secret(api: Api) -> None:
    user = await api.user()
    token = await api.token(user["id"])

    one = (await api("GET", f"/users/tokens/{token['id']}")).json()
    own = (await api("GET", f"/users/{user['id']}/tokens")).json()
    everybodys = (await api("GET", "/users/tokens?per_page=200")).text
    found = (await api("POST", "/users/tokens/search", {"term": "ann"})).json()

    assert len(token["token"]) == 26
    assert "token" not in one
    assert own == found == [one]
    assert token["token"] not in everybodys


@pytest.mark.parametrize(("length", "status"), [(255, 200), (256, 400)])
async def test_a_description_is_measured_in_bytes(api: Api, length: int, status: int) -> None:
    user = await api.user()
    description = "ü" * (length // 2) + "x" * (length % 2)

    response = await api("POST", f"/users/{user['id']}/tokens", {"description": description})

    assert len(description.encode()) == length
    assert response.status_code == status


async def test_a_body_cannot_choose_the_id_secret_or_owner_of_a_token(api: Api) -> None:
    user = await api.user()
    wishes = {"id": UNKNOWN, "token": UNKNOWN, "user_id": api.admin, "is_active": False}

    token = (await api("POST", f"/users/{user['id']}/tokens", {"description": "x", **wishes})).json()

    assert token["id"] != UNKNOWN
    assert token["token"] != UNKNOWN
    assert token["user_id"] == user["id"]
    assert token["is_active"] is True


async def test_the_checks_of_a_create_come_in_the_servers_order(api: Api) -> None:
    _, plain = await api.member("ann")
    path = f"/users/{UNKNOWN}/tokens"
    own = "/users/me/tokens"

    unknown_user = await api.refusal("POST", path, {"description": ""}, token=plain)
    no_description = await api.refusal("POST", own, {}, token=plain)
    no_permission = await api.refusal("POST", own, {"description": "x"}, token=plain)
    other_types = await api.refusal("POST", own, {"description": 5}, token=plain)

    assert unknown_user == (404, "app.user.missing_account.const")
    assert no_description == (400, "api.context.invalid_body_param.app_error")
    assert no_permission == (403, "api.context.permissions.app_error")
    assert other_types == (400, "api.context.invalid_body_param.app_error")


async def test_the_token_role_lets_users_manage_their_own_tokens_and_nobody_elses(api: Api) -> None:
    user_id, secret = await api.member("ann")
    other = await api.user("bob")
    foreign = await api.token(other["id"])
    await api("PUT", f"/users/{user_id}/roles", {"roles": "system_user system_user_access_token"})

    made = await api("POST", "/users/me/tokens", {"description": "mine"}, token=secret)
    listed = await api("GET", f"/users/{user_id}/tokens", token=secret)
    revoked = await api("POST", "/users/tokens/revoke", {"token_id": made.json()["id"]}, token=secret)
    others = await api.refusal("POST", "/users/tokens/revoke", {"token_id": foreign["id"]}, token=secret)
    others_list = await api.refusal("GET", f"/users/{other['id']}/tokens", token=secret)

    assert made.status_code == 200
    assert len(listed.json()) == 2
    assert revoked.status_code == 200
    assert others == others_list == (403, "api.context.permissions.app_error")


async def test_a_token_goes_on_working_when_its_user_loses_the_token_role(api: Api) -> None:
    user_id, secret = await api.member("ann")
    await api("PUT", f"/users/{user_id}/roles", {"roles": "system_user system_user_access_token"})

    await api("PUT", f"/users/{user_id}/roles", {"roles": "system_user"})

    assert (await api("GET", "/users/me", token=secret)).status_code == 200


async def test_only_an_administrator_makes_tokens_for_an_administrator(api: Api) -> None:
    user_id, secret = await api.member("ann")
    await api("PUT", f"/users/{user_id}/roles", {"roles": "system_user system_user_access_token"})

    refused = await api.refusal("POST", f"/users/{api.admin}/tokens", {"description": "x"}, token=secret)
    made = await api("POST", f"/users/{api.admin}/tokens", {"description": "x"})

    assert refused[0] == 403
    assert made.status_code == 200


async def test_a_disabled_token_is_dead_and_an_enabled_one_lives_again(api: Api) -> None:
    user = await api.user()
    token = await api.token(user["id"])
    body = {"token_id": token["id"]}

    await api("POST", "/users/tokens/disable", body)
    while_disabled = await api("GET", "/users/me", token=token["token"])
    listed = (await api("GET", f"/users/tokens/{token['id']}")).json()["is_active"]
    await api("POST", "/users/tokens/enable", body)
    afterwards = await api("GET", "/users/me", token=token["token"])

    assert (while_disabled.status_code, listed, afterwards.status_code) == (401, False, 200)


async def test_a_revoke_without_a_readable_body_is_a_404(api: Api) -> None:
    empty = await api.refusal("POST", "/users/tokens/revoke", {})
    mixed = await api.refusal("POST", "/users/tokens/disable", {"token_id": 1})

    assert empty == mixed == (404, "app.user_access_token.get_by_user.app_error")


async def test_pages_of_tokens_are_clamped_and_never_negative(make_api: Callable[..., Api]) -> None:
    api = make_api(users=250, with_tokens=True)

    sizes = [
        len((await api("GET", f"/users/tokens?{query}")).json())
        for query in ("", "per_page=-5", "per_page=x", "per_page=500", "page=1&per_page=200", "page=-1&per_page=10")
    ]

    assert sizes == [60, 60, 60, 200, 52, 10]


async def test_all_tokens_are_seen_once_while_nothing_changes(make_api: Callable[..., Api]) -> None:
    api = make_api(users=450, with_tokens=True)

    pages = [(await api("GET", f"/users/tokens?page={page}&per_page=200")).json() for page in range(4)]

    ids = [token["id"] for page in pages for token in page]
    assert len(ids) == len(set(ids)) == 452


async def test_a_token_may_be_missed_by_a_walk_during_which_others_are_revoked(make_api: Callable[..., Api]) -> None:
    api = make_api(users=300, with_tokens=True)
    first = (await api("GET", "/users/tokens?page=0&per_page=200")).json()

    await api("POST", "/users/tokens/revoke", {"token_id": first[100]["id"]})
    second = (await api("GET", "/users/tokens?page=1&per_page=200")).json()

    seen = {token["id"] for token in (*first, *second)}
    assert set(api.simulator.state.tokens) - seen


async def test_search_finds_by_token_user_and_username_exactly(api: Api) -> None:
    user = await api.user("ann")
    token = await api.token(user["id"])

    found = [
        (await api("POST", "/users/tokens/search", {"term": term})).json() for term in (token["id"], user["id"], "ann")
    ]
    partly = (await api("POST", "/users/tokens/search", {"term": "an"})).json()
    nothing = await api.refusal("POST", "/users/tokens/search", {"term": ""})

    assert [len(tokens) for tokens in found] == [1, 1, 1]
    assert partly == []
    assert nothing[0] == 400


async def test_the_mail_about_a_new_token_is_sent_inside_the_call(api: Api) -> None:
    user = await api.user()
    await api.settings(EmailSettings={"SMTPServer": "mail.example.test", "SMTPPort": "25"})
    api.simulator.state.mail_latency = 0.15

    response = await api("POST", f"/users/{user['id']}/tokens", {"description": "x"})

    assert response.elapsed.total_seconds() >= 0.15
    assert api.simulator.state.mails[user["id"]] == 1


async def test_bots_and_dead_mail_servers_send_no_mail(api: Api) -> None:
    bot = api.simulator.state.by_username["consolebot"]
    user = await api.user()
    await api.token(user["id"])

    blank = await api.settings(EmailSettings={"SMTPServer": "", "SMTPPort": ""})
    await api.settings(EmailSettings={"SMTPServer": "mail.example.test"})
    await api.token(bot.id)

    assert blank.json()["EmailSettings"]["SMTPServer"] == "localhost"
    assert blank.json()["EmailSettings"]["SMTPPort"] == "10025"
    assert not api.simulator.state.mails


async def test_before_11_9_an_expiry_is_silently_ignored(make_api: Callable[..., Api]) -> None:
    api = make_api(version="11.8.2")
    user = await api.user()

    token = await api.token(user["id"], expires_at=1)

    assert "expires_at" not in token
    assert (await api("GET", "/users/me", token=token["token"])).status_code == 200


async def test_from_11_9_an_expired_token_is_refused_and_later_deleted(make_api: Callable[..., Api]) -> None:
    at = [1_800_000_000.0]
    api = make_api(version="11.9.0", now=lambda: at[0])
    user = await api.user()
    ends = int(at[0] * 1000) + DAY
    token = await api.token(user["id"], expires_at=ends)

    before = await api("GET", "/users/me", token=token["token"])
    at[0] += 24 * 3600
    after = await api.refusal("GET", "/users/me", token=token["token"])
    listed = await api("GET", f"/users/tokens/{token['id']}")
    api.simulator.state.expire_tokens()
    cleaned = await api("GET", f"/users/tokens/{token['id']}")

    assert token["expires_at"] == ends
    assert before.status_code == 200
    assert after == (401, "api.context.session_expired.app_error")
    assert (listed.status_code, cleaned.status_code) == (200, 404)


@pytest.mark.parametrize(
    ("expires_in", "error"),
    [
        (None, "app.user_access_token.expires_at_required.app_error"),
        (-DAY, "app.user_access_token.expires_at_in_past.app_error"),
        (31 * DAY, "app.user_access_token.expires_at_too_far.app_error"),
        (29 * DAY, None),
    ],
)
async def test_a_policy_demands_an_end_within_its_days(
    make_api: Callable[..., Api], expires_in: int | None, error: str | None
) -> None:
    now = 1_800_000_000
    api = make_api(version="11.10.0", now=lambda: float(now))
    user = await api.user()
    await api.settings(ServiceSettings={"MaximumPersonalAccessTokenLifetimeDays": 30})
    expiry = {} if expires_in is None else {"expires_at": now * 1000 + expires_in}

    response = await api("POST", f"/users/{user['id']}/tokens", {"description": "x", **expiry})

    assert response.status_code == (400 if error else 200)
    assert response.json()["id"] == error if error else "token" in response.json()


async def test_a_negative_expiry_is_invalid_with_and_without_a_policy(make_api: Callable[..., Api]) -> None:
    api = make_api(version="11.10.0")
    user = await api.user()

    refused = await api.refusal("POST", f"/users/{user['id']}/tokens", {"description": "x", "expires_at": -1})

    assert refused == (400, "model.user_access_token.is_valid.expires_at.app_error")


async def test_rotating_gives_the_same_token_a_new_secret_without_end(make_api: Callable[..., Api]) -> None:
    api = make_api(version="11.10.0")
    user = await api.user()
    token = await api.token(user["id"], expires_at=9_999_999_999_999)

    rotated = (await api("POST", "/users/tokens/rotate", {"token_id": token["id"]})).json()
    old = await api("GET", "/users/me", token=token["token"])
    new = await api("GET", "/users/me", token=rotated["token"])

    assert (rotated["id"], rotated["description"], rotated["expires_at"]) == (token["id"], "test", 0)
    assert rotated["token"] != token["token"]
    assert (old.status_code, new.status_code) == (401, 200)


async def test_a_disabled_token_cannot_be_rotated(make_api: Callable[..., Api]) -> None:
    api = make_api(version="11.10.0")
    user = await api.user()
    token = await api.token(user["id"])
    await api("POST", "/users/tokens/disable", {"token_id": token["id"]})

    refused = await api.refusal("POST", "/users/tokens/rotate", {"token_id": token["id"]})

    assert refused == (400, "api.user.rotate_user_access_token.disabled_token.app_error")


async def test_tokens_outside_a_policy_are_counted_and_revoked(make_api: Callable[..., Api]) -> None:
    api = make_api(version="11.10.0", users=3, with_tokens=True)
    without_policy = await api("GET", "/users/tokens/non_compliant/count")
    refused = await api.refusal("POST", "/users/tokens/non_compliant/revoke")
    await api.settings(ServiceSettings={"MaximumPersonalAccessTokenLifetimeDays": 30})

    counted = await api("GET", "/users/tokens/non_compliant/count", token=api.simulator.bot_token)
    revoked = await api("POST", "/users/tokens/non_compliant/revoke", token=api.simulator.bot_token)

    assert without_policy.json() == {"count": 0}
    assert refused == (400, "app.user_access_token.revoke_non_compliant.no_policy.app_error")
    assert counted.json() == revoked.json() == {"count": 4}
    assert len(api.simulator.state.tokens) == 1


@pytest.mark.parametrize("version", ["10.11.3", "11.9.4"])
async def test_servers_before_11_10_do_not_know_rotate(make_api: Callable[..., Api], version: str) -> None:
    api = make_api(version=version)

    refused = await api.refusal("POST", "/users/tokens/rotate", {"token_id": UNKNOWN})

    assert refused == (404, "api.context.404.app_error")
