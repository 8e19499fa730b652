"""Reading accounts: by id, address, name, in pages, in batches, in reports. Nothing in here changes one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from mmconsole.simulator import permissions, views
from mmconsole.simulator.errors import AppError, bad_body, bad_url, forbidden, no_user
from mmconsole.simulator.routing import Route
from mmconsole.simulator.rules import is_email, is_username
from mmconsole.simulator.wire import Call, Reply, answer, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mmconsole.simulator.entities import User

REPORT_COLUMNS = {
    "Username": "username",
    "CreateAt": "create_at",
    "FirstName": "first_name",
    "LastName": "last_name",
    "Nickname": "nickname",
    "Email": "email",
    "Roles": "roles",
}


def get(call: Call) -> Reply:
    user = call.state.users.get(call.id(0, "user_id"))
    if user is None:
        if call.user.is_guest:
            raise forbidden()
        raise no_user()
    return _shown(call, user)


def get_by_username(call: Call) -> Reply:
    name = call.params[0]
    if not is_username(name):
        raise bad_body("username")
    user = call.state.by_username.get(name)
    if user is None or call.hides(user.create_at):
        raise AppError("app.user.get_by_username.app_error", 404)
    return _shown(call, user)


def get_by_email(call: Call) -> Reply:
    address = call.params[0].lower()
    if not is_email(address):
        raise bad_url("email")
    if not (call.user.is_admin or call.state.config.shows_email):
        raise AppError("api.user.get_user_by_email.permissions.app_error", 403)
    user = call.state.by_email.get(address)
    if user is None:
        raise no_user()
    return _shown(call, user, as_profile=True)


def _shown(call: Call, user: User, *, as_profile: bool = False) -> Reply:
    """An account for whoever asks. By e-mail even one's own is shown as others see it."""
    if call.hides(user.create_at):
        raise no_user()
    if not permissions.may_see(call.state, call.user, user):
        raise forbidden()
    config = call.state.config
    tag = views.etag(user, config)
    if call.headers.get(b"if-none-match") == tag:
        return Reply(b"", 304, ((b"etag", tag),))
    if user is call.asker and not as_profile:
        return Reply(views.for_self(user), 200, ((b"etag", tag),))
    body = views.for_admin(user) if call.user.is_admin else views.for_others(user, config)
    return Reply(body, 200, ((b"etag", tag),))


def page(call: Call) -> Reply:
    """Accounts by username. Deactivated ones and bots are among them unless they are filtered out."""
    start, end = call.page()
    call.units = start
    state = call.state
    keep = _filter(call)
    if keep is None and call.hidden_since is None:
        found = [state.by_username[name] for name in state.usernames[start:end]]
    else:
        everybody = (state.by_username[name] for name in state.usernames)
        wanted = (user for user in everybody if (keep is None or keep(user)) and not call.hides(user.create_at))
        found = list(islice(wanted, start, end))
    return joined(views.profiles(found, asker=call.user, config=state.config))


def _filter(call: Call) -> Callable[[User], bool] | None:
    """The conditions of the query as one test, or None when there are none."""
    if call.flag("inactive") and call.flag("active"):
        raise bad_url("inactive")
    roles = _wanted_roles(call)
    places = [test for test in (_in_team(call), _in_channel(call), _by_visibility(call)) if test]
    if call.flag("active"):
        places.append(lambda user: not user.delete_at)
    if call.flag("inactive"):
        places.append(lambda user: bool(user.delete_at))
    if roles:
        places.append(lambda user: not roles.isdisjoint(user.roles.split()))
    return (lambda user: all(test(user) for test in places)) if places else None


def _wanted_roles(call: Call) -> set[str]:
    for name in ("role", "roles"):
        wanted = {role for role in call.query(name).split(",") if role}
        if wanted and not wanted <= permissions.ROLES:
            raise bad_body(name)
        if wanted:
            return wanted
    return set()


def _in_team(call: Call) -> Callable[[User], bool] | None:
    if call.flag("without_team"):
        if not permissions.may(call.user, "list_users_without_team"):
            raise forbidden()
        return lambda user: all(member.delete_at for member in user.teams)
    team_id = call.query("not_in_team") or call.query("in_team")
    if not team_id:
        return None
    if not permissions.may_in_team(call.user, team_id, "view_team"):
        raise forbidden()
    team = call.state.teams.get(team_id)
    members = team.members if team else {}
    if call.query("not_in_team"):
        return lambda user: user.id not in members
    return lambda user: user.id in members


def _in_channel(call: Call) -> Callable[[User], bool] | None:
    channel_id = call.query("in_channel")
    if not channel_id:
        return None
    state = call.state
    channel = state.channels.get(channel_id)
    if channel is None or not permissions.may_in_channel(state, call.user, channel, "read_channel"):
        raise forbidden()
    return lambda user: state.channel_member(channel, user.id) is not None


def _by_visibility(call: Call) -> Callable[[User], bool] | None:
    if not call.user.is_guest:
        return None
    return lambda user: permissions.may_see(call.state, call.user, user)


def by_ids(call: Call) -> Reply:
    """Accounts by id; unknown ones are absent, and with `since` so are those that did not change after it."""
    ids = call.ids("user_ids")
    since = _since(call)
    users = call.state.users
    found = [user for id_ in dict.fromkeys(ids) if (user := users.get(id_)) and user.update_at > since]
    call.units = len(ids) + 6.5 * len(found)
    return _batch(call, found)


def by_usernames(call: Call) -> Reply:
    names = call.ids("usernames")
    found = [user for name in sorted(set(names)) if (user := call.state.by_username.get(name))]
    call.units = len(names) + 6.5 * len(found)
    return _batch(call, found)


