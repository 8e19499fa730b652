"""What the client relies on of channels, asked of every Mattermost there is: simulated, and real."""

import uuid

import pytest

from mmconsole.domain.accounts import Account, AccountId, NewAccount, Team, TeamId
from mmconsole.domain.channels import Channel, ChannelId, NewChannel, legal_channel_name
from mmconsole.domain.secrets import Secret
from mmconsole.domain.text import fitting_name
from mmconsole.errors import (
    AccountDeactivated,
    ChannelNameTaken,
    DefaultChannel,
    NotFound,
    OutsideTeam,
    Refused,
    Unauthorized,
)
from mmconsole.mattermost.client import MattermostClient

NOWHERE = ChannelId("a" * 26)
NOBODY = AccountId("a" * 26)


def some_name() -> str:
    return f"channel-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def team(client: MattermostClient) -> Team:
    teams = await client.my_teams(client._exchange._admin_token or Secret(""))
    if not teams:
        pytest.skip("this server has no team")
    return await client.team(teams[0].id)


@pytest.fixture
async def channel(client: MattermostClient, team: Team) -> Channel:
    return await client.create_channel(NewChannel(team.id, some_name(), "Über uns", purpose="talk"))


async def own_token(client: MattermostClient, account: Account) -> Secret:
    return (await client.create_token(account.id, description="contract")).secret


async def test_a_created_channel_is_told_whole_and_found(
    client: MattermostClient, channel: Channel, team: Team
) -> None:
    assert (channel.team_id, channel.display_name, channel.purpose) == (team.id, "Über uns", "talk")
    assert channel.public
    assert not channel.archived
    assert channel.creator_id == (await client.whoami()).id
    by_id, by_name = await client.find_channel(channel.id), await client.find_channel_by_name(team.id, channel.name)

    assert by_id is not None
    assert by_name is not None
    assert by_id.id == by_name.id == channel.id


async def test_a_private_channel_is_no_public_one(client: MattermostClient, team: Team) -> None:
    made = await client.create_channel(NewChannel(team.id, some_name(), "Secret", private=True))

    assert not made.public
    assert made.of_a_team


async def test_what_is_not_there_is_none(client: MattermostClient, team: Team) -> None:
    assert await client.find_channel(NOWHERE) is None
    assert await client.find_channel_by_name(team.id, some_name()) is None
    with pytest.raises(NotFound):
        await client.team(TeamId("a" * 26))


async def test_a_name_stays_taken_in_the_archive(client: MattermostClient, channel: Channel) -> None:
    again = NewChannel(channel.team_id, channel.name, "Again")
    with pytest.raises(ChannelNameTaken):
        await client.create_channel(again)
    await client.archive_channel(channel.id)

    with pytest.raises(ChannelNameTaken):
        await client.create_channel(again)
    found = await client.find_channel_by_name(channel.team_id, channel.name)

    assert found is not None
    assert found.archived


async def test_archived_and_restored_twice_is_done(client: MattermostClient, channel: Channel) -> None:
    await client.archive_channel(channel.id)
    await client.archive_channel(channel.id)
    archived = await client.find_channel(channel.id)
    await client.restore_channel(channel.id)
    await client.restore_channel(channel.id)
    restored = await client.find_channel(channel.id)

    assert archived is not None
    assert archived.archived
    assert restored is not None
    assert not restored.archived


async def test_what_cannot_be_archived_says_why(client: MattermostClient, team: Team) -> None:
    town = await client.find_channel_by_name(team.id, "town-square")
    assert town is not None

    with pytest.raises(DefaultChannel):
        await client.archive_channel(town.id)
    with pytest.raises(NotFound):
        await client.archive_channel(NOWHERE)


