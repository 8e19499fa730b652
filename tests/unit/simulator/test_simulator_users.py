"""Accounts of the simulated server: rules of names and addresses, changes, what who sees, lists and batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.simulator.conftest import Api

UNKNOWN = "a" * 26


def body(**fields: Any) -> dict[str, Any]:
    return {"username": "ann", "email": "ann@example.test", "password": "a-long-password", **fields}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"username": "all"}, "username"),
        ({"username": "a" * 65}, "username"),
        ({"username": "ünal"}, "username"),
        ({"email": ""}, "email"),
        ({"email": "a..b@acme.test"}, "email"),
        ({"email": "ann.@acme.test"}, "email"),
        ({"email": "a" * 120 + "@acme.test"}, "email"),
        ({"nickname": "n" * 65}, "nickname"),
        ({"first_name": "f" * 65}, "first_name"),
        ({"last_name": "l" * 65}, "last_name"),
        ({"position": "p" * 129}, "position"),
        ({"auth_data": "123"}, "auth_data_type"),
        ({"password": "short"}, "pwd_min_length"),
        ({"password": "x" * 73}, "pwd_max_length"),
    ],
)
async def test_what_an_account_may_not_look_like(api: Api, fields: dict[str, Any], error: str) -> None:
    refused = await api.refusal("POST", "/users", body(**fields))

    assert refused == (400, f"model.user.is_valid.{error}.app_error")


@pytest.mark.parametrize(
    "fields", [{"username": "A.b-c_1"}, {"username": "x"}, {"nickname": "ü" * 64}, {"locale": "xx-none"}]
)
async def test_what_an_account_may_look_like(api: Api, fields: dict[str, Any]) -> None:
    response = await api("POST", "/users", body(**fields))

    assert response.status_code == 201
    assert response.json()["username"] == body(**fields)["username"].lower()
    assert response.json()["locale"] == "en"


async def test_missing_classes_of_a_password_are_joined_into_one_error(api: Api) -> None:
    await api.settings(PasswordSettings={"Uppercase": True, "Number": True, "Symbol": True})

    refused = await api.refusal("POST", "/users", body(password="only lowercase"))

    assert refused == (400, "model.user.is_valid.pwd_uppercase_number.app_error")


async def test_a_missing_username_is_made_up_and_roles_in_the_body_are_ignored(api: Api) -> None:
    wanted = {**body(roles="system_admin"), "username": ""}

    user = (await api("POST", "/users", wanted)).json()

    assert len(user["username"]) == 26
    assert user["roles"] == "system_user"


async def test_only_administrators_make_verified_accounts_or_such_with_sso(api: Api) -> None:
    sso = {"auth_service": "saml", "auth_data": "42"}

    signed_up = (await api("POST", "/users", body(**sso, email_verified=True), token="")).json()
    made = (await api("POST", "/users", {**body(**sso), "username": "b", "email": "b@x.test", "password": ""})).json()

    assert (signed_up["auth_service"], "email_verified" in signed_up) == ("", False)
    assert made["auth_service"] == "saml"


async def test_a_closed_server_takes_accounts_from_administrators_only(api: Api) -> None:
    await api.settings(TeamSettings={"EnableOpenServer": False})
    closed = await api.refusal("POST", "/users", body(), token="")
    await api.settings(TeamSettings={"EnableUserCreation": False})
    off = await api.refusal("POST", "/users", body(), token="")
    by_administrator = await api("POST", "/users", body())

    assert closed == (403, "api.user.create_user.no_open_server")
    assert off == (501, "api.user.create_user.signup_email_disabled.app_error")
    assert by_administrator.status_code == 201


async def test_addresses_outside_the_accepted_domains_are_refused(api: Api) -> None:
    await api.settings(TeamSettings={"RestrictCreationToDomains": "acme.test, @example.test"})
    user = await api.user("ann")

    create = await api.refusal("POST", "/users", body(username="b", email="b@other.test"))
    change = await api.refusal("PUT", f"/users/{user['id']}/patch", {"email": "ann@other.test"})

    assert create == (400, "api.user.create_user.accepted_domain.app_error")
    assert change == (400, "api.user.update_user.accepted_domain.app_error")


async def test_a_deactivated_user_still_holds_name_and_address(api: Api) -> None:
    user = await api.user("ann")
    await api("PUT", f"/users/{user['id']}/active", {"active": False})

    by_email = await api.refusal("POST", "/users", body(username="other", email="ANN@example.test"))
    by_name = await api.refusal("POST", "/users", body(email="other@example.test"))
    found = await api("GET", "/users/email/ANN@example.test")

    assert by_email == (400, "app.user.save.email_exists.app_error")
    assert by_name == (400, "app.user.save.username_exists.app_error")
    assert found.json()["delete_at"] > 0


async def test_the_user_cap_counts_the_active_ones(make_api: Callable[..., Api]) -> None:
    api = make_api(users=2, user_cap=4)
    user = await api.user("ann")
    full = await api.refusal("POST", "/users", body(username="b", email="b@example.test"))
    await api("PUT", f"/users/{user['id']}/active", {"active": False})
    room = await api("POST", "/users", body(username="b", email="b@example.test"))

    back = await api.refusal("PUT", f"/users/{user['id']}/active", {"active": True})
    limits = (await api("GET", "/limits/server")).json()

    assert full == (400, "api.user.create_user.user_limits.exceeded")
    assert room.status_code == 201
    assert back == (400, "app.user.update_active.user_limit.exceeded")
    assert (limits["activeUserCount"], limits["maxUsersHardLimit"]) == (4, 4)


@pytest.mark.parametrize(("version", "hard"), [("11.6.0", 250), ("10.11.0", 5000)])
async def test_a_new_server_has_the_cap_of_its_version(make_api: Callable[..., Api], version: str, hard: int) -> None:
    api = make_api(empty=True, version=version)
    await api("POST", "/users", body(), token="")
    login = await api("POST", "/users/login", {"login_id": "ann", "password": "a-long-password"}, token="")

    limits = await api("GET", "/limits/server", token=login.headers["token"])

    assert limits.json()["maxUsersHardLimit"] == hard


async def test_every_patch_even_an_empty_one_sets_a_new_time(api: Api) -> None:
    user = await api.user("ann")

    stamps = [(await api("PUT", f"/users/{user['id']}/patch", {})).json()["update_at"] for _ in range(5)]

    assert stamps == sorted(set(stamps))
    assert stamps[0] > user["update_at"]


async def test_verification_shows_in_answers_to_writes_and_ends_with_a_new_address(api: Api) -> None:
    user = await api.user("ann", email_verified=True)
    path = f"/users/{user['id']}"

    read = (await api("GET", path)).json()
    written = (await api("PUT", path + "/patch", {})).json()
    moved = (await api("PUT", path + "/patch", {"email": "new@example.test"})).json()
    await api("POST", path + "/email/verify/member")
    verified = (await api("PUT", path + "/patch", {})).json()

    assert user["email_verified"] is written["email_verified"] is verified["email_verified"] is True
    assert "email_verified" not in read
    assert "email_verified" not in moved
    assert (await api("GET", "/users/email/ann@example.test")).status_code == 404


async def test_under_required_verification_a_new_address_is_not_applied(api: Api) -> None:
    user = await api.user("ann", email_verified=True)
    await api.settings(EmailSettings={"RequireEmailVerification": True})

    changed = await api("PUT", f"/users/{user['id']}/patch", {"email": "new@example.test", "nickname": "n"})

    assert changed.status_code == 200
    assert changed.json()["email"] == "ann@example.test"
    assert changed.json()["nickname"] == "n"
    assert changed.json()["email_verified"] is True


async def test_a_patch_of_an_unknown_user_is_a_400_and_of_a_taken_name_too(api: Api) -> None:
    user = await api.user("ann")

    unknown = await api.refusal("PUT", f"/users/{UNKNOWN}/patch", {})
    taken = await api.refusal("PUT", f"/users/{user['id']}/patch", {"username": "USER000001"})
    mistyped = await api.refusal("PUT", f"/users/{user['id']}/patch", {"first_name": 5})

    assert unknown == mistyped == (400, "api.context.invalid_body_param.app_error")
    assert taken == (400, "app.user.save.username_exists.app_error")


async def test_a_renamed_user_is_found_under_the_new_name_only(api: Api) -> None:
    user = await api.user("ann")

    await api("PUT", f"/users/{user['id']}/patch", {"username": "Zoe", "email": "Zoe@Example.test"})

    assert (await api("GET", "/users/username/zoe")).json()["email"] == "zoe@example.test"
    assert (await api("GET", "/users/username/ann")).status_code == 404
    assert [one["username"] for one in (await api("GET", "/users")).json()][-1] == "zoe"


async def test_plain_users_change_themselves_but_their_address_only_with_their_password(api: Api) -> None:
    user_id, secret = await api.member("ann")
    other = await api.user("bob")

    others = await api.refusal("PUT", f"/users/{other['id']}/patch", {}, token=secret)
    no_password = await api.refusal("PUT", "/users/me/patch", {"email": "a@x.test"}, token=secret)
    wrong = await api.refusal("PUT", "/users/me/patch", {"email": "a@x.test", "password": "no"}, token=secret)
    right = await api(
        "PUT", f"/users/{user_id}/patch", {"email": "a@x.test", "password": "a-long-password"}, token=secret
    )

    assert others == (403, "api.context.permissions.app_error")
    assert no_password[0] == 400
    assert wrong == (401, "api.user.check_user_password.invalid.app_error")
    assert right.json()["email"] == "a@x.test"


async def test_names_from_a_login_provider_cannot_be_changed(api: Api) -> None:
    user = await api.user("ann")
    await api("PUT", f"/users/{user['id']}/auth", {"auth_service": "ldap", "auth_data": "1"})

    refused = await api.refusal("PUT", f"/users/{user['id']}/patch", {"first_name": "Other"})
    active = await api.refusal("PUT", f"/users/{user['id']}/active", {"active": False})

    assert refused == (409, "api.user.patch_user.login_provider_attribute_set.app_error")
    assert active[0] == 403


async def test_the_whole_object_needs_its_id_and_blanks_what_it_leaves_out(api: Api) -> None:
    user = await api.user("ann", nickname="n")
    whole = {"id": user["id"], "username": "ann", "email": "ann@example.test"}

    wrong = await api.refusal("PUT", f"/users/{user['id']}", {**whole, "id": UNKNOWN})
    right = await api("PUT", f"/users/{user['id']}", whole)

    assert wrong[0] == 400
    assert right.json()["nickname"] == ""


async def test_roles_are_replaced_as_a_whole_and_checked(api: Api) -> None:
    user = await api.user("ann")
    path = f"/users/{user['id']}/roles"

    lonely = await api.refusal("PUT", path, {"roles": "system_admin"})
    unknown_role = await api.refusal("PUT", path, {"roles": "system_user nonsense"})
    unknown_user = await api.refusal("PUT", f"/users/{UNKNOWN}/roles", {"roles": "system_user"})
    licensed = await api.refusal("PUT", path, {"roles": "system_user system_manager"})
    done = await api("PUT", path, {"roles": "system_user system_user_access_token"})

    assert lonely == (400, "api.context.invalid_body_param.app_error")
    assert unknown_role == (400, "app.role.check_roles_exist.role_not_found")
    assert unknown_user == (400, "app.user.missing_account.const")
    assert licensed == (400, "api.user.update_user_roles.license.app_error")
    assert done.status_code == 200
    assert (await api("GET", f"/users/{user['id']}")).json()["roles"] == "system_user system_user_access_token"


async def test_the_last_administrator_stays_one(api: Api) -> None:
    bot = api.simulator.state.by_username["consolebot"]

    first = await api("PUT", f"/users/{bot.id}/roles", {"roles": "system_user"})
    last = await api.refusal("PUT", f"/users/{api.admin}/roles", {"roles": "system_user"})

    assert first.status_code == 200
    assert last == (400, "app.user.update.lastAdmin.app_error")


async def test_activation_is_idempotent_and_for_administrators(api: Api) -> None:
    user_id, secret = await api.member("ann")
    path = f"/users/{user_id}/active"

    plain = await api.refusal("PUT", f"/users/{api.admin}/active", {"active": False}, token=secret)
    oneself = await api.refusal("PUT", path, {"active": False}, token=secret)
    nonsense = await api.refusal("PUT", path, {"active": "no"})
    twice = [(await api("PUT", path, {"active": False})).status_code for _ in range(2)]
    stats = (await api("GET", "/users/stats")).json()

    assert plain == (403, "api.user.update_active.permissions.app_error")
    assert oneself == (401, "api.user.update_active.not_enable.app_error")
    assert nonsense[0] == 400
    assert twice == [200, 200]
    assert stats == {"total_users_count": 6}


async def test_deactivating_an_owner_deactivates_the_bots(api: Api) -> None:
    await api("PUT", f"/users/{api.admin}/active", {"active": False}, token=api.simulator.bot_token)

    bots_token = await api("GET", "/users/me", token=api.simulator.bot_token)

    assert bots_token.status_code == 401


async def test_permanent_deletion_must_be_allowed_and_takes_the_tokens_along(api: Api) -> None:
    user_id, secret = await api.member("ann")
    refused = await api.refusal("DELETE", f"/users/{user_id}?permanent=true")
    await api.settings(ServiceSettings={"EnableAPIUserDeletion": True})

    done = await api("DELETE", f"/users/{user_id}?permanent=true")

    assert refused == (401, "api.user.delete_user.not_enabled.for_admin.app_error")
    assert done.status_code == 200
    assert (await api("GET", f"/users/{user_id}")).status_code == 404
    assert (await api("GET", "/users/me", token=secret)).status_code == 401
    assert "ann" not in api.simulator.state.usernames


async def test_a_new_password_ends_sessions_but_not_tokens(api: Api) -> None:
    user_id, secret = await api.member("ann")
    sign_in = {"login_id": "ann", "password": "a-long-password"}
    session = (await api("POST", "/users/login", sign_in, token="")).headers["token"]

    await api("PUT", f"/users/{user_id}/password", {"new_password": "another-password"})

    assert (await api("GET", "/users/me", token=session)).status_code == 401
    assert (await api("GET", "/users/me", token=secret)).status_code == 200
    assert (await api("POST", "/users/login", sign_in, token="")).status_code == 401


async def test_others_see_less_of_an_account_than_administrators(api: Api) -> None:
    _, secret = await api.member("ann")
    other = await api.user("bob", first_name="Bob")
    await api.settings(PrivacySettings={"ShowEmailAddress": False, "ShowFullName": False})

    seen = (await api("GET", f"/users/{other['id']}", token=secret)).json()
    by_admin = (await api("GET", f"/users/{other['id']}")).json()
    by_email = await api.refusal("GET", "/users/email/bob@example.test", token=secret)
    listed = (await api("POST", "/users/ids", [other["id"]], token=secret)).json()

    assert (seen["email"], seen["first_name"], "notify_props" in seen) == ("", "", False)
    assert (by_admin["email"], by_admin["first_name"], "notify_props" in by_admin) == ("bob@example.test", "Bob", True)
    assert by_email == (403, "api.user.get_user_by_email.permissions.app_error")
    assert listed == [seen]


async def test_guests_see_only_the_people_of_their_channels(api: Api) -> None:
    user_id, secret = await api.member("ann")
    await api("PUT", f"/users/{user_id}/roles", {"roles": "system_guest"})
    stranger = await api.user("bob")
    for member in api.simulator.state.users[user_id].teams:
        member.is_guest = True

    refused = await api.refusal("GET", f"/users/{stranger['id']}", token=secret)
    listed = {user["username"] for user in (await api("GET", "/users", token=secret)).json()}

    assert refused == (403, "api.context.permissions.app_error")
    assert "bob" not in listed
    assert "ann" in listed


async def test_pages_of_users_are_ordered_by_name_and_clamped(make_api: Callable[..., Api]) -> None:
    api = make_api(users=250)

    pages = [(await api("GET", f"/users?page={page}&per_page=1000")).json() for page in range(3)]

    names = [user["username"] for page in pages for user in page]
    assert [len(page) for page in pages] == [200, 52, 0]
    assert names == sorted(names)


async def test_users_are_filtered_by_state_role_and_team(api: Api) -> None:
    inactive = await api.user("gone")
    await api("PUT", f"/users/{inactive['id']}/active", {"active": False})
    await api.user("lonely")

    async def names(query: str) -> list[str]:
        return [user["username"] for user in (await api("GET", f"/users?{query}")).json()]

    assert await names("inactive=true") == ["gone"]
    assert "gone" not in await names("active=true")
    assert "gone" in await names("")
    assert await names("role=system_admin") == ["admin", "consolebot"]
    assert "lonely" in await names(f"not_in_team={api.team}")
    assert "lonely" not in await names(f"in_team={api.team}")
    assert await names("without_team=true") == ["consolebot", "gone", "lonely"]
    assert (await api.refusal("GET", "/users?active=true&inactive=true"))[0] == 400
    assert (await api.refusal("GET", "/users?role=nonsense"))[0] == 400


async def test_batches_answer_once_per_known_id_and_only_what_changed(api: Api) -> None:
    ids = list(api.simulator.state.users)
    now = api.simulator.state.millis()

    everybody = (await api("POST", "/users/ids", [*ids, *ids, UNKNOWN])).json()
    unchanged = (await api("POST", f"/users/ids?since={now}", ids)).json()
    await api("PUT", f"/users/{ids[-1]}/patch", {"nickname": "n"})
    changed = (await api("POST", f"/users/ids?since={now - 1}", ids)).json()
    nonsense = await api.refusal("POST", "/users/ids?since=yesterday", ids)

    assert len(everybody) == len(ids)
    assert unchanged == []
    assert [user["id"] for user in changed] == [ids[-1]]
    assert nonsense[0] == 400


async def test_users_are_searched_by_the_beginning_of_names_and_addresses(api: Api) -> None:
    await api.user("ann", first_name="Annika", nickname="Spark")

    found = [(await api("POST", "/users/search", {"term": term})).json() for term in ("anni", "@ann", "spark", "nn")]

    assert [[user["username"] for user in users] for users in found] == [["ann"], ["ann"], ["ann"], []]


async def test_reports_walk_all_people_in_keyset_pages_without_bots(make_api: Callable[..., Api]) -> None:
    api = make_api(users=230)
    names: list[str] = []
    after = ""
    while True:
        rows = (await api("GET", f"/reports/users?page_size=100&from_column_value={after}")).json()
        if not rows:
            break
        names += [row["username"] for row in rows]
        after = names[-1]

    too_big = await api.refusal("GET", "/reports/users?page_size=101")

    assert len(names) == len(set(names)) == 231
    assert "consolebot" not in names
    assert too_big == (400, "api.getUsersForReporting.invalid_page_size")
    assert (await api("GET", "/reports/users/count")).json() == 231


async def test_bots_need_the_setting_and_are_found_as_such(api: Api) -> None:
    _, secret = await api.member("ann")

    made = await api("POST", "/bots", {"username": "Helper", "display_name": "Helper"})
    plain = await api.refusal("POST", "/bots", {"username": "other"}, token=secret)
    by_bot = await api.refusal("POST", "/bots", {"username": "other"}, token=api.simulator.bot_token)
    await api.settings(ServiceSettings={"EnableBotAccountCreation": False})
    off = await api.refusal("POST", "/bots", {"username": "other"})
    account = (await api("GET", f"/users/{made.json()['user_id']}")).json()
    disabled = await api("POST", f"/bots/{made.json()['user_id']}/disable")

    assert made.status_code == 201
    assert account["is_bot"] is True
    assert account["email"] == "helper@localhost"
    assert plain[0] == by_bot[0] == 403
    assert off == (403, "api.bot.create_disabled")
    assert disabled.json()["delete_at"] > 0


async def test_ids_and_names_in_the_path_must_look_like_some(api: Api) -> None:
    short_id = await api.refusal("GET", "/users/abc")
    hidden_word = await api.refusal("GET", "/users/tokens/revoke")
    no_route = await api.refusal("GET", "/users/a!b")
    name = await api.refusal("GET", "/users/username/All.Caps")
    address = await api.refusal("GET", "/users/email/nobody")

    assert short_id == hidden_word == address == (400, "api.context.invalid_url_param.app_error")
    assert no_route == (404, "api.context.404.app_error")
    assert name == (400, "api.context.invalid_body_param.app_error")


async def test_too_long_urls_and_bodies_are_refused(api: Api) -> None:
    long_url = await api("GET", "/users/username/" + "a" * 2100)
    big = await api.refusal("POST", "/users/ids", [UNKNOWN] * 11_000)
    ignored = await api.refusal("POST", "/users/tokens/revoke", {"token_id": "x", "more": "x" * 400_000})

    assert long_url.status_code == 414
    assert "x-version-id" not in long_url.headers
    assert big == (413, "api.context.request_body_too_large.app_error")
    assert ignored[0] == 404