def _since(call: Call) -> int:
    text = call.query("since")
    if not text:
        return 0
    try:
        return int(text)
    except ValueError as fault:
        raise bad_body("since") from fault


def _batch(call: Call, found: list[User]) -> Reply:
    if call.hidden_since is not None:
        found = [user for user in found if not call.hides(user.create_at)]
    if call.user.is_guest:
        found = [user for user in found if permissions.may_see(call.state, call.user, user)]
    return joined(views.profiles(found, asker=call.user, config=call.state.config))


class Search(msgspec.Struct):
    """What `/users/search` reads of its body."""

    term: str = ""
    allow_inactive: bool = False
    limit: int = 0
    team_id: str = ""
    not_in_team_id: str = ""


def search(call: Call) -> Reply:
    wanted = call.decode(Search, "props")
    if not wanted.term:
        raise bad_body("term")
    limit = wanted.limit or 100
    if not 0 < limit <= 1000:
        raise bad_body("limit")
    term = wanted.term.lower().lstrip("@")
    found = islice((user for user in _searched(call, wanted) if _fits(call, user, term)), limit)
    return _batch(call, list(found))


def _searched(call: Call, wanted: Search) -> Iterator[User]:
    for name in call.state.usernames:
        user = call.state.by_username[name]
        if user.delete_at and not wanted.allow_inactive:
            continue
        if wanted.team_id and not _belongs(user, wanted.team_id):
            continue
        if not (wanted.not_in_team_id and _belongs(user, wanted.not_in_team_id)):
            yield user


def _belongs(user: User, team_id: str) -> bool:
    member = user.membership(team_id)
    return member is not None and not member.delete_at


def _fits(call: Call, user: User, term: str) -> bool:
    config, fields = call.state.config, [user.username, user.nickname]
    if call.user.is_admin or config.shows_names:
        fields += [user.first_name, user.last_name]
    if call.user.is_admin or config.shows_email:
        fields.append(user.email)
    return any(field.lower().startswith(term) for field in fields)


def stats(call: Call) -> Reply:
    return answer({"total_users_count": call.state.active_people})


def filtered_stats(call: Call) -> Reply:
    if not permissions.may(call.user, "sysconsole_read_user_management_users"):
        raise forbidden()
    with_bots, with_deleted = call.flag("include_bots"), call.flag("include_deleted")
    team_id = call.query("in_team")
    counted = (
        user
        for user in call.state.users.values()
        if (with_bots or not user.is_bot)
        and (with_deleted or not user.delete_at)
        and (not team_id or _belongs(user, team_id))
    )
    return answer({"total_users_count": sum(1 for _ in counted)})


def report(call: Call) -> Reply:
    """Accounts in keyset pages with their last sign-in. Bots are left out."""
    _check_report(call)
    size = call.number("page_size", 50)
    if not 1 <= size <= 100:
        raise AppError("api.getUsersForReporting.invalid_page_size", 400)
    rows = list(islice(_reported(call), size))
    call.units = len(rows)
    return answer([views.report_fields(user, call.state) for user in rows])


def report_count(call: Call) -> Reply:
    _check_report(call)
    return answer(sum(1 for user in call.state.users.values() if _reportable(call, user)))


def _check_report(call: Call) -> None:
    if not permissions.may(call.user, "sysconsole_read_user_management_users"):
        raise forbidden()
    if call.flag("hide_active") and call.flag("hide_inactive"):
        raise AppError("api.getUsersForReporting.invalid_active_filter", 400)
    if (call.query("sort_column") or "Username") not in REPORT_COLUMNS:
        raise AppError("model.user_report_options.is_valid.invalid_sort_column", 400)


def _reportable(call: Call, user: User) -> bool:
    hidden = call.flag("hide_inactive") if user.delete_at else call.flag("hide_active")
    return not (hidden or user.is_bot)


def _reported(call: Call) -> Iterator[User]:
    column = REPORT_COLUMNS[call.query("sort_column") or "Username"]
    descending = call.query("sort_direction") == "desc"
    after = call.query("from_column_value")
    people: Iterable[User]
    if column == "username":
        people = _by_username(call, after, descending=descending)
    else:
        people = _by_column(call, column, after, descending=descending)
    return (user for user in people if _reportable(call, user))


def _by_username(call: Call, after: str, *, descending: bool) -> Iterator[User]:
    names = call.state.usernames
    if descending:
        end = bisect_left(names, after) if after else len(names)
        return (call.state.by_username[names[index]] for index in range(end - 1, -1, -1))
    start = bisect_right(names, after) if after else 0
    return (call.state.by_username[names[index]] for index in range(start, len(names)))


def _by_column(call: Call, column: str, after: str, *, descending: bool) -> list[User]:
    def key(user: User) -> tuple[Any, str]:
        return getattr(user, column), user.id

    people = sorted(call.state.users.values(), key=key, reverse=descending)
    if not after:
        return people
    edge = (call.number("from_column_value", 0) if column == "create_at" else after, call.query("from_id"))
    return [user for user in people if (key(user) < edge if descending else key(user) > edge)]


ROUTES = (
    Route("GET", "/users", page),
    Route("POST", "/users/ids", by_ids),
    Route("POST", "/users/usernames", by_usernames),
    Route("POST", "/users/search", search),
    Route("GET", "/users/stats", stats),
    Route("GET", "/users/stats/filtered", filtered_stats),
    Route("GET", "/users/username/{username}", get_by_username),
    Route("GET", "/users/email/{email}", get_by_email),
    Route("GET", "/users/{id}", get),
    Route("GET", "/reports/users", report),
    Route("GET", "/reports/users/count", report_count),
)