async def test_channels_are_listed_with_the_private_ones_and_the_archive_apart(
    client: MattermostClient, team: Team, channel: Channel
) -> None:
    private = await client.create_channel(NewChannel(team.id, some_name(), "Secret", private=True))
    archived = await client.create_channel(NewChannel(team.id, some_name(), "Old"))
    await client.archive_channel(archived.id)

    listed = {one.id async for one in client.team_channels(team.id)}
    put_away = {one.id async for one in client.team_channels(team.id, archived=True)}

    assert {channel.id, private.id} <= listed
    assert archived.id not in listed
    assert archived.id in put_away
    assert channel.id not in put_away


async def test_people_of_the_team_join_a_public_channel_by_themselves(
    client: MattermostClient, ann: Account, channel: Channel
) -> None:
    secret = await own_token(client, ann)
    with pytest.raises(Refused):
        await client.join_channel(channel.id, ann.id, secret=secret)
    with pytest.raises(OutsideTeam):
        await client.join_channel(channel.id, ann.id)
    await client.join_team(channel.team_id, ann.id)
    assert await client.channel_members(channel.id, [ann.id]) == set()

    await client.join_channel(channel.id, ann.id, secret=secret)
    await client.join_channel(channel.id, ann.id, secret=secret)

    assert await client.channel_members(channel.id, [ann.id, NOBODY]) == {ann.id}


async def test_only_the_administrator_adds_to_a_private_channel(
    client: MattermostClient, ann: Account, team: Team
) -> None:
    private = await client.create_channel(NewChannel(team.id, some_name(), "Secret", private=True))
    await client.join_team(team.id, ann.id)
    with pytest.raises(Refused) as caught:
        await client.join_channel(private.id, ann.id, secret=await own_token(client, ann))
    assert caught.value.status == 403

    await client.join_channel(private.id, ann.id)

    assert await client.channel_members(private.id, [ann.id]) == {ann.id}


async def test_people_get_into_archived_channels_too(client: MattermostClient, ann: Account, channel: Channel) -> None:
    await client.join_team(channel.team_id, ann.id)
    secret = await own_token(client, ann)
    await client.archive_channel(channel.id)

    await client.join_channel(channel.id, ann.id, secret=secret)

    assert await client.channel_members(channel.id, [ann.id]) == {ann.id}


async def test_a_deactivated_account_is_not_added(client: MattermostClient, ann: Account, channel: Channel) -> None:
    await client.join_team(channel.team_id, ann.id)
    await client.set_account_active(ann.id, active=False)

    with pytest.raises(AccountDeactivated):
        await client.join_channel(channel.id, ann.id)


async def test_a_dead_token_joins_nothing(client: MattermostClient, ann: Account, channel: Channel) -> None:
    with pytest.raises(Unauthorized):
        await client.join_channel(channel.id, ann.id, secret=Secret("x" * 26))


async def test_nobody_asked_for_is_nobody_found(client: MattermostClient, channel: Channel) -> None:
    assert await client.channel_members(channel.id, []) == set()


@pytest.mark.parametrize(
    "text",
    [
        "Über uns",
        "a",
        "9",
        "日本語 プロジェクト",
        "x" * 200,
        "deadbeef" * 5,
        f"{'a' * 26}__{'b' * 26}",
        "-_a_-",
        "a__b",
        "🎉 party",
    ],
)
async def test_every_name_that_is_made_legal_is_taken(client: MattermostClient, team: Team, text: str) -> None:
    legal = legal_channel_name(text)

    try:
        made = await client.create_channel(NewChannel(team.id, legal, fitting_name(text)))
    except ChannelNameTaken:
        return

    assert made.name == legal


async def test_an_account_of_another_team_is_not_in_the_channel(client: MattermostClient, channel: Channel) -> None:
    name = f"bo-{uuid.uuid4().hex[:12]}"
    bo = await client.create_account(NewAccount(name, f"{name}@acme.test"), password=Secret(uuid.uuid4().hex + "Aa1!"))

    assert await client.channel_members(channel.id, [bo.id]) == set()
