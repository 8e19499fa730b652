"""What each status, id and content means, told apart at the room's door."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from mmconsole.domain.accounts import AccountChanges, AccountId, NewAccount, TeamId
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import TokenId
from mmconsole.errors import (
    AdminTokenDead,
    AdminTokenMissing,
    AnswerLost,
    EmailTaken,
    Garbled,
    MattermostError,
    MfaDemanded,
    NotFound,
    NotMattermost,
    Refused,
    ServerFault,
    TeamFull,
    TokensSwitchedOff,
    Unauthorized,
    Unreachable,
    UserCapReached,
    UsernameTaken,
)
from mmconsole.mattermost import open_client
from mmconsole.mattermost.client import MattermostClient

ANN = AccountId("a" * 26)
TOKEN = TokenId("t" * 26)
TEAM = TeamId("m" * 26)
PAGE = b"<!doctype html><title>Sign in</title>"
HTML = {"Content-Type": "text/html; charset=utf-8"}
EXPIRED = "api.context.session_expired.app_error"
FORBIDDEN = "api.context.permissions.app_error"
ME = {"id": ANN, "username": "ann", "email": "ann@acme.test", "roles": "system_user"}

Ask = Callable[[MattermostClient], Awaitable[Any]]


def create_account(client: MattermostClient) -> Awaitable[Any]:
    return client.create_account(NewAccount("ann", "ann@acme.test"), password=Secret("Pass-w0rd"))


def create_token(client: MattermostClient) -> Awaitable[Any]:
    return client.create_token(ANN, description="mmconsole:v1:i:1:o")


def read(client: MattermostClient) -> Awaitable[Any]:
    return client.account(ANN)


def change(client: MattermostClient) -> Awaitable[Any]:
    return client.patch_account(ANN, AccountChanges())


def join(client: MattermostClient) -> Awaitable[Any]:
    return client.join_team(TEAM, ANN)


def reactivate(client: MattermostClient) -> Awaitable[Any]:
    return client.set_account_active(ANN, active=True)


def use(client: MattermostClient) -> Awaitable[Any]:
    return client.my_teams(Secret("userz9x8c7v6b5n4m3l2k1j0h9"))


@pytest.mark.parametrize(
    ("ask", "status", "error_id", "leaf"),
    [
        (read, 401, EXPIRED, AdminTokenDead),
        (use, 401, EXPIRED, Unauthorized),
        (use, 403, "api.context.mfa_required.app_error", MfaDemanded),
        (use, 403, FORBIDDEN, Refused),
        (use, 401, "api.user.update_active.not_enable.app_error", Refused),
        (read, 404, "app.user.missing_account.const", NotFound),
        (read, 404, "api.context.404.app_error", Refused),
        (create_account, 400, "app.user.save.email_exists.app_error", EmailTaken),
        (change, 400, "app.user.save.email_exists.app_error", EmailTaken),
        (create_account, 400, "app.user.save.username_exists.app_error", UsernameTaken),
        (create_account, 400, "model.user.is_valid.pwd_min_length.app_error", Refused),
        (create_account, 400, "api.user.create_user.user_limits.exceeded", UserCapReached),
        (create_account, 400, "api.user.create_user.license_user_limits.exceeded", UserCapReached),
        (reactivate, 400, "app.user.update_active.user_limit.exceeded", UserCapReached),
        (reactivate, 400, "app.user.update_active.license_user_limit.exceeded", UserCapReached),
        (join, 400, "app.team.join_user_to_team.max_accounts.app_error", TeamFull),
        (join, 400, "app.team.join_user_to_team.save_member.max_accounts.app_error", TeamFull),
        (create_token, 501, "app.user_access_token.disabled", TokensSwitchedOff),
        (create_token, 403, FORBIDDEN, Refused),
        (create_token, 404, "app.user.missing_account.const", NotFound),
        (read, 501, "api.somewhere.not_implemented", Refused),
        (read, 500, "api.context.invalid_token.error", ServerFault),
        (change, 503, "api.context.server_busy.app_error", ServerFault),
        (create_account, 500, "app.user.save.app_error", AnswerLost),
        (create_token, 503, "api.context.server_busy.app_error", AnswerLost),
    ],
)
async def test_a_refusal_is_named_by_its_id(
    client: MattermostClient, server: Any, ask: Ask, status: int, error_id: str, leaf: type[MattermostError]
) -> None:
    server.refuses(status, error_id)

    with pytest.raises(leaf) as caught:
        await ask(client)

    assert type(caught.value) is leaf
    if isinstance(caught.value, Refused):
        assert (caught.value.error_id, caught.value.status) == (error_id, status)


@pytest.mark.parametrize(
    ("ask", "status", "body", "headers", "leaf"),
    [
        (read, 401, PAGE, HTML, NotMattermost),
        (use, 401, b"", {"WWW-Authenticate": "Basic"}, Garbled),
        (use, 403, PAGE, HTML, NotMattermost),
        (read, 404, PAGE, HTML, NotMattermost),
        (read, 404, b"404 page not found", {}, Garbled),
        (create_token, 403, PAGE, HTML, NotMattermost),
        (create_token, 413, PAGE, HTML, NotMattermost),
        (create_token, 408, PAGE, HTML, AnswerLost),
        (create_token, 499, b"", {}, AnswerLost),
        (read, 408, PAGE, HTML, Garbled),
        (read, 200, PAGE, HTML, NotMattermost),
        (read, 200, b'{"id": "aaaa', {}, Garbled),
        (read, 200, b"", {}, Garbled),
        (read, 204, b"", {}, Garbled),
        (read, 200, b'"\xff\xfe"', {}, Garbled),
        (read, 200, b'{"id": 7, "username": "ann"}', {}, Garbled),
        (change, 200, b'{"id": "aaaa', {}, Garbled),
        (create_account, 201, b'{"id": "aaaa', {}, AnswerLost),
        (create_account, 200, PAGE, HTML, AnswerLost),
        (create_token, 200, b'{"id": "x", "user_id": "' + b"a" * 26 + b'"}', {}, AnswerLost),
        (create_token, 200, b"\xff\xfe", {}, AnswerLost),
        (read, 502, PAGE, HTML, ServerFault),
        (change, 504, PAGE, HTML, ServerFault),
        (create_token, 502, PAGE, HTML, AnswerLost),
        (create_account, 504, PAGE, HTML, AnswerLost),
        (create_account, 501, PAGE, HTML, AnswerLost),
        (read, 302, b"", {"Location": "/login"}, NotMattermost),
        (create_account, 308, b"", {"Location": "https://elsewhere.test/"}, NotMattermost),
        (create_account, 302, b"", {"Location": "/maintenance"}, AnswerLost),
        (reactivate, 200, b'{"status": "UNHEALTHY"}', {}, Garbled),
        (reactivate, 200, PAGE, HTML, NotMattermost),
    ],
)
async def test_what_is_not_mattermosts_own_answer_never_says_that_something_is_dead_or_gone(
    client: MattermostClient,
    server: Any,
    ask: Ask,
    status: int,
    body: bytes,
    headers: dict[str, str],
    leaf: type[MattermostError],
) -> None:
    server.says(status, body, headers)

    with pytest.raises(leaf) as caught:
        await ask(client)

    assert type(caught.value) is leaf


@pytest.mark.parametrize("ask", [read, use, change])
@pytest.mark.parametrize("fault", [httpx.ReadTimeout("late"), httpx.RemoteProtocolError("cut"), httpx.ReadError("x")])
async def test_a_lost_answer_to_a_read_is_an_outage_and_to_a_change_a_doubt(
    client: MattermostClient, server: Any, ask: Ask, fault: Exception
) -> None:
    server.breaks(fault)

    with pytest.raises(Unreachable) as caught:
        await ask(client)

    assert type(caught.value) is (AnswerLost if ask is change else Unreachable)
    assert caught.value.__cause__ is fault


@pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")])
async def test_a_change_that_was_never_sent_is_an_outage(
    client: MattermostClient, server: Any, fault: Exception
) -> None:
    server.breaks(fault)

    with pytest.raises(Unreachable) as caught:
        await change(client)

    assert type(caught.value) is Unreachable


async def test_the_redirect_to_https_says_which_address_to_use(server: Any, stopped: Any) -> None:
    server.says(301, b"", {"Location": "https://chat.test/mm/api/v4/users/me?x=secretsecret"})
    transport = httpx.MockTransport(server.handle)

    async with open_client(
        "http://chat.test/mm", Secret("a" * 26), allow_http=True, transport=transport, timing=stopped.timing
    ) as client:
        with pytest.raises(NotMattermost, match=r"redirects to https://chat\.test/mm: use that address") as caught:
            await client.whoami()

    assert len(server.requests) == 1
    assert "secretsecret" not in str(caught.value)


@pytest.mark.parametrize(
    ("ask", "body"),
    [
        (read, ME | {"id": "b" * 26}),
        (lambda client: client.find_account_by_email("bob@acme.test"), ME),
        # A database may take letters with and without marks for the same.
        (lambda client: client.find_account_by_email("anñ@acme.test"), ME),
        (lambda client: client.accounts_by_ids(["b" * 26]), [ME]),
        (change, ME | {"id": "b" * 26}),
        (lambda client: client.find_token(TOKEN), {"id": "x" * 26, "user_id": ANN, "is_active": True}),
        (lambda client: client.tokens_of(ANN), [{"id": TOKEN, "user_id": "b" * 26, "is_active": True}]),
        (lambda client: client.tokens_in_use(ANN), [{"id": "s" * 26, "user_id": "b" * 26}]),
        (lambda client: client.team_by_name("acme"), {"id": TEAM, "name": "other"}),
        (join, {"team_id": TEAM, "user_id": "b" * 26}),
        (lambda client: client.team_members(TEAM, [ANN]), [{"team_id": TEAM, "user_id": "b" * 26}]),
    ],
)
async def test_an_answer_about_something_else_is_garbled(
    client: MattermostClient, server: Any, ask: Ask, body: Any
) -> None:
    server.says(200, body)

    with pytest.raises(Garbled, match="about something else"):
        await ask(client)


@pytest.mark.parametrize(
    ("ask", "body"),
    [
        (create_account, ME | {"username": "bob"}),
        (create_token, {"id": TOKEN, "user_id": "b" * 26, "token": "s" * 26, "description": "mmconsole:v1:i:1:o"}),
        (create_token, {"id": TOKEN, "user_id": ANN, "token": "s" * 26, "description": "other"}),
    ],
)
async def test_a_create_that_answers_about_something_else_may_have_acted(
    client: MattermostClient, server: Any, ask: Ask, body: Any
) -> None:
    server.says(201, body)

    with pytest.raises(AnswerLost):
        await ask(client)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("ask", "error_id"),
    [
        (lambda client: client.find_token(TOKEN), "app.user.missing_account.const"),
        (lambda client: client.revoke_token(TOKEN), "app.user.missing_account.const"),
        (lambda client: client.find_account_by_email("a@b.test"), "app.user.get_by_username.app_error"),
    ],
)
async def test_none_needs_the_one_definite_error_id(
    client: MattermostClient, server: Any, ask: Ask, error_id: str
) -> None:
    server.refuses(404, error_id)

    with pytest.raises(NotFound):
        await ask(client)


@pytest.mark.parametrize(
    ("ask", "error_id"),
    [
        (lambda client: client.find_token(TOKEN), "app.user_access_token.get_by_user.app_error"),
        (lambda client: client.revoke_token(TOKEN), "app.user_access_token.get_by_user.app_error"),
        (lambda client: client.find_account_by_email("a@b.test"), "app.user.missing_account.const"),
    ],
)
async def test_the_definite_error_id_means_that_there_is_none(
    client: MattermostClient, server: Any, ask: Ask, error_id: str
) -> None:
    server.refuses(404, error_id)

    assert await ask(client) is None


@pytest.mark.parametrize("segment", ["", ".", "..", "../teams", "a/b"])
async def test_an_id_that_leads_to_another_path_is_never_sent(
    client: MattermostClient, server: Any, segment: str
) -> None:
    with pytest.raises(Refused) as caught:
        await client.account(AccountId(segment))

    assert caught.value.status == 400
    assert server.requests == []


async def test_odd_characters_of_an_address_stay_within_the_path(client: MattermostClient, server: Any) -> None:
    server.refuses(404, "app.user.missing_account.const")

    await client.find_account_by_email("a+b?c#d%2f@acme.test")

    assert server.requests[0].url.raw_path == b"/mm/api/v4/users/email/a%2Bb%3Fc%23d%252f%40acme.test"


@pytest.mark.parametrize("text", ["", "with space", "new\nline", "ümlaut", "\x1b[0m"])
async def test_what_cannot_be_a_token_is_dead_without_being_sent(
    client: MattermostClient, server: Any, text: str
) -> None:
    with pytest.raises(Unauthorized) as caught:
        await client.me(Secret(text))

    assert type(caught.value) is Unauthorized
    assert server.requests == []


async def test_without_an_admin_token_its_calls_say_that_it_is_missing(server: Any, stopped: Any) -> None:
    transport = httpx.MockTransport(server.handle)

    async with open_client("https://chat.test", None, transport=transport, timing=stopped.timing) as client:
        with pytest.raises(AdminTokenMissing):
            await client.whoami()

    assert server.requests == []


async def test_too_many_ids_at_once_are_a_mistake_of_the_caller(client: MattermostClient) -> None:
    with pytest.raises(ValueError, match="at most 5000"):
        await client.accounts_by_ids([ANN] * 5001)


async def test_no_ids_need_no_call(client: MattermostClient, server: Any) -> None:
    assert await client.accounts_by_ids([]) == []
    assert await client.team_members(TEAM, []) == set()
    assert server.requests == []


async def test_a_request_id_is_no_longer_than_our_tables_have_room_for(client: MattermostClient, server: Any) -> None:
    server.says(200, {"id": ANN, "username": "ann"}, {"X-Request-Id": "r" * 200})

    await client.account(ANN)

    assert client.last_request_id == "r" * 64


async def test_a_moment_that_no_column_holds_is_no_answer(client: MattermostClient, server: Any) -> None:
    server.says(200, {"id": ANN, "username": "ann", "update_at": 2**70})

    with pytest.raises(Garbled):
        await client.account(ANN)
