"""Bots: accounts without a password, owned by whoever made them. Their tokens work even with tokens switched off."""

from __future__ import annotations

import msgspec

from mmconsole.simulator import permissions, rules, views
from mmconsole.simulator.entities import User
from mmconsole.simulator.errors import AppError, bad_url, forbidden
from mmconsole.simulator.ids import is_id
from mmconsole.simulator.routes.accounts import change_activity, check_unique
from mmconsole.simulator.routing import Route
from mmconsole.simulator.wire import Call, Reply, answer


class NewBot(msgspec.Struct):
    """What `POST /bots` reads."""

    username: str | None = None
    display_name: str | None = None
    description: str | None = None


def create(call: Call) -> Reply:
    wanted = call.decode(NewBot, "bot")
    if call.user.is_bot or not permissions.may(call.user, "create_bot"):
        raise forbidden()
    if not call.state.config["ServiceSettings", "EnableBotAccountCreation"]:
        raise AppError("api.bot.create_disabled", 403)
    state, name, now = call.state, (wanted.username or "").lower(), call.state.millis()
    bot = User(state.ids.new(), name, f"{name}@localhost", now, now, is_bot=True, bot_owner=call.user.id)
    bot.first_name, bot.bot_description = wanted.display_name or "", wanted.description or ""
    bot.last_password_update = now
    rules.check_user(bot)
    check_unique(call, bot, bot.username, bot.email)
    return answer(views.bot_fields(state.add_user(bot)), 201)


def page(call: Call) -> Reply:
    if not permissions.may(call.user, "read_others_bots"):
        raise forbidden()
    start, end = call.page()
    wanted = [
        bot for bot in call.state.users.values() if bot.is_bot and (call.flag("include_deleted") or not bot.delete_at)
    ]
    return answer([views.bot_fields(bot) for bot in wanted[start:end]])


def get(call: Call) -> Reply:
    return answer(views.bot_fields(_bot(call)))


def enable(call: Call) -> Reply:
    bot = _bot(call)
    change_activity(call, bot, active=True)
    return answer(views.bot_fields(bot))


def disable(call: Call) -> Reply:
    bot = _bot(call)
    change_activity(call, bot, active=False)
    return answer(views.bot_fields(bot))


def _bot(call: Call) -> User:
    if not is_id(call.params[0]):
        raise bad_url("bot_user_id")
    bot = call.state.users.get(call.params[0])
    if bot is None or not bot.is_bot or not call.user.is_admin:
        raise AppError("store.sql_bot.get.missing.app_error", 404)
    return bot


ROUTES = (
    Route("POST", "/bots", create),
    Route("GET", "/bots", page),
    Route("GET", "/bots/{id}", get),
    Route("POST", "/bots/{id}/enable", enable),
    Route("POST", "/bots/{id}/disable", disable),
)
