"""What older and newer servers do differently, and what the server tells about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.simulator.conftest import Api


async def test_before_11_the_format_of_the_client_configuration_must_be_said(make_api: Callable[..., Api]) -> None:
    old, new = make_api(version="10.11.4"), make_api(version="11.6.0")

    missing = await old.refusal("GET", "/config/client")
    wrong = await old.refusal("GET", "/config/client?format=new")
    right = await old("GET", "/config/client?format=old")
    ignored = await new("GET", "/config/client")

    assert missing == (501, "api.config.client.old_format.app_error")
    assert wrong[0] == 400
    assert right.json()["Version"] == "10.11.4"
    assert "EnableGuestMagicLink" not in right.json()
    assert ignored.status_code == 200


@pytest.mark.parametrize(("version", "known"), [("11.8.0", False), ("11.9.0", True), ("11.11.0", True)])
async def test_the_longest_life_of_a_token_is_told_from_11_9_on(
    make_api: Callable[..., Api], version: str, *, known: bool
) -> None:
    api = make_api(version=version)

    told = (await api("GET", "/config/client?format=old")).json()
    anonymous = (await api("GET", "/config/client?format=old", token="")).json()

    assert told.get("MaximumPersonalAccessTokenLifetimeDays") == ("0" if known else None)
    assert "MaximumPersonalAccessTokenLifetimeDays" not in anonymous


async def test_the_licence_needs_its_format_and_says_there_is_none(api: Api) -> None:
    missing = await api.refusal("GET", "/license/client")
    told = await api("GET", "/license/client?format=old", token="")

    assert missing == (400, "api.license.client.old_format.app_error")
    assert told.json() == {"IsLicensed": "false"}


async def test_the_configuration_is_for_administrators_and_hides_its_secrets(api: Api) -> None:
    _, secret = await api.member("ann")
    await api.settings(EmailSettings={"SMTPPassword": "mail-password"})

    shown = await api("GET", "/config")
    refused = await api.refusal("GET", "/config", token=secret)
    no_patch = await api.refusal("PUT", "/config/patch", {}, token=secret)

    assert shown.json()["TeamSettings"]["MaxUsersPerTeam"] == 1_000_000
    assert "mail-password" not in shown.text
    assert refused == no_patch == (403, "api.context.permissions.app_error")


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("TeamSettings", "MaxUsersPerTeam", 0),
        ("PasswordSettings", "MinimumLength", 4),
        ("ServiceSettings", "EnableUserAccessTokens", "yes"),
    ],
)
async def test_wrong_settings_are_refused_and_change_nothing(api: Api, section: str, name: str, value: object) -> None:
    before = (await api("GET", "/config")).json()

    refused = await api.settings(**{section: {name: value}})

    assert refused.status_code == 400
    assert (await api("GET", "/config")).json() == before


async def test_unknown_settings_are_ignored(api: Api) -> None:
    response = await api.settings(NoSuchSettings={"A": 1}, TeamSettings={"NoSuchSetting": 1, "SiteName": "X"})

    assert response.json()["TeamSettings"]["SiteName"] == "X"
    assert "NoSuchSettings" not in response.json()


async def test_audits_tell_administrators_who_did_what_to_tokens(api: Api) -> None:
    _, secret = await api.member("ann")
    user = await api.user("bob")
    token = await api.token(user["id"])
    await api("POST", "/users/tokens/revoke", {"token_id": token["id"]})

    lines = (await api("GET", "/audits?per_page=10")).json()
    refused = await api.refusal("GET", "/audits", token=secret)

    told = [(line["action"], line["extra_info"]) for line in lines]
    assert ("/api/v4/users/tokens/revoke", f"success - token_id={token['id']}") in told
    assert (f"/api/v4/users/{user['id']}/tokens", f"success - token_id={token['id']}") in told
    assert refused[0] == 403


async def test_what_plain_users_are_told_of_the_limits_is_nothing(api: Api) -> None:
    _, secret = await api.member("ann")

    told = (await api("GET", "/limits/server", token=secret)).json()

    assert told["activeUserCount"] == told["maxUsersHardLimit"] == 0


async def test_only_the_first_json_value_of_a_body_counts(api: Api) -> None:
    user = await api.user("ann")
    headers = {"Authorization": f"Bearer {api.simulator.admin_token}"}

    response = await api.http.post(
        f"/users/{user['id']}/tokens", content=b'{"description": "first"} and more', headers=headers
    )

    assert response.json()["description"] == "first"
