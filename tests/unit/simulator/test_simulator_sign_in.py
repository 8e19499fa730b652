"""Who the simulated server takes a caller for: headers, cookies, sessions, CSRF, second factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mmconsole.simulator.seed import ADMIN_PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.simulator.conftest import Api

EXPIRED = (401, "api.context.session_expired.app_error")
CLEARED = "MMAUTHTOKEN=; Path=/; Max-Age=0; HttpOnly"


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER", "Token", "token"])
async def test_the_word_before_the_token_may_be_written_in_several_ways(api: Api, word: str) -> None:
    headers = {"Authorization": f"{word} {api.simulator.admin_token}"}

    response = await api("GET", "/users/me", token="", headers=headers)

    assert response.status_code == 200


async def test_a_cookie_beats_the_header_and_the_first_of_two_cookies_wins(api: Api) -> None:
    user_id, secret = await api.member("ann")
    two = {"Cookie": f"MMAUTHTOKEN={secret}; other=1; MMAUTHTOKEN={api.simulator.admin_token}"}

    response = await api("GET", "/users/me", headers=two)

    assert response.json()["id"] == user_id


async def test_a_dead_cookie_is_cleared_and_an_empty_one_hides_the_header(api: Api) -> None:
    dead = await api("GET", "/users/me", headers={"Cookie": "MMAUTHTOKEN=nothing"})
    empty = await api("GET", "/users/me", headers={"Cookie": "MMAUTHTOKEN="})

    assert (dead.status_code, dead.headers["set-cookie"]) == (401, CLEARED)
    assert empty.status_code == 401
    assert "set-cookie" not in empty.headers


async def test_where_no_session_is_needed_a_bad_token_is_as_good_as_none(api: Api) -> None:
    with_bad_token = await api("GET", "/config/client?format=old", token="x" * 26)
    without = await api("GET", "/config/client?format=old", token="")
    with_session = await api("GET", "/config/client?format=old")

    assert with_bad_token.content == without.content
    assert "EnableUserAccessTokens" not in without.json()
    assert with_session.json()["EnableUserAccessTokens"] == "true"


async def test_a_token_in_the_query_is_refused_even_where_no_session_is_needed(api: Api) -> None:
    refused = await api.refusal("GET", f"/system/ping?access_token={api.simulator.admin_token}", token="")

    assert refused == (401, "api.context.token_provided.app_error")


async def test_a_deactivated_users_token_is_dead_and_revives_with_the_user(api: Api) -> None:
    user_id, secret = await api.member("ann")
    await api("GET", "/users/me", token=secret)

    await api("PUT", f"/users/{user_id}/active", {"active": False})
    dead = await api.refusal("GET", "/users/me", token=secret)
    await api("PUT", f"/users/{user_id}/active", {"active": True})
    alive = await api("GET", "/users/me", token=secret)

    assert dead == EXPIRED
    assert alive.status_code == 200


async def test_with_tokens_off_only_bots_tokens_and_sessions_work(api: Api) -> None:
    _, secret = await api.member("ann")
    session = (await api("POST", "/users/login", {"login_id": "admin", "password": ADMIN_PASSWORD}, token="")).headers[
        "token"
    ]
    await api.settings(ServiceSettings={"EnableUserAccessTokens": False})

    persons = await api.refusal("GET", "/users/me", token=secret)
    administrators = await api.refusal("GET", "/users/me")
    bots = await api("GET", "/config/client?format=old", token=api.simulator.bot_token)
    sessions = await api("GET", "/users/tokens", token=session)
    create = await api.refusal("POST", f"/users/{api.admin}/tokens", {"description": "x"}, token=session)

    assert persons == administrators == EXPIRED
    assert bots.json()["EnableUserAccessTokens"] == "false"
    assert sessions.status_code == 200
    assert create == (501, "app.user_access_token.disabled")


async def test_a_token_has_one_session_that_names_it(api: Api) -> None:
    user = await api.user()
    token = await api.token(user["id"])

    before = (await api("GET", f"/users/{user['id']}/sessions")).json()
    for _ in range(3):
        await api("GET", "/users/me", token=token["token"])
    sessions = (await api("GET", f"/users/{user['id']}/sessions")).json()

    assert before == []
    assert len(sessions) == 1
    assert sessions[0]["props"]["user_access_token_id"] == token["id"]
    assert sessions[0]["token"] == ""


async def test_signing_out_or_revoking_all_sessions_does_not_end_a_token(api: Api) -> None:
    user_id, secret = await api.member("ann")

    out = await api("POST", "/users/logout", token=secret)
    all_ended = await api("POST", f"/users/{user_id}/sessions/revoke/all")
    after = await api("GET", "/users/me", token=secret)

    assert (out.status_code, all_ended.status_code, after.status_code) == (200, 200, 200)
    assert out.headers["set-cookie"] == CLEARED


async def test_signing_in_with_a_password_ends_with_signing_out(api: Api) -> None:
    await api.user("ann")

    response = await api(
        "POST", "/users/login", {"login_id": "ANN@example.test", "password": "a-long-password"}, token=""
    )
    session = response.headers["token"]
    await api("POST", "/users/logout", token=session)

    assert response.json()["username"] == "ann"
    assert "set-cookie" not in response.headers
    assert await api.refusal("GET", "/users/me", token=session) == EXPIRED


@pytest.mark.parametrize(
    ("login_id", "password", "error"),
    [
        ("ann", "", "api.user.login.blank_pwd.app_error"),
        ("ann", "wrong", "api.user.login.invalid_credentials_email_username"),
        ("nobody", "wrong", "api.user.login.invalid_credentials_email_username"),
        ("consolebot", "wrong", "api.user.login.bot_login_forbidden.app_error"),
    ],
)
async def test_a_wrong_sign_in_is_refused(api: Api, login_id: str, password: str, error: str) -> None:
    await api.user("ann")

    refused = await api.refusal("POST", "/users/login", {"login_id": login_id, "password": password}, token="")

    assert refused == (401, error)


async def test_inactive_and_unverified_accounts_cannot_sign_in(api: Api) -> None:
    user = await api.user("ann")
    body = {"login_id": "ann", "password": "a-long-password"}

    await api.settings(EmailSettings={"RequireEmailVerification": True})
    unverified = await api.refusal("POST", "/users/login", body, token="")
    await api("POST", f"/users/{user['id']}/email/verify/member")
    verified = await api("POST", "/users/login", body, token="")
    await api("PUT", f"/users/{user['id']}/active", {"active": False})
    inactive = await api.refusal("POST", "/users/login", body, token="")

    assert unverified == (401, "api.user.login.not_verified.app_error")
    assert verified.status_code == 200
    assert inactive == (401, "api.user.login.inactive.app_error")


async def test_a_cookie_session_needs_its_csrf_value_to_change_anything(api: Api) -> None:
    await api.user("ann")
    login = await api(
        "POST",
        "/users/login",
        {"login_id": "ann", "password": "a-long-password"},
        token="",
        headers={"X-Requested-With": "XMLHttpRequest"},
    )
    cookies = {cookie.name: str(cookie.value) for cookie in login.cookies.jar}
    cookie = {"Cookie": f"MMAUTHTOKEN={cookies['MMAUTHTOKEN']}"}
    change = ("PUT", "/users/me/patch", {"nickname": "a"})

    read = await api("GET", "/users/me", token="", headers=cookie)
    without = await api(*change, token="", headers=cookie)
    with_value = await api(*change, token="", headers={**cookie, "X-CSRF-Token": cookies["MMCSRF"]})
    by_script = await api(*change, token="", headers={**cookie, "X-Requested-With": "XMLHttpRequest"})

    assert set(cookies) == {"MMAUTHTOKEN", "MMUSERID", "MMCSRF"}
    assert [read.status_code, without.status_code, with_value.status_code, by_script.status_code] == [
        200,
        401,
        200,
        200,
    ]
    assert without.headers["set-cookie"] == CLEARED


async def test_a_token_as_cookie_passes_without_a_csrf_header_only(api: Api) -> None:
    _, secret = await api.member("ann")
    cookie = {"Cookie": f"MMAUTHTOKEN={secret}"}
    change = ("PUT", "/users/me/patch", {"nickname": "a"})

    hole = await api(*change, token="", headers=cookie)
    stale = await api(*change, token="", headers={**cookie, "X-CSRF-Token": "stale"})
    await api.settings(ServiceSettings={"ExperimentalStrictCSRFEnforcement": True})
    strict = await api(
        *change, token="", headers={**cookie, "X-CSRF-Token": "stale", "X-Requested-With": "XMLHttpRequest"}
    )
    strict_hole = await api(*change, token="", headers=cookie)

    assert [hole.status_code, stale.status_code, strict.status_code, strict_hole.status_code] == [200, 401, 401, 200]


async def test_cookies_below_a_subpath_and_over_https_say_so(make_api: Callable[..., Api]) -> None:
    api = make_api(subpath="/chat/")
    await api.user("ann")
    headers = {"X-Requested-With": "XMLHttpRequest", "X-Forwarded-Proto": "https"}

    login = await api(
        "POST", "/users/login", {"login_id": "ann", "password": "a-long-password"}, token="", headers=headers
    )

    cookies = login.headers.get_list("set-cookie")
    assert len(cookies) == 3
    assert all("; Path=/chat; " in cookie and cookie.endswith("; Secure") for cookie in cookies)
    assert "Max-Age=15552000; HttpOnly" in cookies[0]


async def test_the_five_hundred_and_first_session_ends_the_oldest(api: Api) -> None:
    user = await api.user("ann")
    first, *_ = secrets = [(await api.token(user["id"]))["token"] for _ in range(501)]

    for secret in secrets:
        await api("GET", "/users/me", token=secret)

    sessions = api.simulator.state.sessions_of[user["id"]]
    assert len(sessions) == 500
    assert first not in {session.token for session in sessions.values()}


async def test_an_enforced_second_factor_spares_only_the_probe_of_oneself(api: Api) -> None:
    _, secret = await api.member("ann")
    api.simulator.state.licensed = True
    on = {"EnableMultifactorAuthentication": True, "EnforceMultifactorAuthentication": True}
    await api("PUT", "/config/patch", {"ServiceSettings": on}, token=api.simulator.bot_token)

    probe = await api("GET", "/users/me", token=secret)
    teams = await api.refusal("GET", "/users/me/teams", token=secret)
    bots = await api("GET", "/users/me/teams", token=api.simulator.bot_token)

    assert probe.status_code == 200
    assert teams == (403, "api.context.mfa_required.app_error")
    assert bots.status_code == 200


async def test_every_handled_answer_has_a_fresh_request_id_and_the_version(api: Api) -> None:
    first = await api("GET", "/users/me", headers={"X-Request-Id": "mine"})
    second = await api("GET", "/users/nope", token="")
    await api.settings(TeamSettings={"SiteName": "Other"})
    changed = await api("GET", "/system/ping")
    unknown = await api("GET", "/nope")

    assert len({first.headers["x-request-id"], second.headers["x-request-id"], "mine"}) == 3
    assert first.headers["x-version-id"] == second.headers["x-version-id"] != changed.headers["x-version-id"]
    assert first.headers["x-version-id"].startswith("11.6.0..")
    assert first.headers["x-version-id"].endswith(".false")
    assert "x-version-id" not in unknown.headers
    assert first.headers["date"].endswith(" GMT")


async def test_an_unchanged_account_is_not_sent_again_to_who_has_its_etag(api: Api) -> None:
    tag = (await api("GET", "/users/me")).headers["etag"]

    again = await api("GET", "/users/me", headers={"If-None-Match": tag})

    assert (again.status_code, again.content) == (304, b"")
