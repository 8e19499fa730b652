"""What is sent again, how often, after how long, and what never is."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from mmconsole.domain.accounts import AccountChanges, AccountId, NewAccount, TeamId
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import TokenId
from mmconsole.errors import (
    AdminTokenDead,
    AnswerLost,
    BreakerOpen,
    Garbled,
    MattermostError,
    ServerFault,
    Throttled,
    Unreachable,
)
from mmconsole.mattermost.breaker import TRIPS_AFTER, Breaker
from mmconsole.mattermost.client import MattermostClient
from mmconsole.mattermost.patience import Budget, Patience
from mmconsole.mattermost.transport import CertificateError

ANN = AccountId("a" * 26)
ME = {"id": ANN, "username": "ann", "email": "ann@acme.test", "roles": "system_user"}
NEW_TOKEN = {"id": "t" * 26, "user_id": ANN, "token": "s" * 26, "description": "d", "is_active": True}
Ask = Callable[[MattermostClient], Awaitable[Any]]

LOST = [
    httpx.ReadTimeout("late"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.RemoteProtocolError("cut"),
]
CREATES: list[Ask] = [
    lambda client: client.create_account(NewAccount("ann", "ann@acme.test"), password=Secret("Pass-w0rd")),
    lambda client: client.create_token(ANN, description="d"),
]
REPEATABLE: list[tuple[Ask, Any]] = [
    (lambda client: client.patch_account(ANN, AccountChanges(first_name="Ann")), ME),
    (lambda client: client.set_account_active(ANN, active=False), {"status": "OK"}),
    (lambda client: client.verify_email(ANN), ME),
    (lambda client: client.revoke_token(TokenId("t" * 26)), {"status": "OK"}),
    (lambda client: client.disable_token(TokenId("t" * 26)), {"status": "OK"}),
    (lambda client: client.enable_token(TokenId("t" * 26)), {"status": "OK"}),
    (lambda client: client.join_team(TeamId("m" * 26), ANN), {"team_id": "m" * 26, "user_id": ANN}),
    (lambda client: client.accounts_by_ids([ANN]), [ME]),
]


@pytest.mark.parametrize("create", CREATES)
@pytest.mark.parametrize("fault", LOST)
async def test_a_create_whose_answer_was_lost_is_never_repeated(
    client: MattermostClient, server: Any, create: Ask, fault: Exception
) -> None:
    server.breaks(fault)

    with pytest.raises(AnswerLost):
        await create(client)

    assert len(server.requests) == 1


@pytest.mark.parametrize("create", CREATES)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_create_that_failed_is_never_repeated(
    client: MattermostClient, server: Any, create: Ask, status: int
) -> None:
    server.says(status, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})

    with pytest.raises(AnswerLost):
        await create(client)

    assert len(server.requests) == 1


async def test_a_create_that_was_never_sent_is_repeated(client: MattermostClient, server: Any) -> None:
    server.breaks(httpx.ConnectError("refused")).breaks(httpx.ConnectTimeout("late")).says(200, NEW_TOKEN)

    made = await client.create_token(ANN, description="d")

    assert made.secret == Secret("s" * 26)
    assert len(server.requests) == 3


async def test_a_create_that_the_rate_limiter_turned_away_is_repeated(
    client: MattermostClient, server: Any, stopped: Any
) -> None:
    server.says(429, b"limit exceeded", {"Retry-After": "3"}).says(200, NEW_TOKEN)

    await client.create_token(ANN, description="d")

    assert len(server.requests) == 2
    assert sum(stopped.slept) == 3


@pytest.mark.parametrize(("ask", "answer"), REPEATABLE)
@pytest.mark.parametrize("fault", LOST)
async def test_what_can_be_repeated_is_repeated_until_an_answer_comes(
    client: MattermostClient, server: Any, ask: Ask, answer: Any, fault: Exception
) -> None:
    server.breaks(fault).says(503, b"").says(200, answer)

    await ask(client)

    assert len(server.requests) == 3
    assert client.pace.retries == 2


async def test_a_token_that_is_gone_at_the_second_attempt_counts_as_revoked(
    client: MattermostClient, server: Any
) -> None:
    server.breaks(httpx.ReadError("reset")).refuses(404, "app.user_access_token.get_by_user.app_error")

    await client.revoke_token(TokenId("t" * 26))

    assert len(server.requests) == 2


async def test_waits_grow_with_jitter_and_end(client: MattermostClient, server: Any, stopped: Any) -> None:
    server.says(503, b"")

    with pytest.raises(ServerFault):
        await client.account(ANN)

    assert stopped.slept == [0.5, 1.0, 2.0, 4.0]
    assert len(server.requests) == 5


async def test_a_cut_answer_to_a_read_is_asked_for_again(client: MattermostClient, server: Any) -> None:
    server.says(200, b'{"id": "aa').says(200, ME)

    assert (await client.account(ANN)).username == "ann"


async def test_a_certificate_is_not_tried_again(client: MattermostClient, server: Any) -> None:
    server.breaks(CertificateError("its certificate is not trusted: expired"))

    with pytest.raises(Unreachable, match="not trusted"):
        await client.account(ANN)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (302, b"", {"Location": "/login"}),
        (200, b"<html>", {"Content-Type": "text/html"}),
        (400, b'{"id": "api.x", "status_code": 400}', {}),
        (401, b'{"id": "api.context.session_expired.app_error", "status_code": 401}', {}),
        (404, b'{"id": "app.user.missing_account.const", "status_code": 404}', {}),
    ],
)
async def test_a_definite_answer_is_not_asked_for_again(
    client: MattermostClient, server: Any, status: int, body: bytes, headers: dict[str, str]
) -> None:
    server.says(status, body, headers)

    with pytest.raises(MattermostError):
        await client.account(ANN)

    assert len(server.requests) == 1


async def test_an_outage_spends_the_budget_and_then_no_call_is_repeated(
    client: MattermostClient, server: Any, stopped: Any
) -> None:
    server.says(503, b"")
    for _ in range(40):
        stopped.seconds += 100
        with pytest.raises((ServerFault, BreakerOpen)):
            await client.account(ANN)

    assert client.pace.retries <= 10 + 40 * 0.1


async def test_a_server_that_fails_every_other_time_gets_a_tenth_more_calls_and_not_twice_as_many(
    client: MattermostClient, server: Any
) -> None:
    for _ in range(200):
        server.says(503, b"").says(200, ME)

    for _ in range(100):
        with suppress(ServerFault):
            await client.account(ANN)

    # Ten that a short run may make all the same, and one for each ten calls.
    assert 10 < client.pace.retries <= 10 + 100 * 0.1


def test_whoever_waits_waits_at_random_up_to_twice_as_long_each_time() -> None:
    never, always = Patience(Budget(), lambda: 0.0), Patience(Budget(), lambda: 1.0)

    assert [never.after_failure() for _ in range(4)] == [0.0] * 4
    assert [always.after_failure() for _ in range(5)] == [0.5, 1.0, 2.0, 4.0, None]


async def test_the_breaker_opens_after_ten_faults_and_one_call_tries_whether_the_server_is_back(
    client: MattermostClient, server: Any, stopped: Any
) -> None:
    server.says(503, b"")
    for _ in range(2):
        with pytest.raises(ServerFault):
            await client.account(ANN)
    asked = len(server.requests)

    with pytest.raises(BreakerOpen):
        await client.account(ANN)

    assert asked == len(server.requests) == 10
    stopped.seconds += 5
    server.script[:] = []
    server.says(200, ME)
    assert (await client.account(ANN)).id == ANN
    assert (await client.account(ANN)).id == ANN


def test_of_many_who_come_after_the_rest_one_tries() -> None:
    now = 0.0
    breaker = Breaker("chat.test", clock=lambda: now)
    for _ in range(TRIPS_AFTER):
        breaker.failed(probe=False)
    now = 5.0

    assert breaker.admit()
    with pytest.raises(BreakerOpen):
        breaker.admit()
    breaker.abandoned(probe=True)
    assert breaker.admit()


async def test_a_failed_trial_lets_the_breaker_rest_twice_as_long(
    client: MattermostClient, server: Any, stopped: Any
) -> None:
    server.breaks(httpx.ConnectError("refused"))
    for _ in range(2):
        with pytest.raises(Unreachable):
            await client.account(ANN)
    stopped.seconds += 5

    with pytest.raises(Unreachable):
        await client.account(ANN)

    stopped.seconds += 9
    with pytest.raises(BreakerOpen):
        await client.account(ANN)
    stopped.seconds += 1
    with pytest.raises(Unreachable):
        await client.account(ANN)


async def test_refusals_and_throttles_are_signs_of_life(client: MattermostClient, server: Any) -> None:
    server.refuses(401, "api.context.session_expired.app_error")

    for _ in range(30):
        with pytest.raises(AdminTokenDead):
            await client.account(ANN)

    assert len(server.requests) == 30


async def test_retry_after_is_obeyed_by_everybody(client: MattermostClient, server: Any, stopped: Any) -> None:
    server.says(429, b"limit exceeded\n", {"Retry-After": "7", "X-Ratelimit-Remaining": "0"}).says(200, ME)

    await client.account(ANN)

    assert stopped.slept == [0.0, 7.0]
    assert client.pace.retries == 1
    assert client.pace.limit == 4


async def test_a_retry_after_with_a_date_is_understood(client: MattermostClient, server: Any, stopped: Any) -> None:
    stopped.seconds = 0.0
    server.says(429, b"", {"Retry-After": "Fri, 15 Jan 2027 08:00:09 GMT"}).says(200, ME)

    await client.account(ANN)

    assert stopped.slept == [0.0, 9.0]


@pytest.mark.parametrize("said", ["Mon, 01 Jan 9999999999999 00:00:00 GMT", "soon", "-5"])
async def test_a_retry_after_that_says_nothing_is_as_good_as_none(
    client: MattermostClient, server: Any, stopped: Any, said: str
) -> None:
    server.says(429, b"", {"Retry-After": said}).says(200, ME)

    await client.account(ANN)

    assert [wait for wait in stopped.slept if wait] == [1.0]


async def test_a_retry_after_without_end_is_told_and_holds_nobody_up(
    client: MattermostClient, server: Any, stopped: Any
) -> None:
    server.says(429, b"", {"Retry-After": "9" * 400})

    with pytest.raises(Throttled, match="asks to slow down"):
        await client.account(ANN)

    assert stopped.slept == []
    assert client.pace.wait_left == 300


async def test_without_retry_after_the_waits_grow(client: MattermostClient, server: Any, stopped: Any) -> None:
    server.says(429, b"limit exceeded").says(429, b"").says(429, b"").says(200, ME)

    await client.account(ANN)

    assert [wait for wait in stopped.slept if wait] == [1.0, 2.0, 4.0]


async def test_a_call_that_is_held_up_too_long_is_throttled(
    client: MattermostClient, server: Any, stopped: Any
) -> None:
    server.says(429, b"", {"Retry-After": "60"})

    with pytest.raises(Throttled) as caught:
        await client.account(ANN)

    assert caught.value.retry_after == 60
    assert len(server.requests) == 6
    assert sum(stopped.slept) == 300


async def test_when_nothing_is_left_of_the_rate_limit_the_next_call_waits(
    client: MattermostClient, server: Any, stopped: Any
) -> None:
    server.says(200, ME, {"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "4"})
    await client.account(ANN)
    assert client.pace.wait_left == 4

    await client.account(ANN)

    assert stopped.slept == [4.0]


async def test_of_two_rate_limits_the_tighter_one_counts(client: MattermostClient, server: Any) -> None:
    twice = [("X-Ratelimit-Remaining", "90"), ("X-Ratelimit-Remaining", "0")]
    twice += [("X-Ratelimit-Reset", "1"), ("X-Ratelimit-Reset", "6")]
    server.script.append(httpx.Response(200, headers=twice, json=ME))

    await client.account(ANN)

    assert client.pace.wait_left == 6


async def test_a_garbled_answer_does_not_trip_the_breaker(client: MattermostClient, server: Any) -> None:
    server.says(200, [])

    for _ in range(12):
        with pytest.raises(Garbled):
            await client.account(ANN)


async def test_a_rate_limit_that_ends_at_an_instant_is_understood(
    client: MattermostClient, server: Any, stopped: Any
) -> None:
    ends = int(stopped.now()) + 12
    server.says(200, ME, {"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": str(ends)})

    await client.account(ANN)

    assert client.pace.wait_left == 12


async def test_nobodys_sessions_and_memberships_may_be_null(client: MattermostClient, server: Any) -> None:
    server.says(200, None)

    assert await client.tokens_in_use(ANN) == set()
    assert await client.team_members(TeamId("m" * 26), [ANN]) == set()


@pytest.mark.parametrize("last", [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")])
async def test_a_doubt_is_not_forgotten_when_the_server_is_gone_at_the_next_attempt(
    client: MattermostClient, server: Any, last: Exception
) -> None:
    server.breaks(httpx.ReadError("reset")).breaks(last)

    with pytest.raises(AnswerLost):
        await client.revoke_token(TokenId("t" * 26))


async def test_a_definite_answer_ends_a_doubt(client: MattermostClient, server: Any) -> None:
    server.breaks(httpx.ReadError("reset")).refuses(401, "api.context.session_expired.app_error")

    with pytest.raises(AdminTokenDead):
        await client.revoke_token(TokenId("t" * 26))
