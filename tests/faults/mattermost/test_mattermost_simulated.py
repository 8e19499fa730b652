"""A whole server that misbehaves: what the client says, and what is then true on the server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mmconsole.domain.accounts import Account, NewAccount
from mmconsole.domain.secrets import Secret
from mmconsole.errors import AnswerLost, NotMattermost, TokensSwitchedOff, Unreachable
from mmconsole.mattermost import open_client
from mmconsole.mattermost.client import MattermostClient
from mmconsole.mattermost.exchange import Timing
from mmconsole.simulator import Fault, RateLimit, Simulator, SimulatorOptions, serve

MARKER = "mmconsole:v1:install:7:operation"


async def no_sleep(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(SimulatorOptions(users=3))


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[MattermostClient]:
    async with (
        serve(simulator) as url,
        open_client(url, Secret(simulator.admin_token), timeout=30, timing=Timing(sleep=no_sleep)) as opened,
    ):
        yield opened


@pytest.fixture
async def ann(client: MattermostClient) -> Account:
    return await client.create_account(NewAccount("ann", "ann@acme.test"), password=Secret("Pass-w0rd-xyz"))


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        (Fault("drop_after"), 1),
        (Fault("drop_before"), 0),
        (Fault("cut_json"), 1),
        (Fault("cut_json", honest=True), 1),
        (Fault("status", status=502), 0),
        (Fault("status", status=504), 0),
        (Fault("login_page"), 0),
        (Fault("redirect"), 0),
    ],
)
async def test_a_create_whose_outcome_is_in_doubt_leaves_at_most_one_token_that_its_marker_finds(
    client: MattermostClient, simulator: Simulator, ann: Account, fault: Fault, made: int
) -> None:
    fault.method, fault.path = "POST", "/users/{}/tokens"
    simulator.faults.add(fault)

    with pytest.raises(AnswerLost):
        await client.create_token(ann.id, description=MARKER)

    assert [token.description for token in await client.tokens_of(ann.id)] == [MARKER] * made
    assert simulator.calls["POST /users/{id}/tokens"] <= 1


async def test_a_create_that_hangs_is_lost_and_made_once(
    simulator: Simulator,
) -> None:
    async with serve(simulator) as url, open_client(url, Secret(simulator.admin_token), timeout=1) as client:
        me = await client.whoami()
        simulator.faults.add(Fault("hold_answer", method="POST", path="/users/{id}/tokens"))

        with pytest.raises(AnswerLost):
            await client.create_token(me.id, description=MARKER)

        tokens = await client.tokens_of(me.id)
    assert [token.description for token in tokens].count(MARKER) == 1


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "cut_json"])
async def test_a_revoke_is_repeated_until_it_is_certain(
    client: MattermostClient, simulator: Simulator, ann: Account, kind: str
) -> None:
    new = await client.create_token(ann.id, description=MARKER)
    simulator.faults.add(Fault(kind, method="POST", path="/users/tokens/revoke"))  # type: ignore[arg-type]

    await client.revoke_token(new.token.id)

    assert await client.find_token(new.token.id) is None


async def test_reads_survive_a_server_that_fails_now_and_then(client: MattermostClient, simulator: Simulator) -> None:
    for kind in ("drop_before", "drop_after", "cut_json", "status"):
        simulator.faults.add(Fault(kind, method="GET", path="/users/{id}"))

    assert (await client.whoami()).privileged
    assert client.pace.retries == 4


async def test_a_login_page_is_named(client: MattermostClient, simulator: Simulator) -> None:
    simulator.faults.add(Fault("login_page", times=None))

    with pytest.raises(NotMattermost):
        await client.whoami()


async def test_an_outage_is_not_a_refusal(client: MattermostClient, simulator: Simulator, ann: Account) -> None:
    new = await client.create_token(ann.id, description=MARKER)
    simulator.faults.add(Fault("drop_before", method="GET", path="/users/{id}", times=None))

    with pytest.raises(Unreachable):
        await client.me(new.secret)


async def test_a_bots_token_says_that_tokens_are_switched_off(simulator: Simulator) -> None:
    simulator.state.config.patch({"ServiceSettings": {"EnableUserAccessTokens": False}})
    async with serve(simulator) as url, open_client(url, Secret(simulator.bot_token)) as client:
        facts = await client.facts()
        (account,) = await client.accounts_by_usernames(["admin"])
        assert account is not None

        with pytest.raises(TokensSwitchedOff):
            await client.create_token(account.id, description=MARKER)

    assert facts.tokens_enabled is False


async def test_a_rate_limited_server_is_obeyed_and_every_call_succeeds() -> None:
    simulator = Simulator(SimulatorOptions(users=3, rate_limit=RateLimit(per_second=40, burst=5)))
    async with serve(simulator) as url, open_client(url, Secret(simulator.admin_token)) as client:
        found = await asyncio.gather(*(client.whoami() for _ in range(30)))

    refused = sum(call.status == 429 for call in simulator.calls.recent)
    assert len(found) == 30
    assert refused <= client.pace.retries
