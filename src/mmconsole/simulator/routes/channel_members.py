"""Who is in a channel: add one or many, list, remove."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from mmconsole.simulator import permissions, views
from mmconsole.simulator.entities import ChannelMember
from mmconsole.simulator.errors import AppError, bad_body, forbidden, no_user
from mmconsole.simulator.ids import is_id
from mmconsole.simulator.routes.channels import DEFAULT_CHANNEL, find_channel
from mmconsole.simulator.routing import Route
from mmconsole.simulator.wire import Call, Reply, answer, done

if TYPE_CHECKING:
    from mmconsole.simulator.entities import Channel

LARGEST_LIST = 1000


def add(call: Call) -> Reply:
    """One (`user_id`) or many (`user_ids`).

    Of many, those who could not be added are silently missing from the answer; only when nobody could, the last
    refusal is told.
    """
    channel_id, body = call.id(0, "channel_id"), call.mapping()
    user_ids = _wanted(body)
    channel = find_channel(call.state, channel_id)
    if channel.type == "P":
        _require(call, channel, "manage_private_channel_members")
    added: list[ChannelMember] = []
    refusal: AppError | None = None
    for user_id in user_ids:
        try:
            added.append(_add_one(call, channel, user_id))
        except AppError as one:
            refusal = one
    if refusal is not None and not added:
        raise refusal
    shown = [views.channel_member_fields(member, asker=call.user) for member in added]
    single = len(added) == 1 and body.get("user_id") == added[0].user_id
    return answer(shown[0] if single else shown or None, 201)


def _wanted(body: dict[str, object]) -> list[str]:
    many = body.get("user_ids")
    if isinstance(many, list):
        if len(many) > LARGEST_LIST:
            raise bad_body("user_ids")
        if not all(is_id(user_id) for user_id in many):
            raise bad_body("user_id in user_ids")
        return [str(user_id) for user_id in many]
    one = body.get("user_id")
    if not is_id(one):
        raise bad_body("user_id or user_ids")
    return [str(one)]


def _require(call: Call, channel: Channel, permission: str) -> None:
    if not permissions.may_in_channel(call.state, call.user, channel, permission):
        raise forbidden()


def _add_one(call: Call, channel: Channel, user_id: str) -> ChannelMember:
    state, existing = call.state, call.state.channel_member(channel, user_id)
    oneself = user_id == call.user.id
    if existing is not None and (oneself or channel.type == "P"):
        return existing
    if (
        channel.type == "O"
        and oneself
        and not permissions.may_in_team(call.user, channel.team_id, "join_public_channels")
    ):
        raise forbidden()
    if channel.type == "O" and not oneself:
        _require(call, channel, "manage_public_channel_members")
    if existing is not None:
        return existing
    member = _new_member(call, channel, user_id)
    channel.absent.discard(user_id)
    channel.members[user_id] = member
    state.post(channel)
    call.audit(f"name={channel.name} user_id={user_id}")
    return member


def _new_member(call: Call, channel: Channel, user_id: str) -> ChannelMember:
    user = call.state.users.get(user_id)
    if user is None:
        raise no_user()
    if user.delete_at:
        raise AppError("app.channel.add_member.deleted_user.app_error", 403)
    team_member = user.membership(channel.team_id)
    if team_member is None:
        raise AppError("app.team.get_member.missing.app_error", 404)
    if team_member.delete_at:
        raise AppError("api.channel.add_user.to.channel.failed.deleted.app_error", 400)
    return ChannelMember(channel.id, user_id, call.state.millis(), is_guest=user.is_guest)


def page(call: Call) -> Reply:
    channel = _readable(call)
    start, end = call.page()
    members = islice(call.state.channel_members(channel), start, end)
    return answer([views.channel_member_fields(member, asker=call.user) for member in members])


def by_ids(call: Call) -> Reply:
    ids = call.ids("user_ids")
    channel = _readable(call)
    found = [member for user_id in dict.fromkeys(ids) if (member := call.state.channel_member(channel, user_id))]
    return answer([views.channel_member_fields(member, asker=call.user) for member in found])


def get(call: Call) -> Reply:
    channel, user_id = _readable(call), call.id(1, "user_id")
    member = call.state.channel_member(channel, user_id)
    if member is None:
        raise AppError("app.channel.get_member.missing.app_error", 404)
    return answer(views.channel_member_fields(member, asker=call.user))


def _readable(call: Call) -> Channel:
    """The channel, for those who may read it. An unknown one is refused like one that is none of their business."""
    channel = call.state.channels.get(call.id(0, "channel_id"))
    if channel is None:
        if call.user.is_admin:
            raise AppError("app.channel.get.existing.app_error", 404)
        raise forbidden()
    _require(call, channel, "read_channel")
    return channel


def remove(call: Call) -> Reply:
    channel, user_id = find_channel(call.state, call.id(0, "channel_id")), call.id(1, "user_id")
    user = call.state.users.get(user_id)
    if user is None:
        raise no_user()
    if user_id != call.user.id:
        kind = "public" if channel.type == "O" else "private"
        _require(call, channel, f"manage_{kind}_channel_members")
    if channel.name == DEFAULT_CHANNEL and not user.is_guest:
        raise AppError("api.channel.remove.default.app_error", 400)
    if call.state.channel_member(channel, user_id) is None:
        raise AppError("app.channel.get_member.missing.app_error", 404)
    channel.members.pop(user_id, None)
    channel.absent.add(user_id)
    call.state.post(channel)
    call.audit(f"name={channel.name} user_id={user_id}")
    return done()


def stats(call: Call) -> Reply:
    channel = _readable(call)
    members = list(call.state.channel_members(channel))
    guests = sum(1 for member in members if member.is_guest)
    counts = {"member_count": len(members), "guest_count": guests, "pinnedpost_count": 0, "files_count": 0}
    return answer({"channel_id": channel.id, **counts})


ROUTES = (
    Route("POST", "/channels/{id}/members", add),
    Route("GET", "/channels/{id}/members", page),
    Route("POST", "/channels/{id}/members/ids", by_ids),
    Route("GET", "/channels/{id}/members/{user_id}", get),
    Route("DELETE", "/channels/{id}/members/{user_id}", remove),
    Route("GET", "/channels/{id}/stats", stats),
)
