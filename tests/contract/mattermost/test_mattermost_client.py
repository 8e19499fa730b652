"""What the client relies on, asked of every Mattermost there is: simulated over a socket and in process, and real."""

import time
import uuid

import pytest

from mmconsole.domain.accounts import Account, AccountChanges, AccountId, NewAccount
from mmconsole.domain.secrets import Secret
from mmconsole.domain.tokens import OperationId as Operation
from mmconsole.domain.tokens import TokenId, describe
from mmconsole.domain.users import UserId
from mmconsole.errors import EmailTaken, NotFound, Refused, Unauthorized, UsernameTaken
from mmconsole.mattermost import open_client
from mmconsole.mattermost.client import MattermostClient

NOBODY = AccountId("a" * 26)
NO_TOKEN = TokenId("a" * 26)


def marker() -> str:
    return describe("contract", UserId("7"), Operation(uuid.uuid4().hex))


async def test_a_created_account_is_told_whole(client: MattermostClient, ann: Account) -> None:
    assert (ann.first_name, ann.last_name, ann.locale, ann.roles) == ("Ann", "Lee", "de", "system_user")
    assert ann.active
    assert ann.email_verified is True
    assert not ann.privileged


async def test_an_account_is_found_by_id_address_and_username(client: MattermostClient, ann: Account) -> None:
    assert (await client.account(ann.id)).username == ann.username
    by_email = await client.find_account_by_email(ann.email)
    (by_username,) = await client.accounts_by_usernames([ann.username])

    assert by_email is not None
    assert by_email.id == by_username.id == ann.id
    assert by_email.email_verified is None


async def test_who_does_not_exist_is_not_found(client: MattermostClient) -> None:
    assert await client.find_account_by_email("nobody@nowhere.test") is None
    assert await client.accounts_by_usernames(["nobody-at-all"]) == []
    with pytest.raises(NotFound) as caught:
        await client.account(NOBODY)

    assert caught.value.error_id == "app.user.missing_account.const"


async def test_a_second_account_with_the_address_or_the_name_is_refused(client: MattermostClient, ann: Account) -> None:
    password = Secret("Pass-w0rd-xyz")
    other = f"other-{uuid.uuid4().hex[:12]}"

    with pytest.raises(EmailTaken):
        await client.create_account(NewAccount(other, ann.email), password=password)
    with pytest.raises(UsernameTaken):
        await client.create_account(NewAccount(ann.username, f"{other}@acme.test"), password=password)


async def test_an_empty_patch_tells_whether_the_address_is_verified(client: MattermostClient, ann: Account) -> None:
    assert (await client.patch_account(ann.id, AccountChanges())).email_verified is True

    changed = await client.patch_account(ann.id, AccountChanges(email=f"new-{ann.email}", first_name="Anna"))

    assert (changed.email, changed.first_name, changed.email_verified) == (f"new-{ann.email}", "Anna", False)
    await client.verify_email(ann.id)
    assert (await client.patch_account(ann.id, AccountChanges())).email_verified is True


async def test_accounts_by_ids_leave_out_who_is_unknown_or_unchanged(client: MattermostClient, ann: Account) -> None:
    everybody = await client.accounts_by_ids([ann.id, NOBODY])
    unchanged = await client.accounts_by_ids([ann.id], since=ann.update_at)
    changed = await client.accounts_by_ids([ann.id], since=ann.update_at - 1)

    assert [account.id for account in everybody] == [ann.id]
    assert unchanged == []
    assert [account.id for account in changed] == [ann.id]


async def test_all_accounts_are_on_the_pages(client: MattermostClient, ann: Account) -> None:
    total = await client.count_accounts()
    seen: set[AccountId] = set()
    page = 0
    while accounts := await client.accounts_page(page):
        seen |= {account.id for account in accounts}
        page += 1

    assert ann.id in seen
    assert len(seen) >= total


async def test_a_token_works_until_it_is_disabled_and_again_until_it_is_revoked(
    client: MattermostClient, ann: Account
) -> None:
    description = marker()
    new = await client.create_token(ann.id, description=description)
    assert (new.token.account_id, new.token.description, new.token.active) == (ann.id, description, True)
    assert (await client.me(new.secret)).id == ann.id
    assert await client.my_teams(new.secret) == ()

    await client.disable_token(new.token.id)
    with pytest.raises(Unauthorized):
        await client.me(new.secret)
    found = await client.find_token(new.token.id)
    assert found is not None
    assert not found.active

    await client.enable_token(new.token.id)
    assert (await client.me(new.secret)).id == ann.id

    await client.revoke_token(new.token.id)
    await client.revoke_token(new.token.id)
    with pytest.raises(Unauthorized):
        await client.me(new.secret)
    assert await client.find_token(new.token.id) is None


