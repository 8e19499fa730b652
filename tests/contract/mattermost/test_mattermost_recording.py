"""Every recorded answer of a real 11.6.0 to a call that the client makes is understood."""

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from mmconsole.domain.accounts import Account, AccountChanges, AccountId, NewAccount, TeamId
from mmconsole.domain.channels import Channel, ChannelId, NewChannel
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import TokenId
from mmconsole.errors import (
    AccountDeactivated,
    AdminTokenDead,
    ChannelNameTaken,
    DefaultChannel,
    EmailTaken,
    NotFound,
    OutsideTeam,
    Refused,
    TeamFull,
    Throttled,
    TokensSwitchedOff,
    Unauthorized,
    UserCapReached,
    UsernameTaken,
)
from mmconsole.mattermost import open_client
from mmconsole.mattermost.client import MattermostClient
from mmconsole.mattermost.exchange import Timing

RECORDING = Path(__file__).parents[2] / "data" / "mattermost-11.6.0.jsonl"
ROWS = [json.loads(line) for line in RECORDING.read_text().splitlines()]
Ask = Callable[[MattermostClient], Awaitable[Any]]


def create_token(client: MattermostClient, row: dict[str, Any]) -> Awaitable[Any]:
    asked = row["request"]
    return client.create_token(row["gap"], description=asked["description"] if isinstance(asked, dict) else "x")


def join_team(client: MattermostClient, row: dict[str, Any]) -> Awaitable[Any]:
    return client.join_team(TeamId(row["gap"]), AccountId(row["request"]["user_id"]))


async def team_channels(client: MattermostClient, row: dict[str, Any]) -> list[Channel]:
    return [channel async for channel in client.team_channels(TeamId(row["gap"]), archived=True)]


def channel_by_name(client: MattermostClient, row: dict[str, Any]) -> Awaitable[Any]:
    return client.find_channel_by_name(TeamId(row["gap"]), row["path"].rsplit("/", 1)[1])


def create_channel(client: MattermostClient, row: dict[str, Any]) -> Awaitable[Any]:
    asked = row["request"]
    new = NewChannel(asked["team_id"], asked["name"], asked["display_name"], purpose=asked.get("purpose", ""))
    return client.create_channel(new)


def join_channel(client: MattermostClient, row: dict[str, Any]) -> Awaitable[Any]:
    """The answer about many has the shape of the members that are asked for by their ids."""
    channel_id, asked = ChannelId(row["gap"]), row["request"]
    if "user_ids" in asked:
        return client.channel_members(channel_id, asked["user_ids"])
    secret = None if row["as"] == "admin" else Secret("s" * 26)
    return client.join_channel(channel_id, asked["user_id"], secret=secret)


CALLS: list[tuple[str, str, Callable[[MattermostClient, dict[str, Any]], Awaitable[Any]]]] = [
    ("GET", r"/users/me", lambda client, row: client.me(Secret("s" * 26))),
    ("GET", r"/users/me/teams", lambda client, row: client.my_teams(Secret("s" * 26))),
    ("GET", r"/users/email/(.+)", lambda client, row: client.find_account_by_email(row["gap"])),
    ("GET", r"/users/(\w{26})", lambda client, row: client.account(AccountId(row["gap"]))),
    ("GET", r"/users", lambda client, row: client.accounts_page(0)),
    ("GET", r"/users/stats", lambda client, row: client.count_accounts()),
    ("POST", r"/users", lambda client, row: client.create_account(new_account(row), password=Secret("Pass"))),
    ("PUT", r"/users/(\w{26})/patch", lambda client, row: client.patch_account(row["gap"], AccountChanges())),
    ("PUT", r"/users/(\w{26})/active", lambda client, row: client.set_account_active(row["gap"], active=True)),
    ("POST", r"/users/(\w{26})/email/verify/member", lambda client, row: client.verify_email(row["gap"])),
    ("POST", r"/users/(\w{26})/tokens", create_token),
    ("GET", r"/users/(\w{26})/tokens", lambda client, row: client.tokens_of(row["gap"])),
    ("GET", r"/users/(\w{26})/sessions", lambda client, row: client.tokens_in_use(row["gap"])),
    ("GET", r"/users/tokens", lambda client, row: client.tokens_page(0)),
    ("GET", r"/users/tokens/(\w{26})", lambda client, row: client.find_token(row["gap"])),
    ("POST", r"/users/tokens/revoke", lambda client, row: client.revoke_token(TokenId("t" * 26))),
    ("POST", r"/users/tokens/disable", lambda client, row: client.disable_token(TokenId("t" * 26))),
    ("POST", r"/users/tokens/enable", lambda client, row: client.enable_token(TokenId("t" * 26))),
    ("GET", r"/teams/name/(\w+)", lambda client, row: client.team_by_name(row["gap"])),
    ("POST", r"/teams/(\w{26})/members", join_team),
    ("POST", r"/teams/(\w{26})/members/ids", lambda client, row: client.team_members(row["gap"], row["request"])),
    ("GET", r"/teams/(\w{26})/channels", team_channels),
    ("GET", r"/teams/(\w{26})/channels/name/.+", channel_by_name),
    ("POST", r"/channels", create_channel),
    ("DELETE", r"/channels/(\w{26})", lambda client, row: client.archive_channel(row["gap"])),
    ("POST", r"/channels/(\w{26})/restore", lambda client, row: client.restore_channel(row["gap"])),
    ("POST", r"/channels/(\w{26})/members", join_channel),
    ("GET", r"/config/client", lambda client, row: client.facts()),
    ("GET", r"/system/ping", lambda client, row: client.ping()),
]
LEAVES: dict[tuple[int, str], type[Exception] | None] = {
    (400, "app.user.save.email_exists.app_error"): EmailTaken,
    (400, "app.user.save.username_exists.app_error"): UsernameTaken,
    (400, "api.user.create_user.user_limits.exceeded"): UserCapReached,
    (400, "app.user.update_active.user_limit.exceeded"): UserCapReached,
    (400, "app.team.join_user_to_team.save_member.max_accounts.app_error"): TeamFull,
    (401, "api.context.session_expired.app_error"): Unauthorized,
    (401, "api.context.token_provided.app_error"): Refused,
    (404, "app.user.missing_account.const"): NotFound,
    (404, "app.team.get_by_name.missing.app_error"): NotFound,
    (404, "app.user_access_token.get_by_user.app_error"): None,
    (404, "app.user.get_by_username.app_error"): None,
    (400, "store.sql_channel.save_channel.exists.app_error"): ChannelNameTaken,
    (400, "api.channel.delete_channel.cannot.app_error"): DefaultChannel,
    (400, "api.channel.delete_channel.deleted.app_error"): None,
    (403, "app.channel.add_member.deleted_user.app_error"): AccountDeactivated,
    (404, "app.team.get_member.missing.app_error"): OutsideTeam,
    (404, "app.channel.get.existing.app_error"): NotFound,
    (404, "app.channel.get_by_name.missing.app_error"): None,
    (429, ""): Throttled,
    (501, "app.user_access_token.disabled"): TokensSwitchedOff,
}


