"""The inhabitants of a seeded server. The same seed makes the same ones, with the same ids and secrets."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mmconsole.simulator import passwords
from mmconsole.simulator.entities import ADMIN_ROLE, USER_ROLE, Team, TeamMember, Token, User

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mmconsole.simulator.state import State

FOUNDED_AT: Final = 1_735_689_600_000
"""1 January 2025 in ms: long before any `since` that a client may ask with."""
ADMIN_PASSWORD: Final = "simulator-admin-1"
FIRST_NAMES: Final = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gia", "Hugo", "Ines", "Jan", "Kaya", "Leo", "Mia")
MANY: Final = 50_000
LAST_NAMES: Final = ("Abel", "Brandt", "Costa", "Duarte", "Evers", "Fischer", "Garcia", "Holm", "Ito", "Jensen", "Kaya")


@dataclass(frozen=True, slots=True)
class Seeded:
    """The secrets that a seeded server hands out; empty on a new installation."""

    admin_token: str = ""
    bot_token: str = ""


def seed(state: State) -> Seeded:
    """Fill a server: administrators, tokens on, a team, users."""
    config = state.config
    config["ServiceSettings", "EnableUserAccessTokens"] = True
    config["ServiceSettings", "EnableBotAccountCreation"] = True
    config["TeamSettings", "MaxUsersPerTeam"] = 1_000_000
    admin = User(state.ids.new(), "admin", "admin@example.test", FOUNDED_AT, FOUNDED_AT, f"{ADMIN_ROLE} {USER_ROLE}")
    admin.email_verified, admin.last_password_update = True, FOUNDED_AT
    admin.password = passwords.hashed(ADMIN_PASSWORD, admin.id)
    bot = User(state.ids.new(), "consolebot", "consolebot@localhost", FOUNDED_AT, FOUNDED_AT, is_bot=True)
    bot.roles, bot.first_name, bot.bot_owner = f"{USER_ROLE} {ADMIN_ROLE}", "Console", admin.id
    for user in (admin, bot):
        state.add_user(user)
    team = Team(state.ids.new(), "main", "Main", FOUNDED_AT, FOUNDED_AT, admin.email, state.ids.new())
    state.add_team(team)
    state.join_team(team, admin, is_admin=True)
    seeded = Seeded(
        state.add_token(admin, "simulator", create_at=FOUNDED_AT).secret,
        state.add_token(bot, "simulator", create_at=FOUNDED_AT).secret,
    )
    with _no_garbage(state.options.users):
        _add_people(state, team, state.options.users, with_tokens=state.options.with_tokens)
    return seeded


@contextmanager
def _no_garbage(users: int) -> Iterator[None]:
    """Making a million objects that all stay would set off collections that find nothing, for half of the time.

    Afterwards they are out of the collector's sight, or each full collection would stop the server for a second.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if users >= MANY:
            gc.freeze()
        if was_on:
            gc.enable()


def _add_people(state: State, team: Team, count: int, *, with_tokens: bool) -> None:
    """Straight into the indexes: a million people must not cost minutes."""
    new, users, by_username, by_email = state.ids.new, state.users, state.by_username, state.by_email
    for number in range(1, count + 1):
        name = f"user{number:06d}"
        stamp = FOUNDED_AT + number
        user = User(new(), name, f"{name}@example.test", stamp, stamp, email_verified=True)
        user.first_name = FIRST_NAMES[number % len(FIRST_NAMES)]
        user.last_name = LAST_NAMES[number % len(LAST_NAMES)]
        user.last_password_update = stamp
        member = TeamMember(team.id, user.id)
        user.teams = (member,)
        team.members[user.id] = member
        users[user.id] = by_username[name] = by_email[user.email] = user
        state.usernames.append(name)
        if with_tokens:
            _add_token(state, user, stamp)
    state.usernames.sort()
    state.active_people += count
    team.active_members += count


def _add_token(state: State, user: User, stamp: int) -> None:
    token = Token(state.ids.new(), state.ids.new(), user.id, "simulator", stamp, position=len(state.token_rows))
    state.token_rows.append(token)
    state.tokens[token.id] = token
    state.by_secret[token.secret] = token
    user.tokens = (token,)