async def test_a_users_own_token_cannot_do_the_administrators_work(client: MattermostClient, ann: Account) -> None:
    new = await client.create_token(ann.id, description=marker())
    async with open_client(client.server, new.secret, transport=client._exchange._transport, allow_http=True) as own:
        with pytest.raises(Refused) as caught:
            await own.tokens_of(ann.id)

    assert caught.value.error_id == "api.context.permissions.app_error"


async def test_an_end_is_kept_from_11_9_on_and_ignored_before(client: MattermostClient, ann: Account) -> None:
    facts = await client.facts()
    ends = client.server_time_ms() + 86_400_000

    new = await client.create_token(ann.id, description=marker(), expires_at=ends)

    assert new.token.expires_at == (ends if facts.tokens_expire else 0)


async def test_an_accounts_tokens_are_listed_over_all_pages(client: MattermostClient, ann: Account) -> None:
    made = {(await client.create_token(ann.id, description=marker())).token.id for _ in range(3)}

    assert {token.id for token in await client.tokens_of(ann.id)} == made
    assert await client.tokens_of(NOBODY) == []


async def test_all_tokens_are_on_the_pages(client: MattermostClient, ann: Account) -> None:
    new = await client.create_token(ann.id, description=marker())
    found: dict[TokenId, str] = {}
    page = 0
    while tokens := await client.tokens_page(page):
        found |= {token.id: token.description for token in tokens}
        page += 1

    assert found[new.token.id] == new.token.description


async def test_a_session_names_the_token_that_made_it(client: MattermostClient, ann: Account) -> None:
    new = await client.create_token(ann.id, description=marker())
    await client.me(new.secret)

    assert await client.tokens_in_use(ann.id) == {new.token.id}


async def test_deactivating_ends_all_tokens_and_reactivating_revives_them(
    client: MattermostClient, ann: Account
) -> None:
    new = await client.create_token(ann.id, description=marker())

    await client.set_account_active(ann.id, active=False)
    assert not (await client.account(ann.id)).active
    with pytest.raises(Unauthorized):
        await client.me(new.secret)

    await client.set_account_active(ann.id, active=True)
    assert (await client.me(new.secret)).id == ann.id


async def test_a_token_that_is_gone_cannot_be_disabled(client: MattermostClient) -> None:
    with pytest.raises(NotFound):
        await client.disable_token(NO_TOKEN)


async def test_a_team_is_joined_once_or_twice(client: MattermostClient, ann: Account) -> None:
    teams = await client.my_teams(client._exchange._admin_token or Secret(""))
    if not teams:
        pytest.skip("this server has no team")
    team = await client.team_by_name(teams[0].name)
    assert await client.team_members(team.id, [ann.id]) == set()

    await client.join_team(team.id, ann.id)
    await client.join_team(team.id, ann.id)

    assert await client.team_members(team.id, [ann.id, NOBODY]) == {ann.id}
    assert [one.id for one in await client.teams_of(ann.id)] == [team.id]


async def test_a_team_that_does_not_exist_is_not_found(client: MattermostClient) -> None:
    for name in ("no-such-team-anywhere", "x", "a/b"):
        with pytest.raises(NotFound):
            await client.team_by_name(name)


async def test_the_facts_are_what_a_sync_needs_to_know(client: MattermostClient) -> None:
    facts = await client.facts()
    await client.ping()

    assert facts.version >= (10, 0, 0)
    assert len(facts.diagnostic_id) == 26
    assert facts.tokens_enabled is True
    assert facts.max_users_per_team > 0
    assert facts.smtp_host
    assert facts.password_policy.minimum_length >= 5


async def test_a_stranger_is_not_told_whether_tokens_are_on(client: MattermostClient) -> None:
    async with open_client(client.server, None, transport=client._exchange._transport, allow_http=True) as stranger:
        facts = await stranger.facts()

    assert facts.tokens_enabled is None
    assert facts.smtp_host == ""
    assert len(facts.diagnostic_id) == 26


async def test_the_servers_time_and_the_request_id_are_known_after_an_answer(client: MattermostClient) -> None:
    await client.whoami()
    first = client.last_request_id
    await client.whoami()

    assert len(first) == 26
    assert first != client.last_request_id
    assert abs(client.server_time_ms() - time.time() * 1000) < 60_000
