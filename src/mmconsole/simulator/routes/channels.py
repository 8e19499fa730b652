"""Channels: create, read, find by name, archive, restore."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mmconsole.simulator import permissions, rules, views
from mmconsole.simulator.entities import Channel, ChannelMember
from mmconsole.simulator.errors import AppError, bad_body, bad_url, forbidden
from mmconsole.simulator.routing import Route
from mmconsole.simulator.wire import Call, Reply, answer, done

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mmconsole.simulator.entities import User
    from mmconsole.simulator.state import State

DEFAULT_CHANNEL = "town-square"


class NewChannel(msgspec.Struct):
    """What `POST /channels` reads."""

    team_id: str | None = None
    name: str | None = None
    display_name: str | None = None
    type: str | None = None
    header: str | None = None
    purpose: str | None = None


class ChannelPatch(msgspec.Struct):
    """What a patch of a channel may change."""

    name: str | None = None
    display_name: str | None = None
    header: str | None = None
    purpose: str | None = None


def find_channel(state: State, channel_id: str) -> Channel:
    """As those who write see it: never from a lagging replica."""
    channel = state.channels.get(channel_id)
    if channel is None:
        raise AppError("app.channel.get.existing.app_error", 404)
    return channel


def create(call: Call) -> Reply:
    wanted = call.decode(NewChannel, "channel")
    if not wanted.team_id:
        raise bad_body("team_id")
    if not wanted.display_name:
        raise bad_body("display_name")
    needed = {"O": "create_public_channel", "P": "create_private_channel"}.get(wanted.type or "")
    if needed and not permissions.may_in_team(call.user, wanted.team_id, needed):
        raise forbidden()
    if wanted.type in ("D", "G"):
        raise AppError("api.channel.create_channel.direct_channel.app_error", 400)
    channel = _build(call, wanted)
    call.state.add_channel(channel)
    shown = answer(views.channel_fields(channel), 201)
    # The creator becomes administrator of the channel, and that is its first post; the answer does not count it yet.
    channel.members[call.user.id] = ChannelMember(channel.id, call.user.id, channel.create_at, is_admin=True)
    call.state.post(channel)
    call.audit(f"name={channel.name}")
    return shown


def _build(call: Call, wanted: NewChannel) -> Channel:
    state, now, team_id = call.state, call.state.millis(), wanted.team_id or ""
    existing = state.channels_of.get(team_id)
    if existing is None:
        raise AppError("app.channel.get_channels.not_found.app_error", 404)
    if sum(1 for channel in existing if not channel.delete_at) >= state.config["TeamSettings", "MaxChannelsPerTeam"]:
        raise AppError("api.channel.create_channel.max_channel_limit.app_error", 400)
    name = wanted.name or ""
    display_name = rules.sanitized(wanted.display_name or "")
    channel = Channel(state.ids.new(), team_id, name, display_name, wanted.type or "", now, now)
    channel.creator_id = call.user.id
    channel.header, channel.purpose = wanted.header or "", wanted.purpose or ""
    rules.check_channel(channel)
    if (team_id, name) in state.channels_by_name:
        raise AppError("store.sql_channel.save_channel.exists.app_error", 400)
    return channel


def get(call: Call) -> Reply:
    channel = find_channel(call.state, call.id(0, "channel_id"))
    if call.hides(channel.create_at):
        raise AppError("app.channel.get.existing.app_error", 404)
    if not _readable(call, channel):
        raise forbidden()
    return answer(views.channel_fields(channel))


def _readable(call: Call, channel: Channel) -> bool:
    if channel.type == "O" and permissions.may_in_team(call.user, channel.team_id, "read_public_channel"):
        return True
    return permissions.may_in_channel(call.state, call.user, channel, "read_channel")


def get_by_name(call: Call) -> Reply:
    return _named(call, call.id(0, "team_id"), call.params[1])


def get_by_names(call: Call) -> Reply:
    name = call.params[0].lower()
    if not rules.is_team_name(name):
        raise bad_url("team_name")
    team = call.state.teams_by_name.get(name)
    if team is None:
        raise AppError("app.team.get_by_name.missing.app_error", 404)
    return _named(call, team.id, call.params[1])


def _named(call: Call, team_id: str, channel_name: str) -> Reply:
    """An archived channel is found only on demand; a private one looks to strangers as if it did not exist."""
    name = channel_name.lower()
    if not rules.is_channel_name(name):
        raise bad_url("channel_name")
    channel = call.state.channels_by_name.get((team_id, name))
    hidden = channel is None or call.hides(channel.create_at)
    if channel is None or hidden or (channel.delete_at and not call.flag("include_deleted")):
        raise AppError("app.channel.get_by_name.missing.app_error", 404)
    manages = permissions.may_in_team(call.user, team_id, "manage_team")
    if not manages and not _readable(call, channel):
        if channel.type == "O":
            raise forbidden()
        raise AppError("app.channel.get_by_name.missing.app_error", 404)
    return answer(views.channel_fields(channel))


def public_ones(call: Call) -> Reply:
    team_id = call.id(0, "team_id")
    if not permissions.may_in_team(call.user, team_id, "list_team_channels"):
        raise forbidden()
    return _page(call, (one for one in _of_team(call, team_id) if one.type == "O" and not one.delete_at))


def private_ones(call: Call) -> Reply:
    team_id = call.id(0, "team_id")
    if not call.user.is_admin:
        raise forbidden()
    return _page(call, (one for one in _of_team(call, team_id) if one.type == "P" and not one.delete_at))


def archived_ones(call: Call) -> Reply:
    team_id = call.id(0, "team_id")
    if not permissions.may_in_team(call.user, team_id, "list_team_channels"):
        raise forbidden()
    gone = (one for one in _of_team(call, team_id) if one.delete_at)
    return _page(call, (one for one in gone if call.user.is_admin or _readable(call, one)))


def all_of_them(call: Call) -> Reply:
    if not permissions.may(call.user, "sysconsole_read_user_management_channels"):
        raise forbidden()
    with_archived = call.flag("include_deleted")
    return _page(call, (one for one in call.state.channels.values() if with_archived or not one.delete_at))


def _of_team(call: Call, team_id: str) -> list[Channel]:
    return call.state.channels_of.get(team_id, [])


def _page(call: Call, channels: Iterable[Channel]) -> Reply:
    start, end = call.page()
    there = (channel for channel in channels if not call.hides(channel.create_at))
    ordered = sorted(there, key=lambda channel: channel.display_name)
    return answer([views.channel_fields(channel) for channel in ordered[start:end]])


def of_user(call: Call) -> Reply:
    """The channels a user is in, in all teams or in one."""
    user_id = call.id(0, "user_id")
    if not permissions.may_edit(call.user, user_id):
        raise forbidden()
    user = call.state.users.get(user_id)
    teams = [call.id(1, "team_id")] if len(call.params) > 1 else [team.team_id for team in (user.teams if user else ())]
    found = [channel for team_id in teams for channel in _joined(call, user, team_id)]
    if not found and len(call.params) > 1:
        raise AppError("app.channel.get_channels.not_found.app_error", 404)
    return answer([views.channel_fields(channel) for channel in found])


def _joined(call: Call, user: User | None, team_id: str) -> list[Channel]:
    if user is None:
        return []
    with_archived = call.flag("include_deleted")
    channels = [one for one in _of_team(call, team_id) if with_archived or not one.delete_at]
    return [channel for channel in channels if call.state.channel_member(channel, user.id)]


def patch(call: Call) -> Reply:
    channel = find_channel(call.state, call.id(0, "channel_id"))
    wanted = call.decode(ChannelPatch, "channel")
    kind = "public" if channel.type == "O" else "private"
    if not permissions.may_in_channel(call.state, call.user, channel, f"manage_{kind}_channel_properties"):
        raise forbidden()
    changed = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    _check_patch(call, channel, changed)
    del call.state.channels_by_name[channel.team_id, channel.name]
    for name, value in changed.items():
        setattr(channel, name, value)
    call.state.channels_by_name[channel.team_id, channel.name] = channel
    channel.update_at = max(call.state.millis(), channel.update_at + 1)
    return answer(views.channel_fields(channel))


def _check_patch(call: Call, channel: Channel, changed: dict[str, str]) -> None:
    draft = Channel(channel.id, channel.team_id, channel.name, channel.display_name, channel.type, 0, 0)
    for name, value in changed.items():
        setattr(draft, name, value)
    rules.check_channel(draft)
    if call.state.channels_by_name.get((channel.team_id, draft.name), channel) is not channel:
        raise AppError("store.sql_channel.update.exists.app_error", 400)


def archive(call: Call) -> Reply:
    channel = find_channel(call.state, call.id(0, "channel_id"))
    kind = "public" if channel.type == "O" else "private"
    if not permissions.may_in_channel(call.state, call.user, channel, f"delete_{kind}_channel"):
        raise forbidden()
    if call.flag("permanent"):
        ending = ".for_admin.app_error" if call.user.is_admin else ".app_error"
        raise AppError("api.user.delete_channel.not_enabled" + ending, 401)
    if channel.delete_at:
        raise AppError("api.channel.delete_channel.deleted.app_error", 400)
    if channel.name == DEFAULT_CHANNEL:
        raise AppError("api.channel.delete_channel.cannot.app_error", 400)
    call.state.post(channel, counted=True)
    channel.delete_at = channel.update_at = max(call.state.millis(), channel.update_at + 1)
    call.audit(f"name={channel.name}")
    return done()


def restore(call: Call) -> Reply:
    channel = find_channel(call.state, call.id(0, "channel_id"))
    if not permissions.may_in_team(call.user, channel.team_id, "manage_team"):
        raise forbidden()
    if not channel.delete_at:
        raise AppError("api.channel.restore_channel.restored.app_error", 400)
    channel.delete_at = 0
    shown = answer(views.channel_fields(channel))
    # The answer still has the time of the archiving; only later reads show the restoring.
    channel.update_at = max(call.state.millis(), channel.update_at + 1)
    call.state.post(channel, counted=True)
    call.audit(f"name={channel.name}")
    return shown


ROUTES = (
    Route("POST", "/channels", create),
    Route("GET", "/channels", all_of_them),
    Route("GET", "/channels/{id}", get),
    Route("PUT", "/channels/{id}/patch", patch),
    Route("DELETE", "/channels/{id}", archive),
    Route("POST", "/channels/{id}/restore", restore),
    Route("GET", "/teams/{id}/channels", public_ones),
    Route("GET", "/teams/{id}/channels/private", private_ones),
    Route("GET", "/teams/{id}/channels/deleted", archived_ones),
    Route("GET", "/teams/{id}/channels/name/{channel_name}", get_by_name),
    Route("GET", "/teams/name/{name}/channels/name/{channel_name}", get_by_names),
    Route("GET", "/users/{id}/channels", of_user),
    Route("GET", "/users/{id}/teams/{team_id}/channels", of_user),
)