def new_account(row: dict[str, Any]) -> NewAccount:
    asked = row["request"] or {"username": "m2", "email": "m2@acme.test"}
    return NewAccount(asked["username"], asked["email"])


def ours() -> list[Any]:
    found = []
    for number, row in enumerate(ROWS):
        for method, pattern, ask in CALLS:
            match = re.fullmatch(pattern, row["path"])
            if row["method"] == method and match:
                gap = match.group(1) if match.groups() else ""
                found.append(pytest.param(row | {"gap": gap}, ask, id=f"{number} {row['label']}"))
                break
    return found


@pytest.mark.parametrize(("row", "ask"), ours())
async def test_a_recorded_answer_is_understood(row: dict[str, Any], ask: Any) -> None:
    def play(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v4/config":
            return httpx.Response(403, json={"id": "api.context.permissions.app_error", "status_code": 403})
        body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
        return httpx.Response(row["status"], headers=row["headers"], content=body)

    time = [0.0]

    async def sleep(seconds: float) -> None:
        time[0] += seconds

    timing = Timing(sleep=sleep, clock=lambda: time[0])
    leaf = expected(row)

    async with open_client(
        "https://chat.test", Secret("a" * 26), transport=httpx.MockTransport(play), timing=timing
    ) as client:
        if leaf is None:
            await ask(client, row)
            return
        with pytest.raises(leaf):
            await ask(client, row)


def expected(row: dict[str, Any]) -> type[Exception] | None:
    if row["status"] < 300:
        return None
    error_id = row["body"]["id"] if isinstance(row["body"], dict) else ""
    leaf = LEAVES.get((row["status"], error_id), Refused)
    if row["label"] == "user by email missing":
        return None
    return leaf


def test_the_recording_has_answers_to_every_call() -> None:
    played = {ask for _, ask in (param.values for param in ours())}

    assert [pattern for _, pattern, ask in CALLS if ask not in played] == []


async def test_accounts_of_a_batch_are_told_as_recorded() -> None:
    row = next(row for row in ROWS if row["label"] == "users page")
    play = httpx.MockTransport(lambda _request: httpx.Response(200, json=row["body"]))

    async with open_client("https://chat.test", Secret("a" * 26), transport=play) as client:
        accounts = await client.accounts_page(0)

    admin = next(account for account in accounts if account.username == "admin")
    assert admin == Account(
        id=admin.id,
        username="admin",
        email="admin@acme.test",
        roles="system_admin system_user",
        locale="en",
        create_at=admin.create_at,
        update_at=admin.update_at,
    )
    assert admin.privileged
    assert len(accounts) == len(row["body"])


async def test_a_bot_is_foreign_and_tells_that_tokens_are_off() -> None:
    bot = next(row for row in ROWS if row["label"] == "bot works while tokens are off")
    config = next(row for row in ROWS if row["label"] == "config client authenticated")
    said = {
        "/api/v4/users/me": bot["body"],
        "/api/v4/config/client": config["body"] | {"EnableUserAccessTokens": "false"},
    }
    play = httpx.MockTransport(
        lambda request: httpx.Response(200, headers=config["headers"], json=said.get(request.url.path, {}))
    )

    async with open_client("https://chat.test", Secret("a" * 26), transport=play) as client:
        account, facts = await client.whoami(), await client.facts()

    assert account.foreign
    assert facts.tokens_enabled is False
    assert facts.version == (11, 6, 0)


async def test_a_dead_admin_token_shows_itself_in_the_facts() -> None:
    anonymous = next(row for row in ROWS if row["label"] == "config client anonymous")
    dead = next(row for row in ROWS if row["label"] == "admin PAT with tokens off")
    rows = {"/api/v4/config/client": anonymous, "/api/v4/config": dead}

    def play(request: httpx.Request) -> httpx.Response:
        row = rows[request.url.path]
        return httpx.Response(row["status"], headers=row["headers"], json=row["body"])

    async with open_client("https://chat.test", Secret("a" * 26), transport=httpx.MockTransport(play)) as client:
        with pytest.raises(AdminTokenDead):
            await client.facts()
